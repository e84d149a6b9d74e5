"""File objects of a socket, as `socket.socket.makefile` gives them.

The standard library's own `SocketIO` does the reading and writing: it asks of a socket only the
methods that ours has.

Not done here: closing the socket when its last file is closed (`facade.py`).
"""

from __future__ import annotations

import io
import socket as stdlib
from typing import Any

_PIECE = 65536
"""Octets of a file that are read and sent at once."""


def open_raw(socket: Any, mode: str, buffering: int | None) -> stdlib.SocketIO:
    """Make the file without its buffers. Raises: ValueError for a mode that cannot be."""
    if not set(mode) <= {"r", "w", "b"}:
        raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
    if buffering == 0 and "b" not in mode:
        raise ValueError("unbuffered streams must be binary")
    raw_mode: Any = ("r" if _reads(mode) else "") + ("w" if "w" in mode else "")
    return stdlib.SocketIO(socket, raw_mode)


def wrap_raw(
    raw: stdlib.SocketIO,
    mode: str,
    buffering: int | None,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
) -> Any:
    """Put what the mode asks for around the raw file. Raises: LookupError for an encoding."""
    if buffering == 0:
        return raw
    size = io.DEFAULT_BUFFER_SIZE if buffering is None or buffering < 0 else buffering
    buffered = _buffered(raw, mode, size)
    if "b" in mode:
        return buffered
    text = io.TextIOWrapper(buffered, encoding, errors, newline)
    text.mode = mode  # type: ignore[misc]
    return text


def send_file(socket: Any, file: Any, offset: int, count: int | None) -> int:
    """Send what a file has from `offset` on, as `socket.socket.sendfile` does, and leave it behind.

    Raises: ValueError for a file, socket or count that cannot be; TypeError; OSError.
    """
    if "b" not in getattr(file, "mode", "b"):
        raise ValueError("file should be opened in binary mode")
    if socket.type != stdlib.SOCK_STREAM:
        raise ValueError("only SOCK_STREAM type sockets are supported")
    if count is not None and not isinstance(count, int):
        raise TypeError(f"count must be a positive integer (got {count!r})")
    if count is not None and count <= 0:
        raise ValueError(f"count must be a positive integer (got {count!r})")
    if socket.gettimeout() == 0:
        raise ValueError("non-blocking sockets are not supported")
    if offset:
        file.seek(offset)
    sent = 0
    try:
        while count is None or sent < count:
            piece = file.read(_PIECE if count is None else min(_PIECE, count - sent))
            if not piece:
                break
            rest = memoryview(piece)
            while rest:
                size = socket.send(rest)
                sent, rest = sent + size, rest[size:]
    finally:
        if hasattr(file, "seek"):
            file.seek(offset + sent)
    return sent


def _reads(mode: str) -> bool:
    return "r" in mode or "w" not in mode


def _buffered(raw: stdlib.SocketIO, mode: str, size: int) -> Any:
    if _reads(mode) and "w" in mode:
        return io.BufferedRWPair(raw, raw, size)
    return io.BufferedReader(raw, size) if _reads(mode) else io.BufferedWriter(raw, size)
