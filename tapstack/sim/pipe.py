"""One direction of a link: a queue, a transmitter, and the wire with what befalls frames there.

Not done here: the link's two ends (`link.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from heapq import heappop, heappush
from random import Random

from tapstack.base.timers import TimerQueue
from tapstack.base.units import SECOND, Duration, Instant
from tapstack.sim.parcel import Impairment, Parcel, Queue
from tapstack.sim.way import Way

Deliver = Callable[[Parcel, Instant], None]
"""Take a frame that arrives."""


class Pipe:
    """Carries frames one way. What is set here counts for frames from now on."""

    def __init__(self, way: Way, *, timers: TimerQueue, chance: Random) -> None:
        self.deliver: Deliver
        """Where frames arrive; set by the link."""
        self.rate = way.rate
        """Bits a second; None: no frame takes any time."""
        self.delay: Duration = way.delay
        self.jitter: Duration = way.jitter
        self.queue: Queue = deepcopy(way.queue)
        self.impairments: list[Impairment] = list(deepcopy(way.impairments))
        self.up = True
        """While this is False, whatever is on the wire or put on it is lost."""
        self.sent = 0
        """Frames that the sender gave."""
        self.lost = 0
        """Frames that the wire lost; the queue counts its own."""
        self.delivered = 0
        """Frames that arrived, each duplicate counted."""
        self._chance = chance
        self._transmitter = timers.timer(None, self._on_transmitted)
        self._transmitting: Parcel | None = None
        self._remainder = 0  # of the last transmission's time, in µs / rate
        self._arrival = timers.timer(None, self._on_arrival)
        self._under_way: list[tuple[Instant, int, Parcel]] = []  # a heap
        self._departures = 0
        self._last_due: Instant = 0

    def send(self, parcel: Parcel, now: Instant) -> None:
        """Take a frame: into the queue, or onto the wire if nobody is before it."""
        self.sent += 1
        if self.rate is None and self._transmitting is None:
            self._put_on_wire(parcel, now)
            return
        self.queue.push(parcel, now)
        if self._transmitting is None:
            self._transmit_next(now)

    # --- the transmitter ---

    def _transmit_next(self, now: Instant) -> None:
        parcel = self._transmitting = self.queue.pop(now)
        if parcel is None:
            self._remainder = 0
            return
        duration = 0
        if self.rate is not None:
            # What a µs is too coarse for is carried on, so that a rate holds in the long run.
            work = len(parcel.octets) * 8 * SECOND + self._remainder
            duration, self._remainder = divmod(work, self.rate)
        self._transmitter.arm(now + duration)

    def _on_transmitted(self, _: object, now: Instant) -> None:
        parcel = self._transmitting
        assert parcel is not None
        self._put_on_wire(parcel, now)
        self._transmit_next(now)

    # --- the wire ---

    def _put_on_wire(self, parcel: Parcel, now: Instant) -> None:
        if not self.up:
            self.lost += 1
            return
        if not self.impairments:
            self._schedule(parcel, now)
            return
        parcels = [parcel]
        for befall in self.impairments:
            parcels = [out for each in parcels for out in befall(each, now, self._chance)]
        if not parcels:
            self.lost += 1
        for each in parcels:
            self._schedule(each, now)

    def _schedule(self, parcel: Parcel, now: Instant) -> None:
        """Set when a frame arrives: after those before it, unless it is to come late."""
        due = now + self.delay
        if self.jitter:
            due += max(-self.delay, self._chance.randint(-self.jitter, self.jitter))
        due = max(due, self._last_due)
        if parcel.late:
            due += parcel.late
        else:
            self._last_due = due
        self._departures += 1
        heappush(self._under_way, (due, self._departures, parcel))
        if self._arrival.deadline is None or due < self._arrival.deadline:
            self._arrival.arm(due)

    def _on_arrival(self, _: object, now: Instant) -> None:
        parcel = heappop(self._under_way)[2]
        if self._under_way:
            self._arrival.arm(self._under_way[0][0])
        if not self.up:
            self.lost += 1
            return
        self.delivered += 1
        self.deliver(parcel, now)
