"""One direction of a link: a queue and a transmitter in front of the wire.

Not done here: the wire itself (`device/flight.py`), and the link's two ends (`link.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from random import Random

from tapstack.base.timers import TimerQueue
from tapstack.base.units import SECOND, Instant
from tapstack.device.flight import Flight
from tapstack.device.parcel import Parcel
from tapstack.sim.way import Way

Deliver = Callable[[Parcel, Instant], None]
"""Take a frame that arrives."""


class Pipe(Flight):
    """Carries frames one way. What is set here counts for frames from then on."""

    def __init__(self, way: Way, *, timers: TimerQueue, chance: Random) -> None:
        super().__init__(
            delay=way.delay,
            jitter=way.jitter,
            impairments=deepcopy(way.impairments),
            chance=chance,
        )
        self.deliver: Deliver
        """Where frames arrive; set by the link."""
        self.rate = way.rate
        """Bits a second; None: no frame takes any time."""
        self.queue = deepcopy(way.queue)
        """Where frames wait for their turn. It counts those that it loses itself."""
        self.up = True
        """While this is False, whatever is on the wire or put on it is lost."""
        self.sent = 0
        """Frames that the sender gave."""
        self.delivered = 0
        """Frames that arrived, each duplicate counted."""
        self._transmitter = timers.timer(None, self._on_transmitted)
        self._transmitting: Parcel | None = None
        self._remainder = 0  # of the last transmission's time, in µs / rate
        self._arrival = timers.timer(None, self._on_arrival)

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
        self.put(parcel, now)
        self._await_arrival()

    def _await_arrival(self) -> None:
        due = self.next_deadline()
        if due is not None and due != self._arrival.deadline:
            self._arrival.arm(due)

    def _on_arrival(self, _: object, now: Instant) -> None:
        parcel = self.take(now)
        assert parcel is not None
        self._await_arrival()
        if not self.up:
            self.lost += 1
            return
        self.delivered += 1
        self.deliver(parcel, now)
