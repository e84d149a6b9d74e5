"""What may be sent now (RFC 9293 §3.8.6): asked by the flush, never from inside receiving.

In order: our SYN; what is lost; new text, as the windows, Nagle and SWS avoidance allow; our FIN; a
probe; and an ACK, if one is owed and nothing carried it.

Not done here: that ACK (`acknowledging.py`), sending again (`retransmit.py`), and building a
segment (`transmission.py`).
"""

from __future__ import annotations

from tapstack.base.units import Instant
from tapstack.tcp import (
    delivery_rate,
    fast_open_client,
    mtu_probing,
    pacing,
    path_mtu,
    send_space,
    tail_loss_probe,
    urgent,
)
from tapstack.tcp.acknowledging import acknowledge
from tapstack.tcp.context import Context
from tapstack.tcp.half_open import send_syn_ack
from tapstack.tcp.lone_fin import send_lone_fin
from tapstack.tcp.lone_unit import send_lone_unit
from tapstack.tcp.recovery_state import recovery_of
from tapstack.tcp.retransmission_timer import (
    arm_retransmission,
    rearm_retransmission,
    runs_no_rto,
)
from tapstack.tcp.retransmit import retransmit_last, retransmit_lost
from tapstack.tcp.segment import ACK, FIN, PSH, SYN
from tapstack.tcp.send_room import sendable, unit_quota, window_room
from tapstack.tcp.sent_segment import SentSegment
from tapstack.tcp.seq import add, gt
from tapstack.tcp.state import CAN_SEND, HAS_SENT_FIN, State
from tapstack.tcp.statistics import Limit, watch_limit
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.timeouts import arm_persist, stop_probing
from tapstack.tcp.train import send_waiting_train
from tapstack.tcp.transmission import current_mss, transmit
from tapstack.tcp.unit_size import Wait, wait_for_more
from tapstack.tcp.window_validation import note_use, restart

_CAN_SEND_TEXT = frozenset({State.ESTABLISHED, State.CLOSE_WAIT}) | (
    HAS_SENT_FIN - {State.TIME_WAIT}
)
"""States in which what the send buffer holds, and a FIN behind it, may leave."""


def send_what_may_be_sent(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Send everything that a connection may send now."""
    if tcb.state is State.CLOSED:
        return
    if tcb.only_owes:
        tcb.only_owes = False
        repair(ctx, tcb, now)
        acknowledge(ctx, tcb, now)
        return
    if tcb.syn_due and tcb.syn_ack is not None:
        send_syn_ack(ctx, tcb, now)  # nothing else is sent for the same reason
        return
    if not (tcb.send_buffer.octets or tcb.sent.segments) and _only_receives(tcb):
        tcb.statistics.note_limit(Limit.IDLE, now)
        acknowledge(ctx, tcb, now)
        return
    if tcb.sent.segments and _only_waits(tcb):
        tcb.statistics.note_limit(Limit.SEND_BUFFER if tcb.send_blocked else Limit.BUSY, now)
        send_space.report_room(ctx, tcb, 0, now)
        acknowledge(ctx, tcb, now)
        return
    if (send_lone_fin if tcb.fin_queued else send_lone_unit)(ctx, tcb, now):
        return
    if tcb.syn_due:
        _send_syn(ctx, tcb, now)
    repair(ctx, tcb, now)
    units = len(tcb.sent.segments)
    if tcb.state in _CAN_SEND_TEXT or tcb.opens_early:
        if tcb.recovery.tail_probe_due:
            _send_tail_probe(ctx, tcb, now)
        send_new_text(ctx, tcb, now)
        if tcb.probe_due:
            _send_probe(ctx, tcb, now)
        _watch_closed_window(ctx, tcb, now)
        watch_limit(tcb, now)
        send_space.report_room(ctx, tcb, len(tcb.sent.segments) - units, now)
    acknowledge(ctx, tcb, now)


def _only_receives(tcb: Tcb) -> bool:
    """Tell whether no FIN and no probe is to be sent, and no text is waited for: there is none."""
    if tcb.probe_due or tcb.send_blocked or tcb.recovery.new_text_first:
        return False
    return tcb.state in CAN_SEND


def _only_waits(tcb: Tcb) -> bool:
    """Tell whether what is in flight is all text, once, and nothing else is to be sent."""
    recovery, sent = tcb.recovery, tcb.sent
    return (
        tcb.state is State.ESTABLISHED
        and not (tcb.fin_queued or sent.lost_out or tcb.unsent())
        and not (tcb.probe_due or recovery.tail_probe_due or recovery.new_text_first)
        and tcb.persist_timer.deadline is None
    )


# --- SYN ----------------------------------------------------------------------------------------


def _send_syn(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Send our SYN for the first time."""
    tcb.syn_due = False
    if tcb.sent:
        # A simultaneous open: the SYN that left already says more, but is not sent anew (as Linux).
        tcb.sent.segments[0].sent_at = now
        ctx.counters["TcpOutSegs"] -= 1
        transmit(ctx, tcb, tcb.iss, SYN | ACK, 0, now, "simultaneous open")
        return
    tcb.sent.append(SentSegment(tcb.iss, add(tcb.iss, 1), SYN, 1, now))
    tcb.snd_nxt = add(tcb.iss, 1)
    length = tcb.send_buffer.octets
    if tcb.fast_open is not None and tcb.fast_open.may_carry:
        _queue_text_of_syn(ctx, tcb, length, now)
    try:
        transmit(ctx, tcb, tcb.iss, SYN, length, now, "open")
    finally:  # also if a signal handler raises amid the write
        fast_open_client.on_syn_sent(tcb)
        arm_retransmission(tcb, now)


def _queue_text_of_syn(ctx: Context, tcb: Tcb, length: int, now: Instant) -> None:
    """Note that text leaves with our SYN (RFC 7413): behind it, as what is lost goes by itself."""
    segment = SentSegment(tcb.snd_nxt, add(tcb.snd_nxt, length), PSH, length or 1, now)
    delivery_rate.on_sent(tcb, segment, now, nothing_in_flight=True)
    tcb.sent.append(segment)
    tcb.snd_nxt = segment.end
    ctx.counters["TcpExtTCPOrigDataSent"] += 1


def repair(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Send again what is lost; in F-RTO's step 2.b, only if there is no new text (RFC 5682)."""
    recovery = tcb.recovery
    if recovery.new_text_first:
        recovery = recovery_of(tcb)
        recovery.new_text_first = False
        tcb.pushes_once = True  # it is to bring an ACK: Nagle's algorithm does not hold it back
        send_new_text(ctx, tcb, now)
        if gt(tcb.snd_nxt, recovery.high_seq):
            recovery.repairs_held = True  # whatever else there is to send: a write, or an ACK
            return
        recovery.frto = False
    if tcb.sent.lost_out and not recovery.repairs_held:
        retransmit_lost(ctx, tcb, now)


# --- new text -----------------------------------------------------------------------------------


def send_new_text(ctx: Context, tcb: Tcb, now: Instant, *, only_one: bool = False) -> None:
    """Send text never sent, in units as large as the windows allow, and our FIN: one burst of them.

    Or `only_one`, while the user's text still comes: it waits for nothing but the windows.
    """
    if not tcb.unsent() and not tcb.fin_waits:
        return
    before, begins_rto = tcb.snd_nxt, runs_no_rto(tcb)
    tcb.sent.begin_burst()
    path_mtu.refresh(ctx, tcb)
    mss = current_mss(tcb, now)
    if tcb.accecn is not None:
        tcb.accecn.burst_mss = mss
    limited = False
    try:
        limited = (_send_one_unit if only_one else _send_units)(ctx, tcb, mss, now)
    finally:  # also if a signal handler raises amid a write
        tcb.pushes_once = False
        if tcb.accecn is not None:
            tcb.accecn.burst_mss = 0
        limited |= tcb.sent.in_flight >= tcb.window.cwnd
        if tcb.snd_nxt != before or limited:
            note_use(ctx, tcb, limited, now)
        if tcb.snd_nxt != before:
            probes = tail_loss_probe.schedule(ctx, tcb, now, rto_restarts=False)
            if begins_rto and not probes:
                rearm_retransmission(tcb, now)


def _send_one_unit(ctx: Context, tcb: Tcb, mss: int, now: Instant) -> bool:
    """Send one unit, which is no MTU probe; False: it does not wait for the congestion window."""
    unsent = tcb.unsent()
    if unsent <= mss or not send_waiting_train(ctx, tcb, unsent, now, most=1):
        _send_next_unit(ctx, tcb, unsent, mss, now, waits=False)
    return False


def _send_units(ctx: Context, tcb: Tcb, mss: int, now: Instant) -> bool:
    """Send units until the next one waits; tell whether it does for the congestion window."""
    unsent, goes_on = tcb.unsent(), True
    if tcb.mtu_probing is not None:
        goes_on, unsent = _send_mtu_probe(ctx, tcb, now), tcb.unsent()
    elif unsent > mss and send_waiting_train(ctx, tcb, unsent, now):
        unsent = tcb.unsent()
    reason = None if goes_on else _reason_to_wait(ctx, tcb, unsent, mss, now)
    while reason is None:
        reason = _send_next_unit(ctx, tcb, unsent, mss, now)
        # What has left may have taken SACK blocks along.
        mss, unsent = current_mss(tcb, now), tcb.unsent()
    return unsent > 0 and reason is Wait.CONGESTION_WINDOW


def _send_mtu_probe(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Probe for a larger MTU if it is time; False: nothing else may leave before it (RFC 4821)."""
    length = mtu_probing.probe_length(ctx, tcb, now)
    if length is None:
        return False
    if length:
        start = tcb.snd_nxt
        pushed = tcb.send_pieces.is_pushed_before(add(start, length))
        _send_unit(ctx, tcb, length, False, now, push=pushed, uncut=True)
        mtu_probing.on_sent(ctx, tcb, start, tcb.snd_nxt)
    return True


def _send_next_unit(
    ctx: Context, tcb: Tcb, unsent: int, mss: int, now: Instant, *, waits: bool = True
) -> Wait | None:
    """Send one unit of what waits, and give None; else why text of several segments waits.

    If it `waits` at all: it need not for an ACK that is soon to come.
    """
    if not unsent and not tcb.fin_waits:
        return Wait.NO
    if tcb.options.paced and pacing.is_held(ctx, tcb, now):
        return Wait.NO
    if len(tcb.send_pieces) > 1:
        tcb.send_pieces.grow_first(tcb, unit_quota(ctx, tcb, mss) * mss)
    reason = _reason_to_wait(ctx, tcb, unsent, mss, now) if waits else Wait.NO
    if reason is not Wait.NO:
        return reason
    length = sendable(ctx, tcb, unsent, mss)
    fin = _fin_may_follow(tcb, length, unsent)
    if length or (fin and tcb.sent.in_flight < tcb.window.cwnd):
        _send_unit(ctx, tcb, length, fin, now)
        return None
    return Wait.NO


def _reason_to_wait(ctx: Context, tcb: Tcb, unsent: int, mss: int, now: Instant) -> Wait:
    """Tell why text of several segments waits although a window has room, if it does."""
    piece = tcb.send_pieces.octets_in_piece(tcb, unsent)
    quota = tcb.window.cwnd - tcb.sent.in_flight
    if piece <= mss or quota <= 0:
        return Wait.NO
    room = window_room(tcb)
    if piece < unsent and piece <= min(room, quota * mss):
        return Wait.NO  # a piece that another follows gets no more text
    return wait_for_more(ctx, tcb, piece, room, quota, mss, now)


def _fin_may_follow(tcb: Tcb, length: int, unsent: int) -> bool:
    """Tell whether a unit that takes `length` of the unsent octets takes our FIN along."""
    return tcb.fin_waits and length == unsent and window_room(tcb) > length


def _send_unit(
    ctx: Context,
    tcb: Tcb,
    length: int,
    fin: bool,
    now: Instant,
    *,
    push: bool = False,
    uncut: bool = False,
) -> None:
    """Send one unit of new text for the first time; `uncut` as one segment, whatever its size.

    It ends with PSH where its piece does. With `push` it does so in any case, as a probe of the
    window, for whose acknowledgment no small segment waits.
    """
    end = add(tcb.snd_nxt, length)
    pushed = push or tcb.send_pieces.is_pushed_at(tcb, end)
    flags = (PSH if length and pushed else 0) | (FIN if fin else 0)
    mss = current_mss(tcb, now)
    if length:
        restart(tcb, now)
    size = length if uncut else mss
    segment = SentSegment(tcb.snd_nxt, add(end, fin), flags, size, now)
    nothing_in_flight = not tcb.sent
    delivery_rate.on_sent(tcb, segment, now, nothing_in_flight=nothing_in_flight)
    tcb.sent.append(segment)
    tcb.snd_nxt = segment.end
    tcb.send_pieces.on_sent(end)
    tcb.fin_sent |= fin
    if length % mss and not uncut and not push:
        tcb.small_sent_end = segment.end
    tcb.recovery.on_sent(segment.packets)
    if length:
        tcb.acks.on_text_sent(now)
    ctx.counters["TcpExtTCPOrigDataSent"] += segment.packets
    why = "MTU probe" if uncut else "new text" if length else "close"
    transmit(ctx, tcb, segment.seq, flags | ACK, length, now, why, is_new=True, uncut=uncut)


# --- probes -------------------------------------------------------------------------------------


def _send_tail_probe(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Probe for a lost tail: with new text, or else with the last segment (RFC 8985 §7.3)."""
    recovery_of(tcb).tail_probe_due = False
    rearm_retransmission(tcb, now)  # where no probe leaves, or a signal handler raises amid it
    if not tcb.sent:
        return
    path_mtu.refresh(ctx, tcb)
    unsent, mss = tcb.unsent(), current_mss(tcb, now)
    tcb.send_pieces.grow_first(tcb, mss)
    length = tcb.send_pieces.octets_in_piece(tcb, min(unsent, mss))
    has_new_text = 0 < length <= window_room(tcb)
    if has_new_text and not (tcb.options.paced and pacing.is_held(ctx, tcb, now)):
        fin = _fin_may_follow(tcb, length, unsent)
        _send_unit(ctx, tcb, length, fin, now)
        note_use(ctx, tcb, tcb.sent.in_flight >= tcb.window.cwnd, now)
    elif has_new_text or not retransmit_last(ctx, tcb, now):
        return
    ctx.counters["TcpExtTCPLossProbes"] += 1
    tail_loss_probe.on_sent(tcb, now, retransmission=not has_new_text)


def _watch_closed_window(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Start the persist timer when something waits, and nothing in flight will bring an ACK."""
    if not tcb.sent and (tcb.unsent() or tcb.fin_waits):
        arm_persist(ctx, tcb, now)
    elif tcb.persist_timer.deadline is not None and tcb.sent:
        tcb.persist_timer.cancel()


def _send_probe(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Ask the peer for an ACK: with text where its window takes some, else with an old number.

    RFC 9293 §3.8.4: "an acknowledgment segment that contains no data"; its SEQ is SND.NXT−1, which
    lies outside the window, so that the peer must answer.
    """
    tcb.probe_due = False
    length = min(tcb.unsent(), window_room(tcb), tcb.effective_mss)
    length = tcb.send_pieces.octets_in_piece(tcb, length)
    if length and not tcb.sent:
        tcb.send_pieces.push_first()  # it is not to wait any longer
        _send_unit(ctx, tcb, length, False, now, push=True)
        stop_probing(tcb)
        rearm_retransmission(tcb, now)
        return
    if urgent.is_sending(tcb):
        # A receiver processes URG "even when the receive window is zero" (RFC 9293 MUST-66).
        transmit(ctx, tcb, tcb.snd_una, ACK, 0, now, "urgent probe")
    transmit(ctx, tcb, add(tcb.snd_una, -1), ACK, 0, now, "probe")
