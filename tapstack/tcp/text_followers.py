"""Who follows the text that is sent, to tell its user what becomes of it.

Not in any RFC. What they tell stands in the socket's queue of errors (MSG_ERRQUEUE of recv(2)).

Not done here: what they tell (`transmit_timestamps.py`, `held_text.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tapstack.base.contracts import ERROR, Buffer
from tapstack.base.error_queue import ErrorQueue, QueuedError
from tapstack.base.units import Instant

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


class TextFollower(Protocol):
    """One of them: it belongs to one connection."""

    def on_transmitted(
        self, ctx: Context, tcb: Tcb, seq: int, text: list[Buffer], now: Instant
    ) -> None:
        """Hear of text that leaves, for the first time or again."""

    def on_acknowledged(self, ctx: Context, tcb: Tcb, now: Instant) -> None:
        """Hear that SND.UNA has moved."""

    def on_joined(self, seq: int, end: int) -> None:
        """Hear that what was sent in several segments is one from now on."""

    def on_end(self, ctx: Context, tcb: Tcb) -> None:
        """Hear that the connection ends, and what it holds is let go of."""


def tell(ctx: Context, tcb: Tcb, told: QueuedError) -> None:
    """Put something into the queue, and wake who waits for it."""
    if tcb.errors is None:
        tcb.errors = ErrorQueue()
    if tcb.errors.add(told):
        ctx.report(tcb, ERROR)
