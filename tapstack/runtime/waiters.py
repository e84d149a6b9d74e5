"""Threads that wait for something to happen to a socket.

Each waits on a bare lock of its own: the cheapest thing to wake, and one that a signal interrupts.

Not done here: the runtime's lock, under which all but `Waiter.wait` is called.
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX, allocate_lock
from collections.abc import Callable, Iterable

from tapstack.base.contracts import SocketEvent


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

    def wake(self) -> None:
        """End the wait."""
        if self._armed:
            self._armed = False
            self._lock.release()


class Listening:
    """One wish to be called at every event of one endpoint."""

    __slots__ = ("endpoint", "events", "wake")

    def __init__(self, endpoint: object, on_event: Callable[[], None]) -> None:
        self.endpoint = endpoint
        self.events = -1  # all of them
        self.wake = on_event


class Waiters:
    """Every waiter, by endpoint."""

    def __init__(self) -> None:
        self._by_endpoint: dict[object, list[Waiter | Listening]] = {}

    def add(self, waiter: Waiter | Listening) -> None:
        """Begin to tell a waiter."""
        self._by_endpoint.setdefault(waiter.endpoint, []).append(waiter)

    def remove(self, waiter: Waiter | Listening) -> None:
        """Tell a waiter no more."""
        waiters = self._by_endpoint[waiter.endpoint]
        waiters.remove(waiter)
        if not waiters:
            del self._by_endpoint[waiter.endpoint]

    def wake(self, happened: Iterable[SocketEvent]) -> None:
        """Wake who waits for what happened."""
        waiting = self._by_endpoint
        if not waiting:
            return
        for endpoint, events in happened:
            for waiter in waiting.get(endpoint, ()):
                if waiter.events & events:
                    waiter.wake()

    def wake_all(self) -> None:
        """Wake everybody: the stack goes down."""
        for waiters in self._by_endpoint.values():
            for waiter in waiters:
                waiter.wake()
