"""Who is to hear of events, by the engine's object that they happen to.

Not done here: waiting, which each host does in its own kind of time (`runtime/waiters.py`,
`sim/waiting.py`); locking.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from tapstack.base.contracts import CLOSED

if TYPE_CHECKING:
    from tapstack.stack import Stack


class Watcher(Protocol):
    """Somebody's interest in some events of one endpoint."""

    @property
    def endpoint(self) -> object:
        """The engine's object."""

    @property
    def events(self) -> int:
        """The sum of the events that count."""

    @property
    def wake(self) -> Callable[[int], None]:
        """What to call at each of them, with all that happened at once."""


class Listening:
    """One wish to be called at every event of one endpoint."""

    __slots__ = ("endpoint", "events", "wake")

    def __init__(self, endpoint: object, on_event: Callable[[int], None]) -> None:
        self.endpoint = endpoint
        self.events = -1  # all of them
        self.wake = on_event


class Watchers:
    """Every watcher, by endpoint."""

    def __init__(self) -> None:
        self._by_endpoint: dict[object, list[Watcher]] = {}
        self.kept: Watcher | None = None
        """One more, which is there again and again: so it is not among the others."""

    def add(self, watcher: Watcher) -> None:
        """Begin to tell a watcher."""
        self._by_endpoint.setdefault(watcher.endpoint, []).append(watcher)

    def remove(self, watcher: Watcher) -> None:
        """Tell a watcher no more."""
        watchers = self._by_endpoint[watcher.endpoint]
        watchers.remove(watcher)
        if not watchers:
            del self._by_endpoint[watcher.endpoint]

    def remove_all(self, which: Callable[[Watcher], bool]) -> None:
        """Tell all those no more that `which` is true of."""
        for watchers in list(self._by_endpoint.values()):
            for watcher in list(watchers):
                if which(watcher):
                    self.remove(watcher)

    def tell(self, stack: Stack) -> None:
        """Wake who watches for what has happened; who hears of some may report others."""
        while happened := stack.events:
            stack.events = []
            watching, kept = self._by_endpoint, self.kept
            if kept is not None:
                for endpoint, events in happened:
                    if endpoint is kept.endpoint and events & kept.events:
                        kept.wake(events)
            if watching:
                for endpoint, events in happened:
                    for watcher in watching.get(endpoint, ()):
                        if watcher.events & events:
                            watcher.wake(events)

    def wake_all(self) -> None:
        """Wake everybody: the stack goes down."""
        if self.kept is not None:
            self.kept.wake(CLOSED)
        for watchers in self._by_endpoint.values():
            for watcher in watchers:
                watcher.wake(CLOSED)
