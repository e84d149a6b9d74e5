"""The kernel's own system calls, with the face of `tapstack.socket.calls.process.Process`.

A test plays the same calls over both, and compares what they gave: whatever the kernel answers is
right.
"""

import ctypes
import fcntl
import os
import select
import socket
import struct
from collections.abc import Sequence

from tapstack.base.address import Endpoint, format_ipv4, parse_ipv4
from tapstack.socket.calls.received import Received

_libc = ctypes.CDLL(None, use_errno=True)


def _address(endpoint: Endpoint) -> tuple[str, int]:
    return format_ipv4(endpoint.address), endpoint.port


def _endpoint(address: object) -> Endpoint | None:
    if not isinstance(address, tuple):
        return None
    return Endpoint(parse_ipv4(address[0]), address[1])


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


class KernelCalls:
    """The calls of this process, but for what Python's own makes of them."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._open: set[int] = set()
        self._epolls: dict[int, dict[int, int]] = {}

    def end(self) -> None:
        for number in list(self._open):
            self.close(number)

    def _keep(self, fd: int) -> int:
        self._open.add(fd)
        return fd

    def _socket(self, fd: int) -> socket.socket:
        """Give an object of Python's for a number, that never waits on its own account."""
        if fd not in self._sockets:
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=os.dup(fd))
            # its timeout is none, so that the descriptor's own O_NONBLOCK counts
            self._sockets[fd] = made
        return self._sockets[fd]

    def socket(self, domain: int, kind: int, protocol: int) -> int:
        return self._keep(_checked(_libc.socket(domain, kind, protocol)))

    def bind(self, fd: int, local: Endpoint) -> None:
        self._named("bind", fd, local)

    def connect(self, fd: int, remote: Endpoint | None) -> None:
        self._named("connect", fd, remote)

    def _named(self, call: str, fd: int, endpoint: Endpoint | None) -> None:
        packed = struct.pack("H14x", socket.AF_UNSPEC)
        if endpoint is not None:
            octets = struct.pack("!HI8x", endpoint.port, endpoint.address)
            packed = struct.pack("H", socket.AF_INET) + octets
        _checked(getattr(_libc, call)(fd, packed, len(packed)))

    def listen(self, fd: int, backlog: int) -> None:
        _checked(_libc.listen(fd, backlog))

    def accept(self, fd: int) -> tuple[int, Endpoint]:
        room, size = ctypes.create_string_buffer(16), ctypes.c_int(16)
        accepted = self._keep(_checked(_libc.accept(fd, room, ctypes.byref(size))))
        port, address = struct.unpack_from("!HI", room.raw, 2)
        return accepted, Endpoint(address, port)

    def shutdown(self, fd: int, how: int) -> None:
        _checked(_libc.shutdown(fd, how))

    def close(self, fd: int) -> None:
        self._open.discard(fd)
        if fd in self._sockets:
            self._sockets.pop(fd).close()
        _checked(_libc.close(fd))

    def read(self, fd: int, size: int) -> bytes:
        room = ctypes.create_string_buffer(max(size, 1))
        taken = _checked(_libc.read(fd, room, size))
        return room.raw[:taken]

    def readv(self, fd: int, sizes: Sequence[int]) -> bytes:
        buffers = [bytearray(size) for size in sizes]
        taken = os.readv(fd, buffers)
        return b"".join(buffers)[:taken]

    def recv(self, fd: int, size: int, flags: int) -> bytes:
        room = ctypes.create_string_buffer(max(size, 65536))
        taken = _checked(_libc.recv(fd, room, size, flags))
        return room.raw[:size].ljust(taken, b"\0")[:taken]

    def recvfrom(self, fd: int, size: int, flags: int) -> tuple[bytes, Endpoint | None]:
        room = ctypes.create_string_buffer(max(size, 65536))
        name, length = ctypes.create_string_buffer(16), ctypes.c_int(16)
        taken = _checked(_libc.recvfrom(fd, room, size, flags, name, ctypes.byref(length)))
        data = room.raw[:size].ljust(taken, b"\0")[:taken]
        if not length.value:
            return data, None
        port, address = struct.unpack_from("!HI", name.raw, 2)
        return data, Endpoint(address, port)

    def recvmsg(self, fd: int, size: int, control_size: int, flags: int) -> Received:
        data, control, told, name = self._socket(fd).recvmsg(size, control_size, flags)
        return Received(data, _endpoint(name), list(control), told)

    def write(self, fd: int, data: bytes) -> int:
        return _checked(_libc.write(fd, data, len(data)))

    def writev(self, fd: int, parts: Sequence[bytes]) -> int:
        return os.writev(fd, parts)

    def send(self, fd: int, data: bytes, flags: int) -> int:
        return _checked(_libc.send(fd, data, len(data), flags | socket.MSG_NOSIGNAL))

    def sendto(self, fd: int, data: bytes, flags: int, to: Endpoint | None) -> int:
        if to is None:
            return self.send(fd, data, flags)
        return self._socket(fd).sendto(data, flags | socket.MSG_NOSIGNAL, _address(to))

    def sendmsg(
        self,
        fd: int,
        parts: Sequence[bytes],
        control: Sequence[tuple[int, int, bytes]],
        flags: int,
        to: Endpoint | None,
    ) -> int:
        flags |= socket.MSG_NOSIGNAL
        if to is None:
            return self._socket(fd).sendmsg(parts, control, flags)
        return self._socket(fd).sendmsg(parts, control, flags, _address(to))

    def getsockopt(self, fd: int, level: int, name: int, size: int) -> bytes:
        room, length = ctypes.create_string_buffer(max(size, 1)), ctypes.c_int(size)
        _checked(_libc.getsockopt(fd, level, name, room, ctypes.byref(length)))
        return room.raw[: length.value]

    def setsockopt(self, fd: int, level: int, name: int, value: bytes) -> None:
        _checked(_libc.setsockopt(fd, level, name, value, len(value)))

    def getsockname(self, fd: int) -> Endpoint:
        return self._name("getsockname", fd)

    def getpeername(self, fd: int) -> Endpoint:
        return self._name("getpeername", fd)

    def _name(self, call: str, fd: int) -> Endpoint:
        room, size = ctypes.create_string_buffer(16), ctypes.c_int(16)
        _checked(getattr(_libc, call)(fd, room, ctypes.byref(size)))
        port, address = struct.unpack_from("!HI", room.raw, 2)
        return Endpoint(address, port)

    def fcntl(self, fd: int, command: int, argument: int) -> int:
        result = _checked(_libc.fcntl(fd, command, argument))
        if command in (fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC):
            self._keep(result)
        return result

    def ioctl(self, fd: int, request: int) -> int:
        answer = ctypes.c_int(0)
        _checked(_libc.ioctl(fd, request, ctypes.byref(answer)))
        return answer.value

    def poll(self, watched: Sequence[tuple[int, int]], timeout: int) -> list[int]:
        room = ctypes.create_string_buffer(b"".join(struct.pack("iHh", *w, 0) for w in watched))
        _checked(_libc.poll(room, len(watched), timeout))
        return [each[2] for each in struct.iter_unpack("ihh", room.raw[: 8 * len(watched)])]

    def epoll_create(self, size: int) -> int:
        return self._keep(_checked(_libc.epoll_create(size)))

    def epoll_ctl(self, epoll: int, operation: int, fd: int, events: int, data: int) -> None:
        event = struct.pack("=IQ", events, data)
        _checked(_libc.epoll_ctl(epoll, operation, fd, event))

    def epoll_wait(self, epoll: int, most: int, timeout: int) -> list[tuple[int, int]]:
        room = ctypes.create_string_buffer(12 * max(most, 1))
        count = _checked(_libc.epoll_wait(epoll, room, most, timeout))
        return list(struct.iter_unpack("=IQ", room.raw[: 12 * count]))

    def open(self, path: str, flags: int) -> int:
        return self._keep(os.open(path, flags))

    def pipe(self) -> tuple[int, int]:
        reader, writer = os.pipe()
        return self._keep(reader), self._keep(writer)

    def splice(self, source: int, target: int, size: int, flags: int) -> int:
        return _checked(_libc.splice(source, None, target, None, ctypes.c_size_t(size), flags))

    def sendfile(self, target: int, source: int, offset: int | None, size: int) -> int:
        return os.sendfile(target, source, offset, size)


POLLIN, POLLOUT = select.POLLIN, select.POLLOUT
