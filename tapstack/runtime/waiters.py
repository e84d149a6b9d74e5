"""Threads that wait for something to happen to a socket.

Each waits on a bare lock of its own: the cheapest thing to wake, and one that a signal interrupts.

Not done here: the runtime's lock, under which all but `Waiter.wait` is called.
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX, allocate_lock


class Waiter:
    """One thread's interest in some events of one endpoint."""

    __slots__ = ("_armed", "_lock", "endpoint", "events")

    def __init__(self, endpoint: object, events: int) -> None:
        self.endpoint = endpoint
        self.events = events
        self._armed = False
        self._lock = allocate_lock()
        self._lock.acquire()

    def arm(self) -> None:
        """Begin to listen: what happens from now on ends the next `wait`."""
        self._armed = True

    def wait(self, seconds: float | None) -> bool:
        """Wait for the next event; False when the time is up. For the waiting thread alone."""
        patience = -1 if seconds is None else min(max(seconds, 0), TIMEOUT_MAX)
        return self._lock.acquire(timeout=patience)

    def wake(self, events: int) -> None:  # noqa: ARG002 - whatever it was
        """End the wait."""
        if self._armed:
            self._armed = False
            self._lock.release()
