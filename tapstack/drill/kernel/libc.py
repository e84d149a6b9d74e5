"""The C library's calls that Python's own modules bend or lack (socket(2), poll(2), epoll(7)).

Python waits for whole milliseconds, makes 0 of a negative backlog and a family of -1, does not ask
for 0 octets, and keeps of epoll's data only what it put there itself.

Not done here: deciding what is called.
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Sequence
from ctypes import c_size_t, create_string_buffer
from struct import Struct
from typing import Any

from tapstack.base.address import ANY_ENDPOINT, Endpoint
from tapstack.base.units import Duration
from tapstack.socket.structs import INT, SOCKADDR_IN, pack_timespec

_AF_UNSPEC, _AF_INET, _SOCK_CLOEXEC = 0, 2, 0o2000000  # <sys/socket.h>
POLLIN = 0x001  # <poll.h>

_POLL_FD = Struct("=iHH")
_EPOLL_EVENT = Struct("=IQ" if platform.machine() == "x86_64" else "=I4xQ")  # EPOLL_PACKED

_LIBC = ctypes.CDLL(None, use_errno=True)
for _name in ("recvfrom", "sendto"):
    getattr(_LIBC, _name).restype = ctypes.c_ssize_t


def _call(name: str, *arguments: Any) -> int:
    result: int = getattr(_LIBC, name)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


# --- addresses ---


def _build_address(endpoint: Endpoint | None) -> bytes:
    """Build a sockaddr; None is the one that dissolves an association."""
    if endpoint is None:
        return SOCKADDR_IN.pack(_AF_UNSPEC, bytes(2), bytes(4))
    port, address = endpoint.port.to_bytes(2, "big"), endpoint.address.to_bytes(4, "big")
    return SOCKADDR_IN.pack(_AF_INET, port, address)


class _AddressAnswer:
    """Room for a sockaddr that the kernel gives."""

    def __init__(self) -> None:
        self.room = create_string_buffer(128)  # <sys/socket.h>: struct sockaddr_storage
        self.length = create_string_buffer(INT.pack(128), INT.size)

    def endpoint(self) -> Endpoint | None:
        """Read it; None where the kernel gave none, or one of another family."""
        (length,) = INT.unpack(self.length)
        family, port, address = SOCKADDR_IN.unpack_from(self.room)
        if length < SOCKADDR_IN.size or family != _AF_INET:
            return None
        return Endpoint(int.from_bytes(address, "big"), int.from_bytes(port, "big"))


def socket(domain: int, kind: int, protocol: int) -> int:
    """As socket(2); programs that are started do not get it. Raises: OSError, as all of these."""
    return _call("socket", domain, kind | _SOCK_CLOEXEC, protocol)


def bind(fd: int, local: Endpoint) -> None:
    """As bind(2)."""
    _call("bind", fd, _build_address(local), SOCKADDR_IN.size)


def connect(fd: int, remote: Endpoint | None) -> None:
    """As connect(2); None dissolves."""
    _call("connect", fd, _build_address(remote), SOCKADDR_IN.size)


def listen(fd: int, backlog: int) -> None:
    """As listen(2)."""
    _call("listen", fd, backlog)


def accept(fd: int) -> tuple[int, Endpoint]:
    """As accept(2)."""
    answer = _AddressAnswer()
    accepted = _call("accept4", fd, answer.room, answer.length, _SOCK_CLOEXEC)
    return accepted, answer.endpoint() or ANY_ENDPOINT


def getsockname(fd: int) -> Endpoint:
    """As getsockname(2)."""
    answer = _AddressAnswer()
    _call("getsockname", fd, answer.room, answer.length)
    return answer.endpoint() or ANY_ENDPOINT


def getpeername(fd: int) -> Endpoint:
    """As getpeername(2)."""
    answer = _AddressAnswer()
    _call("getpeername", fd, answer.room, answer.length)
    return answer.endpoint() or ANY_ENDPOINT


def shutdown(fd: int, how: int) -> None:
    """As shutdown(2)."""
    _call("shutdown", fd, how)


# --- text ---


def recvfrom(fd: int, size: int, flags: int) -> tuple[bytes, Endpoint | None]:
    """As recvfrom(2); what MSG_TRUNC counts and does not give is zeros."""
    room, answer = create_string_buffer(max(size, 1)), _AddressAnswer()
    count = _call("recvfrom", fd, room, c_size_t(size), flags, answer.room, answer.length)
    return room.raw[: min(size, count)].ljust(count, b"\0"), answer.endpoint()


def sendto(fd: int, data: bytes, flags: int, to: Endpoint | None) -> int:
    """As sendto(2); without an address, as send(2)."""
    address = (None, 0) if to is None else (_build_address(to), SOCKADDR_IN.size)
    return _call("sendto", fd, data, c_size_t(len(data)), flags, *address)


# --- options ---


def getsockopt(fd: int, level: int, name: int, size: int) -> bytes:
    """As getsockopt(2)."""
    room = create_string_buffer(max(size, 1))
    length = create_string_buffer(INT.pack(size), INT.size)
    _call("getsockopt", fd, level, name, room, length)
    (count,) = INT.unpack(length)
    return room.raw[:count]


def setsockopt(fd: int, level: int, name: int, value: bytes) -> None:
    """As setsockopt(2)."""
    _call("setsockopt", fd, level, name, value, len(value))


# --- waiting ---


def poll(watched: Sequence[tuple[int, int]], timeout: Duration | None) -> list[int]:
    """As ppoll(2), without a signal mask: give `revents` of each. A timeout is in µs."""
    room = create_string_buffer(b"".join(_POLL_FD.pack(fd, what, 0) for fd, what in watched))
    time = None if timeout is None else pack_timespec(timeout)
    _call("ppoll", room, ctypes.c_ulong(len(watched)), time, None, c_size_t(0))
    return [revents for _, _, revents in _POLL_FD.iter_unpack(room.raw[:-1])]


def epoll_create(size: int) -> int:
    """As epoll_create(2)."""
    return _call("epoll_create", size)


def epoll_ctl(epoll: int, operation: int, fd: int, events: int, data: int) -> None:
    """As epoll_ctl(2)."""
    _call("epoll_ctl", epoll, operation, fd, _EPOLL_EVENT.pack(events, data & (1 << 64) - 1))


def epoll_pending(epoll: int, most: int) -> list[tuple[int, int]]:
    """As epoll_wait(2) that does not wait: give events and data of each."""
    room = create_string_buffer(_EPOLL_EVENT.size * max(most, 1))
    count = _call("epoll_wait", epoll, room, most, 0)
    return list(_EPOLL_EVENT.iter_unpack(room.raw[: count * _EPOLL_EVENT.size]))
