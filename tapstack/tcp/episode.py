"""Episodes of recovery: how a reduction of the window begins and ends (RFC 5681, 6582, 6937).

Not done here: what begins one (`recovery.py`, `loss_phase.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.units import Instant
from tapstack.tcp import undo
from tapstack.tcp.prr import RateReduction
from tapstack.tcp.rack import rack_of
from tapstack.tcp.recovery_state import CALM, REDUCING, Phase, recovery_of

if TYPE_CHECKING:
    from tapstack.tcp.ack_news import AckNews
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


def enter_cwr(tcb: Tcb, now: Instant) -> None:
    """Begin to reduce the window without a loss, once a round trip at most (RFC 3168 §6.1.2)."""
    recovery = recovery_of(tcb)
    recovery.undo.prior_ssthresh = 0
    if recovery.phase in CALM:
        recovery.undo.marker = None
        begin_reduction(tcb, now)
        recovery.phase = Phase.CWR


def begin_reduction(tcb: Tcb, now: Instant) -> None:
    """Set what the window comes down to; the recovery point is where we have sent up to."""
    recovery = recovery_of(tcb)
    recovery.high_seq = tcb.snd_nxt
    recovery.tlp_end_seq = None
    recovery.prr = RateReduction(tcb.window.cwnd)
    tcb.cwr_due = tcb.ecn
    tcb.window.ssthresh = tcb.congestion.ssthresh_after_loss(now)


def current_ssthresh(tcb: Tcb) -> int:
    """Give what is to be remembered in ssthresh of a window that is given up (RFC 2861 §3)."""
    window = tcb.window
    if tcb.recovery.phase in REDUCING:
        return window.ssthresh
    return max(window.ssthresh, 3 * window.cwnd // 4)


def end_reduction(tcb: Tcb, *, undone: bool = False) -> None:
    """Set cwnd to what the reduction aimed at (RFC 6937 §3), unless it was undone."""
    if not undone:
        tcb.window.cwnd = tcb.window.ssthresh


def try_undo_recovery(ctx: Context, tcb: Tcb, news: AckNews) -> bool:
    """Leave an episode at its recovery point, undoing what was for nothing; True if it lingers."""
    recovery = recovery_of(tcb)
    if undo.may_undo(tcb, news):
        after_timeout = recovery.phase is Phase.LOSS
        ctx.counters["TcpExtTCPLossUndo" if after_timeout else "TcpExtTCPFullUndo"] += 1
        undo.restore_window(tcb, nothing_lost=False)
    elif tcb.rack.reo_wnd_persist:
        rack_of(tcb).reo_wnd_persist -= 1
    if lingers(tcb):
        return True
    recovery.phase = Phase.OPEN
    return False


def lingers(tcb: Tcb) -> bool:
    """Tell whether to wait for an ACK beyond the recovery point.

    RFC 6582 §4.1: without SACK, a late duplicate ACK at that point must not start it all again.
    """
    if tcb.sack_permitted or tcb.snd_una != tcb.recovery.high_seq:
        return False
    if not any_retransmitted(tcb):
        recovery_of(tcb).undo.retransmit_stamp = None
    return True


def any_retransmitted(tcb: Tcb) -> bool:
    """Tell whether a retransmission is unacknowledged: in flight, or that of the oldest segment."""
    sent = tcb.sent
    return sent.retrans_out > 0 or bool(sent and sent.segments[0].transmissions > 1)


def stay_open(tcb: Tcb) -> None:
    """Go back to a calm phase: which, depends on whether anything stands beyond a gap."""
    recovery, sent = recovery_of(tcb), tcb.sent
    disordered = sent.sacked_out or sent.lost_out or any_retransmitted(tcb)
    phase = Phase.DISORDER if disordered else Phase.OPEN
    if recovery.phase is not phase:
        recovery.phase = phase
        recovery.high_seq = tcb.snd_nxt
