"""Segments for a connection in SYN-RECEIVED that a listener made (RFC 9293 §3.10.7.4, RFC 5961).

Who sends them may be anybody, as none of ours was acknowledged. Deviation: like Linux, we look at
the ACK field first, and a reset that is old by its timestamp is none.

Not done here: the final ACK (`half_open.py`), and a connection in SYN-RECEIVED that we opened
ourselves (`segment_arrives.py`).
"""

from __future__ import annotations

from errno import ECONNRESET
from typing import TYPE_CHECKING

from tapstack.base.errors import Drop
from tapstack.tcp import fast_open_server, syn_ack
from tapstack.tcp.accecn import take_syn_again
from tapstack.tcp.invalid import is_limited
from tapstack.tcp.lifetime import destroy
from tapstack.tcp.paws import is_older
from tapstack.tcp.receive_space import MAX_UNSCALED
from tapstack.tcp.replies import reset_in_reply_to
from tapstack.tcp.segment import ACK, RST, SYN, Options, Segment, Timestamps
from tapstack.tcp.seq import add, gt, lt

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.syn_ack import SynAck
    from tapstack.tcp.tcb import Tcb


def check_request(ctx: Context, tcb: Tcb, request: SynAck, seg: Segment, now: Instant) -> bool:
    """Look at a segment for a half-open connection first; False: it is dealt with."""
    old = is_older(tcb, seg, now)
    if seg.seq == tcb.irs and seg.flags & (SYN | RST | ACK) == SYN and not old:
        _answer_syn_again(ctx, tcb, seg, now)
        return False
    if _acknowledges_something_else(tcb, seg):
        ctx.counters.drop(Drop.TCP_ACK_UNSENT)
        _reset(ctx, tcb, seg, "bad ACK in SYN-RECEIVED")
        return False
    reason = _reason_to_drop(tcb, request, seg, now)
    if reason is not None:
        ctx.counters.drop(reason)
        if not seg.flags & RST:
            _acknowledge(ctx, tcb, request, seg, now, reason.meaning)
        return False
    if seg.flags & RST:
        _take_reset(ctx, tcb, request, seg, now)
        return False
    if seg.flags & SYN and seg.seq != tcb.irs:
        _refuse_syn(ctx, tcb, seg)
        return False
    return bool(seg.flags & ACK)


def _answer_syn_again(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """The SYN came again: so does the SYN-ACK, and not too often."""
    if not is_limited(ctx, tcb, seg, now, "SynRecv"):
        take_syn_again(tcb, seg)
        tcb.syn_due = True
        if not tcb.opens_early:
            syn_ack.arm(tcb, now)
        ctx.mark_dirty(tcb)


def _acknowledges_something_else(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether an ACK is for anything but our SYN; where text has left early, it may be."""
    if seg.flags & (ACK | RST) != ACK or tcb.opens_early:
        return False
    return seg.ack != add(tcb.iss, 1)


def _reason_to_drop(tcb: Tcb, request: SynAck, seg: Segment, now: Instant) -> Drop | None:
    if is_older(tcb, seg, now):
        return Drop.TCP_PAWS
    if _echoes_nonsense(tcb, request, seg):
        return Drop.TCP_ECHO
    return None if _is_acceptable(tcb, seg, request.window) else Drop.TCP_OUT_OF_WINDOW


def _echoes_nonsense(tcb: Tcb, request: SynAck, seg: Segment) -> bool:
    """Tell whether a segment echoes what none of our SYN-ACKs has carried (as Linux)."""
    stamps = seg.options.timestamps
    if not tcb.timestamps or stamps is None or not stamps.echo or tcb.opens_early:
        return False
    if not request.transmissions:
        return False
    first = tcb.timestamp_now(request.first_sent_at)
    last = tcb.timestamp_now(request.last_sent_at)
    return lt(stamps.echo, first) or gt(stamps.echo, last)


def _is_acceptable(tcb: Tcb, seg: Segment, window: int) -> bool:
    """Tell whether a segment lies in the window (RFC 9293 table 6), as our SYN-ACK could say it."""
    right = add(tcb.rcv_nxt, min(window, MAX_UNSCALED))
    if seg.seq == tcb.rcv_nxt or (gt(seg.end, tcb.rcv_nxt) and lt(seg.seq, right)):
        return True
    return seg.seq == right and not seg.length


def _take_reset(ctx: Context, tcb: Tcb, request: SynAck, seg: Segment, now: Instant) -> None:
    """Go back to LISTEN: only the half-open connection is gone. RFC 5961 §3.2 protects it, too."""
    if seg.seq != tcb.rcv_nxt:
        ctx.counters.drop(Drop.TCP_RESET_INVALID)
        _acknowledge(ctx, tcb, request, seg, now, "challenge", kind="Challenge")
        return
    ctx.counters["TcpAttemptFails"] += 1
    if not tcb.opens_early:
        ctx.counters["TcpExtEmbryonicRsts"] += 1
        destroy(ctx, tcb)
        return
    ctx.counters["TcpAttemptFails"] += 1  # like Linux, once for the request and once for its socket
    fast_open_server.on_reset(tcb, now)
    destroy(ctx, tcb, ECONNRESET)


def _refuse_syn(ctx: Context, tcb: Tcb, seg: Segment) -> None:
    """Refuse another SYN. The RFC goes back to LISTEN in silence; like Linux, we reset its sender.

    Where a user has the connection already, it stays.
    """
    _reset(ctx, tcb, seg, "SYN in SYN-RECEIVED")
    ctx.counters["TcpAttemptFails"] += 1
    if not tcb.opens_early:
        ctx.counters["TcpExtEmbryonicRsts"] += 1
        destroy(ctx, tcb)


def _acknowledge(
    ctx: Context,
    tcb: Tcb,
    request: SynAck,
    seg: Segment,
    now: Instant,
    why: str,
    kind: str = "SynRecv",
) -> None:
    """Answer what is not acceptable, and not too often, with what our SYN-ACK has said."""
    if is_limited(ctx, tcb, seg, now, kind):
        return
    stamps = Timestamps(tcb.timestamp_now(now), tcb.ts_recent) if tcb.timestamps else None
    window = min(request.window, MAX_UNSCALED) >> tcb.rcv_wind_shift
    ports, options = (tcb.local.port, tcb.remote.port), Options(timestamps=stamps)
    answer = Segment(*ports, tcb.snd_nxt, tcb.rcv_nxt, ACK, window, 0, options, b"", seg.tos)
    ctx.reply(tcb.local.address, tcb.remote.address, answer, why)


def _reset(ctx: Context, tcb: Tcb, seg: Segment, why: str) -> None:
    reset_in_reply_to(ctx, tcb.remote.address, tcb.local.address, seg, why)
