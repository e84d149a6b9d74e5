"""Congestion window validation (RFC 7661, RFC 5681 §4.1): a window that is not used is not trusted.

The window grows only while it limits what is sent; it shrinks while the application sends less for
long, and again when nothing was sent at all. The rules are Linux's, which follow RFC 2861.

Not done here: how the window grows (`congestion/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapstack.tcp.episode import current_ssthresh
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.seq import ge

if TYPE_CHECKING:
    from tapstack.base.units import Duration, Instant
    from tapstack.tcp.congestion.window import CongestionWindow
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


@dataclass(slots=True)
class WindowUse:
    """How far one connection uses its congestion window."""

    limited: bool = False
    """The window held text back at some time within the present round."""
    most_out: int = 0
    """Most segments outstanding within the round, if it was not."""
    round_end: int = 0
    """SND.NXT when the two were last written: they hold until that is acknowledged."""
    most_used: int = 0
    """Most segments outstanding since `full_at`."""
    full_at: Instant = 0
    """When the window was last in full use, or was last brought down for not being so.

    In between, what arrives counts as use, too (as Linux).
    """

    def allows_growth(self, window: CongestionWindow) -> bool:
        """Tell whether the congestion window is what limits sending, so that it may grow.

        In slow start it may grow ahead of what is sent, but not beyond twice that.
        """
        return self.limited or (window.cwnd < 2 * self.most_out and window.in_slow_start)


def note_use(ctx: Context, tcb: Tcb, limited: bool, now: Instant) -> None:
    """Remember how far the window is used, after sending as much new text as may be sent.

    `limited`: the congestion window holds text back.
    """
    use, out = tcb.window_use, tcb.sent.packets_out
    new_round = ge(tcb.snd_una, use.round_end)
    if new_round or limited or (not use.limited and out > use.most_out):
        use.limited, use.most_out, use.round_end = limited, out, tcb.snd_nxt
    if use.allows_growth(tcb.window):
        use.most_used = 0
        use.full_at = now
        return
    use.most_used = max(use.most_used, out)
    if ctx.config.tcp_slow_start_after_idle and now - use.full_at >= tcb.rto():
        _shrink_to_use(ctx, tcb, now)


def _shrink_to_use(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Come half-way down to what was used during an RTO (RFC 2861 §3)."""
    use, window = tcb.window_use, tcb.window
    use.full_at = now
    if tcb.recovery.phase is not Phase.OPEN or tcb.orphaned or tcb.send_blocked:
        return  # the application would send more, or never will
    used = max(use.most_used, _initial_cwnd(ctx, tcb))
    use.most_used = 0
    if used < window.cwnd:
        window.ssthresh = current_ssthresh(tcb)
        window.cwnd = (window.cwnd + used) // 2


def restart_after_idle(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Fall towards the restart window when text is to be sent after a silence (RFC 5681 §4.1).

    Deviation: the RFC goes down to RW = min(IW, cwnd) after one RTO; Linux halves the window for
    each RTO of silence until it is there (RFC 2861 §3).

    True: the window may be another one now.
    """
    idle = now - tcb.last_sent_at
    if not tcb.last_sent_at or tcb.sent.in_flight:
        return False
    may_decay = bool(ctx.config.tcp_slow_start_after_idle) and not tcb.sent.segments
    decays = may_decay and idle > tcb.rto()
    if decays:
        _decay(ctx, tcb, idle, now)
    tcb.congestion.on_restart(idle, now)
    return decays


def is_left_unused(tcb: Tcb, now: Instant) -> bool:
    """Tell whether text that is sent now may find the window brought down, for want of use."""
    rto = tcb.rto()
    idles = not tcb.sent.segments and now - tcb.last_sent_at > rto
    return idles or now - tcb.window_use.full_at >= rto


def _decay(ctx: Context, tcb: Tcb, idle: Duration, now: Instant) -> None:
    window, rto = tcb.window, tcb.rto()
    window.ssthresh = current_ssthresh(tcb)
    least = min(_initial_cwnd(ctx, tcb), window.cwnd)
    window.cwnd = max(window.cwnd >> (idle - 1) // rto, least)
    tcb.window_use.full_at = now
    tcb.window_use.most_used = 0


def _initial_cwnd(ctx: Context, tcb: Tcb) -> int:
    return tcb.route.initcwnd or ctx.config.tcp_initial_cwnd
