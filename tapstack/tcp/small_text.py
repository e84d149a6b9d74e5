"""A small message that leaves at once: a short way through `output.py` (RFC 9293 §3.8.6).

Questions and answers are such: one segment of text, while nothing is in flight and nothing else
waits; and so is our FIN, when the last of them is over. What the windows, Nagle's algorithm and SWS
avoidance then come to is one look. The longer way is the truth: a property test holds both
together, field by field.

Whatever is not so plain is declined before anything has changed.

Not done here: the segment itself (`transmission.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp import delivery_rate, path_mtu, tail_loss_probe
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.retransmission_timer import rearm_retransmission
from tapstack.tcp.segment import ACK, FIN, PSH
from tapstack.tcp.sent_segment import SentSegment
from tapstack.tcp.seq import add
from tapstack.tcp.state import FIN_UNACKNOWLEDGED, State
from tapstack.tcp.statistics import Limit
from tapstack.tcp.transmission import transmit
from tapstack.tcp.window_validation import note_use, restart_after_idle

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


def send_small_text(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Send all that waits, if that is a FIN, or a piece within a segment; False: decline."""
    length, fin = tcb.send_buffer.octets, tcb.fin_queued and not tcb.fin_sent
    if fin:
        if length or not tcb.snd_wnd or tcb.state not in FIN_UNACKNOWLEDGED:
            return False
    elif tcb.state is not State.ESTABLISHED or len(tcb.send_pieces) != 1:
        return False
    if length > min(tcb.effective_mss, tcb.snd_wnd) or _is_anything_else(tcb):
        return False
    path_mtu.refresh(ctx, tcb, now)
    if length > tcb.effective_mss:
        return False  # the path is narrower by now
    if fin:
        segment = _note_sent(tcb, 0, FIN, now)
        tcb.fin_sent = True
    else:
        restart_after_idle(ctx, tcb, now)
        pushed = tcb.send_pieces.is_pushed_at(tcb, add(tcb.snd_nxt, length))
        segment = _note_sent(tcb, length, PSH if pushed else 0, now)
        tcb.acks.on_text_sent(now)
    ctx.counters["TcpExtTCPOrigDataSent"] += 1
    flags, why = segment.flags | ACK, "close" if fin else "new text"
    transmit(ctx, tcb, segment.seq, flags, length, now, why, is_new=True)
    note_use(ctx, tcb, tcb.window.cwnd <= 1, now)
    if not tail_loss_probe.schedule(ctx, tcb, now, rto_restarts=False):
        rearm_retransmission(tcb, now)
    tcb.statistics.time.note(Limit.BUSY, now)
    return True


def _is_anything_else(tcb: Tcb) -> bool:
    """Tell whether anything is under way, or due, but this one message, or FIN."""
    recovery = tcb.recovery
    return bool(
        tcb.sent.segments
        or tcb.lane is None
        or tcb.more_coming
        or tcb.options.cork
        or tcb.send_blocked
        or tcb.record_ends
        or tcb.probe_due
        or tcb.snd_up != tcb.snd_una
        or tcb.sacks
        or tcb.acks.duplicate
        or tcb.mtu_probing.enabled
        or tcb.persist_timer.deadline is not None
        or recovery.tail_probe_due
        or recovery.new_text_first
        or recovery.phase is not Phase.OPEN
    )


def _note_sent(tcb: Tcb, length: int, flags: int, now: Instant) -> SentSegment:
    """Put the text, or the FIN, into the retransmission queue."""
    mss = tcb.effective_mss
    end = add(tcb.snd_nxt, length or 1)
    segment = SentSegment(tcb.snd_nxt, end, flags, mss, now, packets=1)
    delivery_rate.on_sent(tcb, segment, now, nothing_in_flight=True)
    tcb.sent.append(segment)
    tcb.snd_nxt = segment.end
    if length:
        tcb.send_pieces.on_sent(segment.end)
        if length < mss:
            tcb.small_sent_end = segment.end
    tcb.recovery.prr.out += 1
    return segment
