"""The user's RECEIVE (RFC 9293 §3.10.3): taking text, and what that brings about.

Not done here: waiting for text, and the octet that is lifted out of it (`urgent.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.errors import os_error
from tapstack.tcp import receive_space, urgent
from tapstack.tcp.acknowledging import ack_after_taking_is_due
from tapstack.tcp.receive_window import remaining_window
from tapstack.tcp.seq import add, sub
from tapstack.tcp.state import HAS_RECEIVED_FIN, State
from tapstack.tcp.urgent import UrgentOctet

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_OVER = frozenset({State.CLOSED, State.TIME_WAIT})
"""States in which no ACK is for anything that the user takes."""


def receive(ctx: Context, tcb: Tcb, size: int, now: Instant, peek: bool) -> bytes | None:
    """Take up to `size` octets; None: nothing is there yet; b"": the stream has ended.

    Raises: the connection's error, once all text before it is taken.
    """
    queue, lifted = tcb.receive_queue, False
    if tcb.urgent_octet is not UrgentOctet.NONE:
        lifted, size = urgent.is_lifted_out(tcb), urgent.octets_before_mark(tcb, size)
    waiting = len(queue)
    if waiting > lifted and peek:
        # As Linux: a user who looks at it has read it, and what he took before is measured.
        receive_space.on_taken(tcb, tcb.copied_seq, ctx.config, now)
        _acknowledge_taken(ctx, tcb)
        return queue.peek(lifted + size)[lifted:]
    if waiting and lifted and not peek:
        queue.take(1)
        _on_taken(ctx, tcb, 1, now)
    if waiting > lifted:
        text = queue.take(size)
        _on_taken(ctx, tcb, len(text), now)
        return text
    if unread_with_fin(tcb) > len(queue):
        return b""  # as Linux: what comes behind the peer's FIN is of no concern to who reads
    raise_error(tcb)
    return b"" if has_ended(tcb) else None


def receive_urgent(tcb: Tcb, peek: bool) -> bytes:
    """Take the urgent octet; b"": the stream has ended without it. It never waits.

    Raises: OSError with EINVAL when there is none, EAGAIN when it has not come yet, ENOTCONN when
    the connection has broken off.
    """
    closed = tcb.state is State.CLOSED
    broken = closed and unread_with_fin(tcb) == len(tcb.receive_queue)  # no FIN of the peer's
    return urgent.take_octet(tcb, tcb.read_shut or closed, broken, peek)


def unread(tcb: Tcb) -> int:
    """Count the octets that the user may take now, up to an octet that is lifted out."""
    text = len(tcb.receive_queue)
    if tcb.options.oobinline:
        return text
    return 0 if urgent.is_lifted_out(tcb) else urgent.octets_before_mark(tcb, text)


def unread_with_fin(tcb: Tcb) -> int:
    """Count the octets that the user has not taken; the peer's FIN is one (TCP_INQ)."""
    return sub(tcb.rcv_nxt, tcb.copied_seq)


def has_ended(tcb: Tcb) -> bool:
    """Tell whether no more text will come behind what is queued."""
    return tcb.read_shut or tcb.state is State.CLOSED or tcb.state in HAS_RECEIVED_FIN


def is_readable(tcb: Tcb, least: int) -> bool:
    """Tell whether `receive` would return `least` octets, or as many as will come.

    An error alone is nothing to read, while the connection stands.
    """
    text = len(tcb.receive_queue)
    if tcb.urgent_octet is not UrgentOctet.NONE:
        text -= urgent.is_lifted_out(tcb)
    if text >= least or has_ended(tcb):
        return True
    # More does not fit the window, or ends at the mark: to wait for it would be for ever.
    return text > 0 and (unread(tcb) < text or remaining_window(tcb) <= tcb.acks.rcv_mss)


def is_worth_polling(tcb: Tcb) -> bool:
    """Tell whether there is as much text as the user waits for (SO_RCVLOWAT), or will come.

    As in Linux, an octet that is lifted out counts for nothing, and a mark ahead changes nothing.
    """
    text, least = len(tcb.receive_queue), tcb.options.rcvlowat
    if tcb.urgent_octet is not UrgentOctet.NONE:
        least += urgent.is_lifted_out(tcb)
    if text >= least or has_ended(tcb):
        return True
    return text > 0 and remaining_window(tcb) <= tcb.acks.rcv_mss


def _on_taken(ctx: Context, tcb: Tcb, octets: int, now: Instant) -> None:
    """Tune the receive buffer, and open the window when that is worth an ACK."""
    tcb.copied_seq = add(tcb.copied_seq, octets)
    up_to = tcb.receive_queue.release(tcb.copied_seq)
    if tcb.urgent_octet is not UrgentOctet.NONE:
        urgent.on_taken(tcb)
    receive_space.on_taken(tcb, up_to, ctx.config, now)
    _acknowledge_taken(ctx, tcb)


def _acknowledge_taken(ctx: Context, tcb: Tcb) -> None:
    if tcb.state not in _OVER and ack_after_taking_is_due(tcb):
        tcb.acks.due = True
        ctx.mark_owing(tcb)


def raise_error(tcb: Tcb) -> None:
    """Raise the error that waits for the user, once."""
    if tcb.error:
        number, tcb.error = tcb.error, 0
        raise os_error(number)
