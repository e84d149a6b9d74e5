"""An entry of the retransmission queue, a range of sequence space that is in flight; and its end.

Not done here: the queue (`retransmission_queue.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tapstack.tcp.segment import FIN
from tapstack.tcp.seq import sub

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapstack.base.units import Instant
    from tapstack.tcp.delivery_rate import Departure


BURST_BITS = 20
"""Of a transmission's number: what tells it from others of the same burst."""


class SentSegment:
    """A range of sequence space that is in flight."""

    __slots__ = (
        "departure",
        "end",
        "flags",
        "lost",
        "number",
        "packets",
        "retransmitted",
        "sacked",
        "segment_size",
        "sent_at",
        "seq",
        "transmissions",
        "watched",
    )

    def __init__(
        self,
        seq: int,
        end: int,
        flags: int,
        segment_size: int,
        sent_at: Instant,
        packets: int | None = None,
        departure: Departure | None = None,
    ) -> None:
        self.seq = seq
        self.end = end
        self.flags = flags
        """Its SYN, FIN and PSH bits."""
        self.segment_size = segment_size
        """Octets of text in each segment on the wire but the last, which may have less."""
        if packets is None:
            packets = packets_of(self.text_length, segment_size)
        self.packets = packets
        """Segments on the wire."""
        self.sent_at = sent_at
        """When it was sent last."""
        self.number = 0
        """The number of that transmission among all of the connection's: its burst's in front."""
        self.transmissions = 1
        self.sacked = self.lost = self.retransmitted = False
        """The last: whether a retransmission is in flight, rather than the original alone."""
        self.watched = True
        """Whether RACK looks at it: until that deems it lost, or it is SACKed, and again from when
        it is sent again. What is taken back, like in Linux, does not have it look again."""
        self.departure = departure
        """How delivery stood when it was sent last; None: it is no longer to be measured by."""

    @property
    def text_length(self) -> int:
        """Octets of text: SYN and FIN occupy sequence space, but are none."""
        return sub(self.end, self.seq) - (self.flags & FIN) - (self.flags >> 1 & 1)

    @property
    def largest(self) -> int:
        """Octets of text in the largest of its segments."""
        return min(self.text_length, self.segment_size)

    def copy(self, seq: int, end: int) -> SentSegment:
        """Make an entry for another range that has the same story."""
        twin = SentSegment(seq, end, self.flags, self.segment_size, self.sent_at)
        twin.transmissions, twin.number = self.transmissions, self.number
        twin.sacked, twin.lost = self.sacked, self.lost
        twin.retransmitted, twin.watched = self.retransmitted, self.watched
        twin.departure = self.departure
        return twin


class Acknowledged(NamedTuple):
    """What one acknowledgment covers, cumulative or selective."""

    segments: Sequence[SentSegment]
    """What it covers for the first time, oldest first; not what was SACKed before."""
    retransmitted: bool
    """Whether anything that was sent twice is among what it covers (Karn's rule)."""
    frees: bool = True
    """Whether it covers a segment at all, SACKed before or not: the front of one is nothing yet."""

    @property
    def packets(self) -> int:
        """Segments on the wire that are acknowledged for the first time."""
        return sum(segment.packets for segment in self.segments)


def packets_of(text_length: int, segment_size: int) -> int:
    """Count the segments that some text makes on the wire: at least one."""
    return max(1, -(-text_length // segment_size))


def unsacked(segments: Sequence[SentSegment]) -> list[SentSegment]:
    """Take back that any of some entries was SACKed.

    As in Linux, full segments that had arrived side by side are one unit by then.
    """
    kept: list[SentSegment] = []
    for segment in segments:
        if kept and kept[-1].sacked and segment.sacked and _are_full(kept[-1], segment):
            kept[-1].end = segment.end
            kept[-1].flags |= segment.flags
            kept[-1].packets += segment.packets
        else:
            kept.append(segment)
    for segment in kept:
        segment.sacked = False
    return kept


def _are_full(first: SentSegment, follower: SentSegment) -> bool:
    """Tell whether two entries consist of full segments of one size."""
    size = first.segment_size
    full = (each.text_length == each.packets * size for each in (first, follower))
    return follower.segment_size == size and all(full)
