"""Urgent text (RFC 9293 §3.8.5, RFC 6093): a mark in the stream, and the octet that stands there.

The pointer is understood as Linux and nearly all others do: it points behind the last urgent octet,
which is one octet of the stream, lifted out of it unless the user wants it inline (SO_OOBINLINE).
With `tcp_stdurg` the pointer of what arrives points at the octet itself (RFC 1122 §4.2.2.4).

Not done here: signals. Who waits is told by an event.
"""

from __future__ import annotations

from enum import Enum
from errno import EAGAIN, EINVAL, ENOTCONN
from typing import TYPE_CHECKING

from tapstack.base.contracts import URGENT
from tapstack.base.errors import os_error
from tapstack.tcp.segment import URG, Segment
from tapstack.tcp.seq import add, gt, le, lt, sub

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_LARGEST_POINTER = 0xFFFF


class UrgentOctet(Enum):
    """What is known of the octet at the mark."""

    NONE = 0
    """There is no mark ahead of the user."""
    AWAITED = 1
    """The mark was announced; the octet has not come yet."""
    HERE = 2
    TAKEN = 3
    """The user has taken it; the mark still stands in the stream."""


# --- sending ------------------------------------------------------------------------------------


def mark_sent(tcb: Tcb) -> None:
    """Make the last octet queued urgent: SND.UP is what comes behind it."""
    tcb.snd_up = add(tcb.snd_nxt, tcb.unsent())
    tcb.undisturbed = False


def is_sending(tcb: Tcb) -> bool:
    """Tell whether we are in urgent mode: the peer has not acknowledged what is urgent."""
    return gt(tcb.snd_up, tcb.snd_una)


def pointer_for(tcb: Tcb, seq: int) -> int:
    """Give SEG.UP of a segment at `seq`; 0: it carries no URG bit.

    A mark too far away is announced as far as the field reaches, from the end of what was sent.
    """
    if not is_sending(tcb) or not lt(seq, tcb.snd_up):
        return 0
    distance = sub(tcb.snd_up, seq)
    if distance <= _LARGEST_POINTER:
        return distance
    return _LARGEST_POINTER if gt(add(seq, _LARGEST_POINTER), tcb.snd_nxt) else 0


def on_acknowledged(tcb: Tcb) -> None:
    """Leave urgent mode once SND.UNA has passed the mark."""
    if le(tcb.snd_up, tcb.snd_una):
        tcb.snd_up = tcb.snd_una


# --- receiving ----------------------------------------------------------------------------------


def check_urgent(ctx: Context, tcb: Tcb, seg: Segment) -> None:
    """Sixth, check the URG bit: note the mark, and look for its octet."""
    if seg.flags & URG:
        _announce(ctx, tcb, seg)
    if tcb.urgent_octet is UrgentOctet.AWAITED:
        offset = sub(tcb.rcv_up, seg.seq)
        if offset < len(seg.text):
            tcb.urgent_octet = UrgentOctet.HERE
            tcb.urgent_text = bytes(seg.text[offset : offset + 1])
            ctx.report(tcb, URGENT)


def _announce(ctx: Context, tcb: Tcb, seg: Segment) -> None:
    """Take the urgent pointer, unless it is of what was received already, or known."""
    # Deviation: RFC 6093 §2.2 counts SEG.UP from 1; a 0 points at the first octet, as in Linux.
    offset = seg.up if ctx.config.tcp_stdurg else max(seg.up - 1, 0)
    mark = add(seg.seq, offset)
    if lt(mark, tcb.rcv_nxt):
        return
    if tcb.urgent_octet is not UrgentOctet.NONE and not gt(mark, tcb.rcv_up):
        return
    if is_at_mark(tcb) and not tcb.options.oobinline and len(tcb.receive_queue):
        # The old mark is given up: its octet, lifted out, must not come back as common text.
        tcb.receive_queue.take(1)
        tcb.copied_seq = add(tcb.copied_seq, 1)
        tcb.receive_queue.release(tcb.copied_seq)
    tcb.urgent_octet = UrgentOctet.AWAITED
    tcb.rcv_up = mark


# --- the user -----------------------------------------------------------------------------------


def is_at_mark(tcb: Tcb) -> bool:
    """Tell whether the next octet of the stream is the urgent one (SIOCATMARK)."""
    return tcb.urgent_octet is not UrgentOctet.NONE and tcb.rcv_up == tcb.copied_seq


def is_lifted_out(tcb: Tcb) -> bool:
    """Tell whether the next octet of the stream is urgent, and no part of the common text."""
    return is_at_mark(tcb) and not tcb.options.oobinline


def octets_before_mark(tcb: Tcb, size: int) -> int:
    """Cut a read short where it would pass the mark: at it, the next read begins."""
    if tcb.urgent_octet is UrgentOctet.NONE:
        return size
    return min(size, sub(tcb.rcv_up, tcb.copied_seq) or size)


def on_taken(tcb: Tcb) -> None:
    """Forget the mark, if there is one, once the user has read past it."""
    if gt(tcb.copied_seq, tcb.rcv_up):
        tcb.urgent_octet = UrgentOctet.NONE


def take_octet(tcb: Tcb, ended: bool, broken: bool, peek: bool) -> bytes:
    """Take the urgent octet (MSG_OOB); b"": the stream has ended without it. It never waits.

    Raises: OSError with EINVAL when there is none, EAGAIN when it has not come yet, ENOTCONN when
    the connection is `broken`.
    """
    if tcb.options.oobinline or tcb.urgent_octet in (UrgentOctet.NONE, UrgentOctet.TAKEN):
        raise os_error(EINVAL)
    if broken:
        raise os_error(ENOTCONN)
    if tcb.urgent_octet is UrgentOctet.HERE:
        if not peek:
            tcb.urgent_octet = UrgentOctet.TAKEN
        return tcb.urgent_text
    if ended:
        return b""
    raise os_error(EAGAIN)
