"""A train: full units that leave one behind the other, as a long text is queued (§3.8.6).

While nothing waits and nothing is amiss, each full piece of a long text leaves as one unit as soon
as it is queued, as far as the windows and the send buffer reach. How far that is does not change on
the way, so it is worked out once, and each unit is then but an entry in flight, its text and its
headers. Timers and counts come once, behind the last. What `queueing.py` and `output.py` come to,
unit by unit, is the truth: a property test holds both together.

Whatever is not so plain is declined before anything has changed.

Not done here: the last piece, which leaves with the flush (`output.py`).
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
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


def send_train(ctx: Context, tcb: Tcb, text: memoryview, now: Instant) -> int:
    """Queue and send the full pieces of a text that may leave at once; tell how many octets.

    The last piece is left. 0: decline.
    """
    mss, lane = tcb.effective_mss, tcb.lane
    size = send_space.room_for_another(ctx, tcb)
    if not mss < size < len(text) or lane is None or _is_anything_else(tcb, now):
        return 0
    count = min((len(text) - 1) // size, _units_that_may_leave(ctx, tcb, size, mss))
    if count < 1 or not lane.is_clear(tcb, size, mss):
        return 0
    begins_rto = runs_no_rto(tcb)
    restart_after_idle(ctx, tcb, now)
    tcb.rcv_wnd = select_window(tcb)
    tcb.rcv_wup = tcb.last_ack_sent = tcb.rcv_nxt
    tcb.transmitted_at = tcb.last_sent_at = now
    window = tcb.rcv_wnd >> tcb.rcv_wind_shift
    send_unit = lane.begin_train(tcb, window, size, mss, count, now)
    departure = depart(tcb, now, nothing_in_flight=not tcb.sent)
    seq, packets = tcb.snd_nxt, size // mss
    for start in range(0, count * size, size):
        end = add(seq, size)
        flags = PSH if tcb.send_pieces.pass_by(end, size, tcb.max_snd_wnd) else 0
        segment = SentSegment(seq, end, flags, mss, now, packets)
        segment.departure = departure
        chunk = tcb.send_buffer.append(text[start : start + size])
        tcb.sent.append(segment)
        tcb.snd_nxt = end
        send_unit(seq, chunk)
        seq = end
    _on_sent(ctx, tcb, count, size, packets, now)
    note_use(ctx, tcb, tcb.sent.in_flight >= tcb.window.cwnd, now)
    if not tail_loss_probe.schedule(ctx, tcb, now, rto_restarts=False) and begins_rto:
        rearm_retransmission(tcb, now)
    return count * size


def _is_anything_else(tcb: Tcb, now: Instant) -> bool:
    """Tell whether anything is under way, or due, but the sending of text."""
    sent, acks = tcb.sent, tcb.acks
    return bool(
        tcb.state not in (State.ESTABLISHED, State.CLOSE_WAIT)
        or tcb.unsent()
        or sent.sacked_out
        or sent.lost_out
        or sent.retrans_out
        or tcb.recovery.phase is not Phase.OPEN
        or has_more_to_say(tcb)
        or acks.no_memory
        or not tcb.rcv_wind_shift  # without, a window may change with each segment that leaves
        or tcb.mtu_probing.enabled
        or path_mtu.is_to_ask(tcb, now)
        or is_left_unused(tcb, now)
    )


def _units_that_may_leave(ctx: Context, tcb: Tcb, size: int, mss: int) -> int:
    """Tell how many units of `size` octets the windows let leave, and the send buffer takes.

    Each is to leave where the windows have room for the largest unit: then none waits for more.
    """
    largest, packets, cwnd = unit_segments(ctx, tcb, mss), size // mss, tcb.window.cwnd
    if packets > min(largest, cwnd // 2):
        return 0
    return min(
        (tcb.snd_wnd - sub(tcb.snd_nxt, tcb.snd_una) - largest * mss) // size + 1,
        (cwnd - tcb.sent.packets_out - largest) // packets + 1,
        send_space.pieces_taken(tcb, size),
    )


def _on_sent(ctx: Context, tcb: Tcb, count: int, size: int, packets: int, now: Instant) -> None:
    """Count what has left."""
    packets *= count
    tcb.recovery.prr.out += packets
    tcb.acks.on_text_sent(now)
    tcb.acks.on_ack_sent()
    tcb.delayed_ack_timer.cancel()
    ctx.counters["TcpExtTCPOrigDataSent"] += packets
    ctx.counters["TcpOutSegs"] += packets
    tcb.statistics.on_transmitted(packets, count * size)
