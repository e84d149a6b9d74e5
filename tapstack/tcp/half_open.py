"""A connection in SYN-RECEIVED that a listener made: from the SYN to the final ACK (RFC 9293 §3.5).

RFC 4987 tells what there is to defend: each SYN costs its sender nothing, and us a place in the SYN
queue.

Not done here: sending a SYN-ACK again (`syn_ack.py`), what else may come than the final ACK
(`syn_received.py`), the order of the queues (`listener.py`).
"""

from __future__ import annotations

from tapstack.base.address import Endpoint
from tapstack.base.contracts import ACCEPTABLE, CONNECTED, WRITABLE
from tapstack.base.errors import Drop
from tapstack.base.units import Instant
from tapstack.tcp import (
    ecn,
    fast_open_server,
    loss_phase,
    receive_space,
    send_space,
    syn_ack,
    syn_cookies,
)
from tapstack.tcp.ack_news import AckNews
from tapstack.tcp.acknowledgment import echo_of, measure_round_trip, process_acknowledgment
from tapstack.tcp.context import Context
from tapstack.tcp.episode import any_retransmitted
from tapstack.tcp.lifetime import destroy
from tapstack.tcp.listener import Listener, Verdict, judge
from tapstack.tcp.mss import offered_mss, update_effective_mss
from tapstack.tcp.receive_space import MAX_UNSCALED, make_receive_space, size_at_first
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.replies import reset_in_reply_to
from tapstack.tcp.retransmission_timer import arm_retransmission
from tapstack.tcp.segment import ACK, SYN, Options, Segment
from tapstack.tcp.sent_segment import Acknowledged, SentSegment
from tapstack.tcp.seq import add
from tapstack.tcp.state import State, become
from tapstack.tcp.synchronize import (
    begin_transfer,
    forget_first_retransmission,
    guess_segment_size,
    on_our_syn_acknowledged,
    start_transfer,
    take_syn,
)
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.tcb_factory import draft_tcb, make_congestion_control, make_tcb, rto_bounds
from tapstack.tcp.transmission import syn_options, transmit
from tapstack.tcp.unit_size import update_pacing_rate

# --- the SYN ------------------------------------------------------------------------------------


def take_syn_in(
    ctx: Context, listener: Listener, local: Endpoint, remote: Endpoint, seg: Segment, now: Instant
) -> None:
    """Take a SYN for a listener, if there is room; else answer it with a cookie, or not at all."""
    verdict = judge(ctx, listener)
    if verdict is Verdict.TAKE:
        open_half(ctx, listener, local, remote, seg, now)
    elif verdict is Verdict.COOKIE:
        _answer_with_cookie(ctx, listener, local, remote, seg, now)


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
    tcb = _make(ctx, listener, local, remote, seg, now, iss)
    if tcb is None:
        return
    tcb.syn_due = True
    ctx.mark_dirty(tcb)
    if fast_open_server.take_text(ctx, listener, tcb, seg, now):
        guess_segment_size(tcb)
        start_transfer(ctx, tcb, now)
        _hand_over(ctx, listener, tcb)
    else:
        listener.take_in(tcb)


def _hand_over(ctx: Context, listener: Listener, tcb: Tcb) -> None:
    """Put a connection into the accept queue."""
    ctx.counters["TcpPassiveOpens"] += 1
    listener.promote(tcb)
    ctx.events.report(listener, ACCEPTABLE)


def _answer_with_cookie(
    ctx: Context, listener: Listener, local: Endpoint, remote: Endpoint, seg: Segment, now: Instant
) -> None:
    """Send a SYN-ACK, and forget the SYN: its cookie will tell (RFC 4987 §3.6)."""
    syn = syn_cookies.remembered_part(seg)
    user_options = listener.options.share()
    try:
        draft = draft_tcb(ctx, local, remote, user_options, listener.binding, now)
    except OSError:
        ctx.counters.drop(Drop.IP_NO_ROUTE)
        return
    draft.listener = listener
    take_syn(ctx, draft, syn, now)
    flags = SYN | ACK
    options = syn_options(ctx, draft, flags, now)
    if options.timestamps is not None:
        value = syn_cookies.stamp_for(draft.ts_offset, _agreed(draft), draft.ecn, now)
        options = options._replace(timestamps=options.timestamps._replace(value=value))
    iss = syn_cookies.make_cookie(ctx.keyed_hash, local, remote, seg.seq, draft.peer_mss, now)
    window = min(draft.receive_space.threshold, MAX_UNSCALED)
    flags |= ecn.flags_of_syn(ctx.config, draft, flags)
    ports, tos = (local.port, remote.port), draft.options.tos
    answer = Segment(*ports, iss, draft.rcv_nxt, flags, window, 0, options, b"", tos)
    ctx.reply(local.address, remote.address, answer, "SYN cookie", draft.options.ttl)
    listener.cookie_sent_at = now
    ctx.counters["TcpExtSyncookiesSent"] += 1


def _agreed(draft: Tcb) -> Options:
    """Give what a SYN offered that we take up, too."""
    shift = draft.snd_wind_shift if draft.window_scaling else None
    return Options(window_scale=shift, sack_permitted=draft.sack_permitted)


def reopen_from_cookie(
    ctx: Context,
    listener: Listener,
    local: Endpoint,
    remote: Endpoint,
    syn: Segment,
    iss: int,
    now: Instant,
) -> Tcb | None:
    """Make a half-open connection of what an ACK's cookie remembers of its SYN.

    None: the accept queue has no room.
    """
    if listener.is_full():
        ctx.counters["TcpExtListenDrops"] += 1
        ctx.counters.drop(Drop.TCP_LISTEN_OVERFLOW)
        return None
    tcb = _make(ctx, listener, local, remote, syn, now, iss)
    if tcb is not None:
        # Linux offers whole segments of the peer's then, rather than of ours.
        tcb.receive_space = make_receive_space(ctx.config, tcb.options, tcb.route.window)
        most, scaling = ctx.config.tcp_rmem[2], tcb.window_scaling
        receive_space.offer_first_window(tcb, most, tcb.peer_mss, scaling=scaling)
        listener.take_in(tcb)
        syn_ack.arm(tcb, now)
    return tcb


def _make(
    ctx: Context,
    listener: Listener,
    local: Endpoint,
    remote: Endpoint,
    seg: Segment,
    now: Instant,
    iss: int | None,
) -> Tcb | None:
    """Make a connection in SYN-RECEIVED from a SYN; None when there is no way back to its sender.

    Our SYN counts as sent: SND.UNA and SND.NXT stand behind it.
    """
    binding = ctx.connections.share(listener.binding)
    try:
        tcb = make_tcb(ctx, local, remote, listener.options.share(), binding, now)
    except OSError:
        ctx.connections.release(binding)
        ctx.counters.drop(Drop.IP_NO_ROUTE)
        return None
    if iss is not None:
        tcb.iss = iss
    tcb.snd_una = tcb.snd_nxt = tcb.snd_up = tcb.small_sent_end = add(tcb.iss, 1)
    tcb.statistics.on_received(1, bool(seg.text))
    tcb.listener, (tcb.read_shut, tcb.fin_queued) = listener, listener.shut
    tcb.syn_ack = syn_ack.SynAck()
    become(ctx, tcb, State.SYN_RECEIVED)
    take_syn(ctx, tcb, seg, now)
    tcb.syn_ack.window = tcb.rcv_wnd
    return tcb


def send_syn_ack(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Send our SYN-ACK, for the first time or again."""
    tcb.syn_due = False
    request = tcb.syn_ack
    if request is None:
        return
    request.transmissions += 1
    request.last_sent_at = now
    is_first = request.transmissions == 1
    if is_first:
        request.first_sent_at = now
        why = "open"
    else:
        if tcb.listener is not None and not tcb.opens_early:
            _inherit(ctx, tcb.listener, tcb)
        ctx.counters["TcpRetransSegs"] += 1
        ctx.counters["TcpExtTCPSynRetrans"] += 1
        tcb.statistics.total_retrans += 1
        why = "open again"
    try:
        transmit(ctx, tcb, tcb.iss, SYN | ACK, 0, now, why)
    finally:  # also if a signal handler raises amid the write
        tcb.statistics.segs_out -= 1  # like Linux, whose half-open connections count nothing
        request.cookie = None  # once is enough
        if is_first:
            syn_ack.arm(tcb, now)


# --- the final ACK ------------------------------------------------------------------------------


def complete_passive_open(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Take the final ACK; False when the connection has to wait, for room or for text."""
    request, listener = tcb.syn_ack, tcb.listener
    assert request is not None
    if tcb.opens_early:
        ecn.take_final_ack(tcb, seg)
        establish(ctx, tcb, seg, now)
        if tcb.recovery.phase is Phase.LOSS:
            news = AckNews(tcb.snd_una, now, echo=echo_of(tcb, seg))
            loss_phase.on_handshake_done(ctx, tcb, news)
        taken = process_acknowledgment(ctx, tcb, seg, now)
        return taken and _end_early_open(ctx, tcb, request, seg, now)
    assert listener is not None
    if request.timeouts < syn_ack.patience(tcb) and seg.end == tcb.rcv_nxt:
        ctx.counters["TcpExtTCPDeferAcceptDrop"] += 1
        request.heard = True
        return False
    if listener.is_full():
        _refuse_for_want_of_room(ctx, tcb, seg)
        return False
    _inherit(ctx, listener, tcb)
    _hand_over(ctx, listener, tcb)
    ecn.take_final_ack(tcb, seg)
    establish(ctx, tcb, seg, now)
    return True


def _inherit(ctx: Context, listener: Listener, tcb: Tcb) -> None:
    """Take what the user has set on the listener since the SYN came, and what follows from it.

    As in Linux, where the final ACK makes the connection a copy of its listener. What the SYN-ACK
    said stays: the shift, and the clamp that the window began with.
    """
    if tcb.options is listener.options:
        return
    options = listener.options.share()
    if tcb.route.congctl or ctx.config.tcp_reflect_tos:
        options = options.own()
        options.congestion = tcb.route.congctl or options.congestion
        options.tos = tcb.options.tos if ctx.config.tcp_reflect_tos else options.tos
    if options.congestion != tcb.options.congestion:
        tcb.congestion = make_congestion_control(ctx, tcb.window, options.congestion)
    tcb.options = options
    tcb.receive_space.buffer = size_at_first(ctx.config, options)
    tcb.send_space = send_space.size_at_first(ctx.config, options.send_buffer)
    tcb.advertised_mss = offered_mss(tcb.path_mtu, tcb.route.advmss, options.maxseg)
    tcb.acks.interactive = not options.quickack
    tcb.rtt.rto_min, tcb.rtt.rto_max = rto_bounds(ctx.config, tcb.route, options)


def _refuse_for_want_of_room(ctx: Context, tcb: Tcb, seg: Segment) -> None:
    """Leave a connection half open, or reset it, as the accept queue takes no more."""
    assert tcb.syn_ack is not None
    ctx.counters["TcpExtListenDrops"] += 1
    ctx.counters.drop(Drop.TCP_LISTEN_OVERFLOW)
    tcb.syn_ack.heard = True
    if ctx.config.tcp_abort_on_overflow:
        reset_in_reply_to(ctx, tcb.remote.address, tcb.local.address, seg, "accept queue full")
        destroy(ctx, tcb)


def _end_early_open(
    ctx: Context, tcb: Tcb, request: syn_ack.SynAck, seg: Segment, now: Instant
) -> bool:
    """Measure the round trip of a SYN-ACK, unless text that left early has told it (as Linux).

    Its timeouts are no longer held against that text, unless that was sent again, too.
    """
    if not tcb.rtt.srtt_8:
        measure_round_trip(tcb, echo_of(tcb, seg), _acknowledged(tcb, request), (), now)
    if not any_retransmitted(tcb):
        forget_first_retransmission(tcb)
    update_pacing_rate(ctx.config, tcb)
    if tcb.sent.segments:
        arm_retransmission(tcb, now)
    return True


def _acknowledged(tcb: Tcb, request: syn_ack.SynAck) -> Acknowledged:
    """Give what the final ACK is for: a SYN-ACK, as if that stood in the retransmission queue."""
    sent = SentSegment(tcb.iss, tcb.snd_una, SYN, 1, request.last_sent_at, packets=1)
    return Acknowledged([sent] if request.transmissions else [], request.transmissions != 1)


def establish(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Enter ESTABLISHED: our SYN is acknowledged, whichever way the opening went."""
    # As in Linux, the window of the SYN counts, though it was not scaled, where it was no request.
    largest = tcb.max_snd_wnd if tcb.opens_early or tcb.syn_ack is None else 0
    fast_open_server.forget(tcb)
    if tcb.state is State.SYN_RECEIVED:
        become(ctx, tcb, State.ESTABLISHED)  # or its user has closed it already
    request, tcb.syn_ack = tcb.syn_ack, None
    tcb.snd_wnd = seg.wnd << tcb.snd_wind_shift
    # Deviation: RFC 7323 §2.2 scales no window of a SYN. Linux does so with that of a SYN-ACK which
    # crosses ours, but for what the segments are measured by.
    tcb.max_snd_wnd = max(seg.wnd if seg.flags & SYN else tcb.snd_wnd, largest)
    tcb.snd_wl1, tcb.snd_wl2 = seg.seq, seg.ack
    update_effective_mss(tcb)
    guess_segment_size(tcb)
    if request is None:
        tcb.statistics.delivered += 1  # like Linux: once as a SYN and once as a SYN-ACK
        if tcb.sack_permitted:
            tcb.retransmits = 0  # like Linux, which takes SYNs that cross for late, not for lost
        on_our_syn_acknowledged(ctx, tcb, seg, now)
    else:
        acked = _acknowledged(tcb, request)
        begin_transfer(ctx, tcb, seg, acked, request.transmissions, now)
        # Answers while half open do not count: in Linux that was the request's limit.
        if tcb.last_invalid_reply_at is not None:
            tcb.last_invalid_reply_at = None
    ctx.report(tcb, CONNECTED | WRITABLE)
    if tcb.fin_queued and tcb.state is State.ESTABLISHED:
        become(ctx, tcb, State.FIN_WAIT_1)  # shut down before this was possible
        ctx.mark_dirty(tcb)
