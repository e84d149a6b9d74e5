"""A connection's text as its user sees it: sending, receiving, and whether it is ready (tcp(7)).

Not done here: waiting, and sockets that have no connection (`stream.py`).
"""

from __future__ import annotations

import select
import socket as constants
import sys
from collections.abc import Callable
from errno import EAGAIN, EINPROGRESS, EINVAL, ENOTTY
from os import strerror
from typing import NoReturn

from tapstack.base.contracts import Buffer
from tapstack.base.errors import os_error
from tapstack.base.units import Duration, Instant
from tapstack.socket.contract import Message
from tapstack.socket.flags import (
    MSG_DONTWAIT,
    MSG_EOR,
    MSG_MORE,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    MSG_WAITALL,
)
from tapstack.socket.ioctl import SIOCATMARK, SIOCINQ, SIOCOUTQ, SIOCOUTQNSD, UNACKNOWLEDGED
from tapstack.socket.kept_options import Kept
from tapstack.socket.scattered import Item
from tapstack.tcp.info import skipped_by_dissolving, skipped_by_listening
from tapstack.tcp.protocol import Tcp
from tapstack.tcp.seq import sub
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.transmit_timestamps import Wish, expect_wish
from tapstack.tcp.urgent import UrgentOctet, is_at_mark

_IN, _OUT = select.POLLIN, select.POLLOUT
_OF_TEXT = MSG_OOB | MSG_MORE | MSG_EOR
"""Flags that say something of the text itself."""
# Each call asks for one of these: as members they would be looked up in their class.
_OPENING = frozenset({State.SYN_SENT, State.SYN_RECEIVED})
_SYN_SENT, _ESTABLISHED, _NOT_URGENT = State.SYN_SENT, State.ESTABLISHED, UrgentOctet.NONE
TCP_INQ = 36
"""Of <linux/tcp.h>, where its control data is called TCP_CM_INQ: octets that wait behind."""


def send(tcp: Tcp, tcb: Tcb, data: Buffer, flags: int, wish: Wish | None, now: Instant) -> int:
    """Queue what finds room, and note a wish to be told of it.

    Raises: OSError with EAGAIN, EPIPE, ENOTCONN, why it ended.
    """
    if wish is not None:
        expect_wish(tcb)
    if flags & _OF_TEXT:
        taken = tcp.send(
            tcb,
            data,
            now,
            out_of_band=flags & MSG_OOB != 0,
            more=flags & MSG_MORE != 0,
            ends_record=flags & MSG_EOR != 0,
        )
    else:
        taken = tcp.send(tcb, data, now)
    if tcb.state is _SYN_SENT:
        tcb.writer_waits = not flags & MSG_DONTWAIT
    if taken == 0 and (len(data) or tcb.state in _OPENING):
        raise os_error(EAGAIN)  # before it is open even nothing has to wait
    if wish is not None and taken:
        tcp.note_queued(tcb, wish)
    return taken


def send_first(tcp: Tcp, tcb: Tcb, data: Buffer, flags: int, now: Instant) -> NoReturn:
    """Connect, with text in the SYN (RFC 7413).

    Raises: BlockingIOError with EINPROGRESS, whose `characters_written` tell how much went with it.
    """
    begun = BlockingIOError(EINPROGRESS, strerror(EINPROGRESS))
    taken = begun.characters_written = tcp.send(tcb, data, now)
    tcb.writer_waits = taken < len(data) and not flags & MSG_DONTWAIT
    raise begun


def receive(tcp: Tcp, tcb: Tcb, size: int, flags: int, now: Instant) -> bytes:
    """Take text, b"" at its end. Raises: OSError with EAGAIN, why it ended."""
    if not (flags & MSG_DONTWAIT or tcb.error):
        # Who may wait gets no less than SO_RCVLOWAT, or than `size` if he wants all of it.
        least = tcb.options.rcvlowat
        if size < least or flags & MSG_WAITALL:
            least = size or 1
        is_there = len(tcb.receive_queue) >= least and tcb.urgent_octet is _NOT_URGENT
        if not is_there and not tcp.is_readable(tcb, least=least):
            raise os_error(EAGAIN)
    if flags & MSG_PEEK:
        text = _peek(tcp, tcb, size, now)
    else:
        text = tcp.receive_text(tcb, size, now)
        if tcb.options.peek_off > 0 and text:  # where the next peek begins comes nearer
            tcb.options.peek_off = max(tcb.options.peek_off - len(text), 0)
    if text is None:
        raise os_error(EAGAIN)
    if flags & MSG_TRUNC:
        return bytes(len(text))  # Linux discards it, and tells how much it was
    return text


def _peek(tcp: Tcp, tcb: Tcb, size: int, now: Instant) -> bytes | None:
    """Look at text from where the last peek ended, if the user wants that (SO_PEEK_OFF)."""
    options = tcb.options
    begin = max(options.peek_off, 0)
    text = tcp.receive_text(tcb, begin + size, now, peek=True)
    if not text or len(text) <= begin:
        looks_at_none = not size and bool(tcb.receive_queue)
        return b"" if looks_at_none or tcp.has_ended(tcb) else None
    if options.peek_off >= 0:
        options.peek_off += len(text) - begin
    return text[begin:]


def receive_all(
    tcp: Tcp, tcb: Tcb, size: int, flags: int, text: bytearray, now: Instant
) -> Message:
    """Add to `text` until it has `size` octets or the stream ends (MSG_WAITALL), and give it.

    Raises: OSError with EAGAIN while more may come. Why the connection ended is left for the next
    call where there is text to be given first.
    """
    while len(text) < size:
        if text and (tcb.error or tcp.is_at_mark(tcb)):
            break  # like any read, it stops at the urgent mark
        piece = receive(tcp, tcb, size - len(text), 0, now)
        if not piece:
            break
        text += piece
    return Message(bytes(len(text)) if flags & MSG_TRUNC else bytes(text))


def stands_at_mark(tcb: Tcb | None) -> bool:
    """Tell whether text waits that begins with the urgent octet: splice(2) goes no further."""
    return tcb is not None and bool(tcb.receive_queue) and is_at_mark(tcb)


def is_opening(tcb: Tcb | None) -> bool:
    """Tell whether our SYN is on its way, or waits for text."""
    return tcb is not None and tcb.state is State.SYN_SENT


def control_of(tcp: Tcp, tcb: Tcb, kept: Kept, epoch: Duration, text: Buffer) -> tuple[Item, ...]:
    """Tell of text that was taken what its user asked for, in Linux's order; b"": of its end."""
    if not kept.tells_of_text:
        return ()
    items = kept.timestamping.tell(tcb.acks.last_text_at + epoch) if text else []
    if kept.inq:
        count = tcp.unread_with_fin(tcb)
        items.append((constants.IPPROTO_TCP, TCP_INQ, count.to_bytes(4, sys.byteorder)))
    return tuple(items)


def readiness(tcp: Tcp, tcb: Tcb) -> int:
    """Tell what poll(2) would."""
    if _is_plain(tcb):
        text = len(tcb.receive_queue)
        bits = _IN if text and (text >= tcb.options.rcvlowat or tcp.is_readable(tcb)) else 0
        return bits | _OUT if not tcb.send_buffer.octets or tcp.is_writable(tcb) else bits
    closed, read_ended = tcb.state is State.CLOSED, tcp.has_ended(tcb)
    bits = select.POLLIN if tcp.is_readable(tcb) else 0
    bits |= select.POLLOUT if tcp.is_writable(tcb) else 0
    bits |= select.POLLPRI if tcp.has_urgent(tcb) else 0
    bits |= select.POLLRDHUP if read_ended else 0
    bits |= select.POLLHUP if closed or (read_ended and tcb.fin_queued) else 0
    return bits | (select.POLLERR if has_error(tcb) else 0)


def _is_plain(tcb: Tcb) -> bool:
    """Tell whether all there is to say is said by its buffers, as it nearly always is."""
    return (
        tcb.state is _ESTABLISHED
        and not (tcb.error or tcb.errors or tcb.read_shut or tcb.fin_queued)
        and tcb.urgent_octet is _NOT_URGENT
    )


def has_error(tcb: Tcb) -> bool:
    """Tell whether an error waits to be told, pending or queued."""
    return bool(tcb.error) or bool(tcb.errors)


def answer(
    request: int, tcp: Tcp, tcb: Tcb | None, past: Tcb | None, kept: Kept, *, listens: bool
) -> int:
    """Answer what ioctl(2) asks, also of a connection that was dissolved, or a past listener.

    Raises: OSError with EINVAL of a listener, ENOTTY.
    """
    if request not in _REQUESTS:
        raise os_error(ENOTTY)
    if listens and request != SIOCATMARK:
        raise os_error(EINVAL)
    if tcb is None and request in UNACKNOWLEDGED:
        if past is None:
            return skipped_by_listening(kept.listened)
        in_flight = sub(past.snd_nxt, past.snd_una) if request == SIOCOUTQ else 0
        return in_flight + skipped_by_dissolving(past)
    return int(_REQUESTS[request](tcp, tcb)) if tcb else 0


_REQUESTS: dict[int, Callable[[Tcp, Tcb], int]] = {
    SIOCINQ: Tcp.unread,
    SIOCOUTQ: Tcp.unacknowledged,
    SIOCOUTQNSD: Tcp.unsent,
    SIOCATMARK: Tcp.is_at_mark,
}
