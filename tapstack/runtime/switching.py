"""How soon a thread of the stack gets to run beside one that computes.

A thread that computes keeps the interpreter to itself for `sys.getswitchinterval()`, 5 ms unless
somebody sets it, each time that another one comes back from the kernel. A round trip would take two
of these. So the interval is shorter while a stack is up; who has set a shorter one keeps that.

Not done here: anything for other processes, where the interval is another one.
"""

from __future__ import annotations

import sys
from threading import Lock

SWITCH_INTERVAL = 5e-5
"""Seconds. Two threads that only compute lose 2 % to this; a shorter one gains little more."""


class SwitchInterval:
    """The interval of this process, which is shortened while somebody needs it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._before = self._set = 0.0

    def shorten(self) -> None:
        """Shorten it, until `restore` was called as often."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._before = sys.getswitchinterval()
                if self._before > SWITCH_INTERVAL:
                    sys.setswitchinterval(SWITCH_INTERVAL)
                self._set = sys.getswitchinterval()

    def restore(self) -> None:
        """Need it no more: the last one gives it back, unless somebody else has set it since."""
        with self._lock:
            self._users -= 1
            if not self._users and sys.getswitchinterval() == self._set:
                sys.setswitchinterval(self._before)


switch_interval = SwitchInterval()
"""The interpreter has one, and so this is the one object that stands for it."""
