"""SOCK_DGRAM and SOCK_RAW: the attempts of a socket that sends messages (udp(7), raw(7)).

Both engines have the same verbs, so one class serves both; what differs is how an address is read
and which options there are.

Not done here: UDP and IP, and waiting for them.
"""

from __future__ import annotations

import select
import socket as constants
from collections.abc import Sequence
from errno import EAGAIN, EDESTADDRREQ, EINVAL, ENOTCONN, ENOTTY, EOPNOTSUPP, EPIPE
from typing import Any, ClassVar

from tapstack.base.address import Endpoint
from tapstack.base.contracts import READABLE, Buffer
from tapstack.base.error_queue import completion
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.ip.raw import RawSockets
from tapstack.socket import bound_device, options
from tapstack.socket.any_endpoint import AnyEndpoint
from tapstack.socket.contract import Message, SocketEndpoint
from tapstack.socket.flags import (
    MSG_DONTWAIT,
    MSG_ERRQUEUE,
    MSG_MORE,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    MSG_ZEROCOPY,
)
from tapstack.socket.gathered import Gathered
from tapstack.socket.ioctl import SIOCINQ, SIOCOUTQ
from tapstack.socket.ip_options import DATAGRAM_OPTIONS, IP, IP_MTU, IP_RECVERR, limited, number
from tapstack.socket.kept_options import KEPT_OPTIONS, SO_ZEROCOPY, Kept
from tapstack.socket.options import Option, Table, Value
from tapstack.socket.received import control_of, take_error_message
from tapstack.socket.scattered import Item
from tapstack.socket.sent_control import SentControl, read_control
from tapstack.socket.udp_options import SOL_UDP, UDP_CORK, UDP_OPTIONS
from tapstack.stack import Stack
from tapstack.tcp.transmit_timestamps import Moment
from tapstack.udp.protocol import Udp


class MessageEndpoint(AnyEndpoint):
    """What UDP and raw sockets have in common."""

    _options: ClassVar[Table]

    def __init__(self, engine: Any, socket: Any, stack: Stack) -> None:
        super().__init__(stack, Kept())
        self._engine = engine
        self._socket = socket
        self.inbox = socket
        self._read_shut = False
        self._write_shut = False

    def watched(self) -> object:
        """Give the engine's socket."""
        return self._socket

    def listen(self, backlog: int, *, now: Instant) -> None:  # noqa: ARG002
        """There are no connections here. Raises: OSError with EOPNOTSUPP."""
        raise os_error(EOPNOTSUPP)

    def accept(self, *, now: Instant) -> tuple[SocketEndpoint, Endpoint]:  # noqa: ARG002
        """There are no connections here. Raises: OSError with EOPNOTSUPP."""
        raise os_error(EOPNOTSUPP)

    def finish_connect(self, *, now: Instant) -> None:
        """There is nothing to wait for: `connect` did it all."""

    def linger(self) -> int:
        """There is nothing to wait for."""
        return 0

    def finish_close(self, *, now: Instant) -> None:
        """There is nothing to wait for."""

    def _prepare(self, flags: int, control: Sequence[Item]) -> SentControl:
        """See that it can send, and how. Raises: OSError with EPIPE, EOPNOTSUPP, EINVAL."""
        self._check_open()
        if self._write_shut:
            raise os_error(EPIPE)
        if flags & MSG_OOB:
            raise os_error(EOPNOTSUPP)
        return read_control(control, of_datagram=True)

    def _tell_departure(self, said: SentControl, flags: int, data: Buffer, now: Instant) -> None:
        """Tell who asked when a datagram left (SO_TIMESTAMPING), and that it did (MSG_ZEROCOPY)."""
        told = self.kept.timestamping.departures(said.timestamps, data, now)
        if flags & MSG_ZEROCOPY and self.kept.zerocopy:
            # As in Linux, it is copied where it leaves: behind its scheduling.
            scheduled = bool(told) and told[0].info == Moment.SCHEDULED
            told.insert(scheduled, completion(self.held_sends, self.held_sends, copied=True))
            self.held_sends += 1
        for each in told:
            self._engine.queue_error(self._socket, each)

    def receive(self, size: int, flags: int, *, now: Instant) -> Message:
        """Take one datagram, cut to `size` octets. Raises: OSError with EAGAIN, why."""
        self._check_open()
        if flags & MSG_ERRQUEUE:
            return take_error_message(self._socket, size, self.kept, self._stack, now)
        arrival = self._engine.receive_next(self._socket, peek=bool(flags & MSG_PEEK))
        if arrival is None:
            if self._read_shut and not flags & MSG_DONTWAIT:
                return Message(b"")  # as Linux, only for who would wait
            raise os_error(EAGAIN)
        cut = arrival.data[:size]
        if flags & MSG_TRUNC:
            cut = cut.ljust(len(arrival.data), b"\0")  # its length tells how long it was
        control = control_of(arrival, self.kept, self._stack)
        told = MSG_TRUNC if size < len(arrival.data) else 0
        return Message(cut, arrival.origin.source, told, control)

    def receive_all(
        self,
        size: int,
        flags: int,
        text: bytearray,  # noqa: ARG002
        *,
        now: Instant,
    ) -> Message:
        """Take one datagram: to wait for more would join two. Raises: as `receive`."""
        return self.receive(size, flags, now=now)

    def has_nothing_to_read(self) -> bool:
        """Tell that any read would block."""
        socket = self._socket
        silent = not (socket.queue or socket.error or socket.errors)
        return silent and not (self._read_shut or self._closed)

    def readiness(self, *, now: Instant) -> int:  # noqa: ARG002
        """Tell what poll(2) would: sending never blocks."""
        bits = select.POLLOUT | select.POLLWRBAND
        bits |= select.POLLERR if self._engine.has_error(self._socket) else 0
        if self._read_shut:
            bits |= select.POLLIN | select.POLLRDHUP
            bits |= select.POLLHUP if self._write_shut else 0
        elif self._engine.is_readable(self._socket):
            bits |= select.POLLIN
        return bits

    def ioctl(self, request: int, *, now: Instant) -> int:  # noqa: ARG002
        """Answer SIOCINQ, the size of the next datagram; SIOCOUTQ: nothing waits to be sent."""
        self._check_open()
        if request == SIOCOUTQ:
            return 0
        if request != SIOCINQ:
            raise os_error(ENOTTY)
        arrival = self._engine.receive_next(self._socket, peek=True)
        return len(arrival.data) if arrival else 0

    def shutdown(self, how: int, *, now: Instant) -> None:
        """End one direction or both, and tell who waits. Raises: OSError with EINVAL, ENOTCONN.

        Like Linux, one that is not connected is shut down although that is an error.
        """
        if how not in (constants.SHUT_RD, constants.SHUT_WR, constants.SHUT_RDWR):
            raise os_error(EINVAL)
        self._check_open()
        self._read_shut |= how != constants.SHUT_WR
        self._write_shut |= how != constants.SHUT_RD
        self._stack.report(self._socket, READABLE)
        self.remote(now=now)

    def remote(self, *, now: Instant) -> Endpoint:
        """Give the other end. Raises: OSError with ENOTCONN."""
        raise NotImplementedError

    def close(self, *, now: Instant) -> None:  # noqa: ARG002
        """Give the socket back. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._engine.close(self._socket)

    def get_option(self, level: int, name: int, size: int, *, now: Instant) -> Value:
        """Read an option. Raises: OSError with ENOPROTOOPT, EOPNOTSUPP."""
        self._check_open()
        if (level, name) == (constants.SOL_SOCKET, constants.SO_ERROR):
            return int(self._engine.take_error(self._socket))
        if (level, name) == bound_device.KEY:
            return bound_device.name_of(self.kept, self._stack, size)
        if (level, name) == (IP, IP_MTU):
            return self._stack.ip.path_to(self.remote(now=now).address).mtu
        return options.get_option(*self._table_for(level, name), level, name)

    def set_option(self, level: int, name: int, value: Value, *, now: Instant) -> None:  # noqa: ARG002
        """Set an option. Raises: OSError with ENOPROTOOPT, EINVAL."""
        self._check_open()
        if (level, name) == bound_device.KEY:
            bound_device.bind_to(self.kept, self._stack, value)
            return
        before = self._socket.tos
        options.set_option(*self._table_for(level, name), level, name, value)
        self._follow_type_of_service(self._socket.tos, before)

    def _table_for(self, level: int, name: int) -> tuple[Table, object]:
        """Give the table that has an option, and the object that it is about."""
        if (level, name) in KEPT_OPTIONS and (level, name) not in self._options:
            return KEPT_OPTIONS, self.kept
        return self._options, self._socket


_SO = constants.SOL_SOCKET


class _Queue:
    """SO_RCVBUF of a socket with a queue of datagrams."""

    @staticmethod
    def get(socket: Any) -> int:
        return int(socket.queue.limit)

    @staticmethod
    def set(socket: Any, value: Value) -> None:
        options.buffer("limit", 0).set(socket.queue, value)  # type: ignore[misc]


def _set_error_queue(socket: Any, value: Value) -> None:
    socket.recverr = number(value) != 0
    if not socket.recverr and socket.errors is not None:
        socket.errors.forget_errors()


def _refuse_zerocopy(_: object, value: Value) -> None:
    """Linux has it for UDP and TCP alone. Raises: OSError with EOPNOTSUPP, EINVAL."""
    number(value)
    raise os_error(EOPNOTSUPP)


_MESSAGE_OPTIONS: Table = {
    **DATAGRAM_OPTIONS,
    (IP, IP_RECVERR): Option(lambda socket: int(socket.recverr), _set_error_queue),
    (_SO, constants.SO_BROADCAST): options.flag("broadcast"),
    (_SO, constants.SO_RCVBUF): Option(_Queue.get, _Queue.set),
    (_SO, constants.SO_DOMAIN): options.read_only(lambda _: int(constants.AF_INET)),
    (_SO, constants.SO_ACCEPTCONN): options.read_only(lambda _: 0),
}


class DatagramEndpoint(MessageEndpoint):
    """One UDP socket."""

    # What few come to: it is the class's own until one does.
    _corks = False  # UDP_CORK
    _gathered: Gathered | None = None
    _options: ClassVar[Table] = {
        **_MESSAGE_OPTIONS,
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


class RawEndpoint(MessageEndpoint):
    """One raw socket; its addresses have no port."""

    _options: ClassVar[Table] = {
        **_MESSAGE_OPTIONS,
        (_SO, constants.SO_TYPE): options.read_only(lambda _: int(constants.SOCK_RAW)),
        (_SO, SO_ZEROCOPY): Option(lambda _: 0, _refuse_zerocopy),
        (_SO, constants.SO_PROTOCOL): options.read_only(lambda socket: int(socket.protocol)),
        (constants.IPPROTO_IP, constants.IP_HDRINCL): options.flag("header_included"),
    }

    def __init__(self, raw: RawSockets, stack: Stack, protocol: int) -> None:
        super().__init__(raw, raw.open(protocol), stack)
        self._raw = raw

    def bind(self, local: Endpoint, *, now: Instant) -> None:  # noqa: ARG002
        """Receive only what is sent to an address. Raises: OSError."""
        self._check_open()
        self._raw.bind(self._socket, local.address)

    def connect(self, remote: Endpoint | None, *, now: Instant) -> None:  # noqa: ARG002
        """Set the other end. Raises: OSError."""
        self._check_open()
        self._raw.connect(self._socket, remote.address if remote else None)

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
        sent = self._raw.send(self._socket, data, address, now, said.manner)
        self._tell_departure(said, flags, data, now)
        return sent

    def local(self, *, now: Instant) -> Endpoint:  # noqa: ARG002
        """Give the local address."""
        self._check_open()
        return Endpoint(self._socket.local, 0)

    def remote(self, *, now: Instant) -> Endpoint:  # noqa: ARG002
        """Give the other end. Raises: OSError with ENOTCONN."""
        self._check_open()
        if not self._socket.remote:
            raise os_error(ENOTCONN)
        return Endpoint(self._socket.remote, 0)
