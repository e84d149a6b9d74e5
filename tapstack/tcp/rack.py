"""RACK: loss detection by time (RFC 8985 §6).

What was sent sufficiently long before something that has arrived is lost. How long is sufficient,
the reordering window, follows what the path was seen to do. The names are the RFC's, in lower case.

Not done here: the tail loss probe (`tail_loss_probe.py`), and sending.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tapstack.base.units import Duration, Instant
from tapstack.tcp.sent_segment import BURST_BITS
from tapstack.tcp.seq import gt, lt

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.delivery_rate import Departure
    from tapstack.tcp.sent_segment import SentSegment
    from tapstack.tcp.tcb import Tcb

PERSISTENCE = 16
"""Recoveries that a widened reordering window outlasts (RFC 8985 §6.2 step 4)."""
_MAX_MULTIPLIER = 0xFF
STATIC_WINDOW = 0x2
"""Bit of `tcp_recovery`: the reordering window never grows."""
NO_DUP_THRESH = 0x4
"""Bit of `tcp_recovery`: three segments SACKed are no sign of loss by themselves."""


@dataclass(slots=True)
class Rack:
    """RACK's variables (RFC 8985 §5.3)."""

    xmit_ts: int = 0
    """The number of the latest transmission that has arrived (`SentSegment.number`).

    0: none of what is in flight has.

    The RFC has its time, which does not tell the order of what was sent within an instant.
    """
    end_seq: int = 0
    """Where that segment ended: the units of one transmission may arrive one by one."""
    rtt_of: int = -1
    """The number of the burst of the one that was heard of last; −1: it came before what is in
    flight. How long it took, RACK.rtt, is `RttEstimator.latest`."""
    advanced: bool = False
    """Something arrived since the last look for losses."""
    reo_wnd_mult: int = 1
    """The reordering window, in quarters of the least round trip."""
    reo_wnd_persist: int = 0
    """Recoveries until the reordering window is as small again as at first."""
    dsack_seen: bool = False
    """A spurious retransmission was reported since the window last grew."""
    dsack_round: int = 0
    """What had been delivered when the window last grew: once a round trip."""


class NothingHeard:
    """What stands for `Rack` until anything arrives before all that was sent has.

    Of thousands of connections, most never have more than a segment in flight.
    """

    __slots__ = ()

    xmit_ts: ClassVar[int] = 0
    end_seq: ClassVar[int] = 0
    rtt_of: ClassVar[int] = -1
    advanced: ClassVar[bool] = False
    reo_wnd_mult: ClassVar[int] = 1
    reo_wnd_persist: ClassVar[int] = 0
    dsack_seen: ClassVar[bool] = False
    dsack_round: ClassVar[int] = 0


NOTHING_HEARD = NothingHeard()


def rack_of(tcb: Tcb) -> Rack:
    """Give what is to be written to: it is made for the first that there is."""
    if isinstance(tcb.rack, NothingHeard):
        tcb.rack = Rack()
    return tcb.rack


def on_delivered(tcb: Tcb, segment: SentSegment, echo: int | None, now: Instant) -> None:
    """Step 2: keep the most recently sent segment that has arrived, if it was this transmission."""
    rtt = now - segment.sent_at
    if segment.transmissions == 1 or not _is_original(tcb, segment, rtt, echo):
        keep_latest(tcb, segment, rtt)


def keep_latest(tcb: Tcb, segment: SentSegment, rtt: Duration) -> None:
    """Note that a transmission has arrived, and keep it if it is the most recent one."""
    tcb.rtt.latest = rtt
    if not tcb.sent.segments:
        return  # nothing is left that might be lost
    rack, number = rack_of(tcb), segment.number
    latest = rack.xmit_ts
    rack.advanced = True
    rack.rtt_of = number >> BURST_BITS
    if number > latest or _sent_after(number, segment.end, latest, rack.end_seq):
        rack.xmit_ts, rack.end_seq = number, segment.end


def on_all_arrived(tcb: Tcb) -> None:
    """Forget what has arrived when all has: what is sent from now on is numbered anew."""
    rack = tcb.rack
    if not isinstance(rack, NothingHeard):
        rack.xmit_ts, rack.end_seq, rack.rtt_of, rack.advanced = 0, 0, -1, False


def _is_original(tcb: Tcb, segment: SentSegment, rtt: Duration, echo: int | None) -> bool:
    """Tell whether it must be an earlier transmission that arrived, not the one just made."""
    least = tcb.rtt.min_rtt
    if least is None or rtt < least:
        return True
    return bool(echo) and lt(echo or 0, tcb.timestamp_now(segment.sent_at))


def _sent_after(number: int, end: int, other_number: int, other_end: int) -> bool:
    return number > other_number or (number == other_number and gt(end, other_end))


def update_reordering_window(ctx: Context, tcb: Tcb, departure: Departure | None) -> None:
    """Step 4: widen the reordering window when it proved too narrow, once a round trip."""
    rack = tcb.rack
    if (
        isinstance(rack, NothingHeard)
        or ctx.config.tcp_recovery & STATIC_WINDOW
        or departure is None
    ):
        return
    if departure.delivered < rack.dsack_round:
        rack.dsack_seen = False
    if rack.dsack_seen:
        rack.reo_wnd_mult = min(rack.reo_wnd_mult + 1, _MAX_MULTIPLIER)
        rack.dsack_seen = False
        rack.dsack_round = tcb.statistics.delivered
        rack.reo_wnd_persist = PERSISTENCE
    elif not rack.reo_wnd_persist:
        rack.reo_wnd_mult = 1


def reordering_window(ctx: Context, tcb: Tcb) -> Duration:
    """Tell how much later than its successors a segment may arrive, µs (step 4).

    It is nothing while no reordering was ever seen and the signs of a loss are strong.
    """
    recovery = tcb.recovery
    if not tcb.statistics.reord_seen:
        if recovery.is_repairing:
            return 0
        if (
            tcb.sent.sacked_out >= recovery.reordering
            and not ctx.config.tcp_recovery & NO_DUP_THRESH
        ):
            return 0
    least = tcb.rtt.min_rtt or 0
    return min(least // 4 * tcb.rack.reo_wnd_mult, tcb.rtt.srtt)


def time_left(tcb: Tcb, segment: SentSegment, window: Duration, now: Instant) -> Duration:
    """Tell how long a segment may still take to arrive before it is lost, µs; 0 or less: it is."""
    rack = tcb.rack
    left = segment.sent_at + tcb.rtt.latest + window - now
    # Of what left within an instant, Linux's clock tells apart what was not sent in one go.
    return left or int(not window and segment.number >> BURST_BITS > rack.rtt_of)


def detect_losses(ctx: Context, tcb: Tcb, now: Instant) -> Duration:
    """Step 5: deem lost what is overdue; tell how long until more may be, 0 if nothing will."""
    rack, sent = tcb.rack, tcb.sent
    window = reordering_window(ctx, tcb)
    wait = 0
    for segment in sent.segments:
        if not segment.watched or (segment.lost and not segment.retransmitted):
            continue
        if not _sent_after(rack.xmit_ts, rack.end_seq, segment.number, segment.end):
            if segment.transmissions == 1:
                break  # those behind it were first sent later still, and sent again after that
            continue
        left = time_left(tcb, segment, window, now)
        if left <= 0:
            mark_lost(ctx, tcb, segment)
            segment.watched = False
        else:
            wait = max(wait, left)
    return wait


def mark_lost(ctx: Context, tcb: Tcb, segment: SentSegment) -> None:
    """Deem a segment lost, or its retransmission; not what has arrived, and was sent to probe."""
    if segment.sacked:
        return
    if segment.retransmitted:
        ctx.counters["TcpExtTCPLostRetransmit"] += segment.packets
    tcb.sent.mark_lost(segment)
