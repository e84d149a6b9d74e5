"""The send buffer's size: how much of the user's text is taken, and when there is room again.

A buffer that the user has not set grows with the congestion window, so that it always holds what is
in flight and as much again to follow. With TCP_NOTSENT_LOWAT the user asks for less to wait
unsent, whatever is in flight.

Not done here: the text (`send_buffer.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.contracts import WRITABLE
from tapstack.tcp.transmission import max_unit

if TYPE_CHECKING:
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_HEADROOM = 640
"""Octets that Linux keeps beside each segment's text: headers and its bookkeeping."""
_BOOKKEEPING = 256
"""Octets of Linux's own record of a segment."""
_LEAST_SEGMENTS = 10
"""Segments that any buffer is made for (Linux's TCP_INIT_CWND)."""


def size_at_first(config: TcpConfig, fixed: int | None) -> int:
    """Give the octets of a new connection's buffer; `fixed` is what the user has set."""
    return config.tcp_wmem[1] if fixed is None else fixed


def grow(ctx: Context, tcb: Tcb) -> None:
    """Let a buffer that the user has not set hold two congestion windows, as Linux counts them."""
    if tcb.options.send_buffer is not None:
        return
    segments = max(_LEAST_SEGMENTS, tcb.window.cwnd, tcb.recovery.reordering + 1)
    most = ctx.config.tcp_wmem[2]
    tcb.send_space = max(tcb.send_space, min(2 * segments * _cost(tcb.peer_mss), most))


def _cost(mss: int) -> int:
    """Give the memory that Linux charges for a segment: a power of two, and its record."""
    return (1 << (mss + _HEADROOM - 1).bit_length()) + _BOOKKEEPING


def room(ctx: Context, tcb: Tcb) -> int:
    """Tell how many octets the user may queue now.

    Like in Linux, a segment that is begun may be filled, and with TCP_NOTSENT_LOWAT a unit.
    """
    free, unsent = tcb.send_space - len(tcb.send_buffer), tcb.unsent()
    if free <= 0:
        return 0
    free += -(unsent + free) % tcb.effective_mss
    limit = _unsent_limit(ctx, tcb)
    if limit < unsent + free:
        unit = max_unit(ctx, tcb)
        free = min(free, -(-(limit - unsent) // unit) * unit)
    return max(free, 0)


def is_roomy(ctx: Context, tcb: Tcb) -> bool:
    """Tell whether it is worth to wake who waits: a third is free, and little waits unsent."""
    if 3 * len(tcb.send_buffer) > 2 * tcb.send_space:
        return False
    return 2 * tcb.unsent() < _unsent_limit(ctx, tcb)


def _unsent_limit(ctx: Context, tcb: Tcb) -> int:
    return tcb.options.notsent_lowat or ctx.config.tcp_notsent_lowat


def report_room(ctx: Context, tcb: Tcb) -> None:
    """Tell a user who found no room that there is some again, or make it.

    Where the congestion window is not full, it was the buffer that held text back.
    """
    if not tcb.send_blocked:
        return
    if tcb.sent.in_flight < tcb.window.cwnd:
        grow(ctx, tcb)
    if is_roomy(ctx, tcb):
        tcb.send_blocked = False
        ctx.report(tcb, WRITABLE)
