"""Step five: what an acknowledgment does to what we sent (RFC 9293 §3.10.7.4, RFC 5961 §5.2).

The retransmission queue is relieved, the round trip measured, the send window updated; recovery and
congestion control hear what arrived.

Not done here: the state transitions that our FIN's acknowledgment causes (`segment_arrives.py`).
"""

from __future__ import annotations

from tapstack.base.contracts import WRITABLE
from tapstack.base.errors import Drop
from tapstack.base.units import MILLISECOND, Instant
from tapstack.tcp import recovery
from tapstack.tcp.context import Context
from tapstack.tcp.invalid import answer_invalid
from tapstack.tcp.retransmission_queue import Acknowledged
from tapstack.tcp.rtt import CLOCK_GRANULARITY
from tapstack.tcp.segment import FIN, SYN, SackBlock, Segment
from tapstack.tcp.seq import ge, gt, le, lt, sub
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.timeouts import arm_retransmission


def process_acknowledgment(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Take SEG.ACK and SEG.WND; False when the segment is to be dropped."""
    tcb.probes_out = 0
    if gt(seg.ack, tcb.snd_nxt):
        # "If the ACK acks something not yet sent, then send an ACK, drop the segment".
        ctx.counters.drop(Drop.TCP_ACK_UNSENT)
        answer_invalid(ctx, tcb, seg, now, "challenge")
        return False
    if lt(seg.ack, tcb.snd_una):
        return _take_old_ack(ctx, tcb, seg, now)
    una_before, wnd_before = tcb.snd_una, tcb.snd_wnd
    outstanding = bool(tcb.sent)
    update_send_window(tcb, seg)
    acked = _advance(ctx, tcb, seg, now)
    if acked.sent_at is not None:
        rtt = max(now - acked.sent_at, CLOCK_GRANULARITY)
        tcb.congestion.on_round_trip(rtt, tcb.snd_una, tcb.snd_nxt, now)
    sacked = _take_sack(tcb, seg)
    delivered = acked.packets + sacked
    if outstanding and tcb.snd_una == una_before and _is_duplicate(tcb, seg, wnd_before):
        delivered += 0 if tcb.sack_permitted else recovery.on_duplicate_ack(tcb)
    tcb.statistics.delivered += delivered
    if outstanding:
        recovery.on_acknowledgment(ctx, tcb, delivered, tcb.snd_una != una_before, now)
    if tcb.recovery.phase is not recovery.Phase.LOSS:
        tcb.statistics.on_timeout_recovered(now)
    _restart_timers(tcb, tcb.snd_una != una_before, now)
    return True


def _take_old_ack(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Ignore an ACK below SND.UNA, but not its text; RFC 5961 §5.2 challenges what is too old."""
    if sub(tcb.snd_una, seg.ack) > max(tcb.max_snd_wnd, tcb.effective_mss):
        ctx.counters.drop(Drop.TCP_OLD_ACK)
        answer_invalid(ctx, tcb, seg, now, "challenge")
        return False
    _take_sack(tcb, seg)
    return True


def update_send_window(tcb: Tcb, seg: Segment) -> None:
    """Take SEG.WND, unless it is older than what we know.

    "If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)), set SND.WND".
    """
    newer = lt(tcb.snd_wl1, seg.seq) or (tcb.snd_wl1 == seg.seq and le(tcb.snd_wl2, seg.ack))
    if newer or gt(seg.ack, tcb.snd_una):
        tcb.snd_wnd = seg.wnd << tcb.snd_wind_shift
        tcb.snd_wl1, tcb.snd_wl2 = seg.seq, seg.ack
        tcb.max_snd_wnd = max(tcb.max_snd_wnd, tcb.snd_wnd)


def _advance(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> Acknowledged:
    """Set SND.UNA to SEG.ACK, and let go of what that acknowledges."""
    if seg.ack == tcb.snd_una:
        return Acknowledged(0, None, False)
    text = sub(seg.ack, tcb.snd_una)
    acked = tcb.sent.acknowledge(seg.ack, tcb.effective_mss)
    # Our FIN occupies one number behind the last octet of the buffer.
    tcb.send_buffer.release(min(text, len(tcb.send_buffer)))
    tcb.statistics.bytes_acked += text
    tcb.snd_una = seg.ack
    tcb.backoff = tcb.retransmits = 0
    tcb.soft_error = 0
    if not tcb.sack_permitted:
        recovery.on_cumulative_ack_without_sack(tcb, acked.packets)
    measure_round_trip(tcb, seg, acked, now)
    _report_room(ctx, tcb)
    return acked


def measure_round_trip(tcb: Tcb, seg: Segment, acked: Acknowledged, now: Instant) -> None:
    """Take a sample of the round trip: never of what was sent twice (Karn), save by timestamp."""
    if acked.sent_at is not None:
        tcb.rtt.sample(now - acked.sent_at)
        return
    stamps = seg.options.timestamps
    if acked.retransmitted and tcb.timestamps and stamps is not None and stamps.echo:
        # RFC 7323 §4.1: the echo tells which transmission is acknowledged.
        elapsed = sub(tcb.timestamp_now(now), stamps.echo)
        if elapsed < 1 << 31:
            tcb.rtt.sample(elapsed * MILLISECOND)


def _take_sack(tcb: Tcb, seg: Segment) -> int:
    """Mark what the SACK blocks cover; count the segments that are newly known to have arrived."""
    if not tcb.sack_permitted or not seg.options.sack:
        return 0
    newly = 0
    for block in seg.options.sack:
        if _is_usable(tcb, block):
            newly += tcb.sent.sack(block, tcb.effective_mss).packets
    return newly


def _is_usable(tcb: Tcb, block: SackBlock) -> bool:
    """Tell whether a block lies within what is in flight: a D-SACK or a lie does not."""
    return (
        lt(block.left, block.right) and ge(block.left, tcb.snd_una) and le(block.right, tcb.snd_nxt)
    )


def _is_duplicate(tcb: Tcb, seg: Segment, wnd_before: int) -> bool:
    """Tell a duplicate ACK by RFC 5681 §2: no text, no SYN or FIN, the same window."""
    return not seg.text and not seg.flags & (SYN | FIN) and tcb.snd_wnd == wnd_before


def _report_room(ctx: Context, tcb: Tcb) -> None:
    """Tell a user who found the send buffer full that a third of it is free."""
    if tcb.send_blocked and 3 * len(tcb.send_buffer) <= 2 * send_buffer_size(ctx, tcb):
        tcb.send_blocked = False
        ctx.report(tcb, WRITABLE)


def send_buffer_size(ctx: Context, tcb: Tcb) -> int:
    """Give the octets that the send buffer takes: twice the congestion window, if that is more."""
    if tcb.options.send_buffer is not None:
        return tcb.options.send_buffer
    _, first, most = ctx.config.tcp_wmem
    return max(first, min(most, 2 * tcb.window.cwnd * tcb.effective_mss))


def _restart_timers(tcb: Tcb, advanced: bool, now: Instant) -> None:
    """RFC 6298 §5.2 and 5.3: stop the timer when all is acknowledged, restart it on new ACKs."""
    if not tcb.sent:
        tcb.retransmission_timer.cancel()
    elif advanced:
        arm_retransmission(tcb, now)
    if tcb.snd_wnd and tcb.persist_timer.deadline is not None:
        tcb.persist_timer.cancel()
        tcb.backoff = 0
