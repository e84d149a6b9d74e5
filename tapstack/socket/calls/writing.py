"""Sending from a socket: how long that waits, and for how much (send(2), socket(7)).

Not done here: one attempt at it (`socket/stream.py`, `socket/messages.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from errno import EINPROGRESS
from typing import TYPE_CHECKING

from tapstack.base.address import Endpoint
from tapstack.base.contracts import CLOSED, CONNECTED, WRITABLE
from tapstack.base.units import SECOND
from tapstack.socket.flags import (
    GOES_ON,
    MSG_DONTWAIT,
    MSG_FASTOPEN,
    MSG_ZEROCOPY,
    TAKES_ALL,
)
from tapstack.socket.scattered import Item
from tapstack.socket.special_sends import send_each
from tapstack.socket.stream import StreamEndpoint

if TYPE_CHECKING:
    from tapstack.socket.calls.socket_file import SocketFile

_OUTGOING = WRITABLE | CLOSED


def send(
    file: SocketFile,
    data: bytes,
    flags: int,
    to: Endpoint | None,
    control: Sequence[Item] = (),
) -> int:
    """Send what finds room, or wait until all does; give how many octets did. Raises: OSError."""
    patience = file.endpoint.send_timeout() if file.may_block else 0
    if flags & MSG_DONTWAIT:
        patience = 0
    if patience is None and flags & MSG_ZEROCOPY:
        flags |= TAKES_ALL
    deadline = None if patience is None else file.host.now() + round(patience * SECOND)
    sent = _send_once(file, memoryview(data), flags, to, control, patience)
    while sent < len(data) and patience != 0:
        if deadline is not None:
            patience = max(0, (deadline - file.host.now()) / SECOND)
        rest = memoryview(data)[sent:]
        try:
            taken = _send_once(file, rest, flags & ~MSG_FASTOPEN | GOES_ON, None, control, patience)
        except OSError:  # the octets that were taken count; the next call is told
            break
        if not taken:  # as the connection has ended
            break
        sent += taken
    return sent


def send_parts(
    file: SocketFile,
    parts: Sequence[bytes],
    flags: int,
    to: Endpoint | None,
    control: Sequence[Item] = (),
) -> int:
    """Send some buffers as one; give how many octets were sent. Raises: OSError.

    A stream that holds them (MSG_ZEROCOPY) refers to each by itself, as far as there is room.
    """
    whole, endpoint, sent = b"".join(parts), file.endpoint, 0
    is_stream = isinstance(endpoint, StreamEndpoint) and endpoint.kept.zerocopy
    if not (flags & MSG_ZEROCOPY and is_stream and len(parts) > 1):
        return send(file, whole, flags, to, control)
    with suppress(BlockingIOError):
        sent = file.call(send_each, endpoint, parts, flags, to, control)
    if not sent:
        return send(file, whole, flags, to, control)
    if sent < len(whole) and file.may_block and not flags & MSG_DONTWAIT:
        with suppress(OSError):  # the octets that were taken count; the next call is told
            sent += send(file, whole[sent:], flags | GOES_ON, None, control)
    return sent


def _send_once(
    file: SocketFile,
    data: memoryview,
    flags: int,
    to: Endpoint | None,
    control: Sequence[Item],
    patience: float | None,
) -> int:
    """Send what finds room, at least one octet; or connect with a SYN that carries text."""
    if patience == 0:
        flags |= MSG_DONTWAIT
    try:
        return file.block(patience, _OUTGOING, file.send, data, flags, to, control)
    except BlockingIOError as begun:
        if begun.errno != EINPROGRESS:
            raise
        taken = begun.characters_written
        if patience != 0:
            file.block(patience, CONNECTED | CLOSED, file.endpoint.finish_connect)
        elif not taken:
            raise
        return taken
