"""The expected turn of a connection: a short way through SEGMENT ARRIVES (RFC 9293 §3.10.7.4).

Most connections open and close alike: an ACK ends the handshake, the peer's FIN follows all of its
text, and the ACK of our own FIN is the last that is heard of it. What the steps come to for those
is done here in one pass. The steps are the truth: a property test holds both together.

Whatever is not so plain is declined before anything has changed.

Not done here: text, and what acknowledges it (`expected_segment.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.acknowledgment import update_send_window
from tapstack.tcp.expected_segment import is_undisturbed
from tapstack.tcp.half_open import complete_passive_open
from tapstack.tcp.receive_window import remaining_window
from tapstack.tcp.segment import FIN
from tapstack.tcp.segment_arrives import end_if_all_arrived, take_fin
from tapstack.tcp.state import State

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.segment import Segment, Timestamps
    from tapstack.tcp.tcb import Tcb

_MASK = 0xFFFFFFFF
_HALF = 1 << 31


def take_expected_turn(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Take a segment with ACK and timestamps, perhaps PSH or FIN; False: decline."""
    stamps = seg.options.timestamps
    if (
        seg.seq != tcb.rcv_nxt
        or len(seg.text)
        or stamps is None
        or (stamps.value - tcb.ts_recent) & _MASK >= _HALF
        or not tcb.timestamps
    ):
        return False
    if seg.flags & FIN:
        return _take_fin(ctx, tcb, seg, stamps, now)
    if tcb.syn_ack is not None:
        return _take_end_of_handshake(ctx, tcb, seg, stamps, now)
    return end_if_all_arrived(ctx, tcb, seg)


def _take_fin(ctx: Context, tcb: Tcb, seg: Segment, stamps: Timestamps, now: Instant) -> bool:
    """Take a FIN while nothing of ours is in flight: ESTABLISHED to CLOSE-WAIT."""
    if (
        tcb.state is not State.ESTABLISHED
        or tcb.snd_una != seg.ack
        or tcb.sent.segments
        or not is_undisturbed(tcb)
        or not remaining_window(tcb)
    ):
        return False
    tcb.statistics.on_received(1, has_text=False)
    tcb.statistics.bytes_received += 1
    tcb.probes_out = 0
    tcb.more_coming = False
    update_send_window(tcb, seg)
    _note_received(tcb, seg, stamps, now)
    take_fin(ctx, tcb, now)
    ctx.mark_dirty(tcb)
    return True


def _take_end_of_handshake(
    ctx: Context, tcb: Tcb, seg: Segment, stamps: Timestamps, now: Instant
) -> bool:
    """Take the ACK of a SYN-ACK that was sent once: SYN-RECEIVED to ESTABLISHED."""
    request = tcb.syn_ack
    if (
        request is None
        or request.pending is not None
        or request.segment is None
        or tcb.state is not State.SYN_RECEIVED
        or seg.ack != tcb.snd_nxt
        or request.transmissions != 1
        or stamps.echo != tcb.timestamp_now(request.first_sent_at)
    ):
        return False
    tcb.statistics.on_half_open()
    tcb.statistics.on_received(1, has_text=False)
    if complete_passive_open(ctx, tcb, seg, now):
        _note_received(tcb, seg, stamps, now)
    if tcb.acks.due or tcb.acks.owed or tcb.fin_queued:
        ctx.mark_dirty(tcb)  # else there is nothing yet that could be sent
    return True


def _note_received(tcb: Tcb, seg: Segment, stamps: Timestamps, now: Instant) -> None:
    tcb.last_received_at = now
    if seg.seq == tcb.last_ack_sent:
        tcb.ts_recent = stamps.value
        tcb.ts_recent_at = now
