"""What UDP and raw sockets have in common: options, a queue, a pending error (udp(7), raw(7)).

Not done here: whom a socket hears, and what its datagrams look like.
"""

import errno
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from tapstack.base.address import IPV4_ANY, Ipv4Address, is_multicast
from tapstack.base.contracts import READABLE, WRITABLE, DatagramSender, EventSink, IcmpError
from tapstack.base.datagram_queue import DatagramQueue
from tapstack.base.errors import os_error
from tapstack.base.icmp_errors import meaning_of
from tapstack.base.units import Instant

T = TypeVar("T")


@dataclass(slots=True, eq=False, kw_only=True)
class DatagramSocket(Generic[T]):
    """The part of a socket that does not depend on its protocol; T is what it receives."""

    broadcast: bool = False
    """Whether sending to a broadcast address is allowed (SO_BROADCAST)."""
    ttl: int = 0
    """IP_TTL; 0: the route's, or the host's."""
    tos: int = 0
    dont_fragment: bool | None = None
    """As `DatagramSender.send_datagram` has it (IP_MTU_DISCOVER)."""
    error: int = 0
    """errno of an ICMP error that nobody was told yet."""
    queue: DatagramQueue[T] = field(default_factory=DatagramQueue)
    """What arrived, and from whom."""


class DatagramEngine:
    """The calls and checks that are the same for every such socket."""

    def __init__(self, *, ip: DatagramSender, events: EventSink) -> None:
        self._ip = ip
        self._events = events

    def receive_from(self, socket: DatagramSocket[T], *, peek: bool = False) -> T | None:
        """Give the next datagram and its source; None: would block.

        Raises: OSError with the pending error, once.
        """
        self._raise_pending_error(socket)
        return socket.queue.take(peek=peek)

    def take_error(self, socket: DatagramSocket[Any]) -> int:
        """Give the pending errno, or 0, and clear it (SO_ERROR)."""
        number, socket.error = socket.error, 0
        return number

    def is_readable(self, socket: DatagramSocket[Any]) -> bool:
        """Tell whether `receive_from` would give a datagram or raise."""
        return bool(socket.queue) or bool(socket.error)

    def _raise_pending_error(self, socket: DatagramSocket[Any]) -> None:
        if socket.error:
            raise os_error(self.take_error(socket))

    def _check_broadcast(self, socket: DatagramSocket[Any], destination: Ipv4Address) -> None:
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
        self, socket: DatagramSocket[Any], error: IcmpError, now: Instant, *, is_connected: bool
    ) -> None:
        """Learn the MTU, and keep a hard error if the socket is connected."""
        number, hard = meaning_of(error)
        if number == errno.EMSGSIZE:
            self._ip.learn_path_mtu(error.destination, error.mtu, now)
            hard = socket.dont_fragment is not False
        if hard and is_connected:
            socket.error = number
            self._events.report(socket, READABLE | WRITABLE)
