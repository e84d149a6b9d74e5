"""What the transports of one loop over one stack do together.

Whatever has come for any of them is read by one entry into the stack a turn; several connections
are taken by one, and given back by one. Their protocols are called outside of it, each in the
context of its own connection, and nothing that one of them raises keeps the others from being
called.

Not done here: what a transport does by itself (`transport.py`); waiting (`runtime/selecting.py`).
"""

from __future__ import annotations

import logging
import socket
from asyncio import Handle, base_events
from collections import deque
from collections.abc import Callable
from errno import ENETDOWN
from inspect import signature
from typing import TYPE_CHECKING, Any

from tapstack.aio.base import TO_READ, BaseStreamTransport
from tapstack.aio.transport import StreamTransport
from tapstack.socket.open_socket import OpenSocket
from tapstack.socket.stream import StreamEndpoint
from tapstack.tcp.state import State

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.runtime.runtime import Runtime
    from tapstack.runtime.selecting import Selection
    from tapstack.socket.facade import Socket
    from tapstack.tcp.tcb import Tcb

_Server: Any = base_events.Server
_SERVERS_ASK_WHO = "transport" in signature(_Server._attach).parameters
"""Whether a server wants to know its connections, as from Python 3.13 on."""
_log = logging.getLogger("asyncio")
_CONNECTED = frozenset({State.ESTABLISHED, State.CLOSE_WAIT})


def connection_of(sock: Socket) -> Tcb | None:
    """Give the connection of a socket that has one, and neither begins nor ends it.

    Raises: OSError with EBADF.
    """
    endpoint = sock.opened.endpoint
    connection = endpoint.tcb if isinstance(endpoint, StreamEndpoint) else None
    return connection if connection and connection.state in _CONNECTED else None


class Crowd:
    """The transports of one loop whose sockets are one stack's."""

    def __init__(self, loop: Any, runtime: Runtime, selection: Selection) -> None:
        self.loop = loop
        self.runtime = runtime
        self.hear = selection.hear
        """Note that something has happened to a transport. Within the stack."""
        self._selection = selection
        self._called: Handle | None = None
        # By which the loop is to serve soon.
        self._news: deque[StreamTransport] = deque()
        # Those whose protocols are to be told something.
        self._ended: deque[BaseStreamTransport] = deque()
        # Those that have come to their end in this turn, by themselves.

    # --- beginning ---

    def adopt(
        self, sock: Socket, connection: Tcb, protocol: Any, waiter: Any, extra: Any, server: Any
    ) -> StreamTransport:
        """Make a transport of a socket that has a connection.

        Raises: OSError; RuntimeError where another transport has it.
        """
        sock.use_mere_number()
        self.loop._ensure_fd_no_transport(sock.fileno())
        transport = StreamTransport(self, sock.opened, connection, sock)
        transport.own_socket(extra)
        if sock.proto == socket.IPPROTO_TCP:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as asyncio
        transport.set_protocol(protocol)
        self._join(transport, server)
        self.loop.call_soon(transport.begin, waiter, context=transport.context)
        return transport

    def accept(self, listener: Socket, factory: Callable[[], Any], server: Any, most: int) -> None:
        """Take the connections that wait, and give each a protocol. Raises: OSError."""
        taken = deque[StreamTransport]()
        try:
            self.runtime.enter(self._take, (listener, max(most, 1), taken))
        finally:  # even if a signal handler has raised
            for each in taken:  # before a protocol may close the server
                self._join(each, server)
            self._give_protocols(taken, factory)

    def _take(self, wish: tuple[Socket, int, deque[StreamTransport]], now: Instant) -> None:
        listener, most, taken = wish
        opened = listener.opened
        listening, without_delay = opened.endpoint, listener.proto == socket.IPPROTO_TCP
        while listening.accept_queue and len(taken) < most:
            endpoint, _ = listening.accept(now=now)
            assert isinstance(endpoint, StreamEndpoint)
            assert endpoint.tcb is not None
            if without_delay:
                endpoint.set_option(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1, now=now)
            made = StreamTransport(self, OpenSocket(self.runtime, endpoint), endpoint.tcb, listener)
            made.listen(TO_READ, now=now)
            taken.append(made)
        opened.show(now)

    def _give_protocols(self, taken: deque[StreamTransport], factory: Callable[[], Any]) -> None:
        try:
            while taken:
                transport = taken.popleft()
                transport.context.run(self._give_protocol, transport, factory)
        finally:
            if taken:
                self.loop.call_soon(self._give_protocols, taken, factory)

    def _give_protocol(self, transport: StreamTransport, factory: Callable[[], Any]) -> None:
        if self.loop.get_debug():
            address = transport.get_extra_info("peername")
            _log.debug("%r got a new connection from %r: %r", transport.server, address, transport)
        try:
            protocol = factory()
        except BaseException as error:
            self._let_go([transport])
            if isinstance(error, SystemExit | KeyboardInterrupt):
                raise
            if self.loop.get_debug():
                message = "Error on transport creation for incoming connection"
                self.loop.call_exception_handler({"message": message, "exception": error})
            return
        transport.set_protocol(protocol)
        self._guard(transport, "connection_made", transport)

    def _guard(self, transport: BaseStreamTransport, method: str, argument: Any) -> None:
        """Call a protocol; the loop's handler is told of what it raises, as of any callback's."""
        protocol = transport.get_protocol()
        try:
            getattr(protocol, method)(argument)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as asyncio
            callback = f"{type(protocol).__qualname__}.{method}({argument!r})"
            transport.report(f"Exception in callback {callback}", error)

    def _join(self, transport: BaseStreamTransport, server: Any) -> None:
        """Count a transport as a connection of a server's, until its end."""
        transport.server = server
        if server is not None:
            server._attach(*(transport,) if _SERVERS_ASK_WHO else ())

    # --- turns ---

    def look(self) -> None:
        """Serve in this turn those to whom something has happened, if there are any."""
        if self._selection.arrived:
            if self._called is not None:
                self._called.cancel()  # if a signal handler has raised, that is never run
            self._called = self.loop.call_soon(self._serve)

    def recall(self, transport: BaseStreamTransport) -> None:
        """Serve a transport in the next turn, whatever happens to it."""
        self._selection.arrived[transport] = TO_READ
        if self._called is None:
            self.look()

    def _serve(self) -> None:
        self._called = None
        try:
            self.runtime.enter(self._attend, self._selection)
        except OSError as error:
            if error.errno != ENETDOWN:
                raise
            arrived = self._selection.take_arrived()
            self._news.extend(each for each in arrived if each.fail(error))
        except BaseException:  # what a signal handler has raised: what was read by then is kept
            self.loop.call_soon(self._deliver)
            raise
        self._deliver()

    def _attend(self, selection: Selection, now: Instant) -> None:
        arrived, news = selection.take_arrived(), self._news
        try:
            for transport, events in arrived.items():
                if transport.attend(events, now):
                    news.append(transport)
        except BaseException:  # what a signal handler has raised
            selection.arrived = {**arrived, **selection.arrived}
            raise

    def _deliver(self) -> None:
        news = self._news
        try:
            while news:
                transport = news[0]
                transport.context.run(transport.deliver)
                news.popleft()  # then: whatever that raises, it is told the rest when it is over
        finally:
            if news:
                self.loop.call_soon(self._deliver)
            if self._ended:
                ended, self._ended = self._ended, deque()
                self.loop.call_soon(self._end_all, ended)

    # --- ends ---

    def end_soon(self, transport: BaseStreamTransport, error: BaseException | None) -> None:
        """End a transport when what the loop was told to do before is done."""
        self.loop.call_soon(self._end, transport, error)

    def _end(self, transport: BaseStreamTransport, error: BaseException | None) -> None:
        try:
            transport.get_protocol().connection_lost(error)
        finally:
            self._let_go([transport])

    def end_with_turn(self, transport: BaseStreamTransport, _: object) -> None:
        """End a transport behind this turn, together with others."""
        self._ended.append(transport)

    def _end_all(self, ended: deque[BaseStreamTransport]) -> None:
        told = []
        try:
            while ended:
                transport = ended.popleft()
                told.append(transport)
                transport.context.run(self._guard, transport, "connection_lost", None)
        finally:
            if ended:
                self.loop.call_soon(self._end_all, ended)
            self._let_go(told)

    def _let_go(self, transports: list[BaseStreamTransport]) -> None:
        """Close sockets, and count their transports as connections no more."""
        try:
            self.runtime.enter(_part, transports)
        except OSError as error:
            if error.errno != ENETDOWN:
                raise  # else the stack has closed everything
        finally:
            for each in transports:
                each.finish()
                if each.server is not None:
                    server, each.server = each.server, None
                    server._detach(*(each,) if _SERVERS_ASK_WHO else ())

    def close(self) -> None:
        """Leave its transports to whoever has them, as their loop is closed."""
        self.runtime.call_soon(self._leave_all)

    def _leave_all(self, *, now: Instant) -> None:  # noqa: ARG002 - every attempt's form
        self._selection.take_arrived()
        for each in self.runtime.all_told():
            if isinstance(each, BaseStreamTransport) and each.is_of(self):
                each.leave()


def _part(transports: list[BaseStreamTransport], now: Instant) -> None:
    for each in transports:
        each.part(now)
