"""When text left and when it was acknowledged, for a user who asked to be told (SO_TIMESTAMPING).

Not in any RFC. As in Linux, what one call of `send` queued is told of by its last octet, in the
socket's queue of errors; what joins text that waits is told of together with it.

Who did not decline it has a copy of what was sent, with its headers; of what has arrived, the text.

Deviation: the link's header is not copied, which Linux does.

Not done here: the options, and what the user reads (`tapstack/socket/timestamping.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from tapstack.base.contracts import Buffer, SentCopy
from tapstack.base.error_queue import timestamp
from tapstack.base.units import Instant
from tapstack.tcp import timestamp_statistics
from tapstack.tcp.seq import add, ge, le, lt, sub
from tapstack.tcp.text_followers import tell

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


class Moment(IntEnum):
    """What is told, by the number that the user sees (Linux's SCM_TSTAMP_…)."""

    SENT = 0
    SCHEDULED = 1
    ACKNOWLEDGED = 2


@dataclass(slots=True)
class Wish:
    """What the user of one call of `send` wants to be told."""

    moments: frozenset[Moment]
    with_text: bool = True
    """Whether with a copy of what was sent."""
    with_statistics: bool = False
    """Whether with how the connection stands, instead."""


@dataclass(slots=True)
class _Mark:
    seq: int
    """Of the last octet."""
    wish: Wish
    text: bytes = b""
    """What was last sent of it, for who wants a copy."""
    departed: Instant = 0
    """When it was last sent."""


@dataclass(slots=True)
class TransmitTimestamps:
    """What one connection's user is to be told; a `TextFollower`."""

    base: int | None = None
    """The sequence number that octets are counted from; None: they are not."""
    marks: deque[_Mark] = field(default_factory=deque)
    ttl: int = 0
    """Of the datagram that came last."""

    def on_transmitted(
        self,
        ctx: Context,
        tcb: Tcb,
        seq: int,
        text: list[Buffer],
        copy: SentCopy,
        now: Instant,
    ) -> None:
        """Tell of text that leaves, for the first time or again."""
        end = add(seq, sum(map(len, text)))
        for mark in self.marks:
            if le(seq, mark.seq) and lt(mark.seq, end):
                mark.text, mark.departed = b"".join(text) if mark.wish.with_text else b"", now
                told, interface = b"", ""
                if mark.wish.with_statistics:
                    told = timestamp_statistics.of_departure(tcb, seq, now)
                elif mark.wish.with_text:
                    told, interface = copy.octets, copy.interface
                for moment in (Moment.SCHEDULED, Moment.SENT):
                    self._tell(ctx, tcb, mark, moment, told, now, interface)

    def stops_before(self, ack: int) -> Sequence[int]:
        """Give the ends of what will be told of, as what had arrived by then is told, too."""
        return [add(mark.seq, 1) for mark in self.marks if lt(mark.seq, ack)]

    def on_acknowledged(self, ctx: Context, tcb: Tcb, ack: int, arrived: int, now: Instant) -> None:
        """Tell of text that was acknowledged."""
        while self.marks and lt(self.marks[0].seq, ack):
            mark = self.marks.popleft()
            told = mark.text
            if mark.wish.with_statistics:
                told = timestamp_statistics.of_arrival(tcb, arrived, mark.departed, self.ttl, now)
            self._tell(ctx, tcb, mark, Moment.ACKNOWLEDGED, told, now)

    def on_joined(self, seq: int, end: int) -> None:
        """Forget all but the last octet that would be told of: it is told of for all of them."""
        joined = [mark for mark in self.marks if le(seq, mark.seq) and lt(mark.seq, end)]
        for mark in joined[:-1]:
            self.marks.remove(mark)

    def on_end(self, ctx: Context, tcb: Tcb) -> None:
        """Tell nothing: nothing happens to the text any more."""

    def _tell(
        self,
        ctx: Context,
        tcb: Tcb,
        mark: _Mark,
        moment: Moment,
        payload: bytes,
        now: Instant,
        interface: str = "",
    ) -> None:
        if moment not in mark.wish.moments:
            return
        number = 0 if self.base is None else sub(mark.seq, self.base)
        statistics = mark.wish.with_statistics
        told = timestamp(moment, number, payload, now, interface, tells_statistics=statistics)
        tell(ctx, tcb, told)


def count_from(tcb: Tcb, *, next_octet: bool) -> None:
    """Count octets from the oldest that is in flight, or from the next one to be queued."""
    stamps = _of(tcb)
    stamps.base = add(tcb.snd_nxt, tcb.unsent()) if next_octet else tcb.snd_una


def count_no_more(tcb: Tcb) -> None:
    """Count octets no more."""
    _of(tcb).base = None


def note_ttl(tcb: Tcb, ttl: int) -> None:
    """Hear what TTL a datagram came with, for who tells of it."""
    for follower in tcb.text_followers:
        if isinstance(follower, TransmitTimestamps):
            follower.ttl = ttl


def expect_wish(tcb: Tcb) -> None:
    """Hear that a wish will come for what is queued next: it is not to leave before that."""
    _of(tcb)


def note_queued(tcb: Tcb, wish: Wish) -> None:
    """Hear that text was queued; what waits in the same piece it joins."""
    marks = _of(tcb).marks
    end, waiting = add(tcb.snd_nxt, tcb.unsent()), tcb.send_pieces.last_length(tcb) or 0
    if marks and ge(marks[-1].seq, add(end, -waiting)):
        marks.pop()
    marks.append(_Mark(add(end, -1), wish))


def _of(tcb: Tcb) -> TransmitTimestamps:
    for follower in tcb.text_followers:
        if isinstance(follower, TransmitTimestamps):
            return follower
    stamps = TransmitTimestamps()
    tcb.text_followers = (stamps, *tcb.text_followers)  # as in Linux, they are told first
    tcb.undisturbed = False
    return stamps
