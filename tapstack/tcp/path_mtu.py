"""The path's MTU as it changes under a connection (RFC 1191), and sending again what was too large.

Not done here: whether to believe an ICMP error (`icmp_errors.py`), and finding the MTU without any
(`mtu_probing.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.sharing import about
from tapstack.base.units import SECOND, Duration, Instant
from tapstack.tcp.duplicate_acks import leave_room_for_losses
from tapstack.tcp.episode import current_ssthresh
from tapstack.tcp.mss import guess_effective_mss, update_effective_mss
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.state import State

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.plain_segment import Lane
    from tapstack.tcp.sent_segment import SentSegment
    from tapstack.tcp.tcb import Tcb

FRESH: Duration = 1 * SECOND
"""How long the network layer is not asked again whether the path has changed; less, as the time is
not kept exactly."""


def learn(ctx: Context, tcb: Tcb, mtu: int, now: Instant) -> None:
    """Hear that a datagram of ours was too large, and send what was too large again at once.

    A user who does not follow the path has what comes later cut anew, at most (IP_MTU_DISCOVER).
    """
    ctx.ip.learn_path_mtu(tcb.remote.address, mtu, now)
    if tcb.options.heeds_too_big:
        send_again_if_narrower(ctx, tcb, now)
    else:
        doubt(tcb)


def send_again_if_narrower(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """See whether the path has become narrower, and send what is too large for it again at once.

    Also for what the network layer has refused: another connection to the same peer may have heard
    of it a moment ago.
    """
    before = tcb.path_mtu
    _follow(ctx, tcb, now)
    if tcb.path_mtu < before:
        retransmit_what_is_too_large(ctx, tcb)


def refresh(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Follow a path that others found narrower, or that is thought wide again (RFC 1191 §6.3)."""
    if is_to_ask(tcb, now):
        _follow(ctx, tcb, now)


def is_as_before(ctx: Context, tcb: Tcb, lane: Lane, now: Instant) -> bool:
    """Tell whether the path is as before; False: `refresh` is to follow it.

    The network layer is asked where the connection's lane does not know.
    """
    if lane.path_mtu(tcb.pair.remote) != tcb.path_mtu and _ask(ctx, tcb) != tcb.path_mtu:
        return False
    tcb.path_asked_at = about(now)
    return True


def is_to_ask(tcb: Tcb, now: Instant) -> bool:
    """Tell whether `refresh` would ask the network layer."""
    return now - tcb.path_asked_at >= FRESH


def doubt(tcb: Tcb) -> None:
    """Have the network layer asked again at the next occasion: its routes have changed."""
    tcb.path_asked_at -= FRESH


def _follow(ctx: Context, tcb: Tcb, now: Instant) -> None:
    tcb.path_asked_at = about(now)
    mtu = _ask(ctx, tcb)
    if mtu is not None and mtu != tcb.path_mtu:
        tcb.path_mtu = mtu
        if tcb.mtu_probing is not None:
            tcb.mtu_probing.search_high = min(tcb.mtu_probing.search_high, mtu)
        if tcb.state is State.SYN_SENT:
            guess_effective_mss(ctx, tcb)
        else:
            update_effective_mss(tcb)


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
    recovery = tcb.recovery
    tcb.undisturbed = False
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
    ctx.mark_dirty(tcb)
