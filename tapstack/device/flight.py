"""The wire, one way: what befalls frames there, and when each arrives.

Not done here: waiting for that instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from random import Random

from tapstack.base.units import Duration, Instant
from tapstack.device.parcel import Impairment, Parcel


class Flight:
    """Frames under way. What is set here counts for frames from then on."""

    def __init__(
        self,
        *,
        delay: Duration,
        jitter: Duration,
        impairments: Iterable[Impairment],
        chance: Random,
        limit: int | None = None,
    ) -> None:
        """Begin empty; more than `limit` frames at a time get lost."""
        self.delay = delay
        """How long a frame is under way, µs."""
        self.jitter = jitter
        """The delay is spread evenly over `delay` ± `jitter`; the order is kept."""
        self.impairments = list(impairments)
        """What befalls a frame, in this order."""
        self.lost = 0
        """Frames that were lost here."""
        self._chance = chance
        self._limit = limit
        self._heap: list[tuple[Instant, int, Parcel]] = []
        self._departures = 0
        self._last_due: Instant = 0

    def put(self, parcel: Parcel, now: Instant) -> None:
        """Take a frame, and let befall it what will."""
        if not self.impairments:
            self._schedule(parcel, now)
            return
        parcels = [parcel]
        for befall in self.impairments:
            parcels = [
                out for each in parcels for out in _parcels(befall, befall(each, now, self._chance))
            ]
        if not parcels:
            self.lost += 1
        for each in parcels:
            self._schedule(each, now)

    def _schedule(self, parcel: Parcel, now: Instant) -> None:
        """Set when a frame arrives: after those before it, unless it is to come late."""
        if self._limit is not None and len(self._heap) >= self._limit:
            self.lost += 1
            return
        due = now + self.delay
        if self.jitter:
            due += max(-self.delay, self._chance.randint(-self.jitter, self.jitter))
        due = max(due, self._last_due)
        if parcel.late:
            due += parcel.late
        else:
            self._last_due = due
        self._departures += 1
        heappush(self._heap, (due, self._departures, parcel))

    def take(self, now: Instant) -> Parcel | None:
        """Take the next frame that has arrived by now."""
        if self._heap and self._heap[0][0] <= now:
            return heappop(self._heap)[2]
        return None

    def next_deadline(self) -> Instant | None:
        """Tell when the next frame arrives."""
        return self._heap[0][0] if self._heap else None


def _parcels(befall: Impairment, given: object) -> Sequence[Parcel]:
    """Give what an impairment has given. Raises: TypeError if that is not what one is to give."""
    if not isinstance(given, Sequence) or not all(isinstance(each, Parcel) for each in given):
        raise TypeError(f"an impairment gives a list of parcels; {befall!r} has given {given!r}")
    return given
