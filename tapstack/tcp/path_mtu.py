"""The path's MTU as it changes under a connection (RFC 1191), and sending again what was too large.

Not done here: whether to believe an ICMP error (`icmp_errors.py`), and finding the MTU without any
(`mtu_probing.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.duplicate_acks import leave_room_for_losses
from tapstack.tcp.episode import current_ssthresh
from tapstack.tcp.mss import guess_effective_mss, update_effective_mss
from tapstack.tcp.recovery_state import Phase, recovery_of
from tapstack.tcp.state import State

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.sent_segment import SentSegment
    from tapstack.tcp.tcb import Tcb


def learn(ctx: Context, tcb: Tcb, mtu: int, now: Instant) -> None:
    """Hear that a datagram of ours was too large, and send what was too large again at once.

    A user who does not follow the path has what comes later cut anew, at most (IP_MTU_DISCOVER).
    """
    ctx.ip.learn_path_mtu(tcb.remote.address, mtu, now)
    if not tcb.options.heeds_too_big:
        return
    before = tcb.path_mtu
    refresh(ctx, tcb)
    if tcb.path_mtu < before:
        retransmit_what_is_too_large(ctx, tcb)


def refresh(ctx: Context, tcb: Tcb) -> None:
    """Follow a path that others found narrower, or that is thought wide again (RFC 1191 §6.3)."""
    if not is_to_ask(ctx, tcb):
        return
    tcb.path_changes = ctx.ip.path_changes
    mtu = _ask(ctx, tcb)
    if mtu is not None and mtu != tcb.path_mtu:
        tcb.path_mtu = mtu
        if tcb.mtu_probing is not None:
            tcb.mtu_probing.search_high = min(tcb.mtu_probing.search_high, mtu)
        if tcb.state is State.SYN_SENT:
            guess_effective_mss(ctx, tcb)
        else:
            update_effective_mss(tcb)


def is_to_ask(ctx: Context, tcb: Tcb) -> bool:
    """Tell whether `refresh` would ask the network layer."""
    return tcb.path_changes != ctx.ip.path_changes


def _ask(ctx: Context, tcb: Tcb) -> int | None:
    """Ask the network layer for the path's MTU; None: there is no way now, as sending will tell."""
    try:
        return ctx.ip.path_to(tcb.remote.address, tcb.local.address).mtu
    except OSError:
        return None


def retransmit_what_is_too_large(ctx: Context, tcb: Tcb) -> None:
    """Deem lost what is larger than a segment may be now (RFC 1191 §6.4).

    Being too large is no sign of congestion: the window stays as it is, in segments, which are
    smaller.

    It carries the time at which it leaves (RFC 7323 §3.2), and round trips are measured from there.
    Linux's clock stands still here since a segment was last heard or sent: so it deems lost again
    what it has just sent again.
    """
    too_large = [
        segment
        for segment in tcb.sent
        if not segment.sacked and segment.largest > tcb.effective_mss
    ]
    if tcb.state is State.SYN_SENT:
        # Like Linux: the text of a SYN (RFC 7413) takes that along.
        too_large = list(tcb.sent) if len(tcb.sent.segments) > 1 else []
    elif tcb.sent.lost_out:  # as Linux: it goes on with what was lost before, if nothing else
        retransmit_without_blame(ctx, tcb, too_large)
        return
    if too_large:
        retransmit_without_blame(ctx, tcb, too_large)


def retransmit_without_blame(ctx: Context, tcb: Tcb, segments: list[SentSegment]) -> None:
    """Send again what was lost, but not for congestion."""
    recovery = recovery_of(tcb)
    tcb.undisturbed = recovery.repairs_held = False
    for segment in segments:
        tcb.sent.mark_lost(segment)
    if not tcb.sack_permitted:
        leave_room_for_losses(tcb)
    if recovery.phase is not Phase.LOSS:
        recovery.high_seq = tcb.snd_nxt
        tcb.window.ssthresh = current_ssthresh(tcb)
        recovery.undo.prior_ssthresh = 0
        recovery.undo.marker = None
        recovery.frto = False
        recovery.phase = Phase.LOSS
    ctx.mark_owing(tcb)
