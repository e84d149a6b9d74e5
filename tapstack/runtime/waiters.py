"""Threads that wait for something to happen to a socket.

Each sleeps in one of two ways: on a bell of its own, a bare lock, the cheapest thing to wake; or on
the devices, if it is the one that drives them (`leading.py`). Signals interrupt both. Who has
descriptors of his own sleeps on these, either way (`selecting.py`).

Not done here: the runtime's lock, under which all of this is called but the sleep itself.
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX, allocate_lock, get_ident
from collections.abc import Callable


class Waiter:
    """One thread's interest in some events of one endpoint."""

    __slots__ = ("endpoint", "events", "has_happened", "outer", "poll", "rouse", "thread")

    def __init__(self, endpoint: object, events: int) -> None:
        self.endpoint = endpoint
        self.events = events
        self.has_happened = False
        """Whether there was an event since the last wait ended."""
        self.rouse: Callable[[], object] | None = None
        """What ends its sleep, while it sleeps and nobody has ended that."""
        self.thread = get_ident()
        self.outer: Waiter | None = None
        """The waiter of the same thread whose place at the devices this one has."""
        self.poll: Callable[[float | None, int], list[tuple[int, int]]] | None = None
        """How it sleeps on the devices, if not on these alone."""

    def wake(self, events: int) -> None:  # noqa: ARG002 - whatever it was
        """End the wait."""
        self.has_happened = True
        if self.rouse is not None:
            self.call()

    def call(self) -> None:
        """End the sleep, so that it looks how things are."""
        rouse, self.rouse = self.rouse, None
        if rouse is not None:
            rouse()

    def follow(self, leave: Callable[..., object], seconds: float | None) -> None:
        """Sleep, having left the stack by `leave`, while another one drives; until it is called."""
        bell = Bell()
        self.rouse = bell.ring
        try:
            leave(bell.sleep, seconds)
        finally:
            self.rouse = None


class Bell:
    """What a thread sleeps on, once, until another one rings."""

    __slots__ = ("_lock", "ring")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()
        self.ring = self._lock.release
        """End the sleep. To be called once."""

    def sleep(self, seconds: float | None) -> bool:
        """Sleep until it is rung; False when the time is up."""
        timeout = -1 if seconds is None else min(max(seconds, 0), TIMEOUT_MAX)
        return self._lock.acquire(timeout=timeout)
