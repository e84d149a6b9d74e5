"""SOCK_DGRAM: the attempts of a UDP socket (udp(7)).

Not done here: what raw sockets have, too (`messages.py`); UDP.
"""

from __future__ import annotations

import socket as constants
from collections.abc import Sequence
from errno import ENOTCONN
from typing import ClassVar

from tapstack.base.address import Endpoint
from tapstack.base.contracts import Buffer
from tapstack.base.datagram_socket import Arrival
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.socket import options
from tapstack.socket.contract import Message
from tapstack.socket.flags import MSG_ERRQUEUE, MSG_MORE, MSG_PEEK
from tapstack.socket.gathered import Gathered
from tapstack.socket.ip_options import IP, limited
from tapstack.socket.kept_options import SO_PEEK_OFF
from tapstack.socket.messages import MESSAGE_OPTIONS, MessageEndpoint
from tapstack.socket.options import Option, Table, Value
from tapstack.socket.scattered import Item
from tapstack.socket.sent_control import SentControl
from tapstack.socket.udp_options import SOL_UDP, UDP_CORK, UDP_OPTIONS
from tapstack.stack import Stack
from tapstack.udp.protocol import Udp
from tapstack.udp.sockets import UdpSocket

_SO = constants.SOL_SOCKET


def _set_peek_offset(socket: UdpSocket, value: Value) -> None:
    socket.peek_off = options.number(value)


class DatagramEndpoint(MessageEndpoint):
    """One UDP socket."""

    # What few come to: it is the class's own until one does.
    _corks = False  # UDP_CORK
    _gathered: Gathered | None = None
    _seen: Sequence[Arrival] = ()
    """Empty datagrams that were looked at: the next look passes over them."""
    _options: ClassVar[Table] = {
        **MESSAGE_OPTIONS,
        (_SO, constants.SO_REUSEADDR): options.flag("reuse_address"),
        (_SO, constants.SO_REUSEPORT): options.flag("reuse_port"),
        (_SO, constants.SO_TYPE): options.read_only(lambda _: int(constants.SOCK_DGRAM)),
        (_SO, constants.SO_PROTOCOL): options.read_only(lambda _: constants.IPPROTO_UDP),
        (_SO, SO_PEEK_OFF): Option(lambda socket: int(socket.peek_off), _set_peek_offset),
        (IP, constants.IP_MULTICAST_TTL): limited("multicast_ttl", 0, 255, 1),
        **UDP_OPTIONS,
    }

    def __init__(self, udp: Udp, stack: Stack) -> None:
        super().__init__(udp, udp.open(), stack)
        self._udp = udp

    @property
    def is_gathering(self) -> bool:
        """Tell whether a datagram waits to become complete (UDP_CORK, MSG_MORE)."""
        return self._gathered is not None

    def bind(self, local: Endpoint, *, now: Instant) -> None:  # noqa: ARG002
        """Take a port. Raises: OSError."""
        self._check_open()
        self._udp.bind(self._socket, local)

    def connect(self, remote: Endpoint | None, *, now: Instant) -> None:  # noqa: ARG002
        """Set the other end. Raises: OSError."""
        self._check_open()
        self._udp.connect(self._socket, remote)

    def send(
        self,
        data: Buffer,
        flags: int,
        to: Endpoint | None,
        control: Sequence[Item] = (),
        *,
        now: Instant,
    ) -> int:
        """Send one datagram, or gather some of it. Raises: OSError."""
        said = self._prepare(flags, control)
        if not self._socket.local.port:
            self._udp.take_port(self._socket)  # as in Linux, though it may not be sent
        if self._corks or flags & MSG_MORE or self._gathered is not None:
            return self._gather(data, flags, to, said, now)
        copy = self._copy_for(said)
        sent = self._udp.send(self._socket, data, to, now, said.manner, copy)
        self._tell_departure(said, flags, copy, now)
        return sent

    def _gather(
        self, data: Buffer, flags: int, to: Endpoint | None, said: SentControl, now: Instant
    ) -> int:
        """Add to a datagram, and send it if that was all. Raises: OSError."""
        if self._gathered is None:
            self._udp.destination(self._socket, data, to)
        if self._gathered is None and (error := self._udp.take_error(self._socket)):
            raise os_error(error)
        gathered, self._gathered = self._gathered or Gathered(to, said), None
        gathered.add(data)
        self._gathered = gathered
        if not (self._corks or flags & MSG_MORE):
            self._send_gathered(flags, now)
        return len(data)

    def _send_gathered(self, flags: int, now: Instant) -> None:
        gathered, self._gathered = self._gathered, None
        if gathered is not None:
            data, error = bytes(gathered.data), self._udp.take_error(self._socket)
            copy = self._copy_for(gathered.said)
            self._udp.send(self._socket, data, gathered.to, now, gathered.said.manner, copy)
            self._socket.error = error  # as in Linux, that is for the next call
            self._tell_departure(gathered.said, flags, copy, now)

    def receive(self, size: int, flags: int, *, now: Instant) -> Message:
        """Take one datagram, or look from where the last look ended (SO_PEEK_OFF).

        Raises: as without that.
        """
        message = super().receive(size, flags, now=now)
        socket = self._socket
        if socket.peek_off >= 0 and not flags & MSG_ERRQUEUE:
            # As Linux: each look moves it on by what it gave, each datagram taken moves it back.
            given = len(message.data)
            socket.peek_off = max(socket.peek_off + (given if flags & MSG_PEEK else -given), 0)
        return message

    def _next_arrival(self, flags: int) -> tuple[Arrival | None, int]:
        """Find what a look begins in, and how far behind its front; of the queue as a stream."""
        begin = self._socket.peek_off
        if not flags & MSG_PEEK or begin < 0:
            return super()._next_arrival(flags)
        self._udp.receive_next(self._socket, peek=True)  # for a pending error
        waiting = list(self._socket.queue.items)
        self._seen = [each for each in self._seen if any(each is other for other in waiting)]
        for arrival in waiting:
            length = len(arrival.data)
            was_seen = any(arrival is each for each in self._seen)
            if begin < length or not (begin or was_seen):
                if not length:
                    self._seen = [*self._seen, arrival]
                return arrival, begin
            begin -= length
        return None, 0

    def get_option(self, level: int, name: int, size: int, *, now: Instant) -> Value:
        """Read an option. Raises: OSError with ENOPROTOOPT, EOPNOTSUPP."""
        if (level, name) == (SOL_UDP, UDP_CORK):
            self._check_open()
            return int(self._corks)
        return super().get_option(level, name, size, now=now)

    def set_option(self, level: int, name: int, value: Value, *, now: Instant) -> None:
        """Set an option; without UDP_CORK, what it held leaves. Raises: OSError."""
        if (level, name) != (SOL_UDP, UDP_CORK):
            super().set_option(level, name, value, now=now)
            return
        self._check_open()
        self._corks = options.number(value) != 0
        if not self._corks:
            self._send_gathered(0, now)

    def local(self, *, now: Instant) -> Endpoint:  # noqa: ARG002
        """Give the local address."""
        self._check_open()
        return Endpoint(*self._socket.local)

    def remote(self, *, now: Instant) -> Endpoint:  # noqa: ARG002
        """Give the other end. Raises: OSError with ENOTCONN."""
        self._check_open()
        if not self._socket.remote.port:  # one of port 0 can be connected to, but is none
            raise os_error(ENOTCONN)
        return Endpoint(*self._socket.remote)
