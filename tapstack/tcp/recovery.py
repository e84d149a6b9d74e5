"""Loss recovery: from the first sign of a loss to the recovery point (RFC 5681, 6582, 8985).

The connection is in one of five phases, which are Linux's. With SACK, RACK says what is lost;
without, each duplicate ACK counts as one segment that arrived, so that one machine serves both.

Not done here: which segment is lost (`rack.py`), how the window comes down (`prr.py`), what proves
a reduction needless (`undo.py`), timeouts (`loss_phase.py`), sending (`output.py`), and growing the
window (`congestion/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.units import MILLISECOND, Instant
from tapstack.tcp import mtu_probing, rack, tail_loss_probe, undo
from tapstack.tcp.duplicate_acks import count_duplicate_ack, mark_head_lost
from tapstack.tcp.episode import (
    any_retransmitted,
    begin_reduction,
    current_ssthresh,
    end_reduction,
    enter_cwr,
    stay_open,
    try_undo_recovery,
)
from tapstack.tcp.loss_phase import go_on_after_timeout
from tapstack.tcp.path_mtu import retransmit_what_is_too_large
from tapstack.tcp.recovery_state import CALM, REDUCING, Phase, recovery_of
from tapstack.tcp.retransmission_timer import Purpose, arm_for, is_armed_for, rearm_retransmission
from tapstack.tcp.sack import note_reordering
from tapstack.tcp.seq import gt, lt

if TYPE_CHECKING:
    from tapstack.tcp.ack_news import AckNews
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_LEAST_RENEGING_DELAY = 10 * MILLISECOND
"""How long a receiver that seems to renege may take to think better of it (as Linux)."""


def on_acknowledgment(ctx: Context, tcb: Tcb, news: AckNews, now: Instant) -> None:
    """Look for losses, and move the congestion window (RFC 5681 §3.2)."""
    _count_delivered(ctx, tcb, news)
    rack.update_reordering_window(ctx, tcb, news.departure)
    _look_at_probe(ctx, tcb, news, now)
    lost_before = tcb.sent.lost_out
    if _is_dubious(tcb, news):
        _alert(ctx, tcb, news, now)
    if news.restart_timer:
        tail_loss_probe.restart_timer(ctx, tcb, now)
    if tcb.recovery.phase in REDUCING:
        newly_lost = tcb.sent.lost_out > lost_before or news.retransmission_lost
        progress = news.una_advanced and not newly_lost
        recovery_of(tcb).reduce(tcb.window, tcb.sent.in_flight, news.delivered, progress)
    elif _is_progress(ctx, tcb, news):
        may_grow = tcb.window.may_grow()
        tcb.window.full_at = now  # as in Linux: text that arrives keeps the window from decay
        if may_grow and news.delivered > 0:
            tcb.congestion.on_acked(news.delivered, now)


def on_old_acknowledgment(ctx: Context, tcb: Tcb, news: AckNews, now: Instant) -> None:
    """Take what was SACKed by an ACK that others have overtaken: it does not move the window."""
    _alert(ctx, tcb, news, now)


def on_late_news(ctx: Context, tcb: Tcb, news: AckNews, now: Instant) -> None:
    """Take an ACK while nothing is in flight: it may yet tell of what was sent in vain."""
    if news.dsack:
        _count_delivered(ctx, tcb, news)
        _alert(ctx, tcb, news, now)
    _look_at_probe(ctx, tcb, news, now)


def _count_delivered(ctx: Context, tcb: Tcb, news: AckNews) -> None:
    tcb.statistics.delivered += news.delivered
    ctx.counters["TcpExtTCPDelivered"] += news.delivered
    if news.ece:
        ctx.counters["TcpExtTCPDeliveredCE"] += news.marked


def _look_at_probe(ctx: Context, tcb: Tcb, news: AckNews, now: Instant) -> None:
    if tail_loss_probe.on_acknowledgment(tcb, tcb.snd_una, news):
        ctx.counters["TcpExtTCPLossProbeRecovery"] += 1
        _answer_repaired_tail(tcb, now)


def _is_progress(ctx: Context, tcb: Tcb, news: AckNews) -> bool:
    """Tell whether an ACK may grow the window: one that advances SND.UNA.

    Where the path reorders, what was SACKed is progress enough (as Linux).
    """
    path_reorders = tcb.recovery.reordering > ctx.config.tcp_reordering
    return news.una_advanced or (path_reorders and news.sacked > 0)


def _is_dubious(tcb: Tcb, news: AckNews) -> bool:
    """Tell whether an ACK is anything but progress in the open phase."""
    unusual = news.plain or news.sacked > 0 or news.dsack or news.ece
    return unusual or not (tcb.recovery.phase is Phase.OPEN or news.text_alone)


def _alert(ctx: Context, tcb: Tcb, news: AckNews, now: Instant) -> None:
    """Step through the phases: leave one whose recovery point is reached, see what is lost."""
    recovery = recovery_of(tcb)
    recovery.repairs_held = False
    if news.ece:
        recovery.undo.prior_ssthresh = 0  # the reduction is called for in any case
    if _receiver_reneges(tcb, news, now):
        recovery.repairs_held = True
        return
    if recovery.phase is Phase.OPEN:
        recovery.undo.retransmit_stamp = None
    elif _ends_in_lingering(ctx, tcb, news):
        return
    if recovery.phase is Phase.RECOVERY:
        _go_on_repairing(ctx, tcb, news, now)
    elif recovery.phase is not Phase.LOSS or _go_on_after_timeout(ctx, tcb, news, now):
        _watch(ctx, tcb, news, now)


def _receiver_reneges(tcb: Tcb, news: AckNews, now: Instant) -> bool:
    """See whether the head of the queue stands SACKed although SND.UNA came up to it.

    RFC 2018 §8: the receiver may have dropped it. Like Linux, the timeout that forgets every SACK
    comes soon, but not at once.
    """
    if not (news.una_advanced and tcb.sent and tcb.sent.segments[0].sacked):
        return False
    delay = max(tcb.rtt.srtt // 2, _LEAST_RENEGING_DELAY)
    arm_for(tcb, Purpose.RETRANSMISSION, now + delay)
    news.restart_timer = False
    return True


# --- the end of an episode ------------------------------------------------------------------------


def _ends_in_lingering(ctx: Context, tcb: Tcb, news: AckNews) -> bool:
    """End a reduction if its recovery point is acknowledged; True if it must linger."""
    recovery = recovery_of(tcb)
    if recovery.phase not in REDUCING or lt(tcb.snd_una, recovery.high_seq):
        return False
    if recovery.phase is Phase.CWR:
        if gt(tcb.snd_una, recovery.high_seq):
            end_reduction(tcb)
            recovery.phase = Phase.OPEN
        return False
    if not tcb.sack_permitted:
        tcb.sent.sacked_out = 0
    lingers = try_undo_recovery(ctx, tcb, news)
    if not lingers:
        end_reduction(tcb, undone=recovery.undo.marker is None)
    return lingers


# --- fast recovery --------------------------------------------------------------------------------


def _go_on_repairing(ctx: Context, tcb: Tcb, news: AckNews, now: Instant) -> None:
    """Take an ACK in fast recovery, below the recovery point."""
    if not news.una_advanced:
        count_duplicate_ack(ctx, tcb, news)
    elif _try_undo_partial(ctx, tcb, news):
        return
    if _try_undo_by_dsack(ctx, tcb):
        stay_open(tcb)
    identify_losses(ctx, tcb, news, now)
    if tcb.recovery.phase is not Phase.RECOVERY and tcb.sent.lost_out:
        _enter_recovery(ctx, tcb, now)


def _try_undo_partial(ctx: Context, tcb: Tcb, news: AckNews) -> bool:
    """See whether a hole was filled by what was merely late; True: repair nothing more now."""
    recovery = tcb.recovery
    if recovery.undo.marker is None or not undo.is_original_late(tcb, news):
        return False
    note_reordering(ctx, tcb, news.prior_una)
    if tcb.sent.retrans_out:
        recovery.repairs_held = True
        return True
    if not any_retransmitted(tcb):
        recovery.undo.retransmit_stamp = None
    undo.restore_window(tcb, nothing_lost=True)
    ctx.counters["TcpExtTCPPartialUndo"] += 1
    stay_open(tcb)
    return False


def _try_undo_by_dsack(ctx: Context, tcb: Tcb) -> bool:
    """Undo a reduction when each retransmission was reported to be spurious."""
    recovery = tcb.recovery
    if recovery.undo.marker is None or recovery.undo.unreported != 0:
        return False
    reordering = rack.rack_of(tcb)
    reordering.reo_wnd_persist = min(rack.PERSISTENCE, reordering.reo_wnd_persist + 1)
    undo.restore_window(tcb, nothing_lost=False)
    ctx.counters["TcpExtTCPDSACKUndo"] += 1
    return True


def _watch(ctx: Context, tcb: Tcb, news: AckNews, now: Instant) -> None:
    """Tell disorder from loss while nothing is being repaired."""
    recovery = recovery_of(tcb)
    if not tcb.sack_permitted:
        if news.una_advanced:
            tcb.sent.sacked_out = 0
        count_duplicate_ack(ctx, tcb, news)
    if recovery.phase in CALM:
        _try_undo_by_dsack(ctx, tcb)
    identify_losses(ctx, tcb, news, now)
    if tcb.sent.lost_out:
        _enter_recovery(ctx, tcb, now)
        return
    if not any_retransmitted(tcb):
        recovery.undo.retransmit_stamp = None
    if news.ece:
        enter_cwr(tcb, now)
    if recovery.phase is not Phase.CWR:
        stay_open(tcb)


def identify_losses(ctx: Context, tcb: Tcb, news: AckNews, now: Instant) -> None:
    """Deem lost what an ACK shows to be."""
    if not tcb.sent:
        return
    if not tcb.sack_permitted:
        mark_head_lost(tcb, news)
        return
    if not tcb.rack.advanced:
        return
    rack.rack_of(tcb).advanced = False
    retransmitted_before = tcb.sent.retrans_out
    wait = rack.detect_losses(ctx, tcb, now)
    if wait:
        arm_for(tcb, Purpose.REORDERING, now + wait)
        news.restart_timer = False
    news.retransmission_lost = tcb.sent.retrans_out < retransmitted_before


def _enter_recovery(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Begin fast recovery (RFC 6675 §5 step 4)."""
    recovery = recovery_of(tcb)
    if recovery.phase in CALM and mtu_probing.is_probe_lost(tcb):
        mtu_probing.on_lost(ctx, tcb)
        retransmit_what_is_too_large(ctx, tcb)
        return
    kind = "Sack" if tcb.sack_permitted else "Reno"
    ctx.counters[f"TcpExtTCP{kind}Recovery"] += 1
    if "tcp" in ctx.tracer.on:
        ctx.tracer.emit("tcp", f"{tcb.local} > {tcb.remote}: loss seen, fast recovery")
    if not any_retransmitted(tcb):
        recovery.undo.retransmit_stamp = None
    recovery.undo.prior_ssthresh = 0
    recovery.undo.begin(tcb)
    if recovery.phase not in REDUCING:
        recovery.undo.prior_ssthresh = current_ssthresh(tcb)
        begin_reduction(tcb, now)
    recovery.phase = Phase.RECOVERY


def _answer_repaired_tail(tcb: Tcb, now: Instant) -> None:
    """Reduce the window for a loss that the probe itself repaired (RFC 8985 §7.4.2)."""
    begin_reduction(tcb, now)
    tcb.window.cwnd = tcb.window.ssthresh
    recovery_of(tcb).phase = Phase.CWR
    stay_open(tcb)


def _go_on_after_timeout(ctx: Context, tcb: Tcb, news: AckNews, now: Instant) -> bool:
    """Take an ACK in the loss phase; True when the calm phases' look at it is due, too."""
    go_on_after_timeout(ctx, tcb, news)
    identify_losses(ctx, tcb, news, now)
    return tcb.recovery.phase is Phase.OPEN or news.retransmission_lost


def on_reordering_timeout(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """What might have been merely late is lost (RFC 8985 §6.3)."""
    lost_before = tcb.sent.in_flight
    # Right behind this instant, for at it what left last of one burst may not be late yet.
    rack.detect_losses(ctx, tcb, now + 1)
    if tcb.sent.in_flight != lost_before:
        recovery = recovery_of(tcb)
        recovery.repairs_held = False
        if recovery.phase is not Phase.RECOVERY:
            _enter_recovery(ctx, tcb, now)
            recovery.reduce(tcb.window, tcb.sent.in_flight, 1, False)
        ctx.mark_owing(tcb)
    if not is_armed_for(tcb, Purpose.RETRANSMISSION):
        rearm_retransmission(tcb, now)
