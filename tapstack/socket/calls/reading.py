"""Receiving from a socket: how long that waits, and for how much (recv(2), socket(7)).

Not done here: one attempt at it (`socket/stream.py`, `socket/messages.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.contracts import CLOSED, READABLE
from tapstack.socket.contract import Message
from tapstack.socket.flags import (
    MSG_DONTWAIT,
    MSG_PEEK,
    MSG_TRUNC,
    MSG_WAITALL,
    NEVER_WAITS,
)

if TYPE_CHECKING:
    from tapstack.socket.calls.socket_file import SocketFile

_INCOMING = READABLE | CLOSED


def receive(file: SocketFile, size: int, flags: int) -> Message:
    """Take what there is, or wait for it. Raises: OSError."""
    patience = file.endpoint.receive_timeout() if file.may_block else 0
    if flags & NEVER_WAITS or patience == 0:
        return file.call(file.endpoint.receive, size, flags | MSG_DONTWAIT)
    if flags & MSG_WAITALL and not flags & MSG_PEEK:
        return _receive_all(file, size, flags, patience)
    try:
        return file.block(patience, _INCOMING, file.endpoint.receive, size, flags)
    except BlockingIOError:  # the time is up: less than SO_RCVLOWAT will do
        return file.call(file.endpoint.receive, size, flags | MSG_DONTWAIT)


def _receive_all(file: SocketFile, size: int, flags: int, patience: float | None) -> Message:
    """Wait for all of it (MSG_WAITALL), the end of the stream, or of the time."""
    text = bytearray()
    try:
        return file.block(patience, _INCOMING, file.endpoint.receive_all, size, flags, text)
    except BlockingIOError:
        if not text:
            raise
        return Message(bytes(len(text)) if flags & MSG_TRUNC else bytes(text))
