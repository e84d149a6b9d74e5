"""What a SYN says, and what the acknowledgment of ours begins (RFC 9293 §3.5): both ways to open.

Not done here: which segments are let this far (`handshake.py`, `half_open.py`).
"""

from __future__ import annotations

from tapstack.base.units import MILLISECOND, Instant
from tapstack.tcp import ecn, mtu_probing, receive_space, send_space
from tapstack.tcp.ack_policy import AckPolicy
from tapstack.tcp.acknowledgment import echo_of, measure_round_trip
from tapstack.tcp.context import Context
from tapstack.tcp.mss import on_peer_mss
from tapstack.tcp.receive_space import MAX_SHIFT
from tapstack.tcp.recovery_state import Phase, recovery_of
from tapstack.tcp.retransmission_timer import rearm_retransmission
from tapstack.tcp.rtt import FALLBACK_RTO
from tapstack.tcp.segment import ACK, ECN_MASK, Segment
from tapstack.tcp.sent_segment import Acknowledged
from tapstack.tcp.seq import add, sub
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.timeouts import arm_keepalive
from tapstack.tcp.unit_size import update_pacing_rate

_MAX_MSS_HINT = 536
"""First guess at the peer's segment size at most (Linux's TCP_MSS_DEFAULT)."""


def take_syn(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Set what the peer's SYN says: IRS, RCV.NXT, its window and its options."""
    tcb.irs = seg.seq
    tcb.rcv_nxt = tcb.rcv_wup = tcb.last_ack_sent = tcb.copied_seq = add(seg.seq, 1)
    tcb.last_received_at = now
    # RFC 7323 §2.2: "The window field in a segment where the SYN bit is set MUST NOT be scaled."
    tcb.snd_wnd = tcb.max_snd_wnd = seg.wnd
    tcb.snd_wl1 = seg.seq
    tcb.snd_wl2 = seg.ack
    _negotiate(ctx, tcb, seg, now)
    if tcb.passive:
        if ctx.config.tcp_reflect_tos:
            tcb.options = tcb.options.own()
            tcb.options.tos = seg.tos & ~ECN_MASK
        # Only now is it known whether timestamps take their part of each segment.
        mss = receive_space.text_in_segment(tcb)
        receive_space.offer_first_window(
            tcb, ctx.config.tcp_rmem[2], mss, scaling=tcb.window_scaling
        )
    tcb.rcv_wnd = tcb.receive_space.threshold
    delays = tcb.passive and not tcb.options.quickack
    tcb.acks = AckPolicy(always_quick=tcb.route.quickack, interactive=delays)
    guess_segment_size(tcb)


def guess_segment_size(tcb: Tcb) -> None:
    """Guess how much the peer's segments carry, for when to acknowledge them."""
    largest = receive_space.text_in_segment(tcb)
    tcb.acks.start(first_guess(largest, tcb.effective_mss, tcb.rcv_wnd))


def first_guess(largest: int, effective_mss: int, rcv_wnd: int) -> int:
    """Guess from what both ends take, and from what is offered."""
    return min(largest, effective_mss, _MAX_MSS_HINT, rcv_wnd // 2)


def _negotiate(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Agree on options: each counts only when both SYNs carry it."""
    config, offered = ctx.config, seg.options
    agree_on_scale_and_sack(ctx, tcb, seg)
    if not tcb.window_scaling and (tcb.passive or seg.flags & ACK):
        tcb.rcv_wind_shift = 0
        # Deviation: RFC 7323 §2.3 scales no window then. Like Linux, whose SYN-ACK of a
        # simultaneous open repeats what its SYN has offered, we take that for agreed.
    ecn.negotiate(config, tcb, seg)
    tcb.timestamps = bool(config.tcp_timestamps) and offered.timestamps is not None
    if offered.timestamps is not None:
        tcb.ts_recent = offered.timestamps.value
        tcb.ts_recent_at = now
    on_peer_mss(ctx, tcb, offered.mss)


def agree_on_scale_and_sack(ctx: Context, tcb: Tcb, seg: Segment) -> None:
    """Take what a SYN offers of scaling and SACK; as Linux, also from one that is a reset."""
    shift = seg.options.window_scale if ctx.config.tcp_window_scaling else None
    tcb.window_scaling = shift is not None
    # RFC 7323 §2.3: a larger shift count is to be logged, and 14 used instead.
    tcb.snd_wind_shift = min(shift or 0, MAX_SHIFT)
    tcb.sack_permitted = ctx.config.tcp_sack and seg.options.sack_permitted


def on_our_syn_acknowledged(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Take the acknowledgment of a SYN that stands in the retransmission queue."""
    transmissions = tcb.sent.segments[0].transmissions
    acked = tcb.sent.acknowledge(seg.ack)
    tcb.send_buffer.release(sub(seg.ack, add(tcb.iss, 1)))
    tcb.statistics.bytes_acked += sub(seg.ack, tcb.iss)
    ctx.counters["TcpExtTCPDelivered"] += 1
    tcb.snd_una = seg.ack
    tcb.next_hop_confirmed = True
    tcb.app_limited_until = 0
    begin_transfer(ctx, tcb, seg, acked, transmissions, now)


def begin_transfer(
    ctx: Context, tcb: Tcb, seg: Segment, acked: Acknowledged, transmissions: int, now: Instant
) -> None:
    """Do what the end of a handshake asks: take the first sample, start the clocks.

    `transmissions` tells how often our SYN or SYN-ACK was sent.
    """
    _heed_lost_syn(tcb, seg, transmissions)
    if not tcb.fast_open_child:
        measure_round_trip(tcb, echo_of(tcb, seg), acked, (), now)
        forget_first_retransmission(tcb)
    tcb.snd_up = tcb.snd_una
    tcb.retransmits = tcb.rto_backoff = 0
    tcb.statistics.delivered += 1
    tcb.statistics.on_timeout_recovered(now)
    tcb.statistics.established_at = now
    tcb.retransmission_timer.cancel()
    if tcb.sent.segments:
        rearm_retransmission(tcb, now)
    if not tcb.fast_open_child:  # which has begun with its SYN
        start_transfer(ctx, tcb, now)
    update_pacing_rate(ctx.config, tcb)


def forget_first_retransmission(tcb: Tcb) -> None:
    """Forget when the SYN was sent again: no echo of text is to be held against that."""
    if tcb.recovery.undo.retransmit_stamp is not None:
        recovery_of(tcb).undo.retransmit_stamp = None


def start_transfer(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Begin to look after what a connection that carries text has."""
    tcb.window.full_at = now  # as in Linux: it was not left unused before it could be used
    receive_space.on_established(ctx.config, tcb, now)
    send_space.grow(ctx, tcb)
    mtu_probing.start(ctx, tcb, now)
    arm_keepalive(ctx, tcb, now)


def _heed_lost_syn(tcb: Tcb, seg: Segment, transmissions: int) -> None:
    """Begin with care where our SYN was lost, unless the echo says that it was merely late.

    Where none is remembered, but a cookie, no more is known of the path.
    """
    if transmissions != 1:
        tcb.rtt.rto = FALLBACK_RTO  # RFC 6298 §5.7, unless a timestamp tells better
    if tcb.retransmits and not (tcb.passive or tcb.sack_permitted):
        # As in Linux: the loss lasts until an ACK comes for what is behind it (RFC 6582 §4.1).
        recovery = recovery_of(tcb)
        recovery.phase, recovery.high_seq = Phase.LOSS, tcb.snd_una
    if transmissions > 2 and tcb.retransmits and not tcb.fast_open_child:
        first = add(tcb.ts_offset, tcb.first_timeout_at // MILLISECOND)
        if echo_of(tcb, seg) != first:
            # RFC 6928 §2: one segment after a lost SYN. Deviation: like Linux, after two.
            tcb.window.cwnd = 1
