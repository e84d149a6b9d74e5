"""One neighbour: what is known of it, how well, and what waits for it (RFC 1122 §2.3.2).

The states are those of Linux, which took them from IPv6 (RFC 4861 §7.3.2).

Not done here: moving from state to state (`cache.py`).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from tapstack.base.address import Ipv4Address, MacAddress
from tapstack.base.contracts import Buffer, Offload
from tapstack.base.datagram_queue import OVERHEAD
from tapstack.base.timers import Timer
from tapstack.base.units import Duration, Instant


class NeighbourState(Enum):
    """How well a neighbour is known; the value says what the state means."""

    NONE = "just entered into the table"
    INCOMPLETE = "asked for, no answer yet"
    REACHABLE = "answered not long ago"
    STALE = "known, but perhaps no longer there; not sent to"
    DELAY = "sent to, and given time to be confirmed from above"
    PROBE = "asked whether it is still there"
    FAILED = "did not answer"
    PERMANENT = "set by hand"


class Waiting(NamedTuple):
    """A datagram that waits for its neighbour's address."""

    parts: Sequence[Buffer]
    offload: Offload | None

    @property
    def charge(self) -> int:
        """Octets that it takes of the queue's limit."""
        return OVERHEAD + sum(map(len, self.parts))


@dataclass(slots=True, eq=False)
class Neighbour:
    """An entry of the neighbour table. Only the cache writes it."""

    address: Ipv4Address
    timer: Timer
    """Ends the state."""
    state: NeighbourState = NeighbourState.NONE
    mac: MacAddress | None = None
    """Where frames for it go; None in NONE, INCOMPLETE and FAILED."""
    probes: int = 0
    """Requests sent since it was last asked for anew, or doubted."""
    last_request: Instant | None = None
    """When a request for it was sent last."""
    learnt: Instant = 0
    """When a packet last told or confirmed its address."""
    confirmed: Instant | None = None
    """When it last proved that it can hear us: by an answer, or by what arrived through it."""
    reachable_time: Duration = 0
    """How long it counts as reachable once confirmed, as drawn when it last became so, in µs."""
    waiting: deque[Waiting] = field(default_factory=deque)
    """Oldest first; empty but in INCOMPLETE."""
    waiting_octets: int = 0
    """What they are charged together."""

    @property
    def reachable_until(self) -> Instant:
        """When it is to be doubted, unless it is confirmed again. Only once it was confirmed."""
        assert self.confirmed is not None
        return self.confirmed + self.reachable_time

    def time_left(self, now: Instant) -> Duration | None:
        """Tell how long the state lasts if nothing happens, in µs; None: for ever."""
        reachable = self.state is NeighbourState.REACHABLE
        deadline = self.reachable_until if reachable else self.timer.deadline
        return None if deadline is None else max(deadline - now, 0)

    def put_waiting(self, datagram: Waiting) -> None:
        """Append a datagram."""
        self.waiting.append(datagram)
        self.waiting_octets += datagram.charge

    def take_oldest_waiting(self) -> Waiting:
        """Remove the datagram that has waited longest."""
        datagram = self.waiting.popleft()
        self.waiting_octets -= datagram.charge
        return datagram

    def take_waiting(self) -> list[Waiting]:
        """Remove all datagrams, oldest first."""
        datagrams = list(self.waiting)
        self.waiting.clear()
        self.waiting_octets = 0
        return datagrams
