"""Who follows the text that is sent, to tell its user what becomes of it.

Not in any RFC. What they tell stands in the socket's queue of errors (MSG_ERRQUEUE of recv(2)).

Not done here: what they tell (`transmit_timestamps.py`, `held_text.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from tapstack.base.contracts import ERROR, Buffer, SentCopy
from tapstack.base.error_queue import ErrorQueue, QueuedError
from tapstack.base.units import Instant
from tapstack.tcp.seq import lt, sub

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.sent_segment import SentSegment
    from tapstack.tcp.tcb import Tcb


class TextFollower(Protocol):
    """One of them: it belongs to one connection."""

    def on_transmitted(
        self,
        ctx: Context,
        tcb: Tcb,
        seq: int,
        text: list[Buffer],
        copy: SentCopy,
        now: Instant,
    ) -> None:
        """Hear of text that leaves, for the first time or again."""

    def stops_before(self, ack: int) -> Sequence[int]:
        """Give the sequence numbers up to `ack` that others are not to be told beyond of before."""

    def on_acknowledged(self, ctx: Context, tcb: Tcb, ack: int, arrived: int, now: Instant) -> None:
        """Hear that text up to `ack` was acknowledged: `arrived` segments, all told."""

    def on_joined(self, seq: int, end: int) -> None:
        """Hear that what was sent in several segments is one from now on."""

    def on_end(self, ctx: Context, tcb: Tcb) -> None:
        """Hear that the connection ends, and what it holds is let go of."""


def hear_transmitted(
    ctx: Context, tcb: Tcb, seq: int, text: list[Buffer], copy: SentCopy, now: Instant
) -> None:
    """Let all hear of text that has left, and as what."""
    for follower in tcb.text_followers:
        follower.on_transmitted(ctx, tcb, seq, text, copy, now)


def hear_acknowledged(
    ctx: Context, tcb: Tcb, now: Instant, before: int = 0, covered: Sequence[SentSegment] = ()
) -> None:
    """Let all hear that SND.UNA has moved: as in Linux, of one segment after the other.

    It has moved over those `covered`; `before` these, the same ACK told of so many that arrived.
    """
    ack = tcb.snd_una
    stops = {stop for follower in tcb.text_followers for stop in follower.stops_before(ack)}
    for stop in (*sorted(stops, key=lambda stop: -sub(ack, stop)), ack):
        arrived = tcb.statistics.delivered + before
        if tcb.sack_permitted:  # without, they are counted when all is known
            arrived += sum(segment.packets for segment in covered if lt(segment.seq, stop))
        for follower in tcb.text_followers:
            follower.on_acknowledged(ctx, tcb, stop, arrived, now)


def tell(ctx: Context, tcb: Tcb, told: QueuedError) -> None:
    """Put something into the queue, and wake who waits for it."""
    if tcb.errors is None:
        tcb.errors = ErrorQueue()
    if tcb.errors.add(told):
        ctx.report(tcb, ERROR)
