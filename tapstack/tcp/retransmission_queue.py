"""The retransmission queue: what was sent and not yet acknowledged (RFC 9293 §3.10.7.4, step 5).

It is the scoreboard too: each entry knows whether it was selectively acknowledged, is deemed lost,
or has been sent again (RFC 6675 §3). An entry may stand for a whole unit of many segments; it is
split where the peer's acknowledgments or a retransmission cut it. Flight size is counted in
segments, as Linux counts it: of the size that each entry was cut into when it was sent, as SMSS may
be another one since.

Not done here: deciding what is lost (`recovery.py`), and sending (`output.py`).
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import cast

from tapstack.base.units import Instant
from tapstack.tcp.segment import FIN, PSH, SYN, SackBlock
from tapstack.tcp.sent_segment import BURST_BITS, Acknowledged, SentSegment, packets_of, unsacked
from tapstack.tcp.seq import add, ge, gt, le, lt, sub

_WITHIN_BURST = (1 << BURST_BITS) - 1
"""The bits of a transmission's number that count within its burst."""
_MOST_ENTRIES = 8192
"""Entries that SACK blocks may split the queue into: more than the segments of any honest flight,
whose size the send buffer bounds (tcp_wmem)."""

NOTHING = cast("list[SentSegment]", ())
"""What stands for a list while nothing is in flight: of thousands, most connections need none."""


class RetransmissionQueue:
    """Entries in sequence order, and the counts of RFC 6675's `Pipe` kept up to date."""

    __slots__ = (
        "_top",
        "_transmissions",
        "cut_from",
        "lost_out",
        "packets_out",
        "retrans_out",
        "sacked_out",
        "segments",
    )

    def __init__(self) -> None:
        self.segments = NOTHING
        """Written by `exchange.py`, too."""
        self.packets_out = 0
        """Segments sent and not cumulatively acknowledged."""
        self.sacked_out = 0
        """Of those: known to have arrived. Without SACK, one for each duplicate ACK."""
        self.lost_out = 0
        """Of those: deemed lost."""
        self.retrans_out = 0
        """Retransmissions in flight."""
        self.cut_from: int | None = None
        """Where the oldest segment began that an ACK has cut, until it is sent again."""
        self._transmissions = 0
        self._top: int | None = None
        # Where the highest entry that was ever SACKed ends.

    def __bool__(self) -> bool:
        return bool(self.segments)

    def __iter__(self) -> Iterator[SentSegment]:
        return iter(self.segments)

    @property
    def in_flight(self) -> int:
        """Segments thought to be in the network: RFC 6675's Pipe."""
        return self.packets_out - self.sacked_out - self.lost_out + self.retrans_out

    def begin_burst(self) -> None:
        """Tell what is sent from here on from what was sent before, within the same instant."""
        if self._transmissions & _WITHIN_BURST:
            self._transmissions = (self._transmissions | _WITHIN_BURST) + 1

    def append(self, segment: SentSegment) -> None:
        """Add what was just sent for the first time."""
        if not self.segments:  # nothing is left that it would have to be told from
            self.segments, self._transmissions = [], 0
        self.segments.append(segment)
        self.packets_out += segment.packets
        self._transmissions = segment.number = self._transmissions + 1

    def append_burst(self, segment: SentSegment) -> None:
        """Add what was just sent for the first time, by itself."""
        if self.segments:
            self.begin_burst()
            self.append(segment)
        else:  # as mostly: `append`, in place
            self.segments, self.packets_out = [segment], segment.packets
            self._transmissions = segment.number = 1

    def append_bursts(self, segments: Sequence[SentSegment]) -> None:
        """Add what was just sent for the first time, each a burst by itself."""
        if not self.segments:
            self._transmissions = 0
        self.begin_burst()
        number, packets = self._transmissions + 1, 0
        for segment in segments:
            segment.number = number
            number += 1 << BURST_BITS
            packets += segment.packets
        self.segments = self.segments or []
        self.segments += segments
        self.packets_out += packets
        self._transmissions = segments[-1].number

    # --- acknowledgments ---

    def acknowledge(self, ack: int) -> Acknowledged:
        """Remove what lies before `ack`; an entry that `ack` cuts keeps its rest."""
        done = 0
        covered: list[SentSegment] = []
        retransmitted = frees = False
        for segment in self.segments:
            if gt(segment.end, ack):
                break
            done += 1
            self._forget(segment)
            retransmitted |= segment.transmissions > 1
            if not segment.sacked:
                covered.append(segment)
        if done and self.cut_from is not None:
            self.segments[0].seq, self.cut_from = self.cut_from, None
        if done < len(self.segments) and lt(self.segments[done].seq, ack):
            front = self._trim(self.segments[done], ack)
            if front.packets:
                frees = True
                retransmitted |= front.transmissions > 1
                if not front.sacked:
                    covered.append(front)
        if done:
            del self.segments[:done]
        return Acknowledged(covered, retransmitted, frees or done > 0)

    def acknowledge_once_sent(self, ack: int) -> tuple[SentSegment, SentSegment, int] | None:
        """Remove what lies before `ack`, as `acknowledge` does; nothing, where that is less plain.

        It is plain where `ack` cuts no entry, none was sent twice, and none is SACKed or lost.
        Gives the first and the last that went, and how many segments they were on the wire.
        """
        segments = self.segments
        if not segments or segments[-1].end != ack:  # mostly it is of all that was sent
            return self._acknowledge_some_once_sent(ack)
        for segment in segments:
            if segment.transmissions > 1:
                return None
        covered, self.packets_out = (segments[0], segment, self.packets_out), 0
        self.segments = NOTHING
        return covered

    def _acknowledge_some_once_sent(self, ack: int) -> tuple[SentSegment, SentSegment, int] | None:
        """Do so where something is to stay."""
        done = packets = 0
        for segment in self.segments:
            if segment.transmissions > 1:
                return None
            done += 1
            packets += segment.packets
            if segment.end == ack:
                break
            if gt(segment.end, ack):
                return None
        else:
            return None
        first = self.segments[0]
        del self.segments[:done]
        self.packets_out -= packets
        return first, segment, packets

    def _forget(self, segment: SentSegment) -> None:
        """Take an entry out of the counts."""
        self.packets_out -= segment.packets
        if segment.sacked:
            self.sacked_out -= segment.packets
        if segment.lost:
            self.lost_out -= segment.packets
        if segment.retransmitted:
            self.retrans_out -= segment.packets

    def _count(self, segment: SentSegment) -> None:
        """Put an entry into the counts."""
        self.packets_out += segment.packets
        if segment.sacked:
            self.sacked_out += segment.packets
        if segment.lost:
            self.lost_out += segment.packets
        if segment.retransmitted:
            self.retrans_out += segment.packets

    def _trim(self, segment: SentSegment, ack: int) -> SentSegment:
        """Cut off the acknowledged front of an entry, and give it."""
        self._forget(segment)
        if segment.packets == 1 and self.cut_from is None:
            self.cut_from = segment.seq
        front = segment.copy(segment.seq, ack)
        front.packets = segment.packets
        segment.seq = ack
        segment.flags &= ~SYN
        segment.packets = packets_of(segment.text_length, segment.segment_size)
        front.packets -= segment.packets
        self._count(segment)
        return front

    def sack(self, block: SackBlock) -> list[SentSegment]:
        """Mark what a SACK block covers, and give what of that is news."""
        covered: list[SentSegment] = []
        index = self._find(block.left)
        while index < len(self.segments):
            segment = self.segments[index]
            if ge(segment.seq, block.right):
                break
            if not segment.sacked:
                inside = self._cut_out(index, block)
                if inside is not None:
                    covered.append(self.segments[inside])
                    self._mark_sacked(self.segments[inside])
                    index = inside
            index += 1
        return covered

    def _cut_out(self, index: int, block: SackBlock) -> int | None:
        """Split off what a block covers of an entry, and give its index; None: no whole segment.

        A unit is cut between its segments alone. An honest receiver has no less of one; another
        would have every octet become an entry, and each ACK cost as much.
        """
        segment = self.segments[index]
        size = segment.segment_size
        before = max(0, _distance(segment.seq, block.left))
        first = -(-before // size) * size
        covers_end = le(segment.end, block.right)
        last = _distance(segment.seq, block.right) // size * size
        length = sub(segment.end, segment.seq)
        if first >= (length if covers_end else last):
            return None
        if (first or not covers_end) and len(self.segments) >= _MOST_ENTRIES:
            return None
        if not covers_end:
            self.split(index, add(segment.seq, last))
        if first:
            self.split(index, add(segment.seq, first))
            index += 1
        return index

    def _find(self, seq: int) -> int:
        """Find the index of the entry that holds `seq`, or of the first behind it."""
        if not self.segments:
            return 0
        base = self.segments[0].seq
        offset = sub(seq, base)
        return bisect_right(self.segments, offset, key=lambda entry: sub(entry.end, base))

    def within(self, block: SackBlock) -> list[SentSegment]:
        """List the entries that lie in a block, whole."""
        left, right = block
        return [each for each in self.segments if ge(each.seq, left) and le(each.end, right)]

    @property
    def highest_sacked(self) -> int | None:
        """Where the highest entry that was SACKed ends; None while none is."""
        return self._top if self.sacked_out else None

    def _mark_sacked(self, segment: SentSegment) -> None:
        self._forget(segment)
        segment.sacked = True
        segment.watched = False
        segment.lost = segment.retransmitted = False
        if self.sacked_out == 0 or self._top is None or gt(segment.end, self._top):
            self._top = segment.end
        self._count(segment)

    # --- losses and retransmissions ---

    def mark_lost(self, segment: SentSegment) -> None:
        """Deem an entry lost: it no longer counts as in flight, and is due to be sent again."""
        self._forget(segment)
        segment.lost = True
        segment.retransmitted = False
        self._count(segment)

    def mark_none_lost(self) -> None:
        """Take back that anything is lost: all of it was merely late."""
        for segment in self.segments:
            segment.lost = False
        self.lost_out = 0

    def mark_retransmitted(self, segment: SentSegment, now: Instant) -> None:
        """Note that an entry that was lost is sent again."""
        if not segment.retransmitted:
            segment.retransmitted = True
            self.retrans_out += segment.packets
        self.mark_sent_again(segment, now)

    def unmark_retransmitted(self, segment: SentSegment) -> None:
        """Note that the retransmission of an entry is in flight no more: both have arrived."""
        if segment.retransmitted:
            segment.retransmitted = False
            self.retrans_out -= segment.packets

    def mark_sent_again(self, segment: SentSegment, now: Instant) -> None:
        """Note that an entry is sent again, to probe: no more is in flight for it."""
        if segment is self.segments[0]:
            self.cut_from = None
        segment.transmissions += 1
        segment.sent_at = now
        segment.watched = True
        self._transmissions = segment.number = self._transmissions + 1

    def forget_sacks(self) -> None:
        """Take every selective acknowledgment back: the receiver may have reneged (RFC 2018 §8)."""
        self.segments = unsacked(self.segments)
        self.sacked_out = 0

    def resize(self, segment: SentSegment, size: int) -> None:
        """Count the segments anew that an entry makes, when they are of another size."""
        self._forget(segment)
        segment.segment_size = size
        segment.packets = packets_of(segment.text_length, size)
        self._count(segment)

    def first_lost(self, start: int = 0) -> int | None:
        """Find the index, from `start` on, of what is lost and not yet sent again."""
        if self.lost_out == 0:
            return None
        for index in range(start, len(self.segments)):
            segment = self.segments[index]
            if segment.lost and not segment.retransmitted:
                return index
        return None

    def split(self, index: int, at: int) -> None:
        """Make two entries of one, the second beginning at sequence number `at`."""
        first = self.segments[index]
        assert lt(first.seq, at)
        assert lt(at, first.end)
        self._forget(first)
        second = first.copy(at, first.end)
        second.flags &= FIN | PSH
        first.end = at
        first.flags &= SYN
        for segment in (first, second):
            segment.packets = packets_of(segment.text_length, segment.segment_size)
            self._count(segment)
        self.segments.insert(index + 1, second)

    def split_packets(self, index: int, packets: int) -> None:
        """Split an entry, which has more, behind its first `packets` segments."""
        segment = self.segments[index]
        self.split(index, add(segment.seq, packets * segment.segment_size))

    def join_followers(self, index: int, room: int) -> int:
        """Make one segment of an entry and those behind it, while they fit `room` octets of text.

        Gives how many segments fewer that makes. What was SACKed is left alone.
        """
        first = self.segments[index]
        end = index + 1
        while end < len(self.segments) and _is_joinable(first, self.segments[end], room):
            follower = self.segments[end]
            self._forget(first)
            self._forget(follower)
            first.end = follower.end
            first.flags |= follower.flags
            first.segment_size = max(first.segment_size, first.text_length)
            first.transmissions = max(first.transmissions, follower.transmissions)
            self._count(first)
            end += 1
        del self.segments[index + 1 : end]
        return end - index - 1

    def holds(self, seq: int) -> bool:
        """Tell whether an octet is in flight: for ICMP errors (RFC 5927 §4)."""
        return bool(self.segments) and le(self.segments[0].seq, seq) and lt(seq, self.tail)

    @property
    def tail(self) -> int:
        """The sequence number behind the last entry."""
        return self.segments[-1].end

    def clear(self) -> None:
        """Let go of everything; as in Linux, what was SACKed, lost or sent again is still told."""
        self.segments = NOTHING
        self.cut_from = None
        self.packets_out = 0


def _is_joinable(first: SentSegment, follower: SentSegment, room: int) -> bool:
    """Tell whether two entries may become one segment of up to `room` octets of text."""
    if first.packets > 1 or follower.packets > 1 or first.flags & SYN or follower.sacked:
        return False
    return first.text_length + follower.text_length <= room


def _distance(earlier: int, seq: int) -> int:
    """Count the octets from `earlier` to `seq`; below 0 where that comes before."""
    return -sub(earlier, seq) if lt(seq, earlier) else sub(seq, earlier)
