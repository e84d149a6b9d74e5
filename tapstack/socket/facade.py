"""The socket object: the standard library's methods over a stack (socket(7), Python's `socket`).

Each call reads its arguments as the standard library does, and is one attempt of an endpoint, or a
blocking repetition of it.

Not done here: the attempts (`stream.py`, `messages.py`), and what every object of a socket can
(`holder.py`).
"""

from __future__ import annotations

import socket as stdlib
import sys
from collections.abc import Iterable
from errno import EAGAIN, EALREADY, EINPROGRESS
from operator import index
from typing import Any, TypeVar

from tapstack.base.address import Endpoint
from tapstack.base.contracts import CLOSED, CONNECTED, READABLE, WRITABLE, Buffer
from tapstack.base.errors import os_error
from tapstack.base.units import SECOND
from tapstack.socket.addresses import Address, read_address, write_address
from tapstack.socket.contract import Message
from tapstack.socket.files import send_file
from tapstack.socket.flags import (
    GOES_ON,
    MSG_DONTWAIT,
    MSG_ERRQUEUE,
    MSG_FASTOPEN,
    MSG_PEEK,
    MSG_WAITALL,
    MSG_ZEROCOPY,
    NEVER_WAITS,
    TAKES_ALL,
)
from tapstack.socket.holder import SocketObject
from tapstack.socket.open_socket import OpenSocket
from tapstack.socket.scattered import (
    Ancillary,
    check_ancillary,
    cut_control,
    gather,
    octets_of,
    room_of,
    scatter,
)
from tapstack.socket.tls import refuse_to_be_wrapped

T = TypeVar("T")

_NOTHING: Ancillary = []
_INT = 4
"""Octets of an option that is asked for as a number."""
_INCOMING = READABLE | CLOSED
_OUTGOING = WRITABLE | CLOSED


class Socket(SocketObject):
    """A socket of a stack, as Python programs know sockets."""

    __slots__ = ()

    # --- addresses ---

    def bind(self, address: Any) -> None:
        """Take a local address. Raises: OSError."""
        self._call(self._attempts().bind, read_address(address))

    def getsockname(self) -> Address:
        """Give the local address."""
        return write_address(self._host.look(self._attempts().local))

    def getpeername(self) -> Address:
        """Give the other end's address. Raises: OSError with ENOTCONN."""
        return write_address(self._host.look(self._attempts().remote))

    # --- connections ---

    def listen(self, backlog: int = 128) -> None:
        """Take connections. Raises: OSError, TypeError."""
        self._change(self._attempts().listen, max(index(backlog), 0))

    def accept(self) -> tuple[Socket, Address]:
        """Wait for a connection. Raises: OSError."""
        listener = self._attempts()
        if self._timeout == 0:
            queue = listener.accept_queue
            if queue is not None and not queue and not self._host.refuses:
                raise os_error(EAGAIN)  # how an event loop's every turn ends: without a call
            endpoint, remote = self._call(listener.accept)
        else:
            endpoint, remote = self._enter(self._accept_within, listener)
        opened = OpenSocket(self._host, endpoint)
        return self.sibling(opened, stdlib.getdefaulttimeout()), write_address(remote)

    def sibling(self, opened: OpenSocket, timeout: float | None) -> Socket:
        """Make another socket of the same kind: a plain one, whatever this one is."""
        made = Socket.__new__(Socket)
        made._take_up(self._host, opened, self.type, self.proto, -1, timeout)
        return made

    def connect(self, address: Any) -> None:
        """Connect, and wait until the connection stands. Raises: OSError."""
        endpoint = self._attempts()
        try:
            self._change(endpoint.connect, read_address(address))
        except BlockingIOError as begun:
            # Like Linux, who may wait for ever waits for what was begun earlier, too.
            earlier = begun.errno == EALREADY and self._timeout is None
            if self._timeout == 0 or not (begun.errno == EINPROGRESS or earlier):
                raise
            self._block(endpoint, self._timeout, CONNECTED | CLOSED, endpoint.finish_connect)

    def connect_ex(self, address: Any) -> int:
        """Connect; give an errno instead of raising OSError, or 0."""
        try:
            self.connect(address)
        except stdlib.gaierror:
            raise
        except OSError as error:
            return error.errno or EAGAIN  # TimeoutError("timed out") has no errno
        return 0

    # --- receiving ---

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Wait for text or a datagram; b"" at the end of a stream. Raises: OSError."""
        if not flags and bufsize > 0:
            if self._inbox:
                if arrival := self._take_arrived():
                    return arrival.data[:bufsize]
            elif self._number is not None:
                if self._timeout != 0:
                    return self._enter(self._read_within, bufsize)
                text = self._host.enter(self._short_way().take_text, bufsize)
                if text is not None:
                    return text
        return self._receive(bufsize, flags)[0]

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Address | None]:
        """Wait for a datagram, and tell where it came from. Raises: OSError."""
        if self._inbox and not flags and bufsize > 0 and (arrival := self._take_arrived()):
            return arrival.data[:bufsize], write_address(arrival.origin.source)
        message = self._receive(bufsize, flags)
        return message.data, _written(message.source)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Wait for text or a datagram, put it into a buffer, and give its octets."""
        return self.recvfrom_into(buffer, nbytes, flags)[0]

    def recvfrom_into(
        self, buffer: Any, nbytes: int = 0, flags: int = 0
    ) -> tuple[int, Address | None]:
        """Wait for a datagram, put it into a buffer, and give its octets and its source."""
        if nbytes < 0:
            raise ValueError("negative buffersize in recv_into")
        view = memoryview(buffer).cast("B")
        if view.readonly:
            raise TypeError("read-write bytes-like object expected")
        if nbytes > len(view):
            raise ValueError("buffer too small for requested bytes")
        data, source = self.recvfrom(nbytes or len(view), flags)
        scatter(data, [view])
        return len(data), source

    def recvmsg(
        self, bufsize: int, ancbufsize: int = 0, flags: int = 0
    ) -> tuple[bytes, Ancillary, int, Address | None]:
        """Wait for text or a datagram; tell flags, such as MSG_TRUNC, and the source."""
        if ancbufsize < 0:
            raise ValueError("invalid ancillary data buffer length")
        data, source, told, control = self._receive(bufsize, flags)
        items, cut = cut_control(control, ancbufsize)
        return data, items, told | cut, _written(source)

    def recvmsg_into(
        self, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0
    ) -> tuple[int, Ancillary, int, Address | None]:
        """Wait for text or a datagram, and put it into one buffer after the other."""
        views = room_of(buffers)
        data, ancillary, told, source = self.recvmsg(sum(map(len, views)), ancbufsize, flags)
        scatter(data, views)
        return len(data), ancillary, told, source

    def _receive(self, size: int, flags: int) -> Message:
        if size < 0:
            raise ValueError("negative buffersize in recv")
        endpoint = self._attempts()
        receive = endpoint.receive
        if size and not flags and self._timeout != 0:  # what nearly every call is
            return self._block(endpoint, self._timeout, _INCOMING, receive, size, 0)
        if not size and self.type == stdlib.SOCK_STREAM and not flags & MSG_ERRQUEUE:
            return Message(b"")  # as the standard library, without asking
        if flags & NEVER_WAITS or self._timeout == 0:
            return self._call(receive, size, flags | MSG_DONTWAIT)
        # Only who may wait for ever waits for all: the standard library's timeouts make a socket
        # non-blocking to the system, which then gives what there is.
        whole = flags & MSG_WAITALL and not flags & MSG_PEEK
        if whole and self._timeout is None and self.type == stdlib.SOCK_STREAM:
            text = bytearray()
            return self._block(endpoint, None, _INCOMING, endpoint.receive_all, size, flags, text)
        if self._timeout is not None:
            flags &= ~MSG_WAITALL
        return self._block(endpoint, self._timeout, _INCOMING, receive, size, flags)

    # --- sending ---

    def send(self, data: Buffer, flags: int = 0) -> int:
        """Send what finds room, at least one octet; give how many. Raises: OSError.

        Like Linux, who may wait for ever sends everything, unless an error comes between.
        """
        if not flags and type(data) is bytes and self._sends_at_once(data):
            return len(data)
        return self._send_whole(octets_of(data), flags, None)

    def sendall(self, data: Buffer, flags: int = 0) -> None:
        """Send everything; the timeout is for all of it. Raises: OSError."""
        if not flags and type(data) is bytes and self._sends_at_once(data):
            return
        rest = octets_of(data)
        size, left = len(rest), self._timeout
        if left is None:
            sent = self._send_whole(rest, flags, None)
            while sent < size:  # why fewer were sent the next call tells
                sent += self._send_whole(octets_of(data)[sent:], flags, None)
            return
        deadline = self._host.now() + round(left * SECOND) if left else None
        while True:  # once at least: an empty datagram is a datagram
            sent = self._send(left, rest, flags, None)
            if sent == len(rest):
                return
            rest = rest[sent:]
            if deadline is not None:
                left = (deadline - self._host.now()) / SECOND
                if left <= 0:
                    rest.release()  # as in `_send`
                    raise TimeoutError("timed out")

    def sendto(self, data: Buffer, *rest: Any) -> int:
        """Send a datagram: `sendto(data, address)` or `sendto(data, flags, address)`."""
        if len(rest) not in (1, 2):
            raise TypeError(f"sendto() takes 2 or 3 arguments ({1 + len(rest)} given)")
        flags = rest[0] if len(rest) == 2 else 0
        return self._send_whole(octets_of(data), flags, read_address(rest[-1]))

    def sendmsg(
        self,
        buffers: Iterable[Any],
        ancdata: Iterable[Any] = (),
        flags: int = 0,
        address: Any = None,
    ) -> int:
        """Send what some buffers hold, as one; give how many octets found room. Raises: OSError."""
        data = gather(buffers)
        control = check_ancillary(ancdata)
        to = None if address is None else read_address(address)
        return self._send_whole(data, flags, to, control)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file, or `count` octets of it; give how many were sent. Raises: OSError."""
        self._attempts()
        return send_file(self, file, offset, count)

    def _send_whole(
        self, octets: memoryview, flags: int, to: Endpoint | None, control: Ancillary = _NOTHING
    ) -> int:
        """Send what finds room, or all, for who may wait for ever."""
        sent = self._send(self._timeout, octets, flags, to, control)
        if sent == len(octets) or self._timeout is not None or flags & MSG_DONTWAIT:
            return sent
        flags = flags & ~MSG_FASTOPEN | GOES_ON
        with octets:
            while sent < len(octets):
                taken = self._send(None, octets[sent:], flags, to, control)
                if not taken:  # the connection has ended: of that, the next call is told
                    break
                sent += taken
        return sent

    def _send(
        self,
        timeout: float | None,
        data: memoryview,
        flags: int,
        to: Endpoint | None,
        control: Ancillary = _NOTHING,
    ) -> int:
        """Send what finds room. An error's traceback has `data`: so that is released then.

        For who handles the error may want to change what it views.
        """
        endpoint = self._attempts()
        send = endpoint.send
        if timeout == 0:
            flags |= MSG_DONTWAIT
        elif timeout is None and flags & MSG_ZEROCOPY:
            flags |= TAKES_ALL
        try:
            try:
                if flags & MSG_DONTWAIT:
                    return self._call(send, data, flags, to, control)
                return self._block(endpoint, timeout, _OUTGOING, send, data, flags, to, control)
            except BlockingIOError as begun:
                if begun.errno != EINPROGRESS:
                    raise
                if timeout is None and not flags & MSG_DONTWAIT:
                    self._block(endpoint, None, CONNECTED | CLOSED, endpoint.finish_connect)
                elif not begun.characters_written:
                    raise
                return begun.characters_written
        except OSError:
            data.release()
            raise

    # --- options ---

    def getsockopt(self, level: int, optname: int, buflen: int = 0) -> int | bytes:
        """Read an option: an int, or `buflen` octets. Raises: OSError with ENOPROTOOPT."""
        if optname == stdlib.SO_TYPE and level == stdlib.SOL_SOCKET:
            refuse_to_be_wrapped(sys._getframe(1))
        value = self._call(self._attempts().get_option, level, optname, buflen or _INT)
        if buflen:
            octets = value if isinstance(value, bytes) else value.to_bytes(4, "little", signed=True)
            return octets[:buflen]
        return value if isinstance(value, int) else int.from_bytes(value[:4], "little")

    def setsockopt(self, level: int, optname: int, value: int | Buffer, *_: int) -> None:
        """Set an option. Raises: OSError with ENOPROTOOPT or EINVAL."""
        plain = value if isinstance(value, int) else bytes(value)
        self._call(self._attempts().set_option, level, optname, plain)

    def ioctl(self, request: int) -> int:
        """Answer SIOCINQ, SIOCOUTQ, SIOCOUTQNSD or SIOCATMARK, as ioctl(2) on the kernel's does.

        `fcntl.ioctl` on `fileno()` would ask the descriptor, which knows nothing of the connection.
        Raises: OSError with ENOTTY.
        """
        return self._call(self._attempts().ioctl, request)

    def shutdown(self, how: int) -> None:
        """End one direction or both. Raises: OSError with ENOTCONN."""
        self._change(self._attempts().shutdown, how)


def _written(source: Endpoint | None) -> Address | None:
    return None if source is None else write_address(source)
