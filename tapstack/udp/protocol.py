"""The User Datagram Protocol: users' calls, and datagrams that arrive (RFC 768, RFC 1122 §4.1).

Not done here: blocking (`socket/`), and joining multicast groups.
"""

import errno
from collections.abc import Callable, Iterator, Sequence

from tapstack.base.address import (
    ANY_ENDPOINT,
    IPV4_ANY,
    Endpoint,
    Ipv4Address,
    is_multicast,
    ourselves_for_any,
)
from tapstack.base.checksum import is_checksum_right, pseudo_header_sum
from tapstack.base.contracts import (
    CLOSED,
    READABLE,
    Buffer,
    Datagram,
    DatagramSender,
    Entropy,
    EventSink,
    IcmpError,
    IcmpErrorSender,
    Offload,
    SentCopy,
)
from tapstack.base.counters import Counters
from tapstack.base.datagram_socket import AS_USUAL, Arrival, DatagramEngine, Manner, Origin
from tapstack.base.errors import Drop, MalformedPacket, os_error
from tapstack.base.icmp_errors import PORT_UNREACHABLE
from tapstack.base.trace import Tracer
from tapstack.base.units import Instant
from tapstack.udp import wire
from tapstack.udp.sockets import SocketTable, UdpSocket
from tapstack.udp.wire import HEADER_LENGTH, PROTOCOL_UDP

_HEADERS = 20 + HEADER_LENGTH
MAX_DATA = 65535 - _HEADERS
"""Octets of data that the largest IP datagram leaves room for."""

MAX_SEGMENTS = 128
"""Datagrams that one unit is cut into at most (Linux's UDP_MAX_SEGMENTS)."""

_OFFLOAD = Offload(0, wire.CHECKSUM_OFFSET, 0)


class Udp(DatagramEngine):
    """The UDP of one host."""

    def __init__(
        self,
        *,
        ip: DatagramSender,
        icmp: IcmpErrorSender,
        entropy: Entropy,
        counters: Counters,
        events: EventSink,
        tracer: Tracer,
    ) -> None:
        super().__init__(ip=ip, events=events)
        self._icmp = icmp
        self._entropy = entropy
        self._counters = counters
        self._tracer = tracer
        self._table = SocketTable()
        self.on_change: Callable[[], None] | None = None
        """Told when sockets take or give up endpoints, before anything else comes of it."""

    # --- the user's calls -------------------------------------------------------------------------

    def open(self) -> UdpSocket:
        """Make a socket, without a port yet."""
        return UdpSocket()

    def sockets(self) -> Iterator[UdpSocket]:
        """Go through all sockets that have a port."""
        return iter(self._table)

    def bind(self, socket: UdpSocket, local: Endpoint) -> None:
        """Receive at an address of ours (0: at all) and a port (0: one is chosen).

        Raises: OSError with EINVAL when it has a port already, EADDRNOTAVAIL, EADDRINUSE.
        """
        if socket.local.port:
            raise os_error(errno.EINVAL)
        address = local.address
        self._check_bindable(address)
        if local.port and not self._table.is_free(socket, local):
            raise os_error(errno.EADDRINUSE)
        port = local.port or self._table.choose_port(address, self._entropy)
        socket.chosen = local
        self._place(socket, Endpoint(address, port), socket.remote)

    def connect(self, socket: UdpSocket, remote: Endpoint | None) -> None:
        """Hear only `remote`, and send there; None dissolves that.

        Raises: OSError with ENETUNREACH, EADDRINUSE, or EACCES for a broadcast address without the
        option.
        """
        if remote is None:
            self._place(socket, socket.chosen, ANY_ENDPOINT)
            return
        remote = ourselves_for_any(remote)
        self._check_broadcast(socket, remote.address)
        path = self._ip.path_to(remote.address, self._source_from(socket.local.address))
        address = socket.local.address or path.source
        port = socket.local.port or self._table.choose_port(address, self._entropy)
        self._place(socket, Endpoint(address, port), remote)

    def send(
        self,
        socket: UdpSocket,
        data: Buffer,
        to: Endpoint | None,
        now: Instant,
        manner: Manner = AS_USUAL,
        copy: SentCopy | None = None,
    ) -> int:
        """Send one datagram to `to`, or to whom the socket is connected; give its octets.

        With a segment size, of the socket or of `manner`, it becomes as many as that makes of it.
        `copy` is told what left.

        Raises: OSError with EDESTADDRREQ, EINVAL, EACCES, EMSGSIZE, ENETUNREACH, EADDRINUSE, or
        the pending error, once.
        """
        to = self.destination(socket, data, to)
        self._raise_pending_error(socket)
        to = ourselves_for_any(to)
        self._check_broadcast(socket, to.address)
        chosen = manner.source or self._source_from(socket.local.address)
        path = self._ip.path_to(to.address, chosen)
        size = socket.segment_size if manner.segment_size is None else manner.segment_size
        if size:
            size = _segment_size_for(len(data), size, path.mtu)
        self.take_port(socket)
        offload = Offload(0, wire.CHECKSUM_OFFSET, size) if size else _OFFLOAD
        self._transmit(socket, bytes(data), manner, path.source, to, offload, now, copy)
        return len(data)

    def take_port(self, socket: UdpSocket) -> None:
        """Give a socket a port, if it has none. Raises: OSError with EADDRINUSE."""
        if not socket.local.port:
            port = self._table.choose_port(IPV4_ANY, self._entropy)
            self._place(socket, Endpoint(IPV4_ANY, port), socket.remote)

    def destination(self, socket: UdpSocket, data: Buffer, to: Endpoint | None) -> Endpoint:
        """Tell where data go. Raises: OSError with EMSGSIZE, EINVAL, EDESTADDRREQ."""
        if len(data) > MAX_DATA:
            raise os_error(errno.EMSGSIZE)
        if to is None and not socket.is_connected:
            raise os_error(errno.EDESTADDRREQ)
        if to is not None and not to.port:  # as Linux, which lets one be connected there
            raise os_error(errno.EINVAL)
        return to or socket.remote

    def _transmit(
        self,
        socket: UdpSocket,
        data: bytes,
        manner: Manner,
        source: Ipv4Address,
        to: Endpoint,
        offload: Offload,
        now: Instant,
        copy: SentCopy | None,
    ) -> None:
        length = HEADER_LENGTH + len(data)
        ttl = socket.multicast_ttl if is_multicast(to.address) else socket.ttl
        pseudo = pseudo_header_sum(source, to.address, PROTOCOL_UDP, length)
        header = wire.CODEC.pack(socket.local.port, to.port, length, pseudo)
        if "udp" in self._tracer.on:
            local = Endpoint(source, socket.local.port)
            self._tracer.emit("udp", f"{local} > {to}: length {len(data)}")
        try:
            self._ip.send_datagram(
                PROTOCOL_UDP,
                source,
                to.address,
                [header, data],
                now,
                ttl=ttl if manner.ttl is None else manner.ttl,
                tos=socket.tos if manner.tos is None else manner.tos,
                dont_fragment=socket.dont_fragment,
                offload=offload,
                copy=copy,
            )
        except OSError as error:
            self._queue_local_error(socket, error, to)
            raise
        self._counters["UdpOutDatagrams"] += 1

    def close(self, socket: UdpSocket) -> None:
        """Give the port back, and throw away what was not read. A second call does nothing."""
        self._place(socket, ANY_ENDPOINT, ANY_ENDPOINT)
        socket.queue.clear()
        self._events.report(socket, CLOSED)

    def _place(self, socket: UdpSocket, local: Endpoint, remote: Endpoint) -> None:
        """Give a socket its endpoints; without a port it leaves the table."""
        if self.on_change is not None:
            self.on_change()
        self._table.remove(socket)
        socket.local, socket.remote = local, remote
        if local.port:
            self._table.insert(socket)

    def receive_from(
        self, socket: UdpSocket, *, peek: bool = False
    ) -> tuple[bytes, Endpoint] | None:
        """Give the next datagram and its source; None: would block. Raises: as `receive_next`."""
        arrival = self.receive_next(socket, peek=peek)
        return None if arrival is None else (arrival.data, arrival.origin.source)

    # --- what arrives: Transport ------------------------------------------------------------------

    def on_icmp_error(self, error: IcmpError, now: Instant) -> None:
        """Learn the MTU, and keep a hard error for the connected socket that it is about.

        RFC 1122 §4.1.3.3: "UDP MUST pass to the application layer all ICMP error messages that it
        receives". Deviation, as Linux: only to connected sockets, which alone can tell whose it is.
        """
        header = wire.parse_quoted(error.quote)
        local = Endpoint(error.source, header.source_port)
        remote = Endpoint(error.destination, header.destination_port)
        socket = self._table.find(local, remote)
        if socket is not None:
            self._keep_error(
                socket,
                error,
                now,
                port=remote.port,
                payload=error.quote[HEADER_LENGTH:],
                is_connected=socket.is_connected,
            )

    def receive(self, datagram: Datagram, now: Instant) -> None:
        """Take a datagram from IP. Raises: MalformedPacket."""
        source_port, port, length, sent_checksum = wire.unpack_valid(datagram.payload)
        if sent_checksum and datagram.offload is None:
            _verify_checksum(datagram, length)
        remote = Endpoint(datagram.source, source_port)
        destination = datagram.destination
        if "udp" in self._tracer.on:
            local = Endpoint(destination, port)
            self._tracer.emit("udp", f"{remote} > {local}: length {length - HEADER_LENGTH}")
        arrival = _arrival_of(datagram, length, remote, now)
        if self._is_group(destination):
            self._receive_for_all(arrival, Endpoint(destination, port))
        elif not self.take(arrival, port):
            self._counters.drop(Drop.UDP_NO_PORT)
            self._icmp.send_unreachable(datagram, PORT_UNREACHABLE, now)

    def take(self, arrival: Arrival, port: int) -> bool:
        """Put a datagram into the queue of the socket that it is for; False: there is none."""
        socket = self.receiver(arrival.origin, port)
        if socket is not None:
            self._enqueue(socket, arrival)
        return socket is not None

    def receiver(self, origin: Origin, port: int) -> UdpSocket | None:
        """Find the socket that a datagram to a port is for; `on_change` tells when to ask again."""
        return self._table.find((origin.destination, port), origin.source)

    def is_alone(self, socket: UdpSocket) -> bool:
        """Tell whether no other socket has the port, so that `receiver` depends on no option."""
        return self._table.is_alone(socket)

    def take_all(
        self, socket: UdpSocket, arrivals: Sequence[Arrival], lengths: Sequence[int]
    ) -> None:
        """Put datagrams into the queue of the socket that they are for; none is a unit of many.

        With the octets of data of each.
        """
        queued = socket.queue.put_all(arrivals, lengths)
        self._counters["UdpInDatagrams"] += queued
        if queued:
            self._events.report(socket, READABLE)
        for _ in range(len(arrivals) - queued):
            self._counters.drop(Drop.UDP_BUFFER_FULL)

    def _receive_for_all(self, arrival: Arrival, local: Endpoint) -> None:
        """RFC 1122 §3.2.2: nobody is told when no socket wanted what was sent to a group."""
        for socket in self._table.find_all(local, arrival.origin.source):
            self._enqueue(socket, arrival)

    def _enqueue(self, socket: UdpSocket, arrival: Arrival) -> None:
        if arrival.origin.segment_size and not socket.takes_units:
            for datagram in _datagrams_of(arrival):
                self._enqueue(socket, datagram)
            return
        if socket.queue.put(arrival, len(arrival.data)):
            self._counters["UdpInDatagrams"] += 1
            self._events.report(socket, READABLE)
        else:
            self._counters.drop(Drop.UDP_BUFFER_FULL)


def _arrival_of(datagram: Datagram, length: int, remote: Endpoint, now: Instant) -> Arrival:
    origin = Origin(
        remote,
        datagram.destination,
        datagram.ttl,
        datagram.tos,
        datagram.interface.name,
        datagram.segment_size,
    )
    return Arrival(bytes(datagram.payload[HEADER_LENGTH:length]), origin, now)


def _datagrams_of(unit: Arrival) -> Iterator[Arrival]:
    """Go through the datagrams that came as one unit."""
    data, size = unit.data, unit.origin.segment_size
    origin = unit.origin._replace(segment_size=0)
    for start in range(0, len(data), size):
        yield Arrival(data[start : start + size], origin, unit.at)


def _segment_size_for(length: int, size: int, mtu: int) -> int:
    """Say what a unit of so many octets is cut by; 0: it is one datagram.

    Raises: OSError with EMSGSIZE where its datagrams do not fit the path, EINVAL where they are too
    many (as Linux).
    """
    if _HEADERS + min(length, size) > mtu:
        raise os_error(errno.EMSGSIZE)
    if length > size * MAX_SEGMENTS:
        raise os_error(errno.EINVAL)
    return size if length > size else 0


def _verify_checksum(datagram: Datagram, length: int) -> None:
    """Check the sum over pseudo-header, header and data. Raises: MalformedPacket."""
    ends = datagram.source, datagram.destination
    if not is_checksum_right(*ends, PROTOCOL_UDP, datagram.payload[:length]):
        raise MalformedPacket(Drop.UDP_BAD_CHECKSUM)
