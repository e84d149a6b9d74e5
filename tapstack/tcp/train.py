"""A train: full units that leave one behind the other (RFC 9293 §3.8.6), decided upon once.

While nothing is amiss, a unit leaves for each full piece of a long text as soon as that is queued,
and of text that waits, when an ACK makes room; as far as the windows reach, and the send buffer.
How far that is does not change on the way, so it is worked out once, and each unit is then but an
entry in flight, its text and its headers. What ends the user's text goes along if it may. What
`queueing.py` and `output.py` come to unit by unit is the truth: a property test compares.

Whatever is not so plain is declined before anything has changed.

Not done here: what is no full unit, but for what ends a text (`output.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp import path_mtu, send_space, tail_loss_probe
from tapstack.tcp.delivery_rate import depart
from tapstack.tcp.lone_unit import may_be_small
from tapstack.tcp.receive_window import select_window
from tapstack.tcp.retransmission_timer import rearm_retransmission, runs_no_rto
from tapstack.tcp.segment import ACK, PSH
from tapstack.tcp.sent_segment import SentSegment, packets_of
from tapstack.tcp.seq import add, sub
from tapstack.tcp.state import State
from tapstack.tcp.statistics import Limit
from tapstack.tcp.undisturbed import look_for_disturbance
from tapstack.tcp.unit_size import unit_segments
from tapstack.tcp.window_validation import is_left_unused, note_use, restart

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.plain_segment import Lane, Unit
    from tapstack.tcp.tcb import Tcb

# A member of an Enum is looked up at length each time that it is named.
_ESTABLISHED, _CLOSE_WAIT = State.ESTABLISHED, State.CLOSE_WAIT
_IDLE, _BUSY = Limit.IDLE, Limit.BUSY


def send_train(ctx: Context, tcb: Tcb, text: memoryview, now: Instant, *, to_its_end: bool) -> int:
    """Queue and send the full pieces of a text that may leave at once; tell how many octets.

    Its last piece is left; but `to_its_end`, as nothing is to follow, it leaves too if it may.
    0: decline, as where anything waits already.
    """
    mss, lane, length = tcb.effective_mss, tcb.lane, len(text)
    if lane is None or tcb.unsent() or _is_anything_else(ctx, tcb, now):
        return 0
    size, pieces = send_space.pieces_taken(ctx, tcb)
    largest = unit_segments(ctx, tcb, mss)
    if not mss < size < length or size > largest * mss:
        return 0
    room = min(pieces, _units_that_may_leave(tcb, size // mss, largest, mss))
    if room < 1 or not lane.is_clear(tcb.pair, tcb.options, size, mss):
        return 0
    begins_rto, full = runs_no_rto(tcb), (length - 1) // size
    taken = min(full, room) * size
    is_whole = to_its_end and full < room and _last_may_leave(tcb, lane, length - taken)
    if is_whole:
        taken = length
    _begin(tcb, now)
    try:
        _send_pieces(tcb, lane, text[:taken], size, now, is_whole=is_whole)
    finally:  # if a signal handler raises amid a write, all is in flight, or lost, all the same
        _count(ctx, tcb, packets_of(taken, mss), taken)
        if tcb.statistics.limit is _IDLE:
            tcb.statistics.note_limit(_BUSY, now)  # the flush may come after the last ACK
        note_use(ctx, tcb, tcb.sent.packets_out >= tcb.window.cwnd, now)
        if not tail_loss_probe.schedule(ctx, tcb, now, rto_restarts=False) and begins_rto:
            rearm_retransmission(tcb, now)
    return taken


def _last_may_leave(tcb: Tcb, lane: Lane, length: int) -> bool:
    """Tell whether the last piece of a text may leave right behind the full ones, as one of them.

    What the lone unit would be asked that they were not: it is the user's call that ends with it.
    """
    mss = tcb.effective_mss
    return (
        not (tcb.options.cork or tcb.send_blocked)
        and (not length % mss or may_be_small(tcb))
        and (length > mss or lane.is_clear(tcb.pair, tcb.options, length, 0))
    )


def _send_pieces(
    tcb: Tcb, lane: Lane, text: memoryview, size: int, now: Instant, *, is_whole: bool
) -> None:
    """Queue and send pieces of so many octets, each a burst by itself; of a whole text, the last.

    All are queued before the first is sent: units that follow close behind each other find their
    reader awake, and to wake it is a good part of what it takes to write one.
    """
    mss, seq, window = tcb.effective_mss, tcb.snd_nxt, tcb.rcv_wnd >> tcb.rcv_wind_shift
    departure = depart(tcb, now, nothing_in_flight=not tcb.sent)
    pieces, packets = tcb.send_buffer.append_pieces(text, size), size // mss
    last = pieces.pop() if is_whole else b""
    segments, units = [], []
    pass_by = tcb.send_pieces.pass_by
    for piece in pieces:
        end = add(seq, size)
        flags = PSH if pass_by(tcb, end, size) else 0
        segments.append(SentSegment(seq, end, flags, mss, now, packets, departure))
        units.append((seq, (piece,)))
        seq = end
    rest, length = (seq, (last,)), len(last)
    if last:
        end, packets = add(seq, length), packets_of(length, mss)
        segments.append(SentSegment(seq, end, PSH, mss, now, packets, departure))
        tcb.pushed_seq = end
        if length % mss:
            tcb.small_sent_end = end
    tcb.sent.append_bursts(segments)
    tcb.snd_nxt = end
    if length > mss:
        lane.send_train(tcb, window, units, size, mss, now, rest, length)
        return
    lane.send_train(tcb, window, units, size, mss, now)
    if last:
        lane.send(tcb, ACK | PSH, seq, window, (last,), length, 0, now)


def send_waiting_train(
    ctx: Context, tcb: Tcb, unsent: int, now: Instant, *, most: int | None = None
) -> bool:
    """Send the largest units of text that waits, as many as may leave, or `most`; False: decline.

    They are one burst. What is to be done once, behind new text, is the caller's.
    """
    mss, lane, pieces = tcb.effective_mss, tcb.lane, tcb.send_pieces
    if lane is None or tcb.fin_queued or _is_anything_else(ctx, tcb, now):
        return False
    largest = unit_segments(ctx, tcb, mss)
    size = largest * mss
    count = min(unsent // size, _units_that_may_leave(tcb, largest, largest, mss))
    if most is not None and count > most:
        count = most
    if count < 1 or largest < 2 or not pieces.make_unit(tcb, size):
        return False
    if not lane.is_clear(tcb.pair, tcb.options, size, mss):
        return False
    _begin(tcb, now)
    departure = depart(tcb, now, nothing_in_flight=not tcb.sent)
    units: list[Unit] = []
    while len(units) < count and pieces.make_unit(tcb, size):
        seq, end = tcb.snd_nxt, add(tcb.snd_nxt, size)
        flags = PSH if pieces.is_pushed_at(tcb, end) else 0
        segment = SentSegment(seq, end, flags, mss, now, largest, departure)
        text = tcb.send_buffer.views(sub(seq, tcb.snd_una), size)
        tcb.sent.append(segment)
        tcb.snd_nxt = end
        pieces.on_sent(end)
        units.append((seq, text))
    lane.send_train(tcb, tcb.rcv_wnd >> tcb.rcv_wind_shift, units, size, mss, now)
    _count(ctx, tcb, len(units) * largest, len(units) * size)
    return True


def _is_anything_else(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Tell whether anything is under way, or due, but the sending of new text."""
    return bool(
        (tcb.state is not _ESTABLISHED and tcb.state is not _CLOSE_WAIT)
        or (not tcb.undisturbed and look_for_disturbance(tcb))
        or not tcb.rcv_wind_shift  # without, a window may change with each segment that leaves
        or path_mtu.is_to_ask(ctx, tcb)
        or is_left_unused(tcb, now)
    )


def _units_that_may_leave(tcb: Tcb, packets: int, largest: int, mss: int) -> int:
    """Tell how many units of so many segments the windows let leave.

    Each is to leave where they have room for the largest unit: then none waits for more.
    """
    cwnd = tcb.window.cwnd
    if packets > cwnd // 2:
        return 0
    room = tcb.snd_wnd - sub(tcb.snd_nxt, tcb.snd_una)
    by_peer = (room - largest * mss) // (packets * mss) + 1
    return min(by_peer, (cwnd - tcb.sent.packets_out - largest) // packets + 1)


def _begin(tcb: Tcb, now: Instant) -> None:
    """Note what each segment that leaves would note again."""
    restart(tcb, now)
    tcb.rcv_wnd = select_window(tcb)
    tcb.rcv_wup = tcb.last_ack_sent = tcb.rcv_nxt
    tcb.transmitted_at = tcb.last_sent_at = now
    tcb.acks.on_text_sent(now)
    tcb.acks.on_ack_sent()
    tcb.delayed_ack_timer.cancel()


def _count(ctx: Context, tcb: Tcb, packets: int, octets: int) -> None:
    """Count the text that has left."""
    tcb.recovery.on_sent(packets)
    ctx.counters["TcpExtTCPOrigDataSent"] += packets
    ctx.counters["TcpOutSegs"] += packets
    tcb.statistics.on_transmitted(packets, octets)
