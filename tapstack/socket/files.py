"""File objects of a socket, as `socket.socket.makefile` gives them.

The standard library's own `SocketIO` does the reading and writing: it asks of a socket only the
methods that ours has.

Not done here: closing the socket when its last file is closed (`facade.py`).
"""

from __future__ import annotations

import io
import socket as stdlib
from typing import Any


def make_file(
    socket: Any,
    mode: str,
    buffering: int | None,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
) -> Any:
    """Make a binary or text file of a socket. Raises: ValueError for a mode that cannot be."""
    if not set(mode) <= {"r", "w", "b"}:
        raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
    size = io.DEFAULT_BUFFER_SIZE if buffering is None or buffering < 0 else buffering
    if size == 0 and "b" not in mode:
        raise ValueError("unbuffered streams must be binary")
    writing = "w" in mode
    reading = "r" in mode or not writing
    raw_mode: Any = ("r" if reading else "") + ("w" if writing else "")
    raw = stdlib.SocketIO(socket, raw_mode)
    if size == 0:
        return raw
    buffered = _buffered(raw, reading, writing, size)
    if "b" in mode:
        return buffered
    text = io.TextIOWrapper(buffered, encoding, errors, newline)
    text.mode = mode  # type: ignore[misc]
    return text


def _buffered(raw: stdlib.SocketIO, reading: bool, writing: bool, size: int) -> Any:
    if reading and writing:
        return io.BufferedRWPair(raw, raw, size)
    return io.BufferedReader(raw, size) if reading else io.BufferedWriter(raw, size)
