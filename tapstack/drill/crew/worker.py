"""The process that plays scripts: one after another, as they come over its channel.

What a script's code prints, and every event in a verbose manner, goes back at once, then the
result. A process of its own, so that it can be ended in the middle of whatever it does.

Not done here: the other end (`crew.py`).
"""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from multiprocessing.connection import Connection
from types import FrameType
from typing import NoReturn

from tapstack.drill.crew.time_limit import TimeUpError, limited_to
from tapstack.drill.language.parser import get_ready
from tapstack.drill.outcome import Result, Task
from tapstack.drill.running import run_file


class _Told(io.TextIOBase):
    """A file whose text goes over a channel."""

    def __init__(self, channel: Connection) -> None:
        self._channel = channel

    def writable(self) -> bool:
        """Tell that it is no file to read."""
        return True

    def write(self, text: str) -> int:
        """Send it at once. Raises: OSError when nobody is there any more."""
        if text:
            self._channel.send(text)
        return len(text)


def main() -> NoReturn:
    """Play whatever comes over the channel; end when that is closed, or at a signal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us
    signal.signal(signal.SIGTERM, _leave)
    with suppress(SystemExit):
        _serve(Connection(int(sys.argv[1])))
    atexit._run_exitfuncs()
    os._exit(0)  # what else Python does at its end takes longer than a script


def _serve(channel: Connection) -> None:
    told = _Told(channel)
    home = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    get_ready()
    while True:
        try:
            task: Task = channel.recv()
        except EOFError:
            return
        os.fchdir(home)  # a script's code may have left it
        with redirect_stdout(told), redirect_stderr(told):
            result = _play(task, told)
        with suppress(BrokenPipeError):  # who started us has left
            channel.send(result)


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler
    raise SystemExit(128 + number)


def _play(task: Task, told: _Told) -> Result:
    begun = time.monotonic()
    try:
        with limited_to(task.limit):
            return run_file(task.path, task.manner, lambda line: told.write(f"{line}\n"))
    except TimeUpError as late:
        return task.failed_for_time(str(late), time.monotonic() - begun)
