"""SOCK_DGRAM and SOCK_RAW: the attempts of a socket that sends messages (udp(7), raw(7)).

Both engines have the same verbs, so one class has what is the same.

Not done here: what differs, which is how an address is read and which options there are
(`datagrams.py`, `raw_messages.py`); UDP and IP, and waiting for them.
"""

from __future__ import annotations

import select
import socket as constants
from collections.abc import Sequence
from errno import EAGAIN, EINVAL, ENOTTY, EOPNOTSUPP, EPIPE
from typing import Any, ClassVar

from tapstack.base.address import Endpoint
from tapstack.base.contracts import READABLE, SentCopy
from tapstack.base.datagram_socket import Arrival
from tapstack.base.error_queue import QueuedError, completion
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.socket import bound_device, options
from tapstack.socket.any_endpoint import AnyEndpoint
from tapstack.socket.contract import Message, SocketEndpoint
from tapstack.socket.flags import (
    MSG_DONTWAIT,
    MSG_ERRQUEUE,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    MSG_ZEROCOPY,
)
from tapstack.socket.ioctl import SIOCINQ, SIOCOUTQ
from tapstack.socket.ip_options import DATAGRAM_OPTIONS, IP, IP_MTU, IP_RECVERR, number
from tapstack.socket.kept_options import KEPT_OPTIONS, Kept
from tapstack.socket.options import Option, Table, Value
from tapstack.socket.received import control_of, take_error_message
from tapstack.socket.scattered import Item
from tapstack.socket.sent_control import SentControl, read_control
from tapstack.socket.timestamping import OPT_ID
from tapstack.stack import Stack
from tapstack.tcp.transmit_timestamps import Moment


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

    @property
    def is_gathering(self) -> bool:
        """Tell whether a datagram waits to become complete."""
        return False

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
        said = read_control(control, of_datagram=True)
        if said.number is not None and not self.kept.timestamping.flags & OPT_ID:
            raise os_error(EINVAL)
        return said

    def _tell_departure(
        self, said: SentControl, flags: int, copy: SentCopy | None, now: Instant
    ) -> None:
        """Tell who asked when a datagram left (SO_TIMESTAMPING), and that it did (MSG_ZEROCOPY)."""
        told: list[QueuedError] = []
        if copy is not None:
            told = self.kept.timestamping.departures(said.timestamps, said.number, copy, now)
        if flags & MSG_ZEROCOPY and self.kept.zerocopy:
            # As in Linux, it is copied where it leaves: behind its scheduling.
            scheduled = bool(told) and told[0].info == Moment.SCHEDULED
            told.insert(scheduled, completion(self.held_sends, self.held_sends, copied=True))
            self.held_sends += 1
        for each in told:
            self._engine.queue_error(self._socket, each)

    def _copy_for(self, said: SentControl) -> SentCopy | None:
        """Make what is to hold a copy of what leaves; None: nobody asked for times."""
        return SentCopy() if said.timestamps or self.kept.timestamping.flags else None

    def receive(self, size: int, flags: int, *, now: Instant) -> Message:
        """Take one datagram, cut to `size` octets. Raises: OSError with EAGAIN, why."""
        self._check_open()
        if flags & MSG_ERRQUEUE:
            return take_error_message(self._socket, size, self.kept, self._stack, now)
        arrival, begin = self._next_arrival(flags)
        if arrival is None:
            if self._read_shut and not flags & MSG_DONTWAIT:
                return Message(b"")  # as Linux, only for who would wait
            raise os_error(EAGAIN)
        cut = arrival.data[begin : begin + size]
        # As Linux: from behind its front a datagram is cut unless more than its rest is asked for.
        is_cut = size < len(arrival.data) and size <= len(arrival.data) - begin
        if flags & MSG_TRUNC:
            cut = cut.ljust(len(arrival.data), b"\0")  # its length tells how long it was
        control = control_of(arrival, self.kept, self._stack)
        return Message(cut, arrival.origin.source, MSG_TRUNC if is_cut else 0, control)

    def _next_arrival(self, flags: int) -> tuple[Arrival | None, int]:
        """Give the next datagram, or look at it; and the octets of it that are to be passed over.

        Raises: OSError with the pending error, once.
        """
        return self._engine.receive_next(self._socket, peek=bool(flags & MSG_PEEK)), 0

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


MESSAGE_OPTIONS: Table = {
    **DATAGRAM_OPTIONS,
    (IP, IP_RECVERR): Option(lambda socket: int(socket.recverr), _set_error_queue),
    (_SO, constants.SO_BROADCAST): options.flag("broadcast"),
    (_SO, constants.SO_RCVBUF): Option(_Queue.get, _Queue.set),
    (_SO, constants.SO_DOMAIN): options.read_only(lambda _: int(constants.AF_INET)),
    (_SO, constants.SO_ACCEPTCONN): options.read_only(lambda _: 0),
}
