"""Octets from one file to another, without crossing the program (splice(2), sendfile(2)).

Not done here: offsets of splice(2).
"""

from __future__ import annotations

import select
from errno import EAGAIN, EINVAL, EPIPE, ESPIPE

from tapstack.base.contracts import CLOSED, WRITABLE
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.socket.blocking import block
from tapstack.socket.calls import writing
from tapstack.socket.calls.disk_files import DiskFile
from tapstack.socket.calls.open_file import OpenFile
from tapstack.socket.calls.pipes import Pipe, PipeEnd
from tapstack.socket.calls.socket_file import SocketFile
from tapstack.socket.contract import SocketEndpoint
from tapstack.socket.flags import MSG_MORE
from tapstack.socket.stream import StreamEndpoint
from tapstack.socket.stream_text import stands_at_mark

SPLICE_F_NONBLOCK, SPLICE_F_MORE = 2, 4
_KNOWN = 0xF  # <linux/splice.h>: SPLICE_F_ALL
_PIECE = 65536
"""Octets that sendfile moves at once: what a pipe takes."""


def splice(source: OpenFile, target: OpenFile, size: int, flags: int) -> int:
    """Move octets, one end being a pipe. Raises: OSError."""
    if flags & ~_KNOWN or not (isinstance(source, PipeEnd) or isinstance(target, PipeEnd)):
        raise os_error(EINVAL)
    if not size:
        return 0
    if isinstance(source, PipeEnd) and isinstance(target, PipeEnd):
        if source.pipe is target.pipe:
            raise os_error(EINVAL)
        return _into_pipe(source, target, min(size, len(source.pipe) or size), flags)
    if isinstance(source, PipeEnd):
        return _out_of_pipe(source, target, size, flags)
    assert isinstance(target, PipeEnd)
    return _into_pipe(source, target, size, flags)


def _into_pipe(source: OpenFile, target: PipeEnd, size: int, flags: int) -> int:
    """Read what there is, as far as the pipe takes it."""
    pipe = target.pipe
    patience = 0 if flags & SPLICE_F_NONBLOCK or not target.may_block else None
    room = block(pipe.host, pipe, WRITABLE | CLOSED, patience, _find_room, pipe)
    if isinstance(source, SocketFile) and source.call(_stands_at_mark, source.endpoint):
        if source.may_block or source.call(source.readiness) & select.POLLRDHUP:
            return 0  # as in Linux: to wait here would be for ever
        raise os_error(EAGAIN)
    data = source.read(min(size, room))
    return pipe.host.call(pipe.put, memoryview(data)) if data else 0


def _stands_at_mark(endpoint: SocketEndpoint, *, now: Instant) -> bool:  # noqa: ARG001
    return isinstance(endpoint, StreamEndpoint) and stands_at_mark(endpoint.tcb)


def _find_room(pipe: Pipe, *, now: Instant) -> int:  # noqa: ARG001 - every attempt's form
    if not pipe.readers:
        raise os_error(EPIPE)
    if not pipe.room():
        raise os_error(EAGAIN)
    return pipe.room()


def _out_of_pipe(source: PipeEnd, target: OpenFile, size: int, flags: int) -> int:
    """Write what the pipe has; wait for that only while there is nothing yet."""
    pipe, moved = source.pipe, 0
    wait = source.may_block and not flags & SPLICE_F_NONBLOCK
    while moved < size and (not moved or pipe.pages):
        data = source.wait_for(pipe.look, size - moved, wait=wait)
        if not data:
            break
        try:
            taken = _write(target, data, more=bool(flags & SPLICE_F_MORE))
        except OSError:
            if not moved:
                raise
            break
        pipe.host.call(pipe.take, taken)  # only now: what finds no room stays in the pipe
        moved += taken
        if taken < len(data):
            break
    return moved


def _write(target: OpenFile, data: bytes, *, more: bool) -> int:
    if isinstance(target, SocketFile):
        return writing.send(target, data, MSG_MORE if more else 0, None)
    return target.write(data)


def send_file(target: OpenFile, source: OpenFile, offset: int | None, size: int) -> int:
    """Write what a file has from an offset on, or from its position. Raises: OSError.

    A socket is no file, but to a pipe.
    """
    if not isinstance(source, DiskFile) and offset is not None:
        raise os_error(ESPIPE)
    if isinstance(source, SocketFile) and isinstance(target, PipeEnd):
        return splice(source, target, size, 0)  # as Linux does
    if not isinstance(source, DiskFile) or size < 0:
        raise os_error(EINVAL)
    begin = source.position if offset is None else offset
    if begin < 0:
        raise os_error(EINVAL)
    moved = 0
    piece = source.read_at(begin, min(size, _PIECE))
    while piece:
        reached = moved + len(piece)
        following = source.read_at(begin + reached, min(size - reached, _PIECE))
        try:
            taken = _write(target, piece, more=bool(following))
        except OSError:
            if not moved:
                raise
            break
        moved += taken
        if taken < len(piece):
            break
        piece = following
    if offset is None:
        source.position = begin + moved
    return moved
