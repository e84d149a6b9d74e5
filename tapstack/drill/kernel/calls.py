"""The system calls of a script's process, on real descriptors; implements `contract.Calls`.

A script can reach no descriptor but its own: another number is EBADF, as in a process of its own.

Not done here: time and threads (`process.py`), and what is made inside the namespace
(`namespace.py`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from tapstack.base.address import Endpoint, format_ipv4, parse_ipv4
from tapstack.base.errors import os_error
from tapstack.base.units import MILLISECOND, Duration
from tapstack.drill.contract import Received
from tapstack.drill.kernel import libc
from tapstack.runtime.clock import monotonic
from tapstack.socket.structs import INT, LINGER

_NO_FD = 0x3FFFFFFF
"""No process has this one: poll(2) says POLLNVAL of it."""
_ABORT = LINGER.pack(1, 0)
"""SO_LINGER: a close resets (socket(7))."""
_DUPLICATES = (fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC)


class Namespace(Protocol):
    """Where sockets and files are made that are seen from inside it. Both raise OSError."""

    def socket(self, domain: int, kind: int, protocol: int) -> int:
        """As socket(2)."""

    def open(self, path: str, flags: int) -> int:
        """As open(2)."""


class KernelCalls:
    """One process's calls."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._fds: set[int] = set()
        """What the script has open."""
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        """Readable when nothing may block any more."""

    def _own(self, fd: int) -> int:
        if fd not in self._fds:
            raise os_error(errno.EBADF)
        return fd

    def _new(self, fd: int) -> int:
        self._fds.add(fd)
        return fd

    # --- connections ---

    def socket(self, domain: int, kind: int, protocol: int) -> int:
        """As socket(2)."""
        return self._new(self._namespace.socket(domain, kind, protocol))

    def bind(self, fd: int, local: Endpoint) -> None:
        """As bind(2)."""
        libc.bind(self._own(fd), local)

    def listen(self, fd: int, backlog: int) -> None:
        """As listen(2)."""
        libc.listen(self._own(fd), backlog)

    def accept(self, fd: int) -> tuple[int, Endpoint]:
        """As accept(2)."""
        accepted, remote = libc.accept(self._own(fd))
        return self._new(accepted), remote

    def connect(self, fd: int, remote: Endpoint | None) -> None:
        """As connect(2)."""
        libc.connect(self._own(fd), remote)

    def shutdown(self, fd: int, how: int) -> None:
        """As shutdown(2)."""
        libc.shutdown(self._own(fd), how)

    def close(self, fd: int) -> None:
        """As close(2)."""
        self._own(fd)
        self._fds.discard(fd)
        os.close(fd)

    def getsockname(self, fd: int) -> Endpoint:
        """As getsockname(2)."""
        return libc.getsockname(self._own(fd))

    def getpeername(self, fd: int) -> Endpoint:
        """As getpeername(2)."""
        return libc.getpeername(self._own(fd))

    # --- receiving ---

    def read(self, fd: int, size: int) -> bytes:
        """As read(2)."""
        return os.read(self._own(fd), size)

    def readv(self, fd: int, sizes: Sequence[int]) -> bytes:
        """As readv(2)."""
        buffers = [bytearray(size) for size in sizes]
        count = os.readv(self._own(fd), buffers)
        return b"".join(buffers)[:count]

    def recv(self, fd: int, size: int, flags: int) -> bytes:
        """As recv(2)."""
        return libc.recvfrom(self._own(fd), size, flags)[0]

    def recvfrom(self, fd: int, size: int, flags: int) -> tuple[bytes, Endpoint | None]:
        """As recvfrom(2)."""
        return libc.recvfrom(self._own(fd), size, flags)

    def recvmsg(self, fd: int, size: int, control_size: int, flags: int) -> Received:
        """As recvmsg(2)."""
        opened = socket.socket(fileno=self._own(fd))
        try:
            data, control, flags, source = opened.recvmsg(size, control_size, flags)
        finally:
            opened.detach()
        endpoint = Endpoint(parse_ipv4(source[0]), source[1]) if source else None
        return Received(data, endpoint, control, flags)

    # --- sending ---

    def write(self, fd: int, data: bytes) -> int:
        """As write(2)."""
        return os.write(self._own(fd), data)

    def writev(self, fd: int, parts: Sequence[bytes]) -> int:
        """As writev(2)."""
        return os.writev(self._own(fd), list(parts))

    def send(self, fd: int, data: bytes, flags: int) -> int:
        """As send(2)."""
        return libc.sendto(self._own(fd), data, flags, None)

    def sendto(self, fd: int, data: bytes, flags: int, to: Endpoint | None) -> int:
        """As sendto(2)."""
        return libc.sendto(self._own(fd), data, flags, to)

    def sendmsg(
        self,
        fd: int,
        parts: Sequence[bytes],
        control: Sequence[tuple[int, int, bytes]],
        flags: int,
        to: Endpoint | None,
    ) -> int:
        """As sendmsg(2)."""
        opened = socket.socket(fileno=self._own(fd))
        address = () if to is None else ((format_ipv4(to.address), to.port),)
        try:
            return opened.sendmsg(parts, control, flags, *address)
        finally:
            opened.detach()

    # --- options ---

    def getsockopt(self, fd: int, level: int, name: int, size: int) -> bytes:
        """As getsockopt(2)."""
        return libc.getsockopt(self._own(fd), level, name, size)

    def setsockopt(self, fd: int, level: int, name: int, value: bytes) -> None:
        """As setsockopt(2)."""
        libc.setsockopt(self._own(fd), level, name, value)

    def fcntl(self, fd: int, command: int, argument: int) -> int:
        """As fcntl(2)."""
        result = fcntl.fcntl(self._own(fd), command, argument)
        return self._new(result) if command in _DUPLICATES else result

    def ioctl(self, fd: int, request: int) -> int:
        """Give what the request writes, an int."""
        answer = fcntl.ioctl(self._own(fd), request, bytes(INT.size))
        return int(INT.unpack(answer)[0])

    # --- waiting ---

    def poll(self, watched: Sequence[tuple[int, int]], timeout: int) -> list[int]:
        """As poll(2)."""
        mine = [(fd if fd in self._fds or fd < 0 else _NO_FD, events) for fd, events in watched]
        return self._wait(mine, None if timeout < 0 else timeout * MILLISECOND)

    def _wait(self, watched: list[tuple[int, int]], timeout: Duration | None) -> list[int]:
        *revents, stopped = libc.poll([*watched, (self._stop, libc.POLLIN)], timeout)
        if stopped:
            raise os_error(errno.EINTR)
        return revents

    def epoll_create(self, size: int) -> int:
        """As epoll_create(2)."""
        return self._new(libc.epoll_create(size))

    def epoll_ctl(self, epoll: int, operation: int, fd: int, events: int, data: int) -> None:
        """As epoll_ctl(2)."""
        libc.epoll_ctl(self._own(epoll), operation, self._own(fd), events, data)

    def epoll_wait(self, epoll: int, most: int, timeout: int) -> list[tuple[int, int]]:
        """As epoll_wait(2): an epoll that has something is itself readable."""
        deadline = monotonic() + timeout * MILLISECOND
        ready = libc.epoll_pending(self._own(epoll), most)
        while not ready:
            left = deadline - monotonic()
            if timeout >= 0 and left <= 0:
                break
            self._wait([(epoll, libc.POLLIN)], None if timeout < 0 else left)
            ready = libc.epoll_pending(epoll, most)
        return ready

    # --- files ---

    def open(self, path: str, flags: int) -> int:
        """As open(2)."""
        return self._new(self._namespace.open(path, flags))

    def pipe(self) -> tuple[int, int]:
        """As pipe(2)."""
        output, input_ = os.pipe()
        return self._new(output), self._new(input_)

    def splice(self, source: int, target: int, size: int, flags: int) -> int:
        """As splice(2)."""
        return os.splice(self._own(source), self._own(target), size, flags=flags)

    def sendfile(self, target: int, source: int, offset: int | None, size: int) -> int:
        """As sendfile(2)."""
        return os.sendfile(self._own(target), self._own(source), offset, size)

    # --- the end ---

    def interrupt(self) -> None:
        """Have the call that blocks return; what it returns is of no interest."""
        os.eventfd_write(self._stop, 1)
        for fd in list(self._fds):
            try:
                libc.shutdown(fd, socket.SHUT_RDWR)
            except OSError as error:
                if error.errno == errno.ENOTSOCK:  # a pipe's other end lets go of this one
                    self._fds.discard(fd)
                    os.close(fd)

    def end(self) -> None:
        """Close everything, as the end of a process does, but reset what is connected."""
        for fd in self._fds:
            with suppress(OSError):
                libc.setsockopt(fd, socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            os.close(fd)
        self._fds.clear()
        os.close(self._stop)
