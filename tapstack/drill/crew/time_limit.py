"""A limit of real time, by the one alarm that a process has (setitimer(2)).

Not done here: ending what is in the middle of C code, which no alarm interrupts (`crew.py`).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeUpError(BaseException):
    """The time is up. Raised in the main thread, wherever that is; nobody else catches it."""


@contextmanager
def limited_to(seconds: float) -> Iterator[None]:
    """Let what is inside take so long. For the main thread alone. Raises: TimeUpError."""

    def on_alarm(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler
        raise TimeUpError(f"it takes more than {seconds:g} s of real time")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
