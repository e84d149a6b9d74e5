"""Putting fragments together again (RFC 791 §3.2, RFC 815, RFC 1122 §3.3.2, RFC 3168 §5.3).

An incomplete datagram is known by the octets it holds, as runs in order: RFC 815's holes, seen from
the other side. What an attacker can make it hold is bounded in octets and in time.

Not done here: the ICMP message when time is up, which the caller's `on_timeout` sends.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from struct import Struct

from tapstack.base.contracts import Datagram
from tapstack.base.counters import Counters
from tapstack.base.errors import Drop, MalformedPacket
from tapstack.base.timers import TimerQueue
from tapstack.base.units import SECOND, Instant
from tapstack.ip.config import IpConfig
from tapstack.ip.wire import HEADER_LENGTH, MAX_LENGTH, MORE_FRAGMENTS, Header, build

DATAGRAM_OVERHEAD = 1280
"""Octets that each incomplete datagram is charged: what its objects take in CPython, measured."""
FRAGMENT_OVERHEAD = 256
"""Octets that each fragment is charged beyond its own, so that tiny ones cost what they cost."""

_key = Struct("!IIHB")
_CE = 0b11
"""Congestion experienced: a codepoint of the ECN field, the low two bits of TOS (RFC 3168 §5)."""


class Fit(Enum):
    """How a piece lies among those that are held."""

    NEW = "not held before"
    HELD = "held already, every octet of it"
    CLASH = "held in part, or past the end: somebody forges"


@dataclass(slots=True)
class Incomplete:
    """The pieces of one datagram so far."""

    deadline: Instant
    """When to give it up: counted from its first fragment to arrive."""
    starts: list[int] = field(default_factory=list)
    """Offset of the first octet of each run that is held, ascending."""
    ends: list[int] = field(default_factory=list)
    """Offset behind the last octet of each run: less than the next start."""
    pieces: dict[int, bytes] = field(default_factory=dict)
    """Offset -> octets; no two overlap."""
    total: int | None = None
    """Octets of the payload, once the last fragment is here."""
    header: Header | None = None
    """That of the first fragment, once it is here."""
    first: Datagram | None = None
    """The first fragment, in octets of our own."""
    charge: int = 0
    """Octets that count against the limit."""
    codepoints: int = 0
    """Which codepoints of the ECN field the fragments have: bit n is set for codepoint n."""

    def insert(self, start: int, piece: bytes, *, last: bool) -> Fit:
        """Take a piece, unless it clashes with the others or says nothing new."""
        end = start + len(piece)
        if not self._agrees_on_total(end, last):
            return Fit.CLASH
        # The runs from `left` up to `right` touch or overlap [start, end).
        left = bisect_left(self.ends, start)
        right = bisect_right(self.starts, end)
        fit = self._fit(left, right, start, end)
        if fit is Fit.NEW:
            start_of_run, end_of_run = start, end
            if left < right:
                start_of_run = min(start, self.starts[left])
                end_of_run = max(end, self.ends[right - 1])
            self.starts[left:right] = [start_of_run]
            self.ends[left:right] = [end_of_run]
            self.pieces[start] = piece
        if last and fit is not Fit.CLASH:
            self.total = end
        return fit

    def _agrees_on_total(self, end: int, last: bool) -> bool:
        """Tell whether the datagram may end where this piece says."""
        if last:
            return self.total in (None, end) and (not self.ends or self.ends[-1] <= end)
        return self.total is None or end <= self.total

    def _fit(self, left: int, right: int, start: int, end: int) -> Fit:
        for start_of_run, end_of_run in zip(
            self.starts[left:right], self.ends[left:right], strict=True
        ):
            if start_of_run <= start and end <= end_of_run:
                return Fit.HELD
            if start < end_of_run and start_of_run < end:
                return Fit.CLASH
        return Fit.NEW

    def is_complete(self) -> bool:
        """Tell whether nothing is missing."""
        return self.starts == [0] and self.ends == [self.total]

    def mark(self) -> int | None:
        """Give what the whole datagram's ECN field gains; None: its fragments contradict.

        RFC 3168 §5.3: a mark on one is a mark on all, and a sender is capable or it is not.
        """
        if self.codepoints & 1 and self.codepoints != 1:
            return None
        return _CE if self.codepoints & 1 << _CE else 0

    def payload(self) -> bytes:
        """Join the pieces."""
        return b"".join(self.pieces[start] for start in sorted(self.pieces))


class Reassembler:
    """All incomplete datagrams of one host, oldest first."""

    def __init__(
        self,
        *,
        timers: TimerQueue,
        counters: Counters,
        config: IpConfig,
        on_timeout: Callable[[Datagram, Instant], None],
    ) -> None:
        """`on_timeout` hears of the first fragment of what timed out, where that fragment came."""
        self._counters = counters
        self._config = config
        self._on_timeout = on_timeout
        self._incomplete: dict[bytes, Incomplete] = {}
        """By key, in octets because CPython keys their hash: nobody can make keys collide."""
        self._timer = timers.timer(self, Reassembler.on_reassembly_timeout)
        self.octets = 0
        """What all of them are charged together."""

    def __len__(self) -> int:
        """Tell how many datagrams are incomplete."""
        return len(self._incomplete)

    def receive(self, header: Header, fragment: Datagram, now: Instant) -> Datagram | None:
        """Take a fragment; give the whole datagram when this was the last one missing.

        A fragment that contradicts the others ends its datagram: they cannot all be true, and
        whichever is kept, an attacker may have meant it so (RFC 5722 §4, for IPv4 as Linux does).
        Raises: MalformedPacket for a fragment that none can be.
        """
        self._counters["IpReasmReqds"] += 1
        key = _key.pack(header.source, header.destination, header.identification, header.protocol)
        if _is_malformed(header, len(fragment.payload)):
            self._discard(key)
            raise MalformedPacket(Drop.IP_BAD_FRAGMENT)
        incomplete = self._incomplete.get(key)
        if incomplete is None:
            incomplete = self._begin(key, now)
        last = not header.flags & MORE_FRAGMENTS
        piece = bytes(fragment.payload)
        fit = incomplete.insert(header.fragment_offset, piece, last=last)
        if fit is Fit.CLASH:
            self._discard(key)
            self._counters.drop(Drop.IP_FRAGMENT_OVERLAP)
            return None
        if fit is Fit.NEW:
            self._keep(incomplete, header, fragment, piece)
        if incomplete.is_complete():
            self._discard(key)
            return self._whole(incomplete)
        self._make_room()
        return None

    def _begin(self, key: bytes, now: Instant) -> Incomplete:
        incomplete = Incomplete(now + self._config.ipfrag_time * SECOND)
        self._incomplete[key] = incomplete
        self._charge(incomplete, DATAGRAM_OVERHEAD)
        self._arm()
        return incomplete

    def _charge(self, incomplete: Incomplete, octets: int) -> None:
        incomplete.charge += octets
        self.octets += octets

    def _keep(
        self, incomplete: Incomplete, header: Header, fragment: Datagram, piece: bytes
    ) -> None:
        self._charge(incomplete, len(piece) + FRAGMENT_OVERHEAD)
        incomplete.codepoints |= 1 << (header.tos & _CE)
        if header.fragment_offset == 0:
            incomplete.header = header
            incomplete.first = fragment._replace(header=bytes(fragment.header), payload=piece)

    def _whole(self, incomplete: Incomplete) -> Datagram:
        """Make the datagram of the pieces, under the first one's header (RFC 791 §3.2).

        What a device said of the first piece it did not say of the others: the transport verifies.
        """
        header, first, total = incomplete.header, incomplete.first, incomplete.total
        assert header is not None
        assert first is not None
        assert total is not None
        if header.length + total > MAX_LENGTH:
            raise MalformedPacket(Drop.IP_BAD_FRAGMENT)
        mark = incomplete.mark()
        if mark is None:
            raise MalformedPacket(Drop.IP_FRAGMENT_ECN)
        self._counters["IpReasmOKs"] += 1
        tos = header.tos | mark
        whole = header._replace(tos=tos, total_length=header.length + total, flags=0)
        return first._replace(
            tos=tos, header=build(whole), payload=incomplete.payload(), offload=None
        )

    def _make_room(self) -> None:
        """Give up the oldest datagrams while all hold too much."""
        while self.octets > self._config.ipfrag_high_thresh:
            self._discard(next(iter(self._incomplete)))
            self._counters.drop(Drop.IP_FRAGMENT_MEMORY)

    def _discard(self, key: bytes) -> None:
        incomplete = self._incomplete.pop(key, None)
        if incomplete is not None:
            self.octets -= incomplete.charge

    def on_reassembly_timeout(self, now: Instant) -> None:
        """Give up what is too old; all live equally long, so the oldest come first."""
        while self._incomplete:
            key, incomplete = next(iter(self._incomplete.items()))
            if incomplete.deadline > now:
                break
            self._discard(key)
            self._counters["IpReasmTimeout"] += 1
            self._counters.drop(Drop.IP_FRAGMENT_TIMEOUT)
            if incomplete.first is not None:
                self._on_timeout(incomplete.first, now)
        self._arm()

    def _arm(self) -> None:
        if self._incomplete:
            self._timer.arm(next(iter(self._incomplete.values())).deadline)


def _is_malformed(header: Header, length: int) -> bool:
    """Tell whether a fragment of so many octets can be no part of any datagram."""
    more = header.flags & MORE_FRAGMENTS
    end = header.fragment_offset + length
    return length == 0 or bool(more and length % 8) or HEADER_LENGTH + end > MAX_LENGTH
