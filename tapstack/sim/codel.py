"""CoDel: a queue that measures how long frames wait, and drops or marks those of a standing queue
(RFC 8289).

Not done here: a queue for each flow (RFC 8290).
"""

from __future__ import annotations

from collections import deque
from math import sqrt

from tapstack.base.checks import check_whole
from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.device.parcel import Parcel
from tapstack.sim.ecn import mark
from tapstack.sim.queues import DEFAULT_PACKETS, DropTail

TARGET: Duration = 5 * MILLISECOND
"""How long frames may wait for good (RFC 8289 §4.4)."""
INTERVAL: Duration = 100 * MILLISECOND
"""How long they may wait longer than that: about a round trip (RFC 8289 §4.3)."""
_LARGEST_FRAME = 1514
"""A queue of less is no standing queue (RFC 8289 §5.1)."""
_RECENTLY = 16
"""Intervals within which the last dropping state counts for the next one (RFC 8289 §5.4)."""


class CoDel(DropTail):
    """A queue that keeps its frames' wait below a target, whatever the rate of the link."""

    def __init__(
        self,
        target: Duration = TARGET,
        interval: Duration = INTERVAL,
        *,
        ecn: bool = True,
        packets: int | None = DEFAULT_PACKETS,
    ) -> None:
        """Begin empty; `target` and `interval` are µs (RFC 8289 §3), the rest is as in `DropTail`.

        With `ecn`, mark what can be marked instead of dropping it. Raises: ValueError, TypeError.
        """
        super().__init__(packets)
        self.target = check_whole("the target of CoDel", target, unit="µs")
        self.interval = check_whole("the interval of CoDel", interval, unit="µs")
        self.ecn = ecn
        self._arrivals: deque[Instant] = deque()  # of those that wait
        self._above_until: Instant | None = None
        """When the wait will have been above the target for an interval; None while it is not."""
        self._is_dropping = False
        self._drop_next: Instant = 0
        self._count = 0
        """Drops since the dropping state began: their rate grows with its square root."""
        self._last_count = 0
        """What it was when the dropping state began last."""

    def push(self, parcel: Parcel, now: Instant) -> None:
        """Take a frame, or drop it if there is no room at all."""
        waiting = len(self)
        super().push(parcel, now)
        if len(self) > waiting:
            self._arrivals.append(now)

    def pop(self, now: Instant) -> Parcel | None:
        """Give the frame that is to be sent next, dropping or marking as the wait demands."""
        parcel, is_standing = self._take(now)
        if not is_standing:
            self._is_dropping = False
            return parcel
        if not self._is_dropping:
            assert parcel is not None
            self._begin_dropping(now)
            return self._warn(parcel) or self._take(now)[0]
        while self._is_dropping and parcel is not None and now >= self._drop_next:
            self._count += 1
            self._drop_next = self._control_law(self._drop_next)
            warned = self._warn(parcel)
            if warned is not None:
                return warned
            parcel, self._is_dropping = self._take(now)
        return parcel

    def _take(self, now: Instant) -> tuple[Parcel | None, bool]:
        """Take the oldest frame, and tell whether the queue has been standing for an interval."""
        parcel = super().pop(now)
        if parcel is None:
            self._above_until = None
            return None, False
        wait = now - self._arrivals.popleft()
        if wait < self.target or self.backlog <= _LARGEST_FRAME:
            self._above_until = None
            return parcel, False
        if self._above_until is None:
            self._above_until = now + self.interval
            return parcel, False
        return parcel, now >= self._above_until

    def _begin_dropping(self, now: Instant) -> None:
        """Enter the dropping state: where it left off, if that was not long ago."""
        self._is_dropping = True
        delta = self._count - self._last_count
        recent = now - self._drop_next < _RECENTLY * self.interval
        self._count = delta if delta > 1 and recent else 1
        self._drop_next = self._control_law(now)
        self._last_count = self._count

    def _control_law(self, instant: Instant) -> Instant:
        return instant + round(self.interval / sqrt(self._count))

    def _warn(self, parcel: Parcel) -> Parcel | None:
        """Give the frame marked, or drop it."""
        warned = mark(parcel) if self.ecn else None
        if warned is None:
            self.dropped += 1
        else:
            self.marked += 1
        return warned
