"""SOCK_DGRAM: the attempts of a UDP socket (udp(7)).

Not done here: what raw sockets have, too (`messages.py`); UDP.
"""

from __future__ import annotations

import socket as constants
from collections.abc import Sequence
from errno import EDESTADDRREQ, ENOTCONN
from typing import ClassVar

from tapstack.base.address import Endpoint
from tapstack.base.contracts import Buffer
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.socket import options
from tapstack.socket.flags import MSG_MORE
from tapstack.socket.gathered import Gathered
from tapstack.socket.ip_options import IP, limited
from tapstack.socket.messages import MESSAGE_OPTIONS, MessageEndpoint
from tapstack.socket.options import Table, Value
from tapstack.socket.scattered import Item
from tapstack.socket.sent_control import SentControl
from tapstack.socket.udp_options import SOL_UDP, UDP_CORK, UDP_OPTIONS
from tapstack.stack import Stack
from tapstack.udp.protocol import Udp

_SO = constants.SOL_SOCKET


class DatagramEndpoint(MessageEndpoint):
    """One UDP socket."""

    # What few come to: it is the class's own until one does.
    _corks = False  # UDP_CORK
    _gathered: Gathered | None = None
    _options: ClassVar[Table] = {
        **MESSAGE_OPTIONS,
        (_SO, constants.SO_REUSEADDR): options.flag("reuse_address"),
        (_SO, constants.SO_REUSEPORT): options.flag("reuse_port"),
        (_SO, constants.SO_TYPE): options.read_only(lambda _: int(constants.SOCK_DGRAM)),
        (_SO, constants.SO_PROTOCOL): options.read_only(lambda _: constants.IPPROTO_UDP),
        (IP, constants.IP_MULTICAST_TTL): limited("multicast_ttl", 0, 255, 1),
        **UDP_OPTIONS,
    }

    def __init__(self, udp: Udp, stack: Stack) -> None:
        super().__init__(udp, udp.open(), stack)
        self._udp = udp

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
        if self._corks or flags & MSG_MORE or self._gathered is not None:
            return self._gather(data, flags, to, said, now)
        sent = self._udp.send(self._socket, data, to, now, said.manner)
        self._tell_departure(said, flags, data, now)
        return sent

    def _gather(
        self, data: Buffer, flags: int, to: Endpoint | None, said: SentControl, now: Instant
    ) -> int:
        """Add to a datagram, and send it if that was all. Raises: OSError."""
        if to is None and self._gathered is None and not self._socket.is_connected:
            raise os_error(EDESTADDRREQ)
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
            self._udp.send(self._socket, data, gathered.to, now, gathered.said.manner)
            self._socket.error = error  # as in Linux, that is for the next call
            self._tell_departure(gathered.said, flags, data, now)

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
        if not self._socket.is_connected:
            raise os_error(ENOTCONN)
        return Endpoint(*self._socket.remote)
