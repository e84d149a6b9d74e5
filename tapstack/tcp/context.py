"""What the files of one TCP engine share: the neighbours' contracts, and what awaits the flush.

Not done here: protocol.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tapstack.base.address import Ipv4Address
from tapstack.base.contracts import DatagramSender, Entropy, EventSink
from tapstack.base.counters import Counters
from tapstack.base.timers import Expiry, NeverArmed, Timer, TimerQueue
from tapstack.base.trace import Tracer
from tapstack.base.units import Instant
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.connections import Connections
from tapstack.tcp.fast_open_keys import FastOpenKeys
from tapstack.tcp.fast_open_peers import FastOpenPeers
from tapstack.tcp.isn import KeyedHash
from tapstack.tcp.segment import Segment
from tapstack.tcp.sent_segment import SentSegment
from tapstack.tcp.tcb import Tcb


@dataclass(slots=True)
class Context:
    """The surroundings of every connection of one engine."""

    ip: DatagramSender
    timers: TimerQueue
    entropy: Entropy
    counters: Counters
    events: EventSink
    tracer: Tracer
    config: TcpConfig
    connections: Connections
    keyed_hash: KeyedHash
    fast_open_keys: FastOpenKeys
    fast_open_peers: FastOpenPeers = field(default_factory=FastOpenPeers)
    dirty: deque[Tcb] = field(default_factory=deque)
    """Connections that the flush will ask for output: `mark_dirty`."""
    replies: list[tuple[int, int, Segment, str, int]] = field(default_factory=list)
    """Segments that belong to no connection, for the flush: source, destination, why: `reply`."""
    resets: list[tuple[Tcb, str]] = field(default_factory=list)
    """Connections that the flush is to reset, and why: `reset`. They may have ended by then."""
    is_due: bool = False
    """Whether there is anything for the flush to do: any of these three."""
    spare_segment: SentSegment | None = None
    """An entry of a retransmission queue that was sent once and acknowledged: as good as new, for
    the next that is sent. For `exchange.py`, `short_text.py` and, of a FIN, `expected_end.py` and
    `lone_fin.py`."""
    orphans: int = 0
    """Connections whose user has closed them, but for those that have ended or are in TIME-WAIT."""
    report: Callable[[Tcb, int], None] = field(init=False)
    """Tell who waits what happened to a connection."""

    def __post_init__(self) -> None:
        """Spare those who report a call between."""
        self.report = self.events.report

    def first_numbers(self, pair: tuple[int, int, int, int], now: Instant) -> tuple[int, int]:
        """Choose the ISS of a new connection, and what is added to the clock to make TSval, ms.

        As Linux, the latter is nothing where tcp_timestamps is 2.
        """
        iss, offset = self.keyed_hash.first_numbers(pair, now)
        return iss, offset if self.config.tcp_timestamps == 1 else 0

    def arm(
        self, tcb: Tcb, timer: Timer | NeverArmed, deadline: Instant, on_expiry: Expiry
    ) -> Timer:
        """Set a timer that most connections never need, and give it: it is made for its first one.

        It calls `on_expiry((self, tcb), now)`.
        """
        tcb.more_to_end = True
        return self.timers.arm(timer, deadline, (self, tcb), on_expiry)

    def mark_dirty(self, tcb: Tcb) -> None:
        """Ask the flush to look at a connection."""
        if not tcb.dirty:
            tcb.dirty = self.is_due = True
            self.dirty.append(tcb)
        elif tcb.only_owes:
            tcb.only_owes = False

    def mark_owing(self, tcb: Tcb) -> None:
        """Ask the flush for what a connection owes: an ACK, or what is lost.

        As in Linux, a reason for these is none to send new text, even if that might leave by now.
        """
        if not tcb.dirty:
            tcb.dirty = tcb.only_owes = self.is_due = True
            self.dirty.append(tcb)

    def reply(
        self, source: Ipv4Address, destination: Ipv4Address, seg: Segment, why: str, ttl: int = 0
    ) -> None:
        """Have the flush send a segment that belongs to no connection; a TTL of 0 is the host's."""
        self.is_due = True
        self.replies.append((source, destination, seg, why, ttl))

    def reset(self, tcb: Tcb, why: str) -> None:
        """Have the flush reset a connection."""
        self.is_due = True
        self.resets.append((tcb, why))
