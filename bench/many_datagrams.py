"""Sending datagrams faster than any receiver takes them: sendmmsg(2), which Python lacks."""

import ctypes
import os
import socket
from errno import EAGAIN, ECONNREFUSED, ENOBUFS
from time import perf_counter

TEXT = b"x" * 16
BATCH = 64
"""Datagrams a call."""

_PASSING = {EAGAIN, ECONNREFUSED, ENOBUFS}


class _Piece(ctypes.Structure):
    """`struct iovec`."""

    _fields_ = (("base", ctypes.c_char_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """`struct msghdr`."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("pieces", ctypes.POINTER(_Piece)),
        ("piece_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """`struct mmsghdr`."""

    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


def blast(udp: socket.socket, seconds: float) -> None:
    """Send as many datagrams as the kernel takes, to whom the socket is connected."""
    send = ctypes.CDLL(None, use_errno=True).sendmmsg
    piece = _Piece(TEXT, len(TEXT))
    messages = (_Message * BATCH)()
    for message in messages:
        message.header.pieces, message.header.piece_count = ctypes.pointer(piece), 1
    fd, count, end = udp.fileno(), 0, perf_counter() + seconds
    while perf_counter() < end or not count:
        if (sent := send(fd, messages, BATCH, 0)) >= 0:
            count += sent
            continue
        number = ctypes.get_errno()
        if number not in _PASSING:
            raise OSError(number, os.strerror(number))
