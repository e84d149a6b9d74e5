"""The send buffer's size: how much of the user's text is taken, and when there is room again.

A buffer that the user has not set grows with the congestion window, so that it always holds what is
in flight and as much again to follow. With TCP_NOTSENT_LOWAT the user asks for less to wait
unsent, whatever is in flight.

Not done here: the text (`send_buffer.py`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from tapstack.base.contracts import WRITABLE
from tapstack.tcp.seq import add
from tapstack.tcp.statistics import Limit
from tapstack.tcp.transmission import current_mss

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_LONGEST_HEADERS = 192
"""Octets that Linux leaves for headers, be it in the largest unit (MAX_TCP_HEADER)."""
_SHARED_RECORD = 320
"""Octets of what Linux keeps behind a segment's text."""
_BOOKKEEPING = 256
"""Octets of Linux's own record of a segment."""
_PIECE_OVERHEAD = 832
"""Octets of memory that Linux takes for a piece of text besides the text: all these, rounded up."""
_LEAST_SEGMENTS = 10
"""Segments that any buffer is made for (Linux's TCP_INIT_CWND)."""
_SMALL_WINDOW = 536
"""A window up to this size is filled by one piece (Linux's TCP_MSS_DEFAULT)."""


def size_at_first(config: TcpConfig, fixed: int | None) -> int:
    """Give the octets of a new connection's buffer; `fixed` is what the user has set."""
    return config.tcp_wmem[1] if fixed is None else fixed


def grow(ctx: Context, tcb: Tcb) -> None:
    """Let a buffer that the user has not set hold two congestion windows, as Linux counts them."""
    if tcb.options.send_buffer is not None:
        return
    segments = tcb.window.cwnd, tcb.recovery.reordering + 1
    wanted = _space_for(*segments, tcb.peer_mss, ctx.config.tcp_wmem[2])
    if wanted > tcb.send_space:
        tcb.send_space = wanted


@lru_cache(maxsize=256)
def _space_for(cwnd: int, reordering: int, mss: int, most: int) -> int:
    """Give the memory of two windows; Linux charges for a segment a power of two, and its record.

    Most connections that begin share it, to the very number.
    """
    segments = max(_LEAST_SEGMENTS, cwnd, reordering)
    octets = mss + _LONGEST_HEADERS + _SHARED_RECORD
    cost = (1 << (octets - 1).bit_length()) + _BOOKKEEPING
    return min(2 * segments * cost, most)


def charge(tcb: Tcb) -> int:
    """Give the memory of all that is queued or in flight, octets, as Linux counts it."""
    pieces = len(tcb.send_pieces) + len(tcb.sent.segments)
    return tcb.send_buffer.octets + tcb.send_pieces.padding + _PIECE_OVERHEAD * pieces


def room_in_last(ctx: Context, tcb: Tcb, *, is_urgent: bool) -> int:
    """Tell how many octets still fit the last piece, if it waits: that much memory it has."""
    length = tcb.send_pieces.last_length(tcb)
    if length is None or _record_has_ended(tcb):
        return 0
    return max(piece_size(ctx, tcb, is_urgent=is_urgent) - length, 0)


def _record_has_ended(tcb: Tcb) -> bool:
    """Tell whether a record ends with what is queued last."""
    return bool(tcb.record_ends) and tcb.record_ends[-1] == add(tcb.snd_nxt, tcb.unsent())


def room_for_another(ctx: Context, tcb: Tcb, *, is_urgent: bool) -> int:
    """Tell how many octets another piece takes; 0: there is no room for any."""
    if charge(tcb) >= tcb.send_space or _reaches(tcb, unsent_limit(ctx, tcb)):
        return 0
    return piece_size(ctx, tcb, is_urgent=is_urgent)


def pieces_taken(ctx: Context, tcb: Tcb) -> tuple[int, int]:
    """Give the octets of a full piece, and how many the buffer takes, if none waits to be sent."""
    size = piece_size(ctx, tcb)
    if not unsent_limit(ctx, tcb):
        return size, 0
    return size, -((charge(tcb) - tcb.send_space) // (size + _PIECE_OVERHEAD))


def piece_size(ctx: Context, tcb: Tcb, *, is_urgent: bool = False) -> int:
    """Give the octets of a full piece: whole segments, up to half of the peer's largest window.

    As in Linux, one of urgent text is one segment.
    """
    most, window, mss = ctx.config.max_segment_unit, tcb.max_snd_wnd, tcb.effective_mss
    if tcb.sacks or tcb.duplicate_text is not None or (tcb.ecn and tcb.accecn is not None):
        mss = current_mss(tcb, tcb.transmitted_at)  # options take their part of each
    if is_urgent:
        return mss
    half = window // 2 if window > _SMALL_WINDOW else window
    most = min(most - _LONGEST_HEADERS, half or most)
    return max(most // mss, 1) * mss


def is_roomy(ctx: Context, tcb: Tcb) -> bool:
    """Tell whether it is worth to wake who waits: a third is free, and little waits unsent."""
    if 3 * charge(tcb) > 2 * tcb.send_space:
        return False
    return not _reaches(tcb, -(-unsent_limit(ctx, tcb) // 2))


def _reaches(tcb: Tcb, limit: int) -> bool:
    """Tell whether so much waits that was never sent; seldom does even what is queued."""
    return tcb.send_buffer.octets >= limit and tcb.unsent() >= limit


def unsent_limit(ctx: Context, tcb: Tcb) -> int:
    """Give the octets of which less than those may wait unsent for more to be taken."""
    return tcb.options.notsent_lowat or ctx.config.tcp_notsent_lowat


def report_room(ctx: Context, tcb: Tcb, units: int, now: Instant) -> None:
    """Tell a user who found no room that there is some again, or make it, as something has passed.

    That is a segment that came, or so many `units` of new text that left just now: Linux looks
    behind each of them, so that behind the first of several the congestion window is not full.
    """
    if not tcb.send_blocked:
        return
    has_heard = tcb.statistics.segs_in != tcb.blocked_at
    if not (units or has_heard):
        return
    if units > 1 or _may_hold_back(tcb, has_heard=has_heard):
        grow(ctx, tcb)
    offer_room(ctx, tcb, now)


def offer_room(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Tell the user that there is room, if so; as in Linux, its want limits him no longer then."""
    if not is_roomy(ctx, tcb):
        return
    tcb.send_blocked = False
    if tcb.statistics.limit is Limit.SEND_BUFFER:
        tcb.statistics.note_limit(Limit.BUSY, now)
    ctx.report(tcb, WRITABLE)


def _may_hold_back(tcb: Tcb, *, has_heard: bool) -> bool:
    """Tell whether the buffer, rather than the congestion window, is what limits sending, or soon.

    Deviation: Linux grows a buffer only while the window is not full. It never is for long there,
    once segments come.
    """
    window = tcb.window.cwnd
    return tcb.sent.in_flight < window or (has_heard and tcb.unsent() < window * tcb.effective_mss)
