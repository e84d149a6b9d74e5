"""Pacing: text leaves no faster than a rate, for who has set a limit to it (SO_MAX_PACING_RATE).

As in Linux without a queue that does it, TCP waits by itself: what leaves puts off what comes
behind it by the time that it takes at the pacing rate, and what was late makes up for half of its
time at most. The first segments of a connection leave as they may. Neither a pure ACK nor what a
timeout sends again waits.

Not done here: the rate (`unit_size.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.units import SECOND, Duration, Instant
from tapstack.tcp.recovery_state import recovery_of
from tapstack.tcp.user_options import UNPACED

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_FREE_SEGMENTS = 10
"""The last segments with text that put nothing off are those before this one (as Linux)."""


def is_held(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Tell whether the next unit has to wait; then the flush is asked for when it may leave."""
    if tcb.paced_until <= now:
        return False
    tcb.pacing_timer = ctx.arm(tcb, tcb.pacing_timer, tcb.paced_until, _on_timeout)
    return True


def _on_timeout(owner: tuple[Context, Tcb], now: Instant) -> None:  # noqa: ARG001 - every expiry's form
    ctx, tcb = owner
    # As Linux: what is lost goes first, though an ACK was awaited.
    recovery_of(tcb).repairs_held = False
    ctx.mark_dirty(tcb)


def on_transmitted(tcb: Tcb, packets: int, length: int, now: Instant) -> None:
    """Note that a segment of so many octets of text leaves, in so many `packets`."""
    begins = max(tcb.paced_until, now)
    early, tcb.paced_until = begins - tcb.paced_until, begins
    segments = tcb.statistics.data_segs_out + packets
    if length and segments >= _FREE_SEGMENTS and tcb.pacing_rate < UNPACED:
        takes = -(-length * SECOND // max(tcb.pacing_rate, 1))
        tcb.paced_until += takes - min(takes // 2, early)


def delay(tcb: Tcb, now: Instant) -> Duration:
    """Tell how long the next unit has to wait, µs: so much later is its answer due, too."""
    return max(tcb.paced_until - now, 0)
