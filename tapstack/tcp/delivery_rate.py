"""How fast text arrives: a sample with each ACK (draft-cheng-iccrg-delivery-rate-estimation).

What arrived between the sending of a segment and its acknowledgment, over the longer of the times
that its sending and its acknowledging took, so that neither a burst of ACKs nor one of segments
looks faster than the path. A sample taken while the user had nothing to send says so.

Not done here: counting what was delivered (`recovery.py`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tapstack.base.units import SECOND, Instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from tapstack.tcp.sent_segment import SentSegment
    from tapstack.tcp.tcb import Tcb


class Departure(NamedTuple):
    """How things stood when a segment was sent last."""

    delivered: int
    """C.delivered: segments that were known to have arrived."""
    delivered_at: Instant
    """When the last of those became known."""
    first_sent_at: Instant
    """When the latest sent of those was sent: where the sending of this flight began."""
    app_limited: bool


make_departure: Callable[[tuple[int, Instant, Instant, bool]], Departure] = partial(
    tuple.__new__, Departure
)
"""As `Departure` itself, without its call between."""


def octets_per_second(tcb: Tcb) -> int:
    """Give the rate of the sample that counts; 0 while there is none."""
    interval = tcb.rate_interval
    return tcb.rate_segments * tcb.effective_mss * SECOND // interval if interval else 0


def on_sent(tcb: Tcb, segment: SentSegment, now: Instant, *, nothing_in_flight: bool) -> None:
    """Note how things stand as a segment is sent, or sent again."""
    segment.departure = depart(tcb, now, nothing_in_flight=nothing_in_flight)


def depart(tcb: Tcb, now: Instant, *, nothing_in_flight: bool) -> Departure:
    """Tell how things stand as something is sent."""
    if nothing_in_flight:
        tcb.first_sent_at = tcb.delivered_at = now
    limited = tcb.app_limited_until != 0
    return make_departure((tcb.statistics.delivered, tcb.delivered_at, tcb.first_sent_at, limited))


def on_user_sends(tcb: Tcb) -> None:
    """See whether the user left the connection with nothing to send, up to now."""
    sent = tcb.sent
    in_flight = sent.in_flight if sent.segments else 0
    if (
        in_flight < tcb.window.cwnd
        and sent.lost_out <= sent.retrans_out
        and (not tcb.send_buffer.octets or tcb.unsent() < tcb.effective_mss)
    ):
        tcb.app_limited_until = tcb.statistics.delivered + in_flight or 1


def take_sample(
    tcb: Tcb, arrived: int, departure: Departure | None, sent_at: Instant, now: Instant
) -> None:
    """Take the sample of an ACK, after what it delivered was counted: `arrived` segments.

    `departure` and `sent_at` tell of the one of them that was sent last.
    """
    delivered = tcb.statistics.delivered
    if 0 != tcb.app_limited_until < delivered:
        tcb.app_limited_until = 0
    if arrived:
        tcb.delivered_at = now
    if departure is None:
        return
    tcb.first_sent_at = sent_at
    sending, interval = sent_at - departure.first_sent_at, now - departure.delivered_at
    if sending > interval:
        interval = sending
    if interval < (tcb.rtt.min_rtt or 1):
        return  # ACKs that came faster than the path can be: they tell nothing
    segments, limited = delivered - departure.delivered, departure.app_limited
    if not limited or segments * tcb.rate_interval >= tcb.rate_segments * interval:
        tcb.rate_segments, tcb.rate_interval = segments, interval
        tcb.rate_app_limited = limited
