"""An event loop of asyncio's for the stack's sockets: it drives the stack while it waits.

    asyncio.run(main(), loop_factory=EventLoop)

Not done here: waiting (`selectors.py`). Transports are asyncio's own.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tapstack.selectors import DefaultSelector
from tapstack.socket.facade import Socket


class EventLoop(asyncio.SelectorEventLoop):
    """What `asyncio.SelectorEventLoop` is, and quicker with sockets of the stack."""

    def __init__(self) -> None:
        self._driving = DefaultSelector()
        super().__init__(self._driving)

    def _make_socket_transport(self, sock: Any, *arguments: Any, **how: Any) -> Any:
        """Make a transport: nobody but this loop waits for its socket, by whatever number."""
        if isinstance(sock, Socket) and self._driving.drives(sock.host):
            sock.use_mere_number()
        loop: Any = super()
        return loop._make_socket_transport(sock, *arguments, **how)

    async def _sock_sendfile_native(self, sock: Any, file: Any, offset: int, count: Any) -> int:
        """Leave files to plain sends: to sendfile(2), a socket of the stack is no socket."""
        if isinstance(sock, Socket):
            raise asyncio.SendfileNotAvailableError("the system knows no socket of the stack")
        loop: Any = super()
        sent: int = await loop._sock_sendfile_native(sock, file, offset, count)
        return sent
