"""Question and answer: a short text, an ACK of the one unit in flight, or both (§3.10.7.4).

That is all that most connections ever get, and each costs what the work for it comes to rather than
its octets. So here all of it is done in place, and once: what the segment does to the connection,
what the flush behind it would find, and what the user's reading of the text does. The steps of
`segment_arrives.py`, with `output.py` and `reading.py`, are the truth: a property test holds both
together, field by field.

Whatever is not so plain is declined before anything has changed. Sequence numbers are compared in
place here, modulo 2³², as calls are what costs.

Not done here: texts that are longer or more, and ACKs of several units (`expected_segment.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.contracts import READABLE
from tapstack.base.sharing import about, shared
from tapstack.tcp import rack, receive_space
from tapstack.tcp.ack_policy import CERTAIN_LENGTH, HALF_ATO_MIN, MIN_RCV_MSS
from tapstack.tcp.acknowledging import ack_after_taking_is_due
from tapstack.tcp.options import TIMESTAMPS_LENGTH
from tapstack.tcp.plain_segment import send_ack
from tapstack.tcp.receive_memory import PLAIN_HEADERS, memory_of
from tapstack.tcp.retransmission_queue import NOTHING
from tapstack.tcp.rtt import CLOCK_GRANULARITY
from tapstack.tcp.segment import PSH
from tapstack.tcp.seq import HALF, MASK
from tapstack.tcp.state import State
from tapstack.tcp.statistics import Limit
from tapstack.tcp.text_arrives import GROWING_LENGTH
from tapstack.tcp.timeouts import delay_ack
from tapstack.tcp.undisturbed import look_for_disturbance
from tapstack.tcp.unit_size import PACING_UNIT

if TYPE_CHECKING:
    from tapstack.base.contracts import Buffer
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.delivery_rate import Departure
    from tapstack.tcp.sent_segment import SentSegment
    from tapstack.tcp.tcb import Tcb

SHORT = CERTAIN_LENGTH - TIMESTAMPS_LENGTH
"""Octets of text that is too long for this way."""
_FULL_UNPUSHED = MIN_RCV_MSS - TIMESTAMPS_LENGTH
"""Octets from which on text without PSH may be a full segment."""
# A member of an Enum is looked up at length each time that it is named.
_ESTABLISHED = State.ESTABLISHED
_BUSY, _IDLE = Limit.BUSY, Limit.IDLE
_NOTHING_HEARD = rack.NOTHING_HEARD


def take_exchange(
    ctx: Context,
    tcb: Tcb,
    seq: int,
    ack: int,
    flags: int,
    wnd: int,
    stamp: int,
    echo: int,
    text: Buffer,
    now: Instant,
) -> bool:
    """Take a segment as `take_expected` would, and do what the flush would find; False: decline.

    It acknowledges all that was sent, and nothing is unsent or unread.
    """
    acked, segments, length = (ack - tcb.snd_una) & MASK, tcb.sent.segments, len(text)
    if (
        seq != tcb.rcv_nxt
        or ack != tcb.snd_nxt
        or acked != tcb.send_buffer.octets
        or not wnd
        or wnd << tcb.snd_wind_shift != tcb.snd_wnd
        or (stamp - tcb.ts_recent) & MASK >= HALF
        or tcb.state is not _ESTABLISHED
        or tcb.send_blocked
        or (acked and (len(segments) != 1 or segments[0].transmissions != 1))
        or (not tcb.undisturbed and look_for_disturbance(tcb))
    ):
        return False
    if length:
        # It has to be the end of a message, no more than fits, and all that is unread.
        if (
            length >= tcb.acks.rcv_mss
            or (length >= _FULL_UNPUSHED and not flags & PSH)
            or tcb.receive_queue.charge
            or tcb.read_shut
            or (seq - tcb.rcv_wup + length) & MASK > tcb.rcv_wnd
        ):
            return False
    elif not acked:
        return False
    # The same numbers as in the segment: a connection needs them but once in memory.
    seq, ack = tcb.rcv_nxt, tcb.snd_nxt
    tcb.statistics.segs_in += 1
    if acked:
        _take_acknowledgment(ctx, tcb, segments[0], ack, acked, now)
    if acked or 0 < (seq - tcb.snd_wl1) & MASK < HALF:
        tcb.snd_wl1 = seq
        tcb.snd_wl2 = ack
    if seq == tcb.last_ack_sent:
        tcb.ts_recent = stamp
        tcb.ts_recent_at = now
    tcb.last_received_at = now
    tcb.receive_space.last_echo = echo  # which tells a receiver's round trip by a full segment only
    if length:
        _take_text(ctx, tcb, text, length, now)
    elif tcb.acks.due or tcb.acks.fresh:
        ctx.mark_dirty(tcb)
    return True


def _take_text(ctx: Context, tcb: Tcb, text: Buffer, length: int, now: Instant) -> None:
    """Take text, and see that its ACK leaves in time."""
    queue, acks, space = tcb.receive_queue, tcb.acks, tcb.receive_space
    charge, room = memory_of(PLAIN_HEADERS + length)
    queue.pieces = [bytes(text)]
    queue.octets = length
    tcb.rcv_nxt = queue.right = end = (tcb.rcv_nxt + length) & MASK
    queue.charge = queue.last = charge
    queue.room = room
    tcb.statistics.bytes_received += length
    tcb.statistics.data_segs_in += 1
    acks.owed = True
    acks.pushed_again |= acks.pushed
    acks.pushed = True
    acks.last_length = 0
    gap = now - acks.last_text_at
    acks.last_text_at = now
    if gap <= HALF_ATO_MIN and acks.ato:
        acks.ato = acks.ato // 2 + HALF_ATO_MIN
    elif acks.ato <= gap > tcb.rtt.rto and acks.ato:
        acks.be_quick(tcb.rcv_wnd)  # as below, for most of thousands of connections
    else:
        acks.follow_long_gap(tcb, gap)
    if (window_end := space.window_end) is None or (end - window_end) & MASK < HALF:
        receive_space.measure_by_window(tcb, now)
    if length >= GROWING_LENGTH:
        receive_space.offer_more(tcb, ctx.config, length, charge, charge)
    ctx.report(tcb, READABLE)
    if acks.due or (acks.quick and not acks.interactive) or acks.always_quick:
        if _acknowledge(ctx, tcb, now):
            return
    elif (end - tcb.rcv_wup) & MASK <= acks.rcv_mss and delay_ack(ctx, tcb, now):
        return
    acks.fresh = True
    ctx.mark_dirty(tcb)


def _acknowledge(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Send an ACK, as the flush would, if that has nothing else to do; False: it has to."""
    lane = tcb.lane
    if lane is None or ctx.is_due:
        return False
    return send_ack(ctx, tcb, lane, now)


def _take_acknowledgment(
    ctx: Context, tcb: Tcb, segment: SentSegment, ack: int, acked: int, now: Instant
) -> None:
    """Take the ACK of the one unit in flight, and with it of all that was sent."""
    statistics, packets, sent_at = tcb.statistics, segment.packets, segment.sent_at
    elapsed = now - sent_at
    queue = tcb.sent
    queue.segments, queue.packets_out = NOTHING, 0
    tcb.send_buffer.clear()
    tcb.retransmission_timer.deadline = None
    tcb.snd_una = tcb.snd_up = ack
    tcb.more_coming = False
    tcb.next_hop_confirmed = True
    statistics.bytes_acked += acked
    statistics.delivered += packets
    ctx.counters["TcpExtTCPDelivered"] += packets
    if statistics.limit is _BUSY:
        statistics.limit = _IDLE
        statistics.snd_lim_time_cwin += now - statistics.limit_since
        statistics.limit_since = now
    else:
        statistics.note_limit(_IDLE, now)
    estimator = tcb.rtt
    if tcb.sack_permitted:
        estimator.latest = elapsed
    rtt = elapsed or CLOCK_GRANULARITY
    estimator.sample(rtt, ack, ack)
    least = estimator.min_rtt
    if least is None or rtt <= least or now - estimator.min_rtt_at > estimator.min_rtt_lifetime:
        estimator.min_rtt = rtt
        estimator.min_rtt_at = about(now)
    tcb.congestion.on_round_trip(rtt, ack, ack, now)
    if tcb.rack is not _NOTHING_HEARD:
        rack.on_all_arrived(tcb)
        rack.update_reordering_window(ctx, tcb, segment.departure)
    window = tcb.window
    if window.limited or (window.cwnd < 2 * window.most_out and window.cwnd < window.ssthresh):
        tcb.congestion.on_acked(packets, now)
    window.full_at = now
    _work_out_rates(ctx, tcb, segment.departure, sent_at, now)
    if segment.watched:  # or it was deemed lost once
        ctx.spare_segment = segment


def _work_out_rates(
    ctx: Context, tcb: Tcb, departure: Departure | None, sent_at: Instant, now: Instant
) -> None:
    """Do what `unit_size.update_pacing_rate` does, and `delivery_rate.take_sample`."""
    window, config = tcb.window, ctx.config
    cwnd = window.cwnd
    grows_fast = cwnd < window.ssthresh // 2
    percent = config.tcp_pacing_ss_ratio if grows_fast else config.tcp_pacing_ca_ratio
    paced = tcb.effective_mss * cwnd * percent * PACING_UNIT
    if paced != tcb.paced_in_round_trip:
        tcb.paced_in_round_trip = shared(paced)
    delivered = tcb.statistics.delivered
    if 0 != tcb.app_limited_until < delivered:
        tcb.app_limited_until = 0
    tcb.delivered_at = now
    if departure is None:
        return
    before, delivered_at, first_sent_at, limited = departure
    tcb.first_sent_at = sent_at
    sending, interval = sent_at - first_sent_at, now - delivered_at
    if sending > interval:
        interval = sending
    if interval < (tcb.rtt.min_rtt or 1):
        return
    segments = delivered - before
    if not limited or segments * tcb.rate_interval >= tcb.rate_segments * interval:
        tcb.rate_segments, tcb.rate_interval = segments, interval
        tcb.rate_app_limited = limited


# --- the user reads it --------------------------------------------------------------------------


def read_exchange(ctx: Context, tcb: Tcb, now: Instant) -> bytes | None:
    """Give the user all of the text, if it is one segment's; None: decline."""
    queue = tcb.receive_queue
    pieces = queue.pieces
    if (
        queue.charge != queue.last
        or queue.taken
        or tcb.state is not _ESTABLISHED
        or not tcb.undisturbed
        or pieces is None
    ):
        return None
    queue.pieces = None
    queue.octets = queue.charge = 0
    tcb.copied_seq = copied = tcb.rcv_nxt
    space, acks = tcb.receive_space, tcb.acks
    if space.srtt_8 and now - space.measured_at >= space.srtt_8 >> 3:
        receive_space.on_taken(tcb, copied, ctx.config, now)
    ends_message = acks.owed and (acks.pushed_again or (acks.pushed and not acks.interactive))
    unacknowledged = (copied - tcb.rcv_wup) & MASK
    if (
        ends_message
        or unacknowledged > acks.rcv_mss
        or 2 * (tcb.rcv_wnd - unacknowledged) <= space.clamp
    ) and ack_after_taking_is_due(tcb):
        acks.due = True
        if tcb.send_buffer.octets or tcb.send_blocked or not _acknowledge(ctx, tcb, now):
            ctx.mark_owing(tcb)
    return b"".join(pieces)
