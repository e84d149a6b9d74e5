"""UDP sockets, and which of them a datagram is for (RFC 1122 §4.1.3.5, udp(7)).

Three dictionaries answer: a connected socket is found by both endpoints, any other by its own, and
all by their port. What a remote host chooses finds entries and never makes any.

Not done here: checking the user's wishes (`protocol.py`).
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from tapstack.base.address import ANY_ENDPOINT, IPV4_ANY, Endpoint
from tapstack.base.contracts import Entropy
from tapstack.base.datagram_socket import DatagramSocket
from tapstack.base.errors import os_error

K = TypeVar("K")
_Pair: TypeAlias = tuple[int, int]
"""An address and a port."""

EPHEMERAL_PORTS = range(32768, 61000)
"""Ports that are given out (Linux: ip_local_port_range)."""


@dataclass(slots=True, eq=False)
class UdpSocket(DatagramSocket):
    """One UDP socket; the user sets the options, `Udp` the rest."""

    local: Endpoint = ANY_ENDPOINT
    """Where it receives: port 0 while it is not bound, address 0 for all of ours."""
    remote: Endpoint = ANY_ENDPOINT
    """The only one it hears, and sends to unless told otherwise; 0 and 0 while not connected."""
    chosen: Endpoint = ANY_ENDPOINT
    """The part of `local` that the user asked for: it outlives a connection."""
    reuse_address: bool = False
    """Share the port with sockets that set this too; the last one bound receives."""
    reuse_port: bool = False
    """Share the port with sockets that set this too; each sender has one of them."""
    segment_size: int = 0
    """UDP_SEGMENT: octets of data in each datagram that a send is cut into; 0: it is one."""
    takes_units: bool = False
    """UDP_GRO: datagrams that came as one unit are received at once."""
    multicast_ttl: int = 1
    """TTL of what goes to a group (RFC 1112 §6.1)."""

    @property
    def is_connected(self) -> bool:
        """Tell whether the socket hears one remote endpoint only."""
        return self.remote != ANY_ENDPOINT

    def hears(self, local: Endpoint, remote: Endpoint) -> bool:
        """Tell whether a datagram from `remote` to `local` is for this socket, as one of many."""
        return (
            self.local.port == local.port
            and self.local.address in (IPV4_ANY, local.address)
            and self.remote in (ANY_ENDPOINT, remote)
        )


class SocketTable:
    """The sockets that have a port."""

    def __init__(self) -> None:
        # Any pair finds what is kept under an `Endpoint`: each datagram is spared making one.
        self._connected: dict[tuple[_Pair, _Pair], list[UdpSocket]] = {}
        self._bound: dict[_Pair, list[UdpSocket]] = {}
        self._by_port: dict[int, list[UdpSocket]] = {}

    def insert(self, socket: UdpSocket) -> None:
        """Take in a socket with its endpoints as they are; they stay so until `remove`."""
        self._by_port.setdefault(socket.local.port, []).append(socket)
        if socket.is_connected:
            self._connected.setdefault((socket.local, socket.remote), []).append(socket)
        else:
            self._bound.setdefault(socket.local, []).append(socket)

    def remove(self, socket: UdpSocket) -> None:
        """Take out a socket, if it is in."""
        if not socket.local.port:
            return
        _remove(self._by_port, socket.local.port, socket)
        if socket.is_connected:
            _remove(self._connected, (socket.local, socket.remote), socket)
        else:
            _remove(self._bound, socket.local, socket)

    def find(self, local: _Pair, remote: Endpoint) -> UdpSocket | None:
        """Find who receives from `remote` at `local`, an address and a port: the closest match."""
        sockets = (
            self._connected.get((local, remote))
            or self._bound.get(local)
            or self._bound.get((IPV4_ANY, local[1]))
        )
        if sockets is None:
            return None
        if len(sockets) > 1 and sockets[-1].reuse_port:
            sharing = [socket for socket in sockets if socket.reuse_port]
            return sharing[hash(remote) % len(sharing)]
        return sockets[-1]

    def is_alone(self, socket: UdpSocket) -> bool:
        """Tell whether a socket is the only one of its port."""
        return len(self._by_port[socket.local.port]) == 1

    def find_all(self, local: Endpoint, remote: Endpoint) -> list[UdpSocket]:
        """Find all who receive what is sent to a group."""
        sockets = self._by_port.get(local.port, ())
        return [socket for socket in sockets if socket.hears(local, remote)]

    def is_free(self, socket: UdpSocket, local: Endpoint) -> bool:
        """Tell whether a socket may be bound here beside the others (SO_REUSEADDR, _REUSEPORT)."""
        return all(
            (
                local.address not in (other.local.address, IPV4_ANY)
                and other.local.address != IPV4_ANY
            )
            or (socket.reuse_address and other.reuse_address)
            or (socket.reuse_port and other.reuse_port)
            for other in self._by_port.get(local.port, ())
        )

    def choose_port(self, address: int, entropy: Entropy) -> int:
        """Choose a free port at random, then the next ones (RFC 6056 §3.3.1).

        Raises: OSError with EADDRINUSE when all are taken.
        """
        count = len(EPHEMERAL_PORTS)
        start = entropy.random_bits(32)
        stranger = UdpSocket()
        for offset in range(count):
            port = EPHEMERAL_PORTS[(start + offset) % count]
            if port not in self._by_port or self.is_free(stranger, Endpoint(address, port)):
                return port
        raise os_error(errno.EADDRINUSE)

    def __iter__(self) -> Iterator[UdpSocket]:
        """Go through all sockets that have a port."""
        for sockets in self._by_port.values():
            yield from sockets


def _remove(table: dict[K, list[UdpSocket]], key: K, socket: UdpSocket) -> None:
    """Take a socket out of a list, and the list out of the table when it was the last."""
    sockets = table[key]
    sockets.remove(socket)
    if not sockets:
        del table[key]
