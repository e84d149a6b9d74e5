"""Ctrl-C while a program is still being loaded: it ends at once, and quietly.

A KeyboardInterrupt there would become a traceback, or be lost in a callback of the import system.

Not done here: what Ctrl-C does from then on (`interrupt.py`, `program.py`).
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def leaving_on_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the process meanwhile, unless it is ignored or has a meaning already."""
    is_free = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_free:
        signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        if is_free:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    os._exit(128 + number)  # nothing has been begun that were to be ended
