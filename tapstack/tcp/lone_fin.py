"""Our FIN, when all that was sent before it is acknowledged: a short way through `output.py`.

So does nearly every connection end: with nothing in flight, nothing waiting, and nothing amiss.
What `output.py`, `transmission.py` and the layers below come to then is done here in one pass. The
longer way is the truth: a property test holds both together, field by field.

Whatever is not so plain is declined before anything has changed. But who closes has closed then:
a FIN that cannot leave at once waits for the flush.

Not done here: the headers (`tapstack/express_out.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.contracts import ENDED, WRITABLE
from tapstack.tcp import path_mtu
from tapstack.tcp.delivery_rate import make_departure
from tapstack.tcp.receive_space import MAX_UNSCALED
from tapstack.tcp.receive_window import select_window
from tapstack.tcp.segment import ACK, FIN
from tapstack.tcp.sent_alone import look_ahead
from tapstack.tcp.sent_segment import SentSegment
from tapstack.tcp.seq import MASK
from tapstack.tcp.state import FIN_UNACKNOWLEDGED, State
from tapstack.tcp.statistics import Limit
from tapstack.tcp.undisturbed import look_for_disturbance

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.plain_segment import Lane
    from tapstack.tcp.tcb import Tcb

_FIN = ACK | FIN
# A member of an Enum is looked up at length each time that it is named.
_ESTABLISHED, _CLOSE_WAIT = State.ESTABLISHED, State.CLOSE_WAIT
_FIN_WAIT_1, _LAST_ACK = State.FIN_WAIT_1, State.LAST_ACK
_IDLE, _BUSY = Limit.IDLE, Limit.BUSY


def send_lone_fin(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Send our FIN, if that is all that there is to say, and to wait for; False: decline."""
    lane, sent, options = tcb.lane, tcb.sent, tcb.options
    if (
        lane is None
        or tcb.fin_sent
        or not tcb.fin_queued
        or sent.segments
        or tcb.send_buffer.octets
        or not tcb.snd_wnd
        or tcb.state not in FIN_UNACKNOWLEDGED
        or tcb.more_coming
        or tcb.send_blocked
        or options.cork
        or (not tcb.undisturbed and look_for_disturbance(tcb))
    ):
        return False
    return _send(ctx, tcb, lane, now)


def close_at_once(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Close as most do, who have read all and need not wait to say so; False: decline.

    What comes of it is what CLOSE (`user_calls.py`) comes to, and the flush behind it.
    """
    state, options = tcb.state, tcb.options
    if (
        (state is not _CLOSE_WAIT and state is not _ESTABLISHED)
        or tcb.receive_queue.octets
        or options.linger == 0
        or tcb.orphaned
        or ctx.orphans >= ctx.config.tcp_max_orphans
        or ctx.is_due
        or ctx.tracer.on
    ):
        return False
    tcb.fin_queued = tcb.read_shut = tcb.orphaned = True
    ctx.orphans += 1
    tcb.state = _LAST_ACK if state is _CLOSE_WAIT else _FIN_WAIT_1
    ctx.counters["TcpCurrEstab"] -= 1
    ctx.report(tcb, ENDED | WRITABLE)
    lane = tcb.lane
    if (
        lane is None
        or tcb.send_buffer.octets  # and with it, all that is in flight
        or not tcb.snd_wnd
        or tcb.more_coming
        or tcb.send_blocked
        or options.cork
        or (not tcb.undisturbed and look_for_disturbance(tcb))
        or not _send(ctx, tcb, lane, now)
    ):
        ctx.mark_dirty(tcb)
    return True


def _send(ctx: Context, tcb: Tcb, lane: Lane, now: Instant) -> bool:
    """Send our FIN, and note it as what is in flight; False: decline."""
    if tcb.path_changes != ctx.ip.path_changes:
        path_mtu.refresh(ctx, tcb)
    window, is_sent = select_window(tcb), True
    field = window >> tcb.rcv_wind_shift
    if field > MAX_UNSCALED:
        field = MAX_UNSCALED
    try:
        is_sent = lane.send(tcb, _FIN, tcb.snd_nxt, field, (), 0, 0, now)
    finally:  # if a signal handler raises amid the write, the peer may have it all the same
        if is_sent:
            _note_sent(ctx, tcb, window, now)
    return is_sent


def _note_sent(ctx: Context, tcb: Tcb, window: int, now: Instant) -> None:
    """Note our FIN as what is in flight, and that all is acknowledged that came."""
    statistics, counters = tcb.statistics, ctx.counters
    tcb.fin_sent = True
    seq = tcb.snd_nxt
    tcb.snd_nxt = end = (seq + 1) & MASK
    tcb.first_sent_at = tcb.delivered_at = now
    departure = make_departure((statistics.delivered, now, now, tcb.app_limited_until != 0))
    segment, mss = ctx.spare_segment, tcb.effective_mss
    if segment is None:
        segment = SentSegment(seq, end, FIN, mss, now, 1, departure)
    else:
        ctx.spare_segment = None
        segment.seq, segment.end, segment.flags, segment.packets = seq, end, FIN, 1
        segment.segment_size, segment.sent_at, segment.departure = mss, now, departure
    tcb.sent.append_burst(segment)
    tcb.rcv_wnd, tcb.transmitted_at = window, now
    tcb.rcv_wup = tcb.last_ack_sent = tcb.rcv_nxt
    tcb.acks.on_ack_sent()
    tcb.delayed_ack_timer.deadline = None
    statistics.segs_out += 1
    if statistics.limit is _IDLE:
        statistics.limit, statistics.limit_since = _BUSY, now
    else:
        statistics.note_limit(_BUSY, now)
    counters["TcpOutSegs"] += 1
    counters["TcpExtTCPOrigDataSent"] += 1
    look_ahead(ctx, tcb, now)
