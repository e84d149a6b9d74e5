"""The expected end of a connection: a short way through SEGMENT ARRIVES (RFC 9293 §3.10.7.4).

Most connections that their peer ends do so alike: his FIN follows all of his text, while nothing of
ours is in flight; and when ours has left by itself, his ACK of it is the last that is heard of him.
What the steps, and the flush behind them, come to for those is done here in one pass each. The
steps are the truth: a property test holds both together.

Whatever is not so plain is declined before anything has changed. As in `expected_segment.py`,
sequence numbers are compared in place, and a window comes as it was scaled.

Not done here: sending our own FIN (`lone_fin.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.contracts import CLOSED, ENDED, READABLE, WRITABLE
from tapstack.tcp.acknowledgment import set_send_window
from tapstack.tcp.seq import HALF, MASK
from tapstack.tcp.state import State
from tapstack.tcp.statistics import Limit
from tapstack.tcp.timeouts import delay_ack
from tapstack.tcp.undisturbed import is_disturbed

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

# A member of an Enum is looked up at length each time that it is named.
_ESTABLISHED, _CLOSE_WAIT, _CLOSED = State.ESTABLISHED, State.CLOSE_WAIT, State.CLOSED
_IDLE = Limit.IDLE


def take_expected_fin(
    ctx: Context, tcb: Tcb, seq: int, ack: int, wnd: int, stamp: int, echo: int, now: Instant
) -> bool:
    """Take a FIN at RCV.NXT while nothing of ours is in flight: ESTABLISHED to CLOSE-WAIT."""
    unacknowledged = (seq - tcb.rcv_wup) & MASK
    if (
        tcb.state is not _ESTABLISHED
        or tcb.snd_una != ack
        or tcb.sent.segments
        or (tcb.send_buffer.octets and wnd != tcb.snd_wnd)
        or unacknowledged >= tcb.rcv_wnd
        or (not tcb.undisturbed and is_disturbed(tcb))
    ):
        return False
    statistics, acks = tcb.statistics, tcb.acks
    statistics.segs_in += 1
    statistics.bytes_received += 1
    tcb.last_received_at = now
    if seq == tcb.last_ack_sent:
        tcb.ts_recent, tcb.ts_recent_at = stamp, now
    tcb.receive_space.last_echo = echo
    newer = (seq - tcb.snd_wl1) & MASK
    if 0 < newer < HALF or (not newer and (wnd > tcb.snd_wnd or not wnd)):
        set_send_window(tcb, seq, ack, wnd)
    tcb.rcv_nxt = (seq + 1) & MASK
    tcb.state = _CLOSE_WAIT
    # Our own FIN or text is likely to follow soon, and can carry the ACK.
    acks.owed = acks.interactive = True
    tcb.reassembly = tcb.sacks = None
    ctx.report(tcb, ENDED | READABLE)
    may_wait = not (
        tcb.dirty
        or tcb.send_buffer.octets
        or tcb.send_blocked
        or acks.due
        or acks.always_quick
        or unacknowledged >= acks.rcv_mss
    )
    if may_wait and delay_ack(ctx, tcb, now):
        acks.fresh = False
        if statistics.limit is not _IDLE:
            statistics.note_limit(_IDLE, now)
    else:
        acks.fresh = True
        ctx.mark_dirty(tcb)
    return True


def take_last_ack(ctx: Context, tcb: Tcb, ack: int) -> bool:
    """Take the ACK of a FIN that was sent once, alone, for a user who has gone: the end.

    What it tells of the path is for nobody any more (`segment_arrives.end_if_all_arrived`).
    """
    queue = tcb.sent
    sent = queue.segments
    if (
        ack != tcb.snd_nxt
        or not tcb.orphaned
        or not tcb.undisturbed
        or tcb.send_buffer.octets
        or not sent  # the FIN has not left yet; else there is nothing but that
        or sent[0].transmissions != 1
        or tcb.more_to_end
    ):
        return False
    ctx.counters["TcpExtTCPDelivered"] += 1
    segment = sent.pop()
    if segment.watched:  # or it was deemed lost once
        ctx.spare_segment = segment
    queue.packets_out = 0
    timer, other = tcb.retransmission_timer, tcb.delayed_ack_timer
    timer.deadline = timer.owner = other.deadline = other.owner = None  # `retire`, in place
    ctx.orphans -= 1
    tcb.state = _CLOSED
    connections, binding = ctx.connections, tcb.binding
    if binding.users > 1:  # the listener still holds the port: `Connections.remove`, in place
        del connections.tcbs[tcb.pair]
        binding.users -= 1
    else:
        connections.remove(tcb)
    ctx.report(tcb, CLOSED | READABLE | WRITABLE)
    return True
