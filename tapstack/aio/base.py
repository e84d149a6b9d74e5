"""What every transport of a connection of the stack is: what it hears of, and its end.

It is told by the stack itself, has no place in a selector, and makes no socket object unless
somebody asks for one.

Not done here: reading and writing (`transport.py`).
"""

from __future__ import annotations

import logging
import socket
import struct
import warnings
from asyncio import protocols, transports
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from tapstack.base.contracts import CLOSED, ENDED, ERROR, READABLE, WRITABLE
from tapstack.socket.addresses import Address, write_address

if TYPE_CHECKING:
    from tapstack.aio.crowd import Crowd
    from tapstack.base.contracts import Buffer
    from tapstack.base.units import Instant
    from tapstack.socket.descriptor import Readiness
    from tapstack.socket.facade import Socket
    from tapstack.socket.open_socket import OpenSocket
    from tapstack.tcp.tcb import Tcb

TO_READ = READABLE | CLOSED | ENDED | ERROR
"""Events at which there may be something to read."""
TO_WRITE = WRITABLE | CLOSED | ENDED | ERROR
"""Events at which there may be room to write, or an error."""
_RESETS = struct.pack("ii", 1, 0)
"""SO_LINGER that has `close` reset the connection."""
_WATER_MARKS = 16 * 1024, 64 * 1024
"""Octets at which a protocol is to write again, and beyond which no more: asyncio's defaults."""
_log = logging.getLogger("asyncio")


class BaseStreamTransport(transports._FlowControlMixin):
    """A transport whose connection nobody reads or writes yet."""

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_closing",
        "_conn_lost",
        "_crowd",
        "_feeds",
        "_is_watched",
        "_known",
        "_origin",
        "_protocol",
        "_sock",
        "_text",
        "context",
        "endpoint",
        "events",
        "open",
        "server",
    )

    # Of asyncio's, the loop until the end:
    _loop: Any
    _maybe_pause_protocol: Callable[[], None]
    _maybe_resume_protocol: Callable[[], None]

    def __init__(self, crowd: Crowd, opened: OpenSocket, connection: Tcb, origin: Socket) -> None:
        """`origin`: the listener that has taken the connection, or the socket itself."""
        # As asyncio's own constructors do, three calls deep.
        self._loop = crowd.loop
        self._low_water, self._high_water = _WATER_MARKS
        self._protocol_paused = False
        self.endpoint = connection
        """What it hears of, as a `Watcher`; and of which events."""
        self.events = 0
        self.open = opened
        """Its socket."""
        self.context = copy_context()
        """What its protocol is called in."""
        self.server: Any = None
        """The server that it is a connection of."""
        self._crowd = crowd
        self._origin = origin
        self._sock = origin if origin.opened is opened else None
        # That of a connection that was taken is made when somebody asks for it.
        self._protocol: Any = None
        self._buffer: bytes | bytearray = b""
        # What waits to be sent.
        self._known: dict[str, Any] | None = None
        # The extra information, once somebody has asked for any.
        self._feeds = False
        # Whether the protocol has buffers of its own.
        self._text: Buffer | Exception | None = None
        # What was read, and the protocol has yet to get; b"" is the end, an error the last of all.
        self._is_watched = self._closing = False
        self._conn_lost = 0
        # 1 once `connection_lost` is to come; then it counts what is written in vain.

    def __repr__(self) -> str:
        """Show what asyncio's shows, with its addresses in place of a descriptor."""
        words = [type(self).__name__]
        if self._closing:
            words.append("closed" if self._loop is None else "closing")
        words.append(f"{self.endpoint.local} > {self.endpoint.remote}")
        if self._loop is not None:
            words.append(f"read={'polling' if self.events & READABLE else 'idle'}")
            state = "polling" if self.events & WRITABLE else "idle"
            words.append(f"write=<{state}, bufsize={len(self._buffer)}>")
        return f"<{' '.join(words)}>"

    def __del__(self) -> None:
        """Warn of a transport that nobody closed, and close its socket."""
        if getattr(self, "_loop", None) is None:
            return
        try:  # a warning may be made an error
            warnings.warn(
                f"unclosed transport {self!r}", ResourceWarning, stacklevel=1, source=self
            )
        finally:
            if self._sock is not None:
                self._sock.close()
            else:
                self._crowd.runtime.call_soon(self.open.give_back)

    # --- the protocol ---

    def set_protocol(self, protocol: Any) -> None:
        """Have another protocol called from now on."""
        self._protocol = protocol
        self._feeds = isinstance(protocol, protocols.BufferedProtocol)

    def get_protocol(self) -> Any:
        """Give the protocol."""
        return self._protocol

    def get_write_buffer_size(self) -> int:
        """Tell how many octets wait."""
        return len(self._buffer)

    def report(self, message: str, error: BaseException) -> None:
        """Tell the loop's handler of what the protocol has raised."""
        told = {"message": message, "exception": error}
        self._loop.call_exception_handler(told | {"transport": self, "protocol": self._protocol})

    def _debug(self, message: str) -> None:
        if self._loop.get_debug():
            _log.debug(message, self)

    # --- the socket ---

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell of "socket", "sockname" or "peername", as they were from the first."""
        known = self._known
        if known is None:
            local, remote = self.endpoint.local, self.endpoint.remote
            known = {"sockname": write_address(local), "peername": write_address(remote)}
            self._known = known
        if name == "socket" and name not in known:
            known[name] = self._take_socket()
        return known.get(name, default)

    def own_socket(self, extra: dict[str, Any] | None) -> None:
        """Have the socket that it was made of for itself, and ask it what is to be told of it.

        Raises: OSError.
        """
        if self.open.readiness is not None:
            self._crowd.runtime.look(self.open.readiness.tell, _hear_nothing)
        self._known = {
            "socket": self._take_socket(),
            "sockname": _ask(self._origin.getsockname),
            "peername": _ask(self._origin.getpeername),
        } | (extra or {})

    def _take_socket(self) -> TransportSocket:
        """Give the socket object, whose number this transport has for itself."""
        if self._sock is None:
            self._sock = self._make_socket()
            if self._loop is None:
                self._sock.close()
        if self._loop is not None:
            with suppress(OSError):  # the stack is closed
                self._sock.use_mere_number()
                self._loop._transports[self._sock.fileno()] = self
        return TransportSocket(self._sock)  # type: ignore[arg-type]

    def _make_socket(self) -> Socket:
        return self._origin.sibling(self.open, 0.0)

    # --- hearing ---

    def is_of(self, crowd: Crowd) -> bool:
        """Tell whether it is one of a crowd's."""
        return self._crowd is crowd

    def wake(self, events: int) -> None:
        """Hear that something has happened. Within the stack."""
        self._crowd.hear(self, events)

    def listen(self, events: int, *, now: Instant) -> None:  # noqa: ARG002 - every attempt's form
        """Hear of these events from now on, and of what there is to read. Within the stack."""
        self.events = events
        if not events:
            self.leave()
            return
        if not self._is_watched:
            self._is_watched = True
            self._crowd.runtime.tell(self)
        if events & READABLE and not self.open.endpoint.has_nothing_to_read():
            self._crowd.hear(self, TO_READ)

    def leave(self) -> None:
        """Hear of nothing any more. Within the stack."""
        if self._is_watched:
            self._is_watched = False
            self._crowd.runtime.forget(self)

    def _listen(self, events: int) -> None:
        """Do what `listen` does, from without the stack."""
        if events == self.events:
            return
        runtime = self._crowd.runtime
        try:
            runtime.look(self.listen, events)
        except OSError:  # in a finalizer; or else the stack is closed, of which it hears in a turn
            runtime.call_soon(self.listen, events)
            self._crowd.recall(self)

    # --- the end ---

    def is_closing(self) -> bool:
        """Tell whether it is closed, or will be when all has left."""
        return self._closing

    def close(self) -> None:
        """Close when all has left; nothing is read any more."""
        if not self._closing:
            self._close(self._crowd.end_soon)

    def _close(self, end: _End) -> None:
        self._closing = True
        if self._buffer:
            self.events = TO_WRITE
        else:
            self._lose(end, None)

    def abort(self) -> None:
        """Close at once."""
        self._force_close(None)

    def _force_close(self, error: BaseException | None) -> None:
        """Close at once because of an error: by this name asyncio's TLS asks for it, too."""
        if not self._conn_lost:
            self._buffer = b""
            self._closing = True
            self._lose(self._crowd.end_soon, error)

    def _lose(self, end: _End, error: BaseException | None) -> None:
        self.events = 0
        self._conn_lost = 1
        end(self, error)

    def _fatal_error(self, error: BaseException, message: str = "Fatal error on transport") -> None:
        """Report an error, unless it is the network's, and close at once."""
        if not isinstance(error, OSError):
            self.report(message, error)
        elif self._loop.get_debug():
            _log.debug("%r: %s", self, message, exc_info=error)
        self._force_close(error)

    def part(self, now: Instant) -> None:
        """Hear of nothing any more, and close the socket, if nobody knows it. Within the stack."""
        self.leave()
        endpoint, text = self.open.endpoint, self._text
        if text and not isinstance(text, Exception) and self.open.holders:
            # As where what has come is left unread: the peer is to know (RFC 1122 4.2.2.13).
            endpoint.set_option(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS, now=now)
        if self._sock is None and not endpoint.linger():
            self.open.give_back(now=now)

    def finish(self) -> None:
        """Close the socket, if it is open still, and let go of everything else."""
        self.events = 0  # what it was told of before counts no more
        self._loop = self._protocol = self._text = None
        if self.open.holders:
            (self._sock or self._make_socket()).close()


def _ask(address: Callable[[], Address]) -> Address | None:
    try:
        return address()
    except OSError:
        return None


_End = Callable[[BaseStreamTransport, "BaseException | None"], None]


def _hear_nothing(_: Readiness) -> None:
    """Spare a descriptor that nobody waits on from showing what happens."""
