"""Raw sockets: datagrams of one protocol as they are on the wire (raw(7)).

They get copies: what they see goes to the transport as well.

Not done here: blocking (`socket/`), and ICMP filters.
"""

import errno
from dataclasses import dataclass, field

from tapstack.base.address import IPV4_ANY, Ipv4Address
from tapstack.base.contracts import (
    CLOSED,
    READABLE,
    WRITABLE,
    Buffer,
    Datagram,
    DatagramSender,
    EventSink,
    IcmpError,
)
from tapstack.base.counters import Counters
from tapstack.base.datagram_queue import DatagramQueue
from tapstack.base.errors import Drop, MalformedPacket, os_error
from tapstack.base.icmp_errors import meaning_of
from tapstack.base.units import Instant
from tapstack.ip import wire
from tapstack.ip.icmp import count_sent
from tapstack.ip.identification import Identifications
from tapstack.ip.paths import Paths


@dataclass(slots=True, eq=False)
class RawSocket:
    """One raw socket; what is not named `queue`, `local`, `remote` or `error` the user sets."""

    protocol: int
    header_included: bool
    """Whether the user lays out the IP header too (IP_HDRINCL)."""
    local: Ipv4Address = IPV4_ANY
    """Only datagrams to this address are received, unless it is 0; sent ones come from it."""
    remote: Ipv4Address = IPV4_ANY
    """Only datagrams from this address are received, unless it is 0; sent ones go there."""
    broadcast: bool = False
    """Whether sending to a broadcast address is allowed (SO_BROADCAST)."""
    ttl: int = 64
    tos: int = 0
    dont_fragment: bool | None = None
    """As `DatagramSender.send_datagram` has it (IP_MTU_DISCOVER)."""
    error: int = 0
    """errno of an ICMP error that nobody was told yet."""
    queue: DatagramQueue[tuple[bytes, Ipv4Address]] = field(default_factory=DatagramQueue)
    """Datagrams with their IP header, and where each came from."""

    def wants(self, source: Ipv4Address, destination: Ipv4Address) -> bool:
        """Tell whether a datagram with these addresses is for this socket."""
        return self.remote in (IPV4_ANY, source) and self.local in (IPV4_ANY, destination)


class RawSockets:
    """All raw sockets of one stack."""

    def __init__(
        self,
        *,
        ip: DatagramSender,
        paths: Paths,
        identifications: Identifications,
        counters: Counters,
        events: EventSink,
    ) -> None:
        self._ip = ip
        self._paths = paths
        self._identifications = identifications
        self._counters = counters
        self._events = events
        self.by_protocol: dict[int, list[RawSocket]] = {}
        """The open sockets; a protocol without any has no entry."""

    # --- the user's calls -------------------------------------------------------------------------

    def open(self, protocol: int) -> RawSocket:
        """Make a socket for a protocol; that of IPPROTO_RAW sends only, headers included."""
        socket = RawSocket(protocol, header_included=protocol == wire.PROTOCOL_RAW)
        self.by_protocol.setdefault(protocol, []).append(socket)
        return socket

    def close(self, socket: RawSocket) -> None:
        """Forget a socket. A second call does nothing."""
        sockets = self.by_protocol.get(socket.protocol, [])
        if socket not in sockets:
            return
        sockets.remove(socket)
        if not sockets:
            del self.by_protocol[socket.protocol]
        socket.queue.clear()
        self._events.report(socket, CLOSED)

    def bind(self, socket: RawSocket, address: Ipv4Address) -> None:
        """Receive only what is sent to `address`. Raises: OSError with EADDRNOTAVAIL."""
        if address and not (self._ip.is_local(address) or self._paths.addresses.is_group(address)):
            raise os_error(errno.EADDRNOTAVAIL)
        socket.local = address

    def connect(self, socket: RawSocket, address: Ipv4Address | None) -> None:
        """Set where to send to and receive from; None dissolves that.

        Raises: OSError with ENETUNREACH, or EACCES for a broadcast address without the option.
        """
        if address is None:
            socket.remote = IPV4_ANY
            return
        self._check_broadcast(socket, address)
        path = self._ip.path_to(address, self._source_of(socket))
        socket.local = socket.local or path.source
        socket.remote = address

    def send(self, socket: RawSocket, data: Buffer, to: Ipv4Address | None, now: Instant) -> int:
        """Send one datagram; give the octets of `data`.

        Raises: OSError with EDESTADDRREQ, EACCES, EMSGSIZE, EINVAL, ENETUNREACH, or the pending
        error, once.
        """
        if socket.error:
            raise os_error(self.take_error(socket))
        destination = socket.remote if to is None else to
        if not destination:
            raise os_error(errno.EDESTADDRREQ)
        self._check_broadcast(socket, destination)
        octets = bytes(data)
        if socket.header_included:
            self._send_with_header(socket, octets, destination, now)
        else:
            self._ip.send_datagram(
                socket.protocol,
                self._source_of(socket),
                destination,
                [octets],
                now,
                ttl=socket.ttl,
                tos=socket.tos,
                dont_fragment=socket.dont_fragment,
            )
            if socket.protocol == wire.PROTOCOL_ICMP and octets:
                count_sent(self._counters, octets[0])
        return len(octets)

    def _send_with_header(
        self, socket: RawSocket, octets: bytes, destination: Ipv4Address, now: Instant
    ) -> None:
        """Send a datagram as it is, but for total length, checksum, and zeros in source and ID."""
        try:
            header = wire.parse_quoted(octets)
        except MalformedPacket:
            raise os_error(errno.EINVAL) from None
        hop = self._paths.find(destination, socket.local)
        if hop is None:
            raise os_error(errno.ENETUNREACH)
        if len(octets) > hop.mtu:
            raise os_error(errno.EMSGSIZE)
        source = header.source or socket.local or hop.source
        number = header.identification
        if not number and not header.flags & wire.DONT_FRAGMENT:
            number = self._identifications.take(source, header.destination, header.protocol)
        header = header._replace(total_length=len(octets), source=source, identification=number)
        self._counters["IpOutRequests"] += 1
        parts = [wire.build(header), octets[header.length :]]
        hop.interface.send_datagram(hop.next_hop, parts, None, now)

    def receive_from(
        self, socket: RawSocket, *, peek: bool = False
    ) -> tuple[bytes, Ipv4Address] | None:
        """Give the next datagram, IP header included, and its source; None: would block.

        Raises: OSError with the pending error, once.
        """
        if socket.error:
            raise os_error(self.take_error(socket))
        return socket.queue.take(peek=peek)

    def take_error(self, socket: RawSocket) -> int:
        """Give the pending errno, or 0, and clear it (SO_ERROR)."""
        number, socket.error = socket.error, 0
        return number

    def is_readable(self, socket: RawSocket) -> bool:
        """Tell whether `receive_from` would give a datagram or raise."""
        return bool(socket.queue) or bool(socket.error)

    def is_writable(self, _: RawSocket) -> bool:
        """Tell whether `send` would not block: it never does."""
        return True

    def _check_broadcast(self, socket: RawSocket, destination: Ipv4Address) -> None:
        if not socket.broadcast and self._ip.is_broadcast(destination):
            raise os_error(errno.EACCES)

    def _source_of(self, socket: RawSocket) -> Ipv4Address:
        """Give the source that the user chose: a group's address can be bound, but is none."""
        return IPV4_ANY if self._paths.addresses.is_group(socket.local) else socket.local

    # --- what arrives -----------------------------------------------------------------------------

    def deliver(self, datagram: Datagram) -> bool:
        """Hand out copies of a datagram; tell whether any socket wanted it."""
        wanting = [
            socket
            for socket in self.by_protocol.get(datagram.protocol, ())
            if socket.wants(datagram.source, datagram.destination)
        ]
        if not wanting:
            return False
        copy = bytes(datagram.header) + datagram.payload
        for socket in wanting:
            if socket.queue.put((copy, datagram.source), len(copy)):
                self._events.report(socket, READABLE)
            else:
                self._counters.drop(Drop.RAW_BUFFER_FULL)
        return True

    def on_icmp_error(self, error: IcmpError, now: Instant) -> None:
        """Keep a hard error for the connected sockets that it is about, and learn the MTU."""
        for socket in self.by_protocol.get(error.protocol, ()):
            if not socket.wants(error.destination, error.source):
                continue
            number, hard = meaning_of(error)
            if number == errno.EMSGSIZE:
                self._ip.learn_path_mtu(error.destination, error.mtu, now)
                hard = socket.dont_fragment is not False
            if hard and socket.remote:
                socket.error = number
                self._events.report(socket, READABLE | WRITABLE)
