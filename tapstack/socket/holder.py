"""What every socket object is, whatever it does: it holds an open socket, and lets go of it.

Calls enter the stack, or wait, by two methods; what they changed is shown by the descriptor.

Not done here: the calls (`facade.py`), and waiting (`blocking.py`).
"""

from __future__ import annotations

import os
import socket as stdlib
import warnings
from collections.abc import Callable
from contextlib import suppress
from errno import EBADF, EDEADLK, ENETDOWN, EOPNOTSUPP
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from tapstack.base.address import Endpoint
from tapstack.base.contracts import CLOSED, READABLE, WRITABLE
from tapstack.base.datagram_socket import Arrival, DatagramSocket
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.socket.addresses import write_address
from tapstack.socket.blocking import accept, block, read, repeat, repeat_read
from tapstack.socket.contract import SocketEndpoint, SocketHost
from tapstack.socket.descriptor import Readiness
from tapstack.socket.files import open_raw, wrap_raw
from tapstack.socket.open_socket import Held, OpenSocket, detach

A = TypeVar("A")
T = TypeVar("T")
S = TypeVar("S", bound="SocketObject")


_INCOMING = READABLE | CLOSED
_SHORT = 1024
"""Octets of text that fit a segment of nearly any size."""


class SocketObject:
    """A holder of an open socket: beginning, waiting, and end.

    By their names the slots lie in memory: what each call asks for is in front.
    """

    __slots__ = (
        "__weakref__",
        "_host",
        "_inbox",
        "_number",
        "_open",
        "_open_files",
        "_timeout",
        "_to_close",
        "proto",
        "type",
    )

    family = stdlib.AF_INET

    def __init__(
        self,
        host: SocketHost,
        type: int = stdlib.SOCK_STREAM,  # noqa: A002 - the standard library's name
        proto: int = 0,
        *,
        timeout: float | None = None,
    ) -> None:
        """Open a socket on a stack. Raises: OSError."""
        kind = type & ~(stdlib.SOCK_NONBLOCK | stdlib.SOCK_CLOEXEC)
        opened = OpenSocket(host, host.open(kind, proto))
        timeout = 0.0 if type & stdlib.SOCK_NONBLOCK else timeout
        self._take_up(host, opened, stdlib.SocketKind(kind), proto, -1, timeout)

    def _take_up(
        self,
        host: SocketHost,
        opened: OpenSocket,
        kind: stdlib.SocketKind,
        protocol: int,
        number: int,
        timeout: float | None,
    ) -> None:
        """Become a socket that holds what is open: all but the timeout as `Held` has it."""
        self._open_files = 0  # objects of `makefile`
        self._to_close = False
        self._timeout = timeout
        self._host = host
        self._open = opened
        self.type = kind
        self.proto = protocol
        self._number: int | None = number  # None: it holds nothing any more
        self._inbox: DatagramSocket | None = opened.endpoint.inbox
        # What `_take_arrived` looks into; a stream has none.

    @property
    def host(self) -> SocketHost:
        """What drives the stack that it is a socket of."""
        return self._host

    @property
    def opened(self) -> OpenSocket:
        """What it holds. Raises: OSError with EBADF."""
        return self._holds().open

    # --- being an object ---

    def __enter__(self: S) -> S:
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
        """Show what `socket.socket` shows, without making a descriptor, whatever the state.

        A finalizer may ask while its thread has the stack, and whoever debugs while another has:
        so nothing is entered for it. The addresses may be others by then, but are never halves.
        """
        words = f"family={self.family!s}"
        if hasattr(self, "proto"):  # else it has not even been opened
            words += f", type={self.type!s}, proto={self.proto}"
        if getattr(self, "_number", None) is None:
            return f"<tapstack.socket.socket [closed] {words}>"
        endpoint = self._open.endpoint
        for name, ask in (("laddr", endpoint.local), ("raddr", endpoint.remote)):
            with suppress(OSError):
                words += f", {name}={write_address(ask(now=0))}"
        return f"<tapstack.socket.socket {words}>"

    def __getstate__(self) -> NoReturn:
        """Refuse to be pickled, or copied: each copy would let go of the one thing that all hold.

        Raises: TypeError, as `socket.socket` does.
        """
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def __del__(self) -> None:
        """Warn of a socket that nobody closed, and close it."""
        if getattr(self, "_number", None) is None:
            return
        held = self._holds()
        try:  # a warning may be made an error
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
        finally:
            if held.number >= 0:
                os.close(held.number)
            self._host.call_soon(held.open.give_back)

    def _attempts(self) -> SocketEndpoint:
        if self._number is None:
            raise os_error(EBADF)
        return self._open.endpoint

    def _holds(self) -> Held:
        if self._number is None:
            raise os_error(EBADF)
        return Held(self._host, self._open, self.type, self.proto, self._number)

    def _take_arrived(self) -> Arrival | None:
        """Take a datagram without entering the stack; None: there is none, or it is to be asked.

        What could be seen of it is no different: nothing is sent because a datagram was read, and
        who waits for datagrams waits for them to come. The queue allows for it (`DatagramQueue`).
        """
        inbox = self._inbox
        if inbox is None or inbox.error or inbox.peek_off >= 0 or self._host.refuses:
            return None
        arrived = inbox.queue.items
        try:
            arrival = arrived.popleft()
        except IndexError:
            return None
        readiness = None if arrived else self._open.readiness
        if readiness is not None and not readiness.is_told:
            readiness.refresh()
        return arrival

    def _call(self, attempt: Callable[..., T], *arguments: Any) -> T:
        """Make an attempt that never waits, and show what it changed."""
        readiness = self._open.readiness
        if readiness is None or readiness.is_told:
            return self._host.call(attempt, *arguments)
        return self._change(attempt, *arguments)

    def _change(self, attempt: Callable[..., T], *arguments: Any) -> T:
        """Make an attempt that may exchange what the socket is of the engine's."""
        if (readiness := self._open.readiness) is None:
            return self._host.call(attempt, *arguments)
        done: T = self._host.call(readiness.show_after, attempt, arguments)
        return done

    def _block(
        self,
        endpoint: SocketEndpoint,
        timeout: float | None,
        events: int,
        attempt: Callable[..., T],
        *arguments: Any,
    ) -> T:
        """Make an attempt of an endpoint, waiting at most `timeout` seconds for its success."""
        if timeout == 0:
            return self._call(attempt, *arguments)
        try:  # what `blocking.block` does, a call less deep, and with a way of its own to read
            host, way = self._host, repeat_read if events == _INCOMING else repeat
            done: T = host.call(way, host, endpoint, events, timeout, attempt, arguments)
            return done
        finally:
            if (readiness := self._open.readiness) is not None:
                readiness.refresh()

    def _enter(self, way: Callable[[A, Instant], T], argument: A) -> T:
        """Go a call's own way, which may wait, and show what that changed, as `_block` does."""
        opened = self._open
        try:
            return self._host.enter(way, argument)
        finally:
            if opened.readiness is not None:
                opened.readiness.refresh()

    def _read_within(self, size: int, now: Instant) -> bytes:
        endpoint = self._open.endpoint
        text = endpoint.take_text(size, now)
        if text is not None:  # it was there, and so nothing that waits is needed
            return text
        return read(self._host, endpoint, size, self._timeout, now)

    def _accept_within(
        self, listener: SocketEndpoint, now: Instant
    ) -> tuple[SocketEndpoint, Endpoint]:
        return accept(self._host, listener, self._timeout, now)

    def _sends_at_once(self, text: bytes) -> bool:
        """Send a short text if that takes neither waiting nor telling; False: nothing was done."""
        if len(text) > _SHORT or self._number is None or not self._open.endpoint.may_send_at_once():
            return False
        return self._host.enter(self._short_way().send_text, text)

    def _short_way(self) -> SocketEndpoint | Readiness:
        """Give what has the attempts that decline what is not plain, and show what they changed."""
        opened = self._open
        readiness = opened.readiness
        return opened.endpoint if readiness is None or readiness.is_told else readiness

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

    # --- the end ---

    def close(self) -> None:
        """Close, once no file of `makefile` needs the socket; SO_LINGER makes this wait."""
        self._to_close = True
        number = self._number
        if number is None or self._open_files > 0:
            return
        opened = self._open
        self._number = self._inbox = None
        if number >= 0:
            os.close(number)
        try:
            seconds = self._host.enter(OpenSocket.give_back, opened)
        except OSError as error:
            if error.errno == EDEADLK:
                self._host.call_soon(opened.give_back)  # when the call is over that has our lock
            elif error.errno == ENETDOWN:
                opened.stop_showing()  # the stack is down, and has closed everything else
            else:
                raise
            return
        if seconds:
            self._wait_for_arrival(opened.endpoint, seconds)

    def _wait_for_arrival(self, endpoint: SocketEndpoint, seconds: int) -> None:
        try:
            block(self._host, endpoint, WRITABLE | CLOSED, seconds, endpoint.finish_close)
        except TimeoutError:
            return

    def fileno(self) -> int:
        """Give a descriptor that select, poll and epoll can wait on; −1 once closed.

        It is made on the first call, and only tells readiness: reading or writing it directly
        does nothing to the connection.
        """
        return -1 if self._number is None else self._holds().fileno()

    def use_mere_number(self) -> None:
        """Have `fileno` give a number that only the selectors of `tapstack.selectors` know.

        To make a descriptor and to close it costs as much as several segments. One that was given
        out already stays. Raises: OSError.
        """
        self._holds().open.use_mere_number()

    def dup(self: S) -> S:
        """Make another object of the same socket, which stays open until both are closed."""
        made = self.__class__.__new__(self.__class__)
        made._take_up(*self._holds().duplicate(), self._timeout)
        return made

    def get_inheritable(self) -> bool:
        """Tell that no program that is started has it. Raises: OSError with EBADF."""
        self._holds()
        return False

    def set_inheritable(self, inheritable: bool) -> None:
        """Leave it to this process, as it is. Raises: OSError, with EOPNOTSUPP for all else."""
        self._holds()
        if inheritable:
            raise OSError(EOPNOTSUPP, "a socket of the stack stays in its process")

    def detach(self) -> int:
        """Become closed, and leave the socket open under its descriptor's number.

        `socket(fileno=…)` of `tapstack.socket` takes it up again; closing the number does not.
        """
        number = detach(self._holds())
        self._number = self._inbox = None
        return number

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
        self._open_files += 1  # from now on `raw` closes it, whatever becomes of the rest
        return wrap_raw(raw, mode, buffering, encoding, errors, newline)

    def _decref_socketios(self) -> None:
        """Hear from `SocketIO` that a file was closed."""
        self._open_files -= 1
        if self._to_close:
            self.close()
