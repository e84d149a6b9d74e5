"""Old duplicates told by their timestamps, and the timestamp to echo (RFC 7323 §4.3, §5).

Not done here: TIME-WAIT, which looks for itself (`time_wait.py`), and sending (`transmission.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.errors import Drop
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.acknowledgment import updates_window
from tapstack.tcp.invalid import answer_invalid, challenge_syn, note_unacceptable
from tapstack.tcp.segment import ACK, RST, SYN, Segment
from tapstack.tcp.seq import HALF, le, lt, sub

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_TS_RECENT_LIFETIME = 24 * 24 * 3600 * SECOND
"""RFC 7323 §5.5: TS.Recent is void when a connection was idle for longer."""
_SLACK = 1
"""How much older a segment may be: a clock may tick between two that leave in turn (as Linux)."""
"""Half of the numbers: a timestamp so far away is newer, as in Linux, though the RFC is silent."""


def check_timestamps(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Reject old duplicates: PAWS (RFC 7323 §5.3 R1). A reset is none."""
    if seg.flags & RST or not is_older(tcb, seg, now, slack=_SLACK):
        return True
    if _is_empty_ack(seg):
        if seg.seq == tcb.rcv_nxt and _is_overtaken_ack(tcb, seg):
            return True
        if lt(seg.seq, tcb.rcv_nxt):
            # An ACK that was overtaken by text, as happens. Like Linux, no answer: it lost nothing.
            ctx.counters.drop(Drop.TCP_PAWS_OLD_ACK)
            return False
    ctx.counters.drop(Drop.TCP_PAWS)
    if seg.flags & SYN:
        challenge_syn(ctx, tcb, seg, now)
        return False
    # It may be the original of what was sent again: the peer should know that it was but late.
    note_unacceptable(ctx, tcb, seg)
    answer_invalid(ctx, tcb, seg, now, "PAWS")
    return False


def is_older(tcb: Tcb, seg: Segment, now: Instant, slack: int = 0) -> bool:
    """Tell whether SEG.TSval is below TS.Recent by more than `slack`, and that is not void."""
    stamps = seg.options.timestamps
    if not tcb.timestamps or stamps is None:
        return False
    if not slack < sub(tcb.ts_recent, stamps.value) < HALF:
        return False
    if tcb.ts_recent == 0:
        return False  # like Linux: there are hosts whose SYN says 0, whatever their clock
    return now - tcb.ts_recent_at <= _TS_RECENT_LIFETIME


def _is_empty_ack(seg: Segment) -> bool:
    return seg.length == 0 and bool(seg.flags & ACK)


def _is_overtaken_ack(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether an empty ACK is merely late: a duplicate that was overtaken on its way.

    Deviation: RFC 7323 §5.3 drops it. Like Linux, we count it as any duplicate ACK, where it can be
    no older than the peer's RTO: else a path that reorders would lose them.
    """
    stamps = seg.options.timestamps
    if stamps is None or seg.ack != tcb.snd_una or updates_window(tcb, seg):
        return False
    most = tcb.rto() * 6 // 5 // MILLISECOND  # ticks of a peer whose clock is as ours
    return sub(tcb.ts_recent, stamps.value) <= most


def update_ts_recent(tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Remember the timestamp to echo (RFC 7323 §4.3 (2)); it never goes back."""
    stamps = seg.options.timestamps
    if stamps is None or not tcb.timestamps or is_older(tcb, seg, now):
        return
    if le(seg.seq, tcb.last_ack_sent):
        tcb.ts_recent = stamps.value
        tcb.ts_recent_at = now
