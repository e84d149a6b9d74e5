"""The socket object: the standard library's methods over a stack (socket(7), Python's `socket`).

Each call reads its arguments as the standard library does, and is one attempt of an endpoint, or a
blocking repetition of it.

Not done here: the attempts (`stream.py`, `messages.py`), and waiting (`blocking.py`).
"""

from __future__ import annotations

import socket as stdlib
import warnings
from collections.abc import Callable
from contextlib import suppress
from errno import EAGAIN, EALREADY, EBADF, EINPROGRESS, ENETDOWN
from types import TracebackType
from typing import Any, TypeVar

from tapstack.base.address import Endpoint
from tapstack.base.contracts import ACCEPTABLE, CLOSED, CONNECTED, READABLE, WRITABLE, Buffer
from tapstack.base.errors import os_error
from tapstack.base.units import SECOND, Instant
from tapstack.socket.addresses import Address, read_address, write_address
from tapstack.socket.blocking import block
from tapstack.socket.contract import SocketEndpoint, SocketHost
from tapstack.socket.descriptor import Readiness
from tapstack.socket.files import open_raw, wrap_raw

T = TypeVar("T")

_INCOMING = READABLE | CLOSED
_OUTGOING = WRITABLE | CLOSED


class Socket:
    """A socket of a stack, as Python programs know sockets."""

    def __init__(
        self,
        host: SocketHost,
        type: int = stdlib.SOCK_STREAM,  # noqa: A002 - the standard library's name
        proto: int = 0,
        *,
        endpoint: SocketEndpoint | None = None,
        timeout: float | None = None,
    ) -> None:
        """Open a socket on a stack, or take one that exists. Raises: OSError."""
        kind = type & ~(stdlib.SOCK_NONBLOCK | stdlib.SOCK_CLOEXEC)
        self._files = 0  # how many objects of `makefile` are open
        self._closing = False
        self._endpoint: SocketEndpoint | None = None
        self._host = host
        self._timeout = 0.0 if type & stdlib.SOCK_NONBLOCK else timeout
        endpoint = endpoint or host.open(kind, proto)
        self.family = stdlib.AF_INET
        self.type = stdlib.SocketKind(kind)
        self.proto = proto
        self._readiness = Readiness(host, endpoint)
        self._endpoint = endpoint

    # --- being an object ---

    def __enter__(self) -> Socket:
        """Close at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def __repr__(self) -> str:
        """Show what `socket.socket` shows, without making a descriptor."""
        words = [f"family={self.family!s}, type={self.type!s}, proto={self.proto}"]
        if self._endpoint is None:
            words.insert(0, "[closed]")
        return f"<tapstack.socket.socket {', '.join(words)}>"

    def __del__(self) -> None:
        """Warn of a socket that nobody closed, and close it."""
        endpoint = getattr(self, "_endpoint", None)
        if endpoint is None:
            return
        try:  # a warning may be made an error
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
        finally:
            self._host.call_soon(_give_back, endpoint, self._readiness)

    def _attempts(self) -> SocketEndpoint:
        if self._endpoint is None:
            raise os_error(EBADF)
        return self._endpoint

    def _call(self, attempt: Callable[..., T], *arguments: Any) -> T:
        """Make an attempt that never waits, and show what it changed."""
        try:
            return self._host.call(attempt, *arguments)
        finally:
            self._readiness.refresh()

    def _block(
        self, timeout: float | None, events: int, attempt: Callable[..., T], *arguments: Any
    ) -> T:
        """Make an attempt, waiting at most `timeout` seconds for its success."""
        try:
            return block(self._host, self._attempts(), events, timeout, attempt, *arguments)
        finally:
            self._readiness.refresh()

    # --- timeouts ---

    @property
    def timeout(self) -> float | None:
        """Seconds that a call may block; None: for ever, 0: not at all."""
        return self._timeout

    def settimeout(self, value: float | None) -> None:
        """Set the seconds that a call may block. Raises: ValueError, OverflowError, OSError."""
        if value is not None and value < 0:
            raise ValueError("Timeout value out of range")
        if value is not None:
            int(value)  # neither infinity nor what is no number
        self._attempts()
        self._timeout = None if value is None else float(value)

    def gettimeout(self) -> float | None:
        """Give the seconds that a call may block."""
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        """Block for ever, or not at all."""
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        """Tell whether calls may block."""
        return self._timeout != 0

    # --- addresses ---

    def bind(self, address: Any) -> None:
        """Take a local address. Raises: OSError."""
        self._call(self._attempts().bind, read_address(address))

    def getsockname(self) -> Address:
        """Give the local address."""
        return write_address(self._call(self._attempts().local))

    def getpeername(self) -> Address:
        """Give the other end's address. Raises: OSError with ENOTCONN."""
        return write_address(self._call(self._attempts().remote))

    # --- connections ---

    def listen(self, backlog: int = 128) -> None:
        """Take connections. Raises: OSError."""
        self._call(self._attempts().listen, backlog)

    def accept(self) -> tuple[Socket, Address]:
        """Wait for a connection. Raises: OSError."""
        accept = self._attempts().accept
        endpoint, remote = self._block(self._timeout, ACCEPTABLE | CLOSED, accept)
        return self._accepted(endpoint, stdlib.getdefaulttimeout()), write_address(remote)

    def _accepted(self, endpoint: SocketEndpoint, timeout: float | None) -> Socket:
        """Make the socket of an accepted connection: a plain one, whatever made the listener."""
        return Socket(self._host, self.type, self.proto, endpoint=endpoint, timeout=timeout)

    def connect(self, address: Any) -> None:
        """Connect, and wait until the connection stands. Raises: OSError."""
        endpoint = self._attempts()
        try:
            self._call(endpoint.connect, read_address(address))
        except BlockingIOError as begun:
            # Like Linux, who may wait for ever waits for what was begun earlier, too.
            earlier = begun.errno == EALREADY and self._timeout is None
            if self._timeout == 0 or not (begun.errno == EINPROGRESS or earlier):
                raise
            self._block(self._timeout, CONNECTED | CLOSED, endpoint.finish_connect)

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
        return self._receive(bufsize, flags)[0]

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Address | None]:
        """Wait for a datagram, and tell where it came from. Raises: OSError."""
        data, source = self._receive(bufsize, flags)
        return data, None if source is None else write_address(source)

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
        view[: len(data)] = data
        return len(data), source

    def _receive(self, size: int, flags: int) -> tuple[bytes, Endpoint | None]:
        if size < 0:
            raise ValueError("negative buffersize in recv")
        receive = self._attempts().receive
        if flags & stdlib.MSG_DONTWAIT or self._timeout == 0:
            return self._call(receive, size, flags | stdlib.MSG_DONTWAIT)
        # Only who may wait for ever waits for all: the standard library's timeouts make a socket
        # non-blocking to the system, which then gives what there is.
        whole = flags & stdlib.MSG_WAITALL and not flags & stdlib.MSG_PEEK
        if whole and self._timeout is None and self.type == stdlib.SOCK_STREAM:
            text = bytearray()
            self._block(None, _INCOMING, self._attempts().receive_all, size, text)
            return bytes(text), None
        return self._block(self._timeout, _INCOMING, receive, size, flags)

    # --- sending ---

    def send(self, data: Buffer, flags: int = 0) -> int:
        """Send what finds room, at least one octet; give how many. Raises: OSError.

        Like Linux, who may wait for ever sends everything, unless an error comes between.
        """
        octets = _octets(data)
        sent = self._send(self._timeout, octets, flags, None)
        if self._timeout is None and not flags & stdlib.MSG_DONTWAIT:
            with suppress(ConnectionError):  # the octets count first; the next call is told
                while sent < len(octets):
                    sent += self._send(None, octets[sent:], flags, None)
        return sent

    def sendall(self, data: Buffer, flags: int = 0) -> None:
        """Send everything; the timeout is for all of it. Raises: OSError."""
        rest = _octets(data)
        left = self._timeout
        deadline = self._host.now() + round(left * SECOND) if left else None
        while True:  # once at least: an empty datagram is a datagram
            rest = rest[self._send(left, rest, flags, None) :]
            if not len(rest):
                return
            if deadline is not None:
                left = (deadline - self._host.now()) / SECOND
                if left <= 0:
                    raise TimeoutError("timed out")

    def sendto(self, data: Buffer, *rest: Any) -> int:
        """Send a datagram: `sendto(data, address)` or `sendto(data, flags, address)`."""
        if len(rest) not in (1, 2):
            raise TypeError(f"sendto() takes 2 or 3 arguments ({1 + len(rest)} given)")
        flags = rest[0] if len(rest) == 2 else 0
        return self._send(self._timeout, _octets(data), flags, read_address(rest[-1]))

    def _send(
        self, timeout: float | None, data: memoryview, flags: int, to: Endpoint | None
    ) -> int:
        send = self._attempts().send
        if flags & stdlib.MSG_DONTWAIT:
            return self._call(send, data, flags, to)
        return self._block(timeout, _OUTGOING, send, data, flags, to)

    # --- options ---

    def getsockopt(self, level: int, optname: int, buflen: int = 0) -> int | bytes:
        """Read an option: an int, or `buflen` octets. Raises: OSError with ENOPROTOOPT."""
        value = self._call(self._attempts().get_option, level, optname)
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

    # --- the end ---

    def shutdown(self, how: int) -> None:
        """End one direction or both. Raises: OSError with ENOTCONN."""
        self._call(self._attempts().shutdown, how)

    def close(self) -> None:
        """Close, once no file of `makefile` needs the socket; SO_LINGER makes this wait."""
        self._closing = True
        if self._files <= 0:
            self._really_close()

    def _really_close(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is None:
            return
        try:
            seconds = self._host.call(_give_back, endpoint, self._readiness)
        except OSError as error:
            if error.errno != ENETDOWN:
                raise
            self._readiness.close()  # the stack is down, and has closed everything else
            return
        if seconds:
            self._wait_for_arrival(endpoint, seconds)

    def _wait_for_arrival(self, endpoint: SocketEndpoint, seconds: int) -> None:
        try:
            block(self._host, endpoint, _OUTGOING, seconds, endpoint.finish_close)
        except TimeoutError:
            return

    def fileno(self) -> int:
        """Give a descriptor that select, poll and epoll can wait on; −1 once closed.

        It is made on the first call, and only tells readiness: reading or writing it directly
        does nothing to the connection.
        """
        return -1 if self._endpoint is None else self._readiness.fileno()

    # --- files ---

    def makefile(
        self,
        mode: str = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """Make a file object of the socket, as `socket.socket.makefile` does."""
        raw = open_raw(self, mode, buffering)
        self._files += 1  # from now on `raw` closes it, whatever becomes of the rest
        return wrap_raw(raw, mode, buffering, encoding, errors, newline)

    def _decref_socketios(self) -> None:
        """Hear from `SocketIO` that a file was closed."""
        self._files -= 1
        if self._closing:
            self.close()


def _give_back(endpoint: SocketEndpoint, readiness: Readiness, *, now: Instant) -> int:
    """Close what a socket is made of; tell how many seconds SO_LINGER wants to wait for that."""
    readiness.close()
    seconds = endpoint.linger()
    endpoint.close(now=now)
    return seconds


def _octets(data: Any) -> memoryview:
    """View any buffer as octets. Raises: TypeError for what is none."""
    view = memoryview(data)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")
