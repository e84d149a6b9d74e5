"""Who is to hear of events, by the engine's object that they happen to.

Not done here: waiting, which each host does in its own kind of time (`runtime/waiters.py`,
`sim/waiting.py`); locking.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
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
        self._first: dict[object, Watcher] = {}
        # Mostly an endpoint has one, and so that is spared a list.
        self._more: dict[object, list[Watcher]] = {}
        # Those behind the first, of endpoints that have any.
        self.kept: Watcher | None = None
        """One more, which is there again and again: so it is not among the others."""

    def add(self, watcher: Watcher) -> None:
        """Begin to tell a watcher."""
        endpoint = watcher.endpoint
        if endpoint in self._first:
            self._more.setdefault(endpoint, []).append(watcher)
        else:
            self._first[endpoint] = watcher

    def remove(self, watcher: Watcher) -> None:
        """Tell a watcher no more."""
        endpoint = watcher.endpoint
        more = self._more.get(endpoint)
        if more is None:
            del self._first[endpoint]
            return
        if self._first[endpoint] is watcher:
            self._first[endpoint] = more.pop(0)
        else:
            more.remove(watcher)
        if not more:
            del self._more[endpoint]

    def all(self) -> list[Watcher]:
        """Give all watchers, but for what is kept."""
        return [*self._first.values(), *chain.from_iterable(self._more.values())]

    def tell(self, stack: Stack) -> None:
        """Wake who watches for what has happened; who hears of some may report others."""
        while happened := stack.events:
            stack.events = []
            first, kept = self._first, self.kept
            if kept is not None:
                for endpoint, events in happened:
                    if endpoint is kept.endpoint and events & kept.events:
                        kept.wake(events)
            if not first:
                continue  # and so there are none behind them
            for endpoint, events in happened:
                watcher = first.get(endpoint)
                if watcher is not None and watcher.events & events:
                    watcher.wake(events)
            if self._more:
                for endpoint, events in happened:
                    for watcher in self._more.get(endpoint, ()):
                        if watcher.events & events:
                            watcher.wake(events)

    def wake_all(self) -> None:
        """Wake everybody: the stack goes down."""
        if self.kept is not None:
            self.kept.wake(CLOSED)
        for watcher in self.all():
            watcher.wake(CLOSED)
