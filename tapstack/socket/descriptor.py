"""A real file descriptor that is readable and writable when a socket of the stack is.

select, poll, epoll and asyncio wait on descriptors. One end of a pair of UNIX sockets is given out:
an octet sent from the other end makes it readable, and a full buffer makes it unwritable. It only
tells: octets of the connection never cross it.

Not done here: when it is made, which is on the first `fileno()`.
"""

from __future__ import annotations

import socket
from contextlib import suppress

_ONE_OCTET = b"!"
_FILL = b"\0" * 256
"""What fills a buffer of the least size, which `SO_SNDBUF` of 1 asks for."""


class ReadinessDescriptor:
    """A pair of sockets whose given-out end shows two bits."""

    def __init__(self) -> None:
        self._shown, self._kept = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for each in (self._shown, self._kept):
            each.setblocking(False)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self._readable = False
        self._writable = True

    def fileno(self) -> int:
        """Give the descriptor to wait on."""
        return self._shown.fileno()

    def show(self, readable: bool, writable: bool) -> None:
        """Set both bits; the system is called only for a change."""
        if readable != self._readable:
            self._readable = readable
            if readable:
                self._kept.send(_ONE_OCTET)
            else:
                self._shown.recv(1)
        if writable != self._writable:
            self._writable = writable
            if writable:
                self._drain()
            else:
                self._fill()

    def _fill(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._shown.send(_FILL)

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while self._kept.recv(65536):
                pass

    def close(self) -> None:
        """Give both ends back."""
        self._shown.close()
        self._kept.close()
