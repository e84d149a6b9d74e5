"""A short text that may leave at once: the way from the user's call to the lane, in one pass.

Questions and answers are such: all of it is one segment, and nothing waits, or is in flight, before
it. What SEND (`user_calls.py`, `queueing.py`), and behind the flush `output.py`, `lone_unit.py` and
`plain_segment.py` come to for it is done here in place, as calls are what costs. They are the
truth: a property test holds both together, field by field.

It is written first, and noted then, whatever comes of that: the peer's host can work while we do.

Whatever is not so plain is declined before anything has changed.

Not done here: the headers (`tapstack/express_out.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.sharing import shared
from tapstack.tcp.delivery_rate import make_departure
from tapstack.tcp.receive_space import MAX_UNSCALED, SHARE_BITS
from tapstack.tcp.receive_window import select_window
from tapstack.tcp.segment import ACK, PSH
from tapstack.tcp.sent_alone import look_ahead
from tapstack.tcp.sent_segment import SentSegment
from tapstack.tcp.seq import MASK
from tapstack.tcp.state import State
from tapstack.tcp.statistics import Limit
from tapstack.tcp.undisturbed import look_for_disturbance
from tapstack.tcp.window_validation import decay

if TYPE_CHECKING:
    from tapstack.base.contracts import Buffer
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_PUSHED = ACK | PSH
# A member of an Enum is looked up at length each time that it is named.
_ESTABLISHED = State.ESTABLISHED
_IDLE, _BUSY = Limit.IDLE, Limit.BUSY


def send_short_text(ctx: Context, tcb: Tcb, text: Buffer, now: Instant) -> bool:
    """Queue and send a text, of which nothing more is to be said; False: decline."""
    lane, length = tcb.lane, len(text)
    if (
        lane is None
        or tcb.send_buffer.octets  # and with it, all that is in flight
        or not 0 < length <= tcb.effective_mss
        or length > tcb.snd_wnd
        or tcb.state is not _ESTABLISHED
        or tcb.send_blocked
        or tcb.options.cork
        or ctx.is_due
        or not ctx.config.tcp_notsent_lowat
        or (not tcb.undisturbed and look_for_disturbance(tcb))
        or tcb.path_changes != ctx.ip.path_changes
    ):
        return False
    chunk, space, shift = bytes(text), tcb.receive_space, tcb.rcv_wind_shift
    if space.may_shrink or not shift or tcb.receive_queue.charge:
        window = select_window(tcb)
    else:
        # All of the buffer is free: as `select_window` has it then.
        window, free = space.threshold, space.buffer * space.share >> SHARE_BITS
        if window > free:
            window = free
        current = tcb.rcv_wnd - ((tcb.rcv_nxt - tcb.rcv_wup) & MASK)
        if window < current:
            window = current
        window += -window & (1 << shift) - 1
        if window > MAX_UNSCALED << shift:
            window = MAX_UNSCALED << shift
    field = window >> shift
    if field > MAX_UNSCALED:
        field = MAX_UNSCALED
    is_sent = True
    try:
        is_sent = lane.send(tcb, _PUSHED, tcb.snd_nxt, field, (chunk,), length, 0, now)
    finally:  # if a signal handler raises amid the write, the peer may have the text all the same
        if is_sent:
            if window != tcb.rcv_wnd:
                tcb.rcv_wnd = shared(window)
            _note_sent(ctx, tcb, chunk, length, now)
            look_ahead(ctx, tcb, now)
    return is_sent


def _note_sent(ctx: Context, tcb: Tcb, chunk: bytes, length: int, now: Instant) -> None:
    """Note the text as what is in flight, and that all is acknowledged that came."""
    statistics, counters, acks = tcb.statistics, ctx.counters, tcb.acks
    segment = ctx.spare_segment
    if tcb.last_sent_at:
        idle = now - tcb.last_sent_at
        if idle > tcb.rtt.rto and ctx.config.tcp_slow_start_after_idle:
            decay(ctx, tcb, idle, tcb.rtt.rto, now)
        tcb.congestion.on_restart(idle, now)
    seq, mss = tcb.snd_nxt, tcb.effective_mss
    tcb.snd_nxt = end = (seq + length) & MASK
    if length < mss:
        tcb.small_sent_end = end
    tcb.send_buffer.hold(chunk, length)
    tcb.pushed_seq = end
    tcb.push_pending = tcb.pushes_once = tcb.more_coming = False
    delivered = statistics.delivered
    tcb.app_limited_until = delivered or 1
    tcb.first_sent_at = tcb.delivered_at = tcb.transmitted_at = tcb.last_sent_at = now
    departure = make_departure((delivered, now, now, True))
    if segment is None:
        segment = SentSegment(seq, end, PSH, mss, now, 1, departure)
    else:
        ctx.spare_segment = None
        segment.seq, segment.end, segment.flags, segment.packets = seq, end, PSH, 1
        segment.segment_size, segment.sent_at, segment.departure = mss, now, departure
    tcb.sent.append_burst(segment)
    tcb.rcv_wup = tcb.last_ack_sent = tcb.rcv_nxt
    if now - acks.last_text_at < acks.ato:
        acks.interactive = True
    acks.on_ack_sent()
    tcb.delayed_ack_timer.deadline = None
    statistics.segs_out += 1
    statistics.data_segs_out += 1
    statistics.bytes_sent += length
    if statistics.limit is _IDLE:
        statistics.limit, statistics.limit_since = _BUSY, now
    else:
        statistics.note_limit(_BUSY, now)
    counters["TcpOutSegs"] += 1
    counters["TcpExtTCPOrigDataSent"] += 1
