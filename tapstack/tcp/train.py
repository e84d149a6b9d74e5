"""A train: full units that leave one behind the other (RFC 9293 §3.8.6), decided upon once.

While nothing is amiss, a unit leaves for each full piece of a long text as soon as that is queued,
and of text that waits, when an ACK makes room; as far as the windows reach, and the send buffer.
How far that is does not change on the way, so it is worked out once, and each unit is then but an
entry in flight, its text and its headers. What `queueing.py` and `output.py` come to unit by unit
is the truth: a property test holds both together.

Whatever is not so plain is declined before anything has changed.

Not done here: what is no full unit, and so the last one (`output.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp import path_mtu, send_space, tail_loss_probe
from tapstack.tcp.delivery_rate import depart
from tapstack.tcp.plain_segment import has_more_to_say
from tapstack.tcp.receive_window import select_window
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.retransmission_timer import rearm_retransmission, runs_no_rto
from tapstack.tcp.segment import PSH
from tapstack.tcp.sent_segment import SentSegment
from tapstack.tcp.seq import add, sub
from tapstack.tcp.state import State
from tapstack.tcp.unit_size import unit_segments
from tapstack.tcp.window_validation import is_left_unused, note_use, restart_after_idle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tapstack.base.contracts import Buffer
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.plain_segment import Lane
    from tapstack.tcp.tcb import Tcb

    SendUnit = Callable[[int, Sequence[Buffer]], None]


def send_train(ctx: Context, tcb: Tcb, text: memoryview, now: Instant) -> int:
    """Queue and send the full pieces of a text that may leave at once; tell how many octets.

    Its last piece is left. 0: decline, as where anything waits already.
    """
    mss, lane = tcb.effective_mss, tcb.lane
    if lane is None or tcb.unsent() or _is_anything_else(tcb, now):
        return 0
    size = send_space.room_for_another(ctx, tcb)
    largest = unit_segments(ctx, tcb, mss)
    if not mss < size < len(text) or size > largest * mss:
        return 0
    count = min(
        (len(text) - 1) // size,
        send_space.pieces_taken(tcb, size),
        _units_that_may_leave(tcb, size // mss, largest, mss),
    )
    if count < 1 or not lane.is_clear(tcb, size, mss):
        return 0
    begins_rto = runs_no_rto(tcb)
    send_unit = _begin(ctx, tcb, lane, size, now)
    departure = depart(tcb, now, nothing_in_flight=not tcb.sent)
    for start in range(0, count * size, size):
        end = add(tcb.snd_nxt, size)
        flags = PSH if tcb.send_pieces.pass_by(end, size, tcb.max_snd_wnd) else 0
        segment = SentSegment(tcb.snd_nxt, end, flags, mss, now, size // mss)
        segment.departure = departure
        tcb.sent.begin_burst()
        tcb.sent.append(segment)
        if not flags:
            tcb.sent.begin_burst()
        tcb.snd_nxt = end
        send_unit(segment.seq, (tcb.send_buffer.append(text[start : start + size]),))
    _count(ctx, tcb, lane, count, size)
    note_use(ctx, tcb, tcb.sent.in_flight >= tcb.window.cwnd, now)
    if not tail_loss_probe.schedule(ctx, tcb, now, rto_restarts=False) and begins_rto:
        rearm_retransmission(tcb, now)
    return count * size


def send_waiting_train(
    ctx: Context, tcb: Tcb, unsent: int, now: Instant, *, one_by_one: bool
) -> bool:
    """Send the largest units of text that waits, as many as may leave; False: decline.

    They are one burst, unless they leave `one_by_one`. What is to be done once, behind new text, is
    the caller's.
    """
    mss, lane, pieces = tcb.effective_mss, tcb.lane, tcb.send_pieces
    if lane is None or tcb.fin_queued or _is_anything_else(tcb, now):
        return False
    largest = unit_segments(ctx, tcb, mss)
    size = largest * mss
    count = min(unsent // size, _units_that_may_leave(tcb, largest, largest, mss))
    if count < 1 or largest < 2 or not pieces.make_unit(tcb, size):
        return False
    if not lane.is_clear(tcb, size, mss):
        return False
    send_unit = _begin(ctx, tcb, lane, size, now)
    departure = depart(tcb, now, nothing_in_flight=not tcb.sent)
    left = 0
    while left < count and pieces.make_unit(tcb, size):
        seq, end = tcb.snd_nxt, add(tcb.snd_nxt, size)
        flags = PSH if pieces.is_pushed_at(tcb, end) else 0
        segment = SentSegment(seq, end, flags, mss, now, largest)
        segment.departure = departure
        text = tcb.send_buffer.views(sub(seq, tcb.snd_una), size)
        tcb.sent.append(segment)
        if one_by_one:
            tcb.sent.begin_burst()
        tcb.snd_nxt = end
        pieces.on_sent(end)
        send_unit(seq, text)
        left += 1
    _count(ctx, tcb, lane, left, size)
    return True


def _is_anything_else(tcb: Tcb, now: Instant) -> bool:
    """Tell whether anything is under way, or due, but the sending of new text."""
    sent = tcb.sent
    return bool(
        tcb.state not in (State.ESTABLISHED, State.CLOSE_WAIT)
        or sent.sacked_out
        or sent.lost_out
        or sent.retrans_out
        or tcb.recovery.phase is not Phase.OPEN
        or has_more_to_say(tcb)
        or tcb.acks.no_memory
        or not tcb.rcv_wind_shift  # without, a window may change with each segment that leaves
        or tcb.mtu_probing.enabled
        or path_mtu.is_to_ask(tcb, now)
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


def _begin(ctx: Context, tcb: Tcb, lane: Lane, size: int, now: Instant) -> SendUnit:
    """Note what each segment that leaves would note again, and give what sends units."""
    restart_after_idle(ctx, tcb, now)
    tcb.rcv_wnd = select_window(tcb)
    tcb.rcv_wup = tcb.last_ack_sent = tcb.rcv_nxt
    tcb.transmitted_at = tcb.last_sent_at = now
    tcb.acks.on_text_sent(now)
    tcb.acks.on_ack_sent()
    tcb.delayed_ack_timer.cancel()
    window = tcb.rcv_wnd >> tcb.rcv_wind_shift
    return lane.begin_train(tcb, window, size, tcb.effective_mss, now)


def _count(ctx: Context, tcb: Tcb, lane: Lane, units: int, size: int) -> None:
    """Count what has left."""
    packets = units * size // tcb.effective_mss
    tcb.recovery.prr.out += packets
    ctx.counters["TcpExtTCPOrigDataSent"] += packets
    ctx.counters["TcpOutSegs"] += packets
    tcb.statistics.on_transmitted(packets, units * size)
    lane.count_train(units, size)
