"""Congestion window validation (RFC 7661, RFC 5681 §4.1): a window that is not used is not trusted.

The window grows only while it limits what is sent; it shrinks while the application sends less for
long, and again when nothing was sent at all. The rules are Linux's, which follow RFC 2861.

Not done here: how the window grows (`congestion/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.episode import current_ssthresh
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.seq import ge

if TYPE_CHECKING:
    from tapstack.base.units import Duration, Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


def note_use(ctx: Context, tcb: Tcb, limited: bool, now: Instant) -> None:
    """Remember how far the window is used, after sending as much new text as may be sent.

    `limited`: the congestion window holds text back.
    """
    window, out = tcb.window, tcb.sent.packets_out
    new_round = ge(tcb.snd_una, window.round_end)
    if new_round or limited or (not window.limited and out > window.most_out):
        window.limited, window.most_out, window.round_end = limited, out, tcb.snd_nxt
    if window.may_grow():
        window.most_used = 0
        window.full_at = now
        return
    if out > window.most_used:
        window.most_used = out
    if ctx.config.tcp_slow_start_after_idle and now - window.full_at >= tcb.rto():
        shrink_to_use(ctx, tcb, now)


def shrink_to_use(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Come half-way down to what was used during an RTO (RFC 2861 §3)."""
    window = tcb.window
    window.full_at = now
    if tcb.recovery.phase is not Phase.OPEN or tcb.orphaned or tcb.send_blocked:
        return  # the application would send more, or never will
    used = max(window.most_used, tcb.route.initcwnd or ctx.config.tcp_initial_cwnd)
    window.most_used = 0
    if used < window.cwnd:
        window.ssthresh = current_ssthresh(tcb)
        window.cwnd = (window.cwnd + used) // 2


def decay_after_idle(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Fall towards the restart window after a silence (RFC 5681 §4.1), if nothing is in flight.

    As in Linux that is asked when text is queued, and when the peer's window changes while text
    waits, not when text is sent.

    Deviation: the RFC goes down to RW = min(IW, cwnd) after one RTO; Linux halves the window for
    each RTO of silence until it is there (RFC 2861 §3).
    """
    if tcb.sent.segments or not tcb.last_sent_at:
        return
    rto = tcb.rto()
    idle = now - tcb.last_sent_at
    if idle > rto and ctx.config.tcp_slow_start_after_idle:
        decay(ctx, tcb, idle, rto, now)


def restart(tcb: Tcb, now: Instant) -> None:
    """Tell congestion control that text leaves, if nothing is in flight: for how long is known."""
    if tcb.last_sent_at and not (tcb.sent.segments and tcb.sent.in_flight):
        tcb.congestion.on_restart(now - tcb.last_sent_at, now)


def is_left_unused(tcb: Tcb, now: Instant) -> bool:
    """Tell whether text that is sent now may find the window brought down, for want of use."""
    rto = tcb.rto()
    idles = not tcb.sent.segments and now - tcb.last_sent_at > rto
    return idles or now - tcb.window.full_at >= rto


def decay(ctx: Context, tcb: Tcb, idle: Duration, rto: Duration, now: Instant) -> None:
    """Halve the window for each RTO that it was idle, down to the restart window."""
    window = tcb.window
    cwnd, least = window.cwnd, tcb.route.initcwnd or ctx.config.tcp_initial_cwnd
    window.full_at = now
    window.most_used = 0
    if cwnd <= least and cwnd <= window.ssthresh:
        return  # it is there already, as that of a connection that seldom sends is
    window.ssthresh = current_ssthresh(tcb)
    window.cwnd = max(cwnd >> (idle - 1) // rto, min(least, cwnd))
