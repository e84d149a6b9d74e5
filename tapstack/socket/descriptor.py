"""A real file descriptor that is readable and writable when a socket of the stack is.

select, poll, epoll and asyncio wait on descriptors. One end of a pair of UNIX sockets is given out:
an octet sent from the other end makes it readable, a full buffer makes it unwritable, and closing
the other end hangs it up. It only tells: octets of the connection never cross it. To have the
system send a file by it is refused, so that who can sends the file by calls of ours.

Not done here: readiness itself (`stream.py`, `messages.py`).
"""

from __future__ import annotations

import _socket
import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from fcntl import F_SETFL, fcntl
from itertools import count
from typing import Any, TypeVar

from tapstack.base.contracts import ACCEPTABLE, READABLE
from tapstack.base.units import Instant
from tapstack.socket.contract import SocketEndpoint, SocketHost

T = TypeVar("T")

_KIND = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
_SENDS_NO_FILES = os.O_NONBLOCK | os.O_APPEND
"""What has sendfile(2) and splice(2) fail with EINVAL, and means nothing else to a socket."""
_ONE_OCTET = b"!"
_FILL = b"\0" * 256
"""What fills a buffer of the least size."""
_MOST_OCTETS = 64
"""What fits the buffer of the other end by far."""
_IN = select.POLLIN
_COMES_AGAIN = READABLE | ACCEPTABLE
_ENDED = select.POLLERR | select.POLLHUP
_FOR_GOOD = select.POLLHUP | select.POLLRDHUP
"""What a UNIX socket, once it shows it, shows for ever."""


class ReadinessDescriptor:
    """A pair of sockets whose given-out end shows what poll(2) is to tell.

    Deviation: while urgent text waits (POLLPRI), the end of a UNIX socket is readable, too.
    """

    def __init__(self) -> None:
        self._open()

    def _open(self) -> None:
        """Make a pair that shows POLLOUT alone."""
        # Of the bare kind: to be made, Python's own take five times as long.
        self._shown, self._kept = _socket.socketpair(socket.AF_UNIX, _KIND)
        fcntl(self._shown, F_SETFL, _SENDS_NO_FILES)
        self._octets = 0
        # How many have been sent to make the one end readable.
        self.bits = select.POLLOUT
        """What is shown."""

    def fileno(self) -> int:
        """Give the descriptor to wait on."""
        return self._shown.fileno()

    def show(self, bits: int) -> None:
        """Show a sum of POLLIN, -PRI, -OUT, -ERR, -HUP and -RDHUP.

        The system is called only for a change. A program that reads or closes what it should only
        wait on misleads itself and nobody else.
        """
        changed = bits ^ self.bits
        if changed == _IN:
            self._set_readable(bool(bits & _IN))
            self.bits = bits
            return
        if self.bits & ~bits & _FOR_GOOD:
            self._renew()
            changed = bits ^ self.bits
        if changed & select.POLLPRI:
            self._set_urgent(bits)
        elif changed & _IN and not bits & select.POLLRDHUP:  # which makes it readable, too
            self._set_readable(bool(bits & _IN))
        if changed & select.POLLOUT:
            self._set_writable(bool(bits & select.POLLOUT))
        if changed & select.POLLRDHUP:
            self._kept.shutdown(socket.SHUT_WR)
        if changed & select.POLLHUP:
            self._hang_up(failed=bool(bits & select.POLLERR))
        elif changed & select.POLLERR:
            self._shown.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.bits = bits

    def _renew(self) -> None:
        """Begin anew under the same number: a socket that has hung up is connected again."""
        old, number = self._shown, self._shown.fileno()
        self._kept.close()
        self._open()
        os.dup2(self._shown.fileno(), number, inheritable=False)
        self._shown.close()
        self._shown = old

    def show_more(self) -> None:
        """Tell who waits for edges that more has come of what POLLIN shows already (epoll(7))."""
        try:
            if self._octets == _MOST_OCTETS:
                self._octets -= len(self._shown.recv(_MOST_OCTETS - 1))  # it stays readable
            self._octets += self._kept.send(_ONE_OCTET)
        except OSError:
            pass

    def _set_readable(self, readable: bool) -> None:
        try:  # each event comes by here, and a `suppress` costs as much as the call
            if readable:
                self._octets = self._kept.send(_ONE_OCTET)
            else:
                self._shown.recv(self._octets)
        except OSError:
            pass

    def _set_urgent(self, bits: int) -> None:
        """Show POLLPRI or not, and POLLIN with it, whose octet may stand behind the urgent one."""
        with suppress(OSError):
            self._shown.recv(1, socket.MSG_OOB)
        with suppress(OSError):
            while self._shown.recv(_MOST_OCTETS):  # it ends at the mark, which may be amid them
                pass
        with suppress(OSError):
            if bits & select.POLLIN:
                self._octets = self._kept.send(_ONE_OCTET)
            if bits & select.POLLPRI:
                self._kept.send(_ONE_OCTET, socket.MSG_OOB)

    def _set_writable(self, writable: bool) -> None:
        if writable:
            self._drain()
        else:
            self._fill()

    def _hang_up(self, *, failed: bool) -> None:
        """Close the other end: with octets that it has not read, that is an error to this one."""
        self._drain()
        if failed:
            with suppress(OSError):
                self._shown.send(_ONE_OCTET)
        self._kept.close()

    def _fill(self) -> None:
        self._shown.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least there is
        with suppress(OSError):
            while True:
                self._shown.send(_FILL)

    def _drain(self) -> None:
        with suppress(OSError):
            while self._kept.recv(65536):
                pass

    def close(self) -> None:
        """Give both ends back."""
        self._shown.close()
        self._kept.close()


_FIRST_MERE_NUMBER = 1 << 30
"""Beyond any descriptor: there are at most 2²⁰ to a process, unless its machine says otherwise."""
_mere_numbers = count(_FIRST_MERE_NUMBER)


class Readiness:
    """What one socket shows of its readiness, from when somebody asks for a descriptor.

    It follows the engine's object, which `connect` and `listen` exchange. Everything happens
    within the stack, so that events and the application's threads do not mix.

    A selector that knows the stack may ask for itself: while it does, and nobody else has a number
    to wait on, the descriptor is left as it is, which saves several system calls an event. And if
    it is known from the first that only such a selector will wait, there is a mere number instead.
    """

    def __init__(
        self, host: SocketHost, endpoint: SocketEndpoint, now: Instant, *, is_mere_number: bool
    ) -> None:
        """Make the descriptor. Raises: OSError."""
        self.host = host
        self.endpoint = endpoint
        self._descriptor = None if is_mere_number else ReadinessDescriptor()
        self._watched: object = None
        self._stop: Callable[[], None] | None = None
        self._tell: Callable[[Readiness], None] | None = None
        # Who asks for himself; called when there may be something new to be asked for.
        self._is_shared = False
        # Others have a number to wait on.
        self.is_told = False
        """Whether events say all that there is to say of calls, too, as nothing is shown."""
        self.number = self._descriptor.fileno() if self._descriptor else next(_mere_numbers)
        """The descriptor, or the mere number; −1 once closed."""
        _shown[self.number] = self
        self.follow(now=now)

    @property
    def has_mere_number(self) -> bool:
        """Tell whether its number is no descriptor."""
        return self.number >= _FIRST_MERE_NUMBER

    def show_after(
        self, attempt: Callable[..., T], arguments: tuple[Any, ...], *, now: Instant
    ) -> T:
        """Make an attempt, within the stack, and show what it has changed."""
        try:
            return attempt(*arguments, now=now)
        finally:
            self.follow(now=now)

    def take_text(self, size: int, now: Instant) -> bytes | None:
        """Do what the endpoint does, within the stack, and show what that has changed."""
        text: bytes | None = b""
        try:
            text = self.endpoint.take_text(size, now)
            return text
        finally:
            if text is not None:
                self.follow(now=now)

    def send_text(self, text: bytes, now: Instant) -> bool:
        """Do what the endpoint does, within the stack, and show what that has changed."""
        try:
            return self.endpoint.send_text(text, now)
        finally:
            self.follow(now=now)

    def refresh(self) -> None:
        """Show what a call has changed, unless it has closed the socket."""
        if self.number >= 0:
            self.host.call(self.follow)

    def follow(self, *, now: Instant) -> None:
        """Show what has changed. Within the stack."""
        if self.number < 0:
            return
        watched = self.endpoint.watched()
        if watched is not self._watched:
            if self._stop is not None:
                self._stop()
            self._watched = watched
            self._stop = self.host.notify(watched, self._on_event)
            if self._tell is not None:
                self._tell(self)
        self._show_others(now)

    def _show_others(self, now: Instant) -> None:
        """Show how things are, unless nobody looks but who asks."""
        is_asked = self._tell is not None and not self._is_shared
        # Of a socket that is not connected yet, another object's events are to be followed soon.
        self.is_told = is_asked and self._watched is not self.endpoint
        if not is_asked:
            self._show(now)

    def _on_event(self, events: int) -> None:
        if self._tell is not None:
            self._tell(self)
            if not self._is_shared:
                return
        descriptor = self._descriptor
        shown = 0 if descriptor is None else descriptor.bits
        self._show(self.host.now())
        if descriptor and events & _COMES_AGAIN and shown & descriptor.bits & _IN:
            descriptor.show_more()

    def _show(self, now: Instant) -> None:
        if self._descriptor is None:
            return
        bits = self.endpoint.readiness(now=now)
        if bits & _ENDED:
            bits = _as_pairs_show(bits)
        if bits != self._descriptor.bits:
            self._descriptor.show(bits)

    # --- a selector that asks for itself; within the stack, or after its end ---

    def tell(self, on_change: Callable[[Readiness], None], *, now: Instant) -> bool:
        """Tell a selector from now on; False: it is to wait on the descriptor, as one is told."""
        if self._tell is not None or self.number < 0:
            self.share(now=now)
            return False
        self._tell = on_change
        on_change(self)
        self._show_others(now)
        return True

    def tell_no_more(self, *, now: Instant) -> None:
        """Tell the selector no more, and show again how things are."""
        self._tell = None
        self._show_others(now)

    def share(self, *, now: Instant) -> int:
        """Show how things are from now on, whoever else is told; give a real descriptor.

        Raises: OSError.
        """
        if self.number < 0:
            return -1
        if self._descriptor is None:
            self._descriptor = ReadinessDescriptor()
        self._is_shared = True
        self._show_others(now)
        return self._descriptor.fileno()

    def close(self) -> None:
        """Give the descriptor back. To be called within the stack, or after its end."""
        if self._stop is not None:
            self._stop()
            self._stop = None
        if self.number >= 0:
            del _shown[self.number]
            self.number = -1
        if self._descriptor is not None:
            self._descriptor.close()
            self._descriptor = None


_shown: dict[int, Readiness] = {}
"""Sockets by their numbers. These belong to the process, and so does this."""


def find_readiness(number: int) -> Readiness | None:
    """Give what a number stands for, if it is a socket's; None for any other, and for copies."""
    return _shown.get(number)


def _as_pairs_show(bits: int) -> int:
    """Give what is to be shown of an error, or of a socket without a connection."""
    if bits & _FOR_GOOD == select.POLLHUP:
        # It has no connection yet, and may get one: it is ready for what will fail at once.
        bits = select.POLLIN | select.POLLOUT
    if bits & _ENDED == select.POLLERR:
        # A pair cannot show an error alone: it is ready for the call that will tell.
        bits = bits & ~select.POLLERR | select.POLLIN
    return bits
