"""The system calls of one process, by the numbers of its descriptors.

What a descriptor stands for does the work: each call here finds it, and sees that it can be asked.

Not done here: names, strings and structs of C (what a program's language makes of these calls).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from errno import EBADF, EINVAL, ENOTSOCK, EPERM
from pathlib import Path

from tapstack.base.address import Endpoint
from tapstack.base.errors import os_error
from tapstack.socket.calls import (
    control as controls,
    opening,
    polling,
    reading,
    socket_options,
    splicing,
    writing,
)
from tapstack.socket.calls.descriptors import DescriptorTable
from tapstack.socket.calls.disk_files import DiskFile
from tapstack.socket.calls.epoll import EpollFile
from tapstack.socket.calls.open_file import OpenFile, release
from tapstack.socket.calls.pipes import make_pipe
from tapstack.socket.calls.received import Received
from tapstack.socket.calls.socket_file import SocketFile
from tapstack.socket.contract import SocketHost
from tapstack.socket.scattered import cut_control


class Process:
    """A process on a host: its descriptors, and the calls that it makes. All raise OSError."""

    def __init__(self, host: SocketHost, directory: Path | None = None) -> None:
        """Names of files count from the directory; None: from this process's own."""
        self._host = host
        self._directory = str(directory or "")
        self._table = DescriptorTable()

    def end(self) -> None:
        """Close every descriptor, as the end of a process does."""
        for number in self._table:
            self.close(number)

    # --- descriptors ---

    def _socket(self, fd: int) -> SocketFile:
        file = self._table.find(fd)
        if not isinstance(file, SocketFile):
            raise os_error(ENOTSOCK)
        return file

    def _readable(self, fd: int) -> OpenFile:
        """Give a file that was opened to be read."""
        file = self._table.find(fd)
        if file.flags & os.O_ACCMODE == os.O_WRONLY:
            raise os_error(EBADF)
        return file

    def _writable(self, fd: int) -> OpenFile:
        """Give a file that was opened to be written."""
        file = self._table.find(fd)
        if file.flags & os.O_ACCMODE == os.O_RDONLY:
            raise os_error(EBADF)
        return file

    def close(self, fd: int) -> None:
        """As close(2): the last descriptor of a file closes it."""
        file = self._table.remove(fd)
        if not file.holders:
            self._host.call(release, file)
            file.close()

    def fcntl(self, fd: int, command: int, argument: int) -> int:
        """As fcntl(2)."""
        return controls.fcntl(self._table, fd, command, argument)

    def ioctl(self, fd: int, request: int) -> int:
        """Give what the request writes: SIOCINQ (FIONREAD), SIOCOUTQ, SIOCOUTQNSD, SIOCATMARK."""
        return self._table.find(fd).ioctl(request)

    # --- sockets: beginning and end ---

    def socket(self, domain: int, kind: int, protocol: int) -> int:
        """As socket(2)."""
        file, close_on_exec = opening.open_socket(self._host, domain, kind, protocol)
        return self._table.add(file, close_on_exec=close_on_exec)

    def bind(self, fd: int, local: Endpoint) -> None:
        """As bind(2)."""
        file = self._socket(fd)
        file.call(file.endpoint.bind, local)

    def listen(self, fd: int, backlog: int) -> None:
        """As listen(2)."""
        file = self._socket(fd)
        file.call(file.endpoint.listen, backlog)

    def accept(self, fd: int) -> tuple[int, Endpoint]:
        """As accept(2)."""
        accepted, remote = self._socket(fd).accept()
        return self._table.add(accepted), remote

    def connect(self, fd: int, remote: Endpoint | None) -> None:
        """As connect(2); None stands for an address of AF_UNSPEC."""
        self._socket(fd).connect(remote)

    def shutdown(self, fd: int, how: int) -> None:
        """As shutdown(2)."""
        file = self._socket(fd)
        file.call(file.endpoint.shutdown, how)

    def getsockname(self, fd: int) -> Endpoint:
        """As getsockname(2)."""
        file = self._socket(fd)
        return file.call(file.endpoint.local)

    def getpeername(self, fd: int) -> Endpoint:
        """As getpeername(2)."""
        file = self._socket(fd)
        return file.call(file.endpoint.remote)

    def getsockopt(self, fd: int, level: int, name: int, size: int) -> bytes:
        """As getsockopt(2)."""
        return socket_options.get(self._socket(fd), level, name, size)

    def setsockopt(self, fd: int, level: int, name: int, value: bytes) -> None:
        """As setsockopt(2)."""
        socket_options.set_to(self._socket(fd), level, name, value)

    # --- receiving ---

    def read(self, fd: int, size: int) -> bytes:
        """As read(2)."""
        return self._readable(fd).read(size)

    def readv(self, fd: int, sizes: Sequence[int]) -> bytes:
        """As readv(2)."""
        file = self._readable(fd)
        return file.read(_total(sizes))

    def recv(self, fd: int, size: int, flags: int) -> bytes:
        """As recv(2)."""
        return reading.receive(self._socket(fd), size, flags).data

    def recvfrom(self, fd: int, size: int, flags: int) -> tuple[bytes, Endpoint | None]:
        """As recvfrom(2)."""
        message = reading.receive(self._socket(fd), size, flags)
        return message.data, message.source

    def recvmsg(self, fd: int, size: int, control_size: int, flags: int) -> Received:
        """As recvmsg(2)."""
        message = reading.receive(self._socket(fd), size, flags)
        items, told = cut_control(message.control, control_size)
        return Received(message.data, message.source, items, message.flags | told)

    # --- sending ---

    def write(self, fd: int, data: bytes) -> int:
        """As write(2)."""
        return self._writable(fd).write(data)

    def writev(self, fd: int, parts: Sequence[bytes]) -> int:
        """As writev(2)."""
        file = self._writable(fd)
        _total([len(part) for part in parts])
        return file.write(b"".join(parts))

    def send(self, fd: int, data: bytes, flags: int) -> int:
        """As send(2)."""
        return writing.send(self._socket(fd), data, flags, None)

    def sendto(self, fd: int, data: bytes, flags: int, to: Endpoint | None) -> int:
        """As sendto(2)."""
        return writing.send(self._socket(fd), data, flags, to)

    def sendmsg(
        self,
        fd: int,
        parts: Sequence[bytes],
        control: Sequence[tuple[int, int, bytes]],
        flags: int,
        to: Endpoint | None,
    ) -> int:
        """As sendmsg(2)."""
        return writing.send_parts(self._socket(fd), parts, flags, to, control)

    # --- waiting for several ---

    def poll(self, watched: Sequence[tuple[int, int]], timeout: int) -> list[int]:
        """As poll(2): give `revents` of each; a timeout is in ms, negative: for ever."""
        wishes = [(self._table.get(fd), events) for fd, events in watched if fd >= 0]
        found = iter(polling.poll(self._host, wishes, timeout))
        return [next(found) if fd >= 0 else 0 for fd, _ in watched]

    def epoll_create(self, size: int) -> int:
        """As epoll_create(2)."""
        if size <= 0:
            raise os_error(EINVAL)
        return self._table.add(EpollFile(self._host))

    def epoll_ctl(self, epoll: int, operation: int, fd: int, events: int, data: int) -> None:
        """As epoll_ctl(2); `data` is the 64 bits of epoll_data."""
        watching, file = self._table.find(epoll), self._table.find(fd)
        if not file.can_be_awaited:
            raise os_error(EPERM)
        if not isinstance(watching, EpollFile):
            raise os_error(EINVAL)
        self._host.call(watching.control, operation, fd, file, events, data)

    def epoll_wait(self, epoll: int, most: int, timeout: int) -> list[tuple[int, int]]:
        """As epoll_wait(2): give events and data of each; a timeout is in ms, negative: none."""
        watching = self._table.find(epoll)
        if not isinstance(watching, EpollFile):
            raise os_error(EINVAL)
        return watching.wait(most, timeout)

    # --- files and pipes ---

    def open(self, path: str, flags: int) -> int:
        """As open(2)."""
        close_on_exec = bool(flags & os.O_CLOEXEC)
        file = DiskFile(path and os.path.join(self._directory, path), flags)
        return self._table.add(file, close_on_exec=close_on_exec)

    def pipe(self) -> tuple[int, int]:
        """As pipe(2)."""
        reader, writer = make_pipe(self._host)
        return self._table.add(reader), self._table.add(writer)

    def splice(self, source: int, target: int, size: int, flags: int) -> int:
        """As splice(2), without offsets."""
        return splicing.splice(self._readable(source), self._writable(target), size, flags)

    def sendfile(self, target: int, source: int, offset: int | None, size: int) -> int:
        """As sendfile(2)."""
        return splicing.send_file(self._writable(target), self._readable(source), offset, size)


_MOST_PARTS = 1024  # UIO_MAXIOV


def _total(sizes: Sequence[int]) -> int:
    """Add up the parts of a vector. Raises: OSError with EINVAL."""
    if len(sizes) > _MOST_PARTS or any(size < 0 for size in sizes):
        raise os_error(EINVAL)
    return sum(sizes)
