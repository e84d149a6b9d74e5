"""FIN-WAIT-2 when the user is gone: nobody will read, and only the peer's FIN is waited for.

Deviation: the RFC waits for ever, and reads on. Like Linux, we wait for `tcp_fin_timeout` (or
TCP_LINGER2), and look at what comes as in TIME-WAIT: text resets the peer (RFC 9293 SHLD-3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.errors import Drop
from tapstack.base.units import SECOND, Duration
from tapstack.tcp.invalid import answer_invalid
from tapstack.tcp.lifetime import arm_wait, destroy, enter_time_wait
from tapstack.tcp.paws import is_older
from tapstack.tcp.receive_window import right_edge
from tapstack.tcp.replies import reset_in_reply_to, reset_peer
from tapstack.tcp.segment import ACK, FIN, RST, SYN, Segment
from tapstack.tcp.seq import add, gt, le, lt

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_SHORT_WAIT: Duration = 4 * SECOND
"""Waits that are counted apart, if they are no longer."""


def wait_for_fin(ctx: Context, tcb: Tcb, seg: Segment | None, now: Instant) -> bool:
    """Begin to wait, or reset the peer at once where TCP_LINGER2 says so: then False.

    `seg` has acknowledged our FIN just now; None: it was acknowledged before the user closed.
    """
    if tcb.options.linger2 < 0:
        # As Linux, which has this twice.
        ctx.counters[f"TcpExtTCPAbortOn{'Linger' if seg is None else 'Data'}"] += 1
        if seg is not None:
            reset_in_reply_to(ctx, tcb.remote.address, tcb.local.address, seg, "no lingering")
        else:
            reset_peer(ctx, tcb, "no lingering")
        destroy(ctx, tcb)
        return False
    tcb.reassembly = None
    tcb.sacks = None
    tcb.keepalive_timer.cancel()
    patience = _patience(ctx, tcb)
    # As Linux, for whom such a connection waits like one in TIME-WAIT.
    ctx.counters["TcpExtTW" if patience > _SHORT_WAIT else "TcpExtTWKilled"] += 1
    arm_wait(ctx, tcb, now + patience)
    return True


def _patience(ctx: Context, tcb: Tcb) -> Duration:
    """Give the time that the peer's FIN has: never less than three and a half RTOs (as Linux)."""
    wanted = tcb.options.linger2 * SECOND or ctx.config.tcp_fin_timeout
    return max(wanted, 7 * tcb.rtt.rto // 2)


def orphan_arrives(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Take a segment for a connection in FIN-WAIT-2 that has no user."""
    old = is_older(tcb, seg, now)
    if old or not _is_acceptable(tcb, seg):
        ctx.counters.drop(Drop.TCP_PAWS if old else Drop.TCP_OUT_OF_WINDOW)
        answer_invalid(ctx, tcb, seg, now, "FIN-WAIT-2")
    elif seg.flags & RST:
        destroy(ctx, tcb)
    elif seg.flags & SYN and not lt(seg.seq, tcb.rcv_nxt):
        _reset(ctx, tcb, seg, "SYN after close")
    elif not seg.flags & ACK or le(seg.end, tcb.rcv_nxt) or not seg.length:
        return  # nothing that is new
    elif seg.flags & FIN and seg.end == add(tcb.rcv_nxt, 1):
        _take_fin(ctx, tcb, seg, now)
    else:
        ctx.counters.drop(Drop.TCP_CLOSED)
        _reset(ctx, tcb, seg, "text after close")


def _is_acceptable(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a segment lies in the window (RFC 9293 table 6)."""
    right = right_edge(tcb)
    if seg.seq == tcb.rcv_nxt or (gt(seg.end, tcb.rcv_nxt) and lt(seg.seq, right)):
        return True
    return seg.seq == right and not seg.length


def _take_fin(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    tcb.rcv_nxt = seg.end
    tcb.rcv_wup = add(tcb.rcv_wup, 1)  # as Linux: what the last ACK offered stays on offer
    if tcb.timestamps and seg.options.timestamps is not None:
        tcb.ts_recent, tcb.ts_recent_at = seg.options.timestamps.value, now
    enter_time_wait(ctx, tcb, now)
    tcb.acks.due = True
    ctx.mark_dirty(tcb)


def _reset(ctx: Context, tcb: Tcb, seg: Segment, why: str) -> None:
    """Reset the peer, and end the connection."""
    reset_in_reply_to(ctx, tcb.remote.address, tcb.local.address, seg, why)
    destroy(ctx, tcb)
