"""Taking a user's text into the send buffer (RFC 9293 §3.10.2), piece by piece.

Not done here: how large the pieces are, and how many find room (`send_space.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp import send_space
from tapstack.tcp.output import send_new_text
from tapstack.tcp.send_room import unit_quota
from tapstack.tcp.train import send_train
from tapstack.tcp.window_validation import decay_after_idle

if TYPE_CHECKING:
    from tapstack.base.contracts import Buffer
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


_ENOUGH_PIECES = 3
"""When so many wait and none may leave, more of them seldom change that: a unit is made of two."""


def queue_text(
    ctx: Context, tcb: Tcb, data: Buffer, now: Instant, *, is_urgent: bool, goes_on: bool
) -> int:
    """Queue text piece by piece, and tell how much found room.

    Whenever the last piece is full and more follows, a unit of it leaves, if nothing waits before
    it, and all that may when it is pushed: what has left makes room, in that piece too, so that
    much more may be taken than the buffer holds at once. What is urgent leaves only with all of it.
    The end is the flush's, unless a train takes it along: it is not to if the user `goes_on`, or
    ends a record.
    """
    text = memoryview(data)
    taken, size, may_leave = 0, len(text), not is_urgent
    units = len(tcb.sent.segments)
    while taken < size:
        if may_leave and size - taken > tcb.effective_mss:
            taken += send_train(ctx, tcb, text[taken:], now, to_its_end=not goes_on)
            if taken == size:
                break
        in_last = send_space.room_in_last(ctx, tcb, is_urgent=is_urgent)
        room = in_last or send_space.room_for_another(ctx, tcb, is_urgent=is_urgent)
        if not room:
            break
        if not (in_last or tcb.sent.segments):
            decay_after_idle(ctx, tcb, now)
        if in_last and not taken:
            tcb.send_pieces.unpush(tcb)
        part = text[taken : taken + room]
        tcb.send_buffer.append(part)
        tcb.send_pieces.take(tcb, len(part), begins=not in_last)
        taken += len(part)
        pushed = taken < size and not is_urgent and tcb.send_pieces.push_is_due(tcb)
        if pushed:
            tcb.send_pieces.push(tcb)
        if taken < size and may_leave:
            if pushed or len(tcb.send_pieces) == 1:
                _send_meanwhile(ctx, tcb, now, only_one=not pushed)
            may_leave = len(tcb.send_pieces) < _ENOUGH_PIECES or _may_yet_change(ctx, tcb)
    send_space.report_room(ctx, tcb, len(tcb.sent.segments) - units, now)
    return taken


def _may_yet_change(ctx: Context, tcb: Tcb) -> bool:
    """Tell whether another piece may have one leave that could not, or the first one grow.

    That takes from the second with each push, which leaves room for one more (as Linux).
    """
    if tcb.mtu_probing is not None:
        return True
    mss = tcb.effective_mss
    unit = unit_quota(ctx, tcb, mss) * mss
    return tcb.send_pieces.octets_in_piece(tcb, unit) < unit


def _send_meanwhile(ctx: Context, tcb: Tcb, now: Instant, *, only_one: bool) -> None:
    """Send what is queued of a text that goes on: Nagle's algorithm is not asked."""
    tcb.push_pending = True
    try:
        send_new_text(ctx, tcb, now, only_one=only_one)
    finally:  # also if a signal handler raises amid a write
        tcb.push_pending = False
