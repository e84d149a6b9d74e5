"""`tapstack up`: a stack with a shell on it, from the first line to the last.

Not done here: the options (`command_line.py`).
"""

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from tapstack import socket
from tapstack.runtime.default import Settings, default_stack
from tapstack.shell.announce import announce
from tapstack.shell.interrupt import ending_signals
from tapstack.shell.session import Session, run_commands, run_script
from tapstack.shell.start import start


def up(settings: Settings, commands: Sequence[str]) -> int:
    """Bring a stack up, run commands, and take it down; give the last one's exit status.

    Raises: UsageError with one sentence when it cannot come up.
    """
    for number in set(ending_signals()) - {signal.SIGINT}:
        signal.signal(number, _leave_on_signal)
    started = start(settings)
    session = Session(started.brought_up.runtime, socket.socket)
    try:
        print("\n".join(announce(started)), file=sys.stderr, flush=True)
        return _run(session, commands)
    finally:
        session.close()
        default_stack.close()


def _run(session: Session, commands: Sequence[str]) -> int:
    if commands:
        return run_commands(session, commands)
    if sys.stdin.isatty() and sys.stderr.isatty():
        from tapstack.shell.terminal import run_terminal  # costs 200 ms: only on a terminal

        return run_terminal(session)
    return run_script(session)


def _leave_on_signal(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    raise SystemExit(128 + number)
