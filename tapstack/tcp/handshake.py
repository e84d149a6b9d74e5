"""Segments that meet no connection, or one in SYN-SENT (RFC 9293 §3.10.7.1 to 3).

Not done here: SYN-RECEIVED and beyond (`segment_arrives.py`).
"""

from __future__ import annotations

from errno import ECONNREFUSED

from tapstack.base.address import Endpoint
from tapstack.base.contracts import ACCEPTABLE, CONNECTED, WRITABLE, Datagram
from tapstack.base.errors import Drop
from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.tcp import ecn, mtu_probing, receive_space, send_space
from tapstack.tcp.ack_policy import AckPolicy
from tapstack.tcp.acknowledgment import echo_of, measure_round_trip
from tapstack.tcp.context import Context
from tapstack.tcp.lifetime import destroy
from tapstack.tcp.listener import Listener
from tapstack.tcp.mss import on_peer_mss, update_effective_mss
from tapstack.tcp.receive_space import MAX_SHIFT
from tapstack.tcp.replies import reset_in_reply_to
from tapstack.tcp.rtt import FALLBACK_RTO
from tapstack.tcp.segment import ACK, FIN, RST, SYN, Segment
from tapstack.tcp.seq import add, gt, le
from tapstack.tcp.state import State, become
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.tcb_factory import make_tcb
from tapstack.tcp.timeouts import arm_keepalive

_SOON: Duration = 2 * MILLISECOND
"""Two ticks of a clock of 1000 Hz (Linux's TCP_TIMEOUT_MIN)."""
_MAX_MSS_HINT = 536
"""First guess at the peer's segment size at most (Linux's TCP_MSS_DEFAULT)."""


# --- §3.10.7.1 and 2: CLOSED and LISTEN -------------------------------------------------------


def closed_state(ctx: Context, datagram: Datagram, seg: Segment) -> None:
    """Answer a segment that belongs to nobody: "reset is sent in response" unless it is one."""
    ctx.counters.drop(Drop.TCP_NO_CONNECTION)
    reset_in_reply_to(ctx, datagram.source, datagram.destination, seg, "no connection")


def listen_state(
    ctx: Context, listener: Listener, datagram: Datagram, seg: Segment, now: Instant
) -> None:
    """Take a SYN for a listener; everything else is refused or ignored (§3.10.7.2)."""
    if seg.flags & RST:
        return
    if seg.flags & ACK:
        # "Any acknowledgment is bad if it arrives on a connection still in the LISTEN state."
        reset_in_reply_to(ctx, datagram.source, datagram.destination, seg, "ACK in LISTEN")
        return
    if seg.flags & (SYN | FIN) != SYN:
        return
    if _has_room(ctx, listener):
        local = Endpoint(datagram.destination, seg.destination_port)
        remote = Endpoint(datagram.source, seg.source_port)
        open_half(ctx, listener, local, remote, seg, now)


def _has_room(ctx: Context, listener: Listener) -> bool:
    """Tell whether a SYN may be taken; count it where it may not (RFC 4987 §3.1)."""
    if listener.is_full():
        ctx.counters["TcpExtListenDrops"] += 1
        ctx.counters.drop(Drop.TCP_LISTEN_OVERFLOW)
        return False
    if len(listener.syn_queue) >= ctx.config.tcp_max_syn_backlog:
        ctx.counters["TcpExtListenDrops"] += 1
        ctx.counters.drop(Drop.TCP_REQUEST_QUEUE_FULL)
        return False
    return True


def open_half(
    ctx: Context,
    listener: Listener,
    local: Endpoint,
    remote: Endpoint,
    seg: Segment,
    now: Instant,
    *,
    iss: int | None = None,
) -> None:
    """Make a half-open connection in the SYN queue, with a SYN-ACK due.

    `iss` continues a connection that stood in TIME-WAIT (RFC 9293 §3.6.1).
    """
    binding = ctx.connections.share(listener.binding)
    try:
        tcb = make_tcb(ctx, local, remote, listener.options.copy(), binding, now)
    except OSError:  # no way back to the sender
        ctx.connections.release(binding)
        ctx.counters.drop(Drop.IP_NO_ROUTE)
        return
    if iss is not None:
        tcb.iss = tcb.snd_una = tcb.snd_nxt = tcb.small_sent_end = iss
    tcb.statistics.on_received(1, bool(seg.text))
    tcb.listener = listener
    listener.syn_queue[tcb] = None
    become(ctx, tcb, State.SYN_RECEIVED)
    _take_syn(ctx, tcb, seg, now)
    # An unsynchronized window must not limit the SYN-ACK; the final ACK will set it.
    tcb.syn_due = True
    ctx.mark_dirty(tcb)


# --- §3.10.7.3: SYN-SENT ----------------------------------------------------------------------


def syn_sent_state(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Take a segment while our SYN is unanswered."""
    if seg.flags & ACK and not _ack_is_acceptable(ctx, tcb, seg):
        _ask_again_soon(tcb, now)
        return
    if seg.flags & RST:
        if seg.flags & ACK:
            ctx.counters["TcpAttemptFails"] += 1
            destroy(ctx, tcb, ECONNREFUSED)
        return
    if not seg.flags & SYN:
        return
    _take_syn(ctx, tcb, seg, now)
    if seg.flags & ACK:
        _complete_active_open(ctx, tcb, seg, now)
    else:
        # Simultaneous open: "enter SYN-RECEIVED, form a SYN,ACK segment".
        become(ctx, tcb, State.SYN_RECEIVED)
        tcb.syn_due = True
    ctx.mark_dirty(tcb)


def _ack_is_acceptable(ctx: Context, tcb: Tcb, seg: Segment) -> bool:
    """Check SEG.ACK: "If SND.UNA < SEG.ACK =< SND.NXT, then the ACK is acceptable"."""
    if gt(seg.ack, tcb.snd_una) and le(seg.ack, tcb.snd_nxt):
        return True
    ctx.counters.drop(Drop.TCP_ACK_UNSENT)
    reset_in_reply_to(ctx, tcb.remote.address, tcb.local.address, seg, "bad ACK in SYN-SENT")
    return False


def _ask_again_soon(tcb: Tcb, now: Instant) -> None:
    """Send our SYN again at once, but only the first time: an old connection answered it.

    Not in the RFC. As Linux: our reset has just ended that connection, so that it may be heard now.
    """
    if tcb.retransmits == 0:
        tcb.retransmission_timer.arm(now + _SOON)


def _complete_active_open(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Take the SYN-ACK: SYN-SENT to ESTABLISHED."""
    become(ctx, tcb, State.ESTABLISHED)
    on_our_syn_acknowledged(ctx, tcb, seg, now)
    tcb.statistics.bytes_acked += 1
    tcb.acks.due = True
    ctx.report(tcb, CONNECTED | WRITABLE)


# --- both ways ----------------------------------------------------------------------------------


def _take_syn(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
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
        # Only now is it known whether timestamps take their part of each segment.
        mss = receive_space.text_in_segment(tcb)
        receive_space.offer_first_window(
            tcb, ctx.config.tcp_rmem[2], mss, scaling=tcb.window_scaling
        )
    tcb.rcv_wnd = tcb.receive_space.threshold
    hint = min(tcb.advertised_mss, tcb.effective_mss, _MAX_MSS_HINT, tcb.rcv_wnd // 2)
    tcb.acks = AckPolicy()
    tcb.acks.start(hint)


def _negotiate(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Agree on options: each counts only when both SYNs carry it."""
    config, offered = ctx.config, seg.options
    tcb.window_scaling = config.tcp_window_scaling and offered.window_scale is not None
    if tcb.window_scaling and offered.window_scale is not None:
        # RFC 7323 §2.3: a larger shift count is to be logged, and 14 used instead.
        tcb.snd_wind_shift = min(offered.window_scale, MAX_SHIFT)
    else:
        tcb.snd_wind_shift = tcb.rcv_wind_shift = 0
    tcb.sack_permitted = config.tcp_sack and offered.sack_permitted
    ecn.negotiate(config, tcb, seg)
    tcb.timestamps = config.tcp_timestamps and offered.timestamps is not None
    if offered.timestamps is not None:
        tcb.ts_recent = offered.timestamps.value
        tcb.ts_recent_at = now
    on_peer_mss(ctx, tcb, offered.mss)


def on_our_syn_acknowledged(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Do what the end of either handshake asks: take the first sample, start the clocks."""
    syn = tcb.sent.segments[0]
    if syn.transmissions > 1:
        tcb.rtt.rto = FALLBACK_RTO  # RFC 6298 §5.7, unless a timestamp tells better
    if syn.transmissions > 2:
        # RFC 6928 §2: one segment after a lost SYN. Deviation: like Linux, after two.
        tcb.window.cwnd = 1
    acked = tcb.sent.acknowledge(seg.ack, tcb.effective_mss)
    measure_round_trip(tcb, echo_of(tcb, seg), acked, (), now)
    tcb.recovery.undo.retransmit_stamp = None
    tcb.snd_una = tcb.snd_up = seg.ack
    tcb.retransmits = tcb.backoff = 0
    tcb.statistics.delivered += 1
    tcb.statistics.on_timeout_recovered(now)
    tcb.statistics.established_at = now
    tcb.retransmission_timer.cancel()
    receive_space.on_established(tcb, now)
    send_space.grow(ctx, tcb)
    mtu_probing.start(ctx, tcb, now)
    arm_keepalive(ctx, tcb, now)


def complete_passive_open(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Take the final ACK in SYN-RECEIVED; False when the accept queue has no room for it."""
    listener = tcb.listener
    if listener is not None and listener.is_full():
        ctx.counters["TcpExtListenDrops"] += 1
        ctx.counters.drop(Drop.TCP_LISTEN_OVERFLOW)
        if ctx.config.tcp_abort_on_overflow:
            reset_in_reply_to(ctx, tcb.remote.address, tcb.local.address, seg, "accept queue full")
            destroy(ctx, tcb)
        return False
    become(ctx, tcb, State.ESTABLISHED)
    on_our_syn_acknowledged(ctx, tcb, seg, now)
    tcb.snd_wnd = tcb.max_snd_wnd = seg.wnd << tcb.snd_wind_shift
    tcb.snd_wl1, tcb.snd_wl2 = seg.seq, seg.ack
    update_effective_mss(tcb)
    if listener is not None:
        # Like Linux, whose half-open connections count nothing: what leaves counts from here on.
        tcb.statistics.segs_out = 0
        ctx.counters["TcpPassiveOpens"] += 1
        listener.promote(tcb)
        ctx.events.report(listener, ACCEPTABLE)
    ctx.report(tcb, CONNECTED | WRITABLE)
    return True
