"""What UDP and raw sockets have in common: options, a queue, a pending error (udp(7), raw(7)).

Not done here: whom a socket hears, and what its datagrams look like.
"""

import errno
from dataclasses import dataclass, field
from typing import NamedTuple

from tapstack.base.address import IPV4_ANY, Endpoint, Ipv4Address, is_multicast
from tapstack.base.contracts import (
    ERROR,
    READABLE,
    WRITABLE,
    Buffer,
    DatagramSender,
    EventSink,
    IcmpError,
)
from tapstack.base.datagram_queue import DatagramQueue
from tapstack.base.error_queue import ORIGIN_LOCAL, ErrorQueue, QueuedError, from_icmp
from tapstack.base.errors import os_error
from tapstack.base.icmp_errors import meaning_of
from tapstack.base.units import Instant


class Origin(NamedTuple):
    """Where a datagram came from and how: mostly the same as with the one before."""

    source: Endpoint
    """Of port 0 where the protocol has none."""
    destination: Ipv4Address
    ttl: int
    tos: int
    interface: str
    """Name of where it came in."""
    segment_size: int = 0
    """Octets of data in each of the datagrams that came as one unit; 0: it is one datagram."""


class Arrival(NamedTuple):
    """A datagram that waits to be read, and what its user may ask about it."""

    data: bytes
    origin: Origin
    at: Instant


class Manner(NamedTuple):
    """What one datagram is to be sent with, instead of what its socket has."""

    ttl: int | None = None
    tos: int | None = None
    source: Ipv4Address = IPV4_ANY
    """0: any that fits."""
    segment_size: int | None = None
    """Octets of data in each of the datagrams that it is to be cut into; 0: it is one."""


AS_USUAL = Manner()


@dataclass(slots=True, eq=False, kw_only=True)
class DatagramSocket:
    """The part of a socket that does not depend on its protocol."""

    broadcast: bool = False
    """Whether sending to a broadcast address is allowed (SO_BROADCAST)."""
    ttl: int = 0
    """IP_TTL; 0: the route's, or the host's."""
    tos: int = 0
    discovery: int = 1
    """IP_MTU_DISCOVER, by its number."""
    dont_fragment: bool | None = None
    """As `DatagramSender.send_datagram` has it: what IP_MTU_DISCOVER means."""
    error: int = 0
    """errno of an ICMP error that nobody was told yet."""
    peek_off: int = -1
    """SO_PEEK_OFF: octets behind which the next look begins; below 0: it begins at the front."""
    queue: DatagramQueue[Arrival] = field(default_factory=DatagramQueue)
    recverr: bool = False
    """Whether every error is to be queued and told, the soft ones too (IP_RECVERR)."""
    errors: ErrorQueue | None = None
    """Those errors; None: there never was one."""


class DatagramEngine:
    """The calls and checks that are the same for every such socket."""

    def __init__(self, *, ip: DatagramSender, events: EventSink) -> None:
        self._ip = ip
        self._events = events

    def receive_next(self, socket: DatagramSocket, *, peek: bool = False) -> Arrival | None:
        """Give the next datagram; None: would block.

        Raises: OSError with the pending error, once.
        """
        self._raise_pending_error(socket)
        return socket.queue.take(peek=peek)

    def take_error(self, socket: DatagramSocket) -> int:
        """Give the pending errno, or 0, and clear it (SO_ERROR)."""
        number, socket.error = socket.error, 0
        return number

    def is_readable(self, socket: DatagramSocket) -> bool:
        """Tell whether a datagram could be taken."""
        return bool(socket.queue)

    def has_error(self, socket: DatagramSocket) -> bool:
        """Tell whether an error waits to be told, pending or queued."""
        return bool(socket.error) or bool(socket.errors)

    def _raise_pending_error(self, socket: DatagramSocket) -> None:
        if socket.error:
            raise os_error(self.take_error(socket))

    def _check_broadcast(self, socket: DatagramSocket, destination: Ipv4Address) -> None:
        if not socket.broadcast and self._ip.is_broadcast(destination):
            raise os_error(errno.EACCES)

    def _check_bindable(self, address: Ipv4Address) -> None:
        if address and not (self._ip.is_local(address) or self._is_group(address)):
            raise os_error(errno.EADDRNOTAVAIL)

    def _source_from(self, local: Ipv4Address) -> Ipv4Address:
        """Give the source that the user chose: a group's address can be bound, but is none."""
        return IPV4_ANY if self._is_group(local) else local

    def _is_group(self, address: Ipv4Address) -> bool:
        return self._ip.is_broadcast(address) or is_multicast(address)

    def _keep_error(
        self,
        socket: DatagramSocket,
        error: IcmpError,
        now: Instant,
        *,
        port: int,
        payload: Buffer,
        is_connected: bool,
    ) -> None:
        """Learn the MTU; keep the error if the socket asked for all, or it is hard and connected.

        What met the error was for a port (0: there are none), and had that payload.
        """
        number, hard = meaning_of(error)
        if number == errno.EMSGSIZE:
            self._ip.learn_path_mtu(error.destination, error.mtu, now)
            hard = socket.dont_fragment is not False
        if socket.recverr and (hard or number != errno.EMSGSIZE):
            self.queue_error(socket, from_icmp(error, number, port, payload)._replace(at=now))
        elif not hard or not is_connected:
            return
        socket.error = number
        self._events.report(socket, ERROR | READABLE | WRITABLE)

    def _queue_local_error(self, socket: DatagramSocket, error: OSError, to: Endpoint) -> None:
        """Queue, for who asked for it, that what was to be sent is too large for the path."""
        if socket.recverr and error.errno == errno.EMSGSIZE:
            mtu = self._ip.path_to(to.address).mtu
            self.queue_error(
                socket, QueuedError(errno.EMSGSIZE, ORIGIN_LOCAL, info=mtu, destination=to)
            )

    def queue_error(self, socket: DatagramSocket, error: QueuedError) -> None:
        """Have an error told, or a time."""
        if socket.errors is None:
            socket.errors = ErrorQueue()
        if socket.errors.add(error):
            self._events.report(socket, ERROR)
