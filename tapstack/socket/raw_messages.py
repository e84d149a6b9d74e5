"""SOCK_RAW: the attempts of a raw socket (raw(7)).

Not done here: what UDP sockets have, too (`messages.py`); IP.
"""

from __future__ import annotations

import socket as constants
from collections.abc import Sequence
from errno import ENOTCONN, EOPNOTSUPP
from typing import ClassVar

from tapstack.base.address import Endpoint
from tapstack.base.contracts import Buffer
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.ip.raw import RawSockets
from tapstack.socket import options
from tapstack.socket.kept_options import SO_PEEK_OFF, SO_ZEROCOPY
from tapstack.socket.messages import MESSAGE_OPTIONS, MessageEndpoint
from tapstack.socket.options import Option, Table, Value
from tapstack.socket.scattered import Item
from tapstack.stack import Stack

_SO = constants.SOL_SOCKET


def _refuse(_: object, value: Value) -> None:
    """Linux has it for UDP and TCP alone. Raises: OSError with EOPNOTSUPP, EINVAL."""
    options.number(value)
    raise os_error(EOPNOTSUPP)


def _refuse_to_tell(_: object) -> Value:
    """Raises: OSError with EOPNOTSUPP."""
    raise os_error(EOPNOTSUPP)


class RawEndpoint(MessageEndpoint):
    """One raw socket; no port is on the wire, but as in Linux its addresses name one."""

    _options: ClassVar[Table] = {
        **MESSAGE_OPTIONS,
        (_SO, constants.SO_TYPE): options.read_only(lambda _: int(constants.SOCK_RAW)),
        (_SO, SO_ZEROCOPY): Option(lambda _: 0, _refuse),
        (_SO, SO_PEEK_OFF): Option(_refuse_to_tell, _refuse),
        (_SO, constants.SO_PROTOCOL): options.read_only(lambda socket: int(socket.protocol)),
        (constants.IPPROTO_IP, constants.IP_HDRINCL): options.flag("header_included"),
    }

    def __init__(self, raw: RawSockets, stack: Stack, protocol: int) -> None:
        super().__init__(raw, raw.open(protocol), stack)
        self._raw = raw
        self._remote_port = 0
        """What `connect` was given: it serves only to be told."""

    def bind(self, local: Endpoint, *, now: Instant) -> None:  # noqa: ARG002
        """Receive only what is sent to an address. Raises: OSError."""
        self._check_open()
        self._raw.bind(self._socket, local.address)

    def connect(self, remote: Endpoint | None, *, now: Instant) -> None:  # noqa: ARG002
        """Set the other end. Raises: OSError."""
        self._check_open()
        self._raw.connect(self._socket, remote.address if remote else None)
        self._remote_port = remote.port if remote else 0

    def send(
        self,
        data: Buffer,
        flags: int,
        to: Endpoint | None,
        control: Sequence[Item] = (),
        *,
        now: Instant,
    ) -> int:
        """Send one datagram. Raises: OSError."""
        said = self._prepare(flags, control)
        address = to.address if to else None
        copy = self._copy_for(said)
        sent = self._raw.send(self._socket, data, address, now, said.manner, copy)
        self._tell_departure(said, flags, copy, now)
        return sent

    def local(self, *, now: Instant) -> Endpoint:  # noqa: ARG002
        """Give the local address, with the protocol in the port's place."""
        self._check_open()
        return Endpoint(self._socket.local, self._socket.protocol)

    def remote(self, *, now: Instant) -> Endpoint:  # noqa: ARG002
        """Give the other end. Raises: OSError with ENOTCONN."""
        self._check_open()
        if not self._socket.remote:
            raise os_error(ENOTCONN)
        return Endpoint(self._socket.remote, self._remote_port)
