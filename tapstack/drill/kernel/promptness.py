"""Being on time on a busy machine: real-time scheduling, where it may be had (sched(7)).

A script allows 4 ms, and a thread that wakes among busy ones of its kind waits as long for its
turn. What it starts is scheduled as usual.

Not done here: anything for who has no right to it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import get_native_id

_PRIORITY = 1
"""The least of the real-time ones: all threads that are not real-time come after it."""


class Promptness:
    """The calling thread's, until it is given back."""

    def __init__(self) -> None:
        self._thread = get_native_id()
        self._before = os.sched_getscheduler(0), os.sched_getparam(0)
        be_prompt()

    def give_back(self) -> None:
        """Have the thread scheduled as before, whichever thread asks."""
        with suppress(PermissionError, ProcessLookupError):
            os.sched_setscheduler(self._thread, *self._before)


def be_prompt() -> None:
    """Have the calling thread run as soon as it can, if it may."""
    with suppress(PermissionError):
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(_PRIORITY))
