"""Answers to segments that are not acceptable: a bare ACK, and not too many (RFC 5961 §7).

Not done here: deciding what is acceptable (`segment_arrives.py`, `acknowledgment.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.segment import SYN, SackBlock
from tapstack.tcp.seq import gt, lt

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.segment import Segment
    from tapstack.tcp.tcb import Tcb


_KINDS_OF_REASON = {
    "challenge": "Challenge",
    "PAWS": "PAWS",
    "out of window": "Seq",
    "FIN-WAIT-2": "FinWait2",
    "TIME-WAIT": "TimeWait",
}
"""What Linux's counters of answers that were held back are called for."""


def is_limited(ctx: Context, tcb: Tcb, seg: Segment, now: Instant, kind: str) -> bool:
    """Tell whether a segment is not to be answered, as another was lately; count it then."""
    if kind == "Challenge" or not seg.length or seg.flags & SYN:
        last = tcb.last_invalid_reply_at
        if last is not None and 0 <= now - last < ctx.config.tcp_invalid_ratelimit:
            ctx.counters[f"TcpExtTCPACKSkipped{kind}"] += 1
            return True
        tcb.last_invalid_reply_at = now
    return False


def answer_invalid(ctx: Context, tcb: Tcb, seg: Segment, now: Instant, why: str) -> None:
    """Have an ACK sent, unless one answered an empty invalid segment less than 500 ms ago.

    The limit stops two desynchronised hosts from answering each other for ever. It is kept for each
    connection, so that nobody can measure it from another one. Text and a FIN beyond the window are
    always answered: their sender waits for the ACK, and they are no answer to an ACK.
    """
    if is_limited(ctx, tcb, seg, now, _KINDS_OF_REASON[why]):
        return
    if why == "challenge":
        ctx.counters["TcpExtTCPChallengeACK"] += 1
    tcb.acks.due = True
    ctx.mark_owing(tcb)


def challenge_syn(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Answer a SYN on a connection with a challenge ACK, wherever it lies (RFC 5961 §4.2)."""
    ctx.counters["TcpExtTCPSYNChallenge"] += 1
    answer_invalid(ctx, tcb, seg, now, "challenge")


def note_unacceptable(ctx: Context, tcb: Tcb, seg: Segment) -> None:
    """Note that something was rejected; the peer that has sent it before is answered quickly."""
    if seg.length and lt(seg.seq, tcb.rcv_nxt):
        tcb.acks.enter_quick_mode(tcb.rcv_wnd)
        note_duplicate(ctx, tcb, seg)


def note_duplicate(ctx: Context, tcb: Tcb, seg: Segment) -> None:
    """Have the next ACK tell what of a segment came a second time."""
    if seg.length and not seg.flags & SYN and lt(seg.seq, tcb.rcv_nxt):
        end = tcb.rcv_nxt if gt(seg.end, tcb.rcv_nxt) else seg.end
        report_duplicate(ctx, tcb, SackBlock(seg.seq, end))


def report_duplicate(ctx: Context, tcb: Tcb, block: SackBlock) -> None:
    """Have the next ACK tell of text that came a second time: a D-SACK (RFC 2883 §4)."""
    if tcb.sack_permitted and ctx.config.tcp_dsack:
        kind = "Old" if lt(block.left, tcb.rcv_nxt) else "Ofo"
        ctx.counters[f"TcpExtTCPDSACK{kind}Sent"] += 1
        tcb.duplicate_text = block
