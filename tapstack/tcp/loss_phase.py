"""After a timeout: everything is sent again, unless it proves spurious (RFC 5681 §3.1, RFC 5682).

Not done here: the timer (`timeouts.py`), and the other phases (`recovery.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.units import Instant
from tapstack.tcp import rack, undo
from tapstack.tcp.duplicate_acks import count_duplicate_ack
from tapstack.tcp.episode import current_ssthresh, lingers, try_undo_recovery
from tapstack.tcp.prr import RateReduction
from tapstack.tcp.recovery_state import CALM, Phase, recovery_of
from tapstack.tcp.seq import ge, gt

if TYPE_CHECKING:
    from tapstack.tcp.ack_news import AckNews
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


def on_timeout(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Enter the loss phase: cwnd is one segment, and all is to be sent again (RFC 5681 §3.1)."""
    recovery = recovery_of(tcb)
    calm_before = not recovery.is_repairing
    _deem_all_lost(ctx, tcb, now)
    first = tcb.retransmits <= 1
    if (
        recovery.phase in CALM
        or ge(tcb.snd_una, recovery.high_seq)
        or (recovery.phase is Phase.LOSS and first)
    ):
        # "the value of ssthresh is held constant" for a segment timing out again (RFC 5681 §3.1),
        # and for one that was lost with those for which the window was reduced before.
        recovery.undo.prior_ssthresh = current_ssthresh(tcb)
        recovery.prr = RateReduction(tcb.window.cwnd)
        tcb.window.ssthresh = tcb.congestion.ssthresh_after_loss(now)
        recovery.undo.begin(tcb)
    tcb.window.cwnd = tcb.sent.in_flight + 1
    tcb.window.full_at = now
    tcb.cwr_due = tcb.ecn
    tcb.congestion.on_timeout(now)
    threshold = ctx.config.tcp_reordering
    if recovery.phase in CALM and tcb.sent.sacked_out >= threshold:
        # So many SACKs and yet a timeout: reordering was overestimated.
        recovery.reordering = min(recovery.reordering, threshold)
    recovery.phase = Phase.LOSS
    recovery.high_seq = tcb.snd_nxt
    recovery.tlp_end_seq = None
    recovery.repairs_held = False
    probing = tcb.mtu_probing is not None and tcb.mtu_probing.probe_size > 0
    recovery.frto = bool(ctx.config.tcp_frto) and (calm_before or not first) and not probing
    ctx.mark_owing(tcb)


def _deem_all_lost(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Deem lost what was sent long enough ago; a receiver that reneged has its SACKs forgotten."""
    sent = tcb.sent
    reneged = bool(sent) and sent.segments[0].sacked
    if reneged:
        ctx.counters["TcpExtTCPSACKReneging"] += 1
        sent.forget_sacks()
    elif not tcb.sack_permitted:
        sent.sacked_out = 0
    for segment in sent.segments:
        if segment.sacked:
            continue
        if reneged or segment is sent.segments[0] or rack.time_left(tcb, segment, 0, now) <= 0:
            rack.mark_lost(ctx, tcb, segment)


def on_handshake_done(ctx: Context, tcb: Tcb, news: AckNews) -> None:
    """Take the ACK of a SYN-ACK that timed out with text behind it (RFC 7413 §4.2.2), as Linux.

    With nothing in flight the phase ends, and an echo of what was sent before is as good as text.
    """
    if not tcb.sent:
        try_undo_recovery(ctx, tcb, news)
    elif undo.may_undo(tcb, news):
        _undo_timeout(ctx, tcb, by_frto=False)


def go_on_after_timeout(ctx: Context, tcb: Tcb, news: AckNews) -> None:
    """Take an ACK in the loss phase: it ends it, undoes it, or tells what to send next."""
    recovery = tcb.recovery
    recovered = ge(tcb.snd_una, recovery.high_seq)
    if news.una_advanced and undo.may_undo(tcb, news):
        _undo_timeout(ctx, tcb, by_frto=False)
        return
    if recovery.frto and _take_frto_step(ctx, tcb, news, recovered):
        return
    if recovered:
        try_undo_recovery(ctx, tcb, news)
    elif not tcb.sack_permitted:
        if gt(tcb.snd_nxt, recovery.high_seq) and news.duplicate_ack:
            count_duplicate_ack(ctx, tcb, news)
        elif news.una_advanced:
            tcb.sent.sacked_out = 0


def _take_frto_step(ctx: Context, tcb: Tcb, news: AckNews, recovered: bool) -> bool:
    """Apply F-RTO (RFC 5682 §3.1): was the timeout spurious? True: nothing more is to be done."""
    recovery = recovery_of(tcb)
    if news.originals:
        # Step 3.b: text that was sent once, before the timeout, arrived: it was merely late.
        _undo_timeout(ctx, tcb, by_frto=True)
        return True
    if gt(tcb.snd_nxt, recovery.high_seq):
        if news.sacked or news.duplicate_ack:
            recovery.frto = False  # step 3.a: the loss was real
    elif news.una_advanced and not recovered:
        # Step 2.b: send new text, and see what the next ACK says.
        recovery.high_seq = tcb.snd_nxt
        recovery.new_text_first = True
        return True
    return False


def _undo_timeout(ctx: Context, tcb: Tcb, *, by_frto: bool) -> None:
    """Take a timeout back that was spurious (RFC 5682 §3.1 step 3, RFC 4015)."""
    recovery = recovery_of(tcb)
    undo.restore_window(tcb, nothing_lost=True)
    ctx.counters["TcpExtTCPLossUndo"] += 1
    ctx.counters["TcpExtTCPSpuriousRTOs"] += by_frto
    tcb.retransmits = 0
    if lingers(tcb):
        return
    if by_frto or tcb.sack_permitted:
        recovery.phase = Phase.OPEN
