"""An event loop of asyncio's for the stack's sockets: it drives the stack while it waits.

    asyncio.run(main(), loop_factory=EventLoop)

It is asyncio's own loop but for a few of the methods by which that makes transports and takes
connections. Where one has another form in some version of Python, asyncio's way is gone instead.

Not done here: waiting (`selectors.py`), and the transports of streams (`aio/`).
"""

from __future__ import annotations

import asyncio
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Any

from tapstack.aio.crowd import Crowd, connection_of
from tapstack.selectors import DefaultSelector
from tapstack.socket.facade import Socket


class EventLoop(asyncio.SelectorEventLoop):
    """What `asyncio.SelectorEventLoop` is, and quicker with sockets of the stack."""

    def __init__(self) -> None:
        self._driving = DefaultSelector()
        self._crowd: Crowd | None = None
        super().__init__(self._driving)

    def _crowd_of(self, sock: Any) -> Crowd | None:
        """Give the transports of a socket's stack, if that is driven. Raises: ValueError."""
        stack = self._driving.drive(sock.host) if isinstance(sock, Socket) else None
        if stack is None:
            return None
        if self._crowd is None or self._crowd.runtime is not stack[0]:
            self._crowd = Crowd(self, *stack)
        return self._crowd

    def _make_socket_transport(
        self,
        sock: Any,
        protocol: Any,
        waiter: Any = None,
        *,
        extra: Any = None,
        server: Any = None,
        **more: Any,
    ) -> Any:
        """Make a transport: of the stack's own kind if the socket has a connection."""
        crowd = self._crowd_of(sock)
        if crowd is not None:
            connection = connection_of(sock)
            if connection is not None and not more:
                return crowd.adopt(sock, connection, protocol, waiter, extra, server)
            sock.use_mere_number()  # nobody but this loop waits for it, by whatever number
        loop: Any = super()
        return loop._make_socket_transport(
            sock, protocol, waiter, extra=extra, server=server, **more
        )

    def _make_ssl_transport(
        self,
        rawsock: Any,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: Any = None,
        server: Any = None,
        **more: Any,
    ) -> Any:
        """Make a transport that speaks TLS over one of the stack's."""
        if not isinstance(rawsock, Socket):
            loop: Any = super()
            return loop._make_ssl_transport(
                rawsock,
                protocol,
                sslcontext,
                waiter,
                server_side=server_side,
                server_hostname=server_hostname,
                extra=extra,
                server=server,
                **more,
            )
        tls: Any = SSLProtocol(
            self, protocol, sslcontext, waiter, server_side, server_hostname, **more
        )
        self._make_socket_transport(rawsock, tls, extra=extra, server=server)
        return tls._app_transport

    def _accept_connection(
        self,
        protocol_factory: Callable[[], Any],
        sock: Any,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        *timeouts: Any,
        **more: Any,
    ) -> None:
        """Take the connections that wait."""
        crowd = None if sslcontext or more else self._crowd_of(sock)
        if crowd is not None:
            crowd.accept(sock, protocol_factory, server, backlog)
            return
        loop: Any = super()
        loop._accept_connection(
            protocol_factory, sock, sslcontext, server, backlog, *timeouts, **more
        )

    def _process_events(self, event_list: Any) -> None:
        """Have done, in this turn, what there is to do by what the selector has waited for."""
        if self._crowd is not None:
            self._crowd.look()
        loop: Any = super()
        loop._process_events(event_list)

    def close(self) -> None:
        """Close; transports that are open still are left to whoever has them."""
        if self._crowd is not None and not self.is_running():
            self._crowd.close()
            self._crowd = None
        super().close()
