"""Waiting for events of a socket in virtual time.

Not done here: who runs meanwhile (`baton.py`).
"""

from __future__ import annotations

from tapstack.base.contracts import ACCEPTABLE, CONNECTED, READABLE, WRITABLE
from tapstack.base.units import Instant
from tapstack.sim.baton import Party
from tapstack.sim.clock import Clock

_WORDS = (
    (ACCEPTABLE, "a connection"),
    (CONNECTED, "an answer"),
    (READABLE, "something to read"),
    (WRITABLE, "room to write"),
)


class Waiter:
    """One party's interest in some events of one endpoint."""

    __slots__ = ("_clock", "_has_happened", "_host", "_party", "endpoint", "events")

    def __init__(self, clock: Clock, host: str, endpoint: object, events: int) -> None:
        self.endpoint = endpoint
        self.events = events
        self._clock = clock
        self._host = host
        self._has_happened = False
        self._party: Party | None = None  # who waits

    def wait(self, deadline: Instant | None) -> bool:
        """Wait for the next event; False when the time is up."""
        patience = None if deadline is None else deadline - self._clock.now
        if not self._has_happened and (patience is None or patience > 0):
            self._party = self._clock.baton.holder
            try:
                self._clock.wait(patience, self._describe)
            finally:
                self._party = None
        has_happened, self._has_happened = self._has_happened, False
        return has_happened

    def wake(self, events: int) -> None:  # noqa: ARG002 - whatever it was
        """End the wait."""
        self._has_happened = True
        if self._party is not None:
            self._clock.baton.wake(self._party)

    def _describe(self) -> str:
        words = " or ".join(word for event, word in _WORDS if self.events & event)
        local = getattr(self.endpoint, "local", "?")
        remote = getattr(self.endpoint, "remote", None)
        state = getattr(self.endpoint, "state", None)
        where = f"{local} > {remote}" if remote else str(local)
        where += f" ({state.name})" if state else ""
        return f"{words or 'the end'} on {where} of {self._host}"
