"""A socket as an open file: entering the stack, waiting there, and being waited for (socket(7)).

Not done here: the attempts (`socket/stream.py`, `socket/messages.py`), receiving and sending
(`reading.py`, `writing.py`).
"""

from __future__ import annotations

import os
import select
import socket as constants
from collections.abc import Callable, Sequence
from errno import EAGAIN, EALREADY, EINPROGRESS
from typing import Any, TypeVar

from tapstack.base.address import Endpoint
from tapstack.base.contracts import (
    ACCEPTABLE,
    CLOSED,
    CONNECTED,
    ENDED,
    ERROR,
    READABLE,
    URGENT,
    WRITABLE,
    Buffer,
)
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.socket.blocking import block
from tapstack.socket.calls import reading, writing
from tapstack.socket.calls.open_file import IN, OUT, OpenFile
from tapstack.socket.contract import SocketEndpoint, SocketHost
from tapstack.socket.messages import MessageEndpoint
from tapstack.socket.scattered import Item

T = TypeVar("T")

_KEYS = (
    (READABLE | ACCEPTABLE | URGENT, IN | select.POLLPRI | select.POLLRDBAND),
    (WRITABLE, OUT | select.POLLWRBAND),
    (ERROR, select.POLLERR),
)
"""What Linux tells who waits of an event; of others, it says that anything may have changed."""
_ROOM = constants.SOL_SOCKET, constants.SO_SNDBUF
_ANYTHING = CONNECTED | CLOSED | ENDED


class SocketFile(OpenFile):
    """One socket of a process."""

    can_be_awaited = True

    def __init__(self, host: SocketHost, endpoint: SocketEndpoint, flags: int) -> None:
        super().__init__(os.O_RDWR | flags & os.O_NONBLOCK)
        self.host = host
        self.endpoint = endpoint
        self._listeners: list[Callable[[int], None]] = []
        self._followed: object = None
        self._stop: Callable[[], None] | None = None

    # --- entering the stack ---

    def call(self, attempt: Callable[..., T], *arguments: Any) -> T:
        """Make an attempt that never waits. Raises: what it raises."""
        make: Callable[..., T] = self._make
        return self.host.call(make, attempt, arguments)

    def block(
        self, timeout: float | None, events: int, attempt: Callable[..., T], *arguments: Any
    ) -> T:
        """Make an attempt, waiting at most `timeout` seconds for its success.

        Raises: OSError with EAGAIN when the time is up; what it raises.
        """
        make: Callable[..., T] = self._make
        try:
            return block(self.host, self.endpoint, events, timeout, make, attempt, arguments)
        except TimeoutError as error:
            if error.errno is not None:
                raise  # the connection's own
            raise os_error(EAGAIN) from None

    def _make(self, attempt: Callable[..., T], arguments: tuple[Any, ...], *, now: Instant) -> T:
        try:
            return attempt(*arguments, now=now)
        finally:
            self._follow()

    def send(
        self,
        data: Buffer,
        flags: int,
        to: Endpoint | None,
        control: Sequence[Item],
        *,
        now: Instant,
    ) -> int:
        """Make an attempt to send; who waits for room hears of each datagram that left.

        Raises: what the attempt does.
        """
        sent = self.endpoint.send(data, flags, to, control, now=now)
        self._tell_of_room()
        return sent

    def set_option(self, level: int, name: int, value: bytes, *, now: Instant) -> None:
        """Set an option; it may make room, or let a datagram go. Raises: what the attempt does."""
        gathered = isinstance(self.endpoint, MessageEndpoint) and self.endpoint.is_gathering
        self.endpoint.set_option(level, name, value, now=now)
        if gathered or (level, name) == _ROOM:
            self._tell_of_room()

    def _tell_of_room(self) -> None:
        """Tell who waits that there is room for another datagram: as in Linux, that is an edge."""
        endpoint = self.endpoint
        if self._listeners and isinstance(endpoint, MessageEndpoint) and not endpoint.is_gathering:
            self._on_event(WRITABLE)

    # --- connections ---

    def accept(self) -> tuple[SocketFile, Endpoint]:
        """Take a connection (accept(2)). Raises: OSError."""
        patience = self.endpoint.receive_timeout() if self.may_block else 0
        endpoint, remote = self.block(patience, ACCEPTABLE | CLOSED, self.endpoint.accept)
        return SocketFile(self.host, endpoint, 0), remote

    def connect(self, remote: Endpoint | None) -> None:
        """Connect; where that may block, until the connection stands. Raises: OSError."""
        try:
            self.call(self.endpoint.connect, remote)
        except BlockingIOError as begun:
            patience = self.endpoint.send_timeout() if self.may_block else 0
            if begun.errno not in (EINPROGRESS, EALREADY) or patience == 0:
                raise
            try:
                self.block(patience, CONNECTED | CLOSED, self.endpoint.finish_connect)
            except BlockingIOError:
                raise os_error(begun.errno) from None

    # --- a file ---

    def read(self, size: int) -> bytes:
        """As read(2). Raises: OSError."""
        if not size:
            return b""  # as Linux, without asking
        return reading.receive(self, size, 0).data

    def write(self, data: bytes) -> int:
        """As write(2). Raises: OSError."""
        return writing.send(self, data, 0, None)

    def ioctl(self, request: int) -> int:
        """As ioctl(2). Raises: OSError."""
        return self.call(self.endpoint.ioctl, request)

    def close(self) -> None:
        """Close the socket; SO_LINGER makes this wait."""
        seconds = self.host.call(self._close)
        if seconds:
            try:
                self.block(seconds, WRITABLE | CLOSED, self.endpoint.finish_close)
            except BlockingIOError:
                return

    def _close(self, *, now: Instant) -> int:
        seconds = self.endpoint.linger()
        self.endpoint.close(now=now)
        self._listeners.clear()
        self._follow()
        return seconds

    # --- being waited for ---

    def readiness(self, *, now: Instant) -> int:
        """Tell what poll(2) would. To be called within the stack."""
        bits = self.endpoint.readiness(now=now)
        bits |= select.POLLRDNORM if bits & select.POLLIN else 0
        return bits | (select.POLLWRNORM if bits & select.POLLOUT else 0)

    def notify(self, on_event: Callable[[int], None]) -> Callable[[], None]:
        """Have `on_event` called with poll(2)'s events when they may have come about, 0: any.

        Give what ends that. To be called within the stack.
        """
        self._listeners.insert(0, on_event)  # as in Linux, who came last is told first
        self._follow()

        def stop() -> None:
            if on_event in self._listeners:
                self._listeners.remove(on_event)
            self._follow()

        return stop

    def _follow(self) -> None:
        """Listen to the engine's object, which `connect` and `listen` exchange, for who waits."""
        watched = self.endpoint.watched() if self._listeners else None
        if watched is self._followed:
            return
        if self._stop is not None:
            self._stop()
            self._stop = None
        self._followed = watched
        if watched is not None:
            self._stop = self.host.notify(watched, self._on_event)

    def _on_event(self, events: int) -> None:
        if events == READABLE and not self.endpoint.is_worth_waking():
            return
        key = 0
        if not events & _ANYTHING:
            key = sum(bits for event, bits in _KEYS if events & event)
        for listener in list(self._listeners):
            listener(key)
