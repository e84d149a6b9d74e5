"""Paths that swallow TCP Fast Open: when a client rests from it, as Linux does.

Some middleboxes drop what they do not know, and whatever comes after that. A connection that never
hears anything, or hears of its end before any text, tells so.

Not done here: how long the rest is (`fast_open_peers.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.units import Instant

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_LAST_STRAW = 2
"""Timeouts in a row, the next of which is one too many."""


def on_timeout(ctx: Context, tcb: Tcb, now: Instant, *, gives_up: bool) -> None:
    """Hear of a timeout, before it is counted."""
    attempt = tcb.fast_open
    if attempt is None or not (attempt.offered or attempt.text):
        return
    if tcb.retransmits == _LAST_STRAW or (tcb.retransmits < _LAST_STRAW and gives_up):
        _rest(ctx, now)


def on_stray_reset(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Hear of a reset that is not at RCV.NXT: something before it was lost, maybe all."""
    if _never_heard_text(tcb):
        _rest(ctx, now)


def on_end(ctx: Context, tcb: Tcb) -> None:
    """See a connection end: with a FIN beyond a gap and no text, or with text and all well."""
    attempt = tcb.fast_open
    if _never_heard_text(tcb):
        if tcb.fin_beyond is not None:
            _rest(ctx, tcb.last_received_at)
    elif attempt is not None and attempt.is_trial:
        ctx.fast_open_peers.on_success()


def _never_heard_text(tcb: Tcb) -> bool:
    attempt = tcb.fast_open
    return attempt is not None and attempt.offered and not tcb.statistics.data_segs_in


def _rest(ctx: Context, now: Instant) -> None:
    if ctx.config.tcp_fastopen_blackhole_timeout_sec:
        ctx.fast_open_peers.pause(now)
        ctx.counters["TcpExtTCPFastOpenBlackhole"] += 1
