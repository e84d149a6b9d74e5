"""Processes that play scripts, as many at once as wanted: none can hang or end the others.

Not done here: what they do (`worker.py`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Pipe, wait
from types import TracebackType
from typing import NamedTuple

from tapstack.drill.child import command_of
from tapstack.drill.outcome import Result, Task, Verdict

_WORKER = "tapstack.drill.crew.worker"
"""By its name: this process does not need what it needs."""
_GRACE = 3.0
"""Seconds beyond a script's limit: to start, and to tell that the time is up."""
_PATIENCE = 2.0
"""Seconds for processes that are asked to end at once."""


class Told(NamedTuple):
    """Something about a script: what it printed or, at last, its result."""

    place: int
    """Of the script among all, counted from 0."""
    what: str | Result


class _Worker:
    """One process, and what it does."""

    def __init__(self) -> None:
        """Start it. Raises: OSError."""
        self.channel, theirs = Pipe()
        with theirs:
            self.process = subprocess.Popen(
                [*command_of(_WORKER), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # the terminal's Ctrl-C is for us alone
            )
        self.place = 0
        self.task: Task | None = None
        self._begun = 0.0

    def give(self, place: int, task: Task) -> None:
        """Have it play a script."""
        self.place, self.task, self._begun = place, task, time.monotonic()
        with suppress(BrokenPipeError):  # it is dead, which will be heard
            self.channel.send(task)

    def left(self) -> float:
        """Tell how long it still has, in seconds."""
        limit = self.task.limit if self.task else 0
        return self._begun + limit + _GRACE - time.monotonic()

    def listen(self) -> Told:
        """Take what it says; it is dead if that is a result it cannot have told."""
        task = self.task
        assert task is not None
        try:
            what = self.channel.recv()
        except (EOFError, OSError):
            what = self._lost(task)
        if isinstance(what, Result):
            self.task = None
            if what.verdict is Verdict.BROKEN or what.seconds >= task.limit:
                _dismiss([self])  # other scripts are better off with a new one
        return Told(self.place, what)

    def cut_off(self) -> Told:
        """End it in the middle of a script that takes too long."""
        assert self.task is not None
        task = self.task
        self.end()
        reason = f"it takes more than {task.limit:g} s of real time, and was killed"
        result = task.failed_for_time(reason, time.monotonic() - self._begun)
        return Told(self.place, result)

    def _lost(self, task: Task) -> Result:
        """Give the result of a script over which the process died."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_PATIENCE)
        reason = f"the process that played it {_how(self.end())}"
        report = f"{task.path}: this is a bug in tapstack: {reason}"
        seconds = time.monotonic() - self._begun
        return Result(str(task.path), Verdict.BROKEN, report, seconds, reason)

    def leave(self) -> None:
        """Have it end in its own way, at once when it plays."""
        if self.task is not None:
            self.process.terminate()
        self.channel.close()

    def end(self) -> int:
        """Kill it, unless it has ended, with what it has started; give its status."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.channel.close()
        self.task = None
        return self.process.wait()


def _how(status: int) -> str:
    """Tell how a process ended."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by a signal: {signal.strsignal(-status)}"


class Crew:
    """Some processes that play scripts. They are started when they are needed, and anew if lost."""

    def __init__(self, size: int) -> None:
        """Let so many scripts be played at once."""
        self._size = size
        self._workers: list[_Worker] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def play(self, tasks: Iterable[Task]) -> Iterator[Told]:
        """Play scripts; give what is told of them, as it comes. Raises: OSError."""
        waiting = deque(enumerate(tasks))
        try:
            while self._hand_out(waiting):
                yield from self._hear()
        finally:
            _dismiss(self._busy())

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.task is not None]

    def _hand_out(self, waiting: deque[tuple[int, Task]]) -> bool:
        """Give everybody something to do; tell whether there was anything."""
        self._workers = [worker for worker in self._workers if not worker.channel.closed]
        idle = [worker for worker in self._workers if worker.task is None]
        while waiting and (idle or len(self._workers) < self._size):
            if not idle:
                idle.append(_Worker())
                self._workers.append(idle[-1])
            idle.pop().give(*waiting.popleft())
        return bool(self._busy())

    def _hear(self) -> Iterator[Told]:
        """Wait until somebody says something, or has taken too long."""
        busy = self._busy()
        ready = wait([worker.channel for worker in busy], max(0, min(map(_Worker.left, busy))))
        for worker in busy:
            if worker.left() <= 0:
                yield worker.cut_off()
            elif worker.channel in ready:
                yield worker.listen()

    def close(self) -> None:
        """End all of them, also in the middle of a script."""
        _dismiss(self._workers)
        self._workers.clear()


def _dismiss(workers: Sequence[_Worker]) -> None:
    """Have workers end: in their own way, or else in ours."""
    for worker in workers:
        worker.leave()
    deadline = time.monotonic() + _PATIENCE
    for worker in workers:
        with suppress(subprocess.TimeoutExpired):
            worker.process.wait(max(0, deadline - time.monotonic()))
        worker.end()


def in_order(told: Iterable[Told]) -> Iterator[Told]:
    """Hold back what is told of a script until everything of those before it is."""
    held: defaultdict[int, list[Told]] = defaultdict(list)
    turn = 0
    for each in told:
        held[each.place].append(each)
        while turn in held:
            words = held.pop(turn)
            yield from words
            if not isinstance(words[-1].what, Result):
                break
            turn += 1
