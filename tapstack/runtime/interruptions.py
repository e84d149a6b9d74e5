"""Telling what a signal handler has raised from what is a defect of ours.

Handlers run in the main thread, between any two instructions of it, and so amid the work of the
stack, if it is the one that does it: what they raise comes from there, and is meant for the thread.

Not done here: what becomes of either (`driving.py`).
"""

from __future__ import annotations

import signal
from threading import get_ident, main_thread
from traceback import walk_tb
from types import CodeType


def was_raised_by_signal_handler(error: BaseException) -> bool:
    """Tell whether an exception that is being handled comes from a handler, or through one."""
    if get_ident() != main_thread().ident:
        return False
    handlers = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()}
    return any(frame.f_code in handlers for frame, _ in walk_tb(error.__traceback__))


def _code_of(handler: object) -> CodeType | None:
    """Give what is run to call a function, a method, or an object of a class with `__call__`."""
    handler = getattr(handler, "func", handler)  # of a `functools.partial`
    call = handler if hasattr(handler, "__code__") else type(handler).__call__
    code = getattr(call, "__code__", None)
    return code if isinstance(code, CodeType) else None
