"""File objects of a socket, as `socket.socket.makefile` gives them.

The standard library's own `SocketIO` does the reading and writing: it asks of a socket only the
methods that ours has.

Not done here: closing the socket when its last file is closed (`facade.py`).
"""

from __future__ import annotations

import io
import socket as stdlib
from typing import Any


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


def _reads(mode: str) -> bool:
    return "r" in mode or "w" not in mode


def _buffered(raw: stdlib.SocketIO, mode: str, size: int) -> Any:
    if _reads(mode) and "w" in mode:
        return io.BufferedRWPair(raw, raw, size)
    return io.BufferedReader(raw, size) if _reads(mode) else io.BufferedWriter(raw, size)
