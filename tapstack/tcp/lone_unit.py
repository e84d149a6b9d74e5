"""A unit that waits alone, and may leave at once: a short way through `output.py` (§3.8.6).

The end of a long text is such, and what is said before the last was acknowledged. All that waits is
one piece, and nothing is amiss: what the windows, Nagle's algorithm and SWS avoidance then come to
is one look. The longer way is the truth: a property test holds both together, field by field.

Whatever is not so plain is declined before anything has changed.

Not done here: the segment itself (`transmission.py`), and our FIN (`lone_fin.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp import path_mtu, tail_loss_probe
from tapstack.tcp.delivery_rate import depart
from tapstack.tcp.plain_segment import send_plain
from tapstack.tcp.retransmission_timer import rearm_retransmission, runs_no_rto
from tapstack.tcp.segment import ACK, PSH
from tapstack.tcp.sent_segment import SentSegment, packets_of
from tapstack.tcp.seq import add, ge, sub
from tapstack.tcp.state import State
from tapstack.tcp.statistics import Limit
from tapstack.tcp.transmission import transmit
from tapstack.tcp.undisturbed import look_for_disturbance
from tapstack.tcp.unit_size import unit_segments
from tapstack.tcp.window_validation import is_left_unused, note_use, restart

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.plain_segment import Lane
    from tapstack.tcp.tcb import Tcb

_BUSY = Limit.BUSY  # a member of an Enum is looked up at length, each time


def send_lone_unit(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Send all that waits, if that is one unit which may leave; False: decline."""
    segments = tcb.sent.segments
    length = tcb.unsent() if segments else tcb.send_buffer.octets
    if tcb.state is not State.ESTABLISHED or length <= 0 or len(tcb.send_pieces) != 1:
        return False
    lane = tcb.lane
    if lane is None or tcb.more_coming or tcb.options.cork or tcb.send_blocked:
        return False
    if not tcb.undisturbed and look_for_disturbance(tcb):
        return False
    path_mtu.refresh(ctx, tcb)
    if not _may_leave(ctx, tcb, length, now):
        return False
    if not segments:
        restart(tcb, now)
    tcb.acks.on_text_sent(now)
    _send(ctx, tcb, lane, length, PSH if tcb.send_pieces.take_lone() else 0, now)
    return True


def _send(ctx: Context, tcb: Tcb, lane: Lane, length: int, flags: int, now: Instant) -> None:
    """Send so much text for the first time, and do what is to be done behind it."""
    begins_rto, seq = runs_no_rto(tcb), tcb.snd_nxt
    ctx.counters["TcpExtTCPOrigDataSent"] += _note_sent(tcb, length, flags, now)
    flags |= ACK
    try:
        if not send_plain(ctx, tcb, lane, seq, flags, length, now):
            transmit(ctx, tcb, seq, flags, length, now, "new text", is_new=True)
    finally:  # if a signal handler raises amid the write, it is in flight, or lost, all the same
        note_use(ctx, tcb, tcb.sent.packets_out >= tcb.window.cwnd, now)
        if not tail_loss_probe.schedule(ctx, tcb, now, rto_restarts=False) and begins_rto:
            rearm_retransmission(tcb, now)
        tcb.statistics.note_limit(_BUSY, now)


def _may_leave(ctx: Context, tcb: Tcb, length: int, now: Instant) -> bool:
    """Tell whether so much text may leave: the windows have room, and nothing is waited for."""
    mss, goes_first = tcb.effective_mss, not tcb.sent.segments
    if length > mss:
        if is_left_unused(tcb, now) or not _has_room_for_units(ctx, tcb, length, mss):
            return False
    elif length > tcb.snd_wnd or not (goes_first or _has_room_for_segment(tcb, length)):
        return False
    return not length % mss or goes_first or may_be_small(tcb)


def _has_room_for_segment(tcb: Tcb, length: int) -> bool:
    """Tell whether both windows have room for one segment."""
    room = tcb.snd_wnd - sub(tcb.snd_nxt, tcb.snd_una)
    return length <= room and tcb.sent.packets_out < tcb.window.cwnd


def _has_room_for_units(ctx: Context, tcb: Tcb, length: int, mss: int) -> bool:
    """Tell whether both windows have room for the largest unit, so that none waits for more."""
    largest, cwnd = unit_segments(ctx, tcb, mss), tcb.window.cwnd
    room = tcb.snd_wnd - sub(tcb.snd_nxt, tcb.snd_una)
    fits = length <= min(largest, cwnd // 2) * mss
    return fits and largest * mss <= min(room, (cwnd - tcb.sent.packets_out) * mss)


def may_be_small(tcb: Tcb) -> bool:
    """Ask Nagle's algorithm, as Minshall changed it, of what is not to wait for the user."""
    if tcb.options.nodelay or tcb.push_pending or tcb.pushes_once:
        return True
    return ge(tcb.snd_una, tcb.small_sent_end)


def _note_sent(tcb: Tcb, length: int, flags: int, now: Instant) -> int:
    """Put the text into the retransmission queue, and tell of how many segments."""
    mss, sent, seq = tcb.effective_mss, tcb.sent, tcb.snd_nxt
    end, packets = add(seq, length), packets_of(length, mss) if length > mss else 1
    departure = depart(tcb, now, nothing_in_flight=not sent.segments)
    sent.append_burst(SentSegment(seq, end, flags, mss, now, packets, departure))
    tcb.snd_nxt = end
    if length % mss:
        tcb.small_sent_end = end
    return packets
