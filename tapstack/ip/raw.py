"""Raw sockets: datagrams of one protocol as they are on the wire (raw(7)).

They get copies: what they see goes to the transport as well.

Not done here: blocking (`socket/`), and ICMP filters.
"""

import errno
from dataclasses import dataclass

from tapstack.base.address import IPV4_ANY, Endpoint, Ipv4Address
from tapstack.base.contracts import (
    CLOSED,
    READABLE,
    Buffer,
    Datagram,
    DatagramSender,
    EventSink,
    IcmpError,
    SentCopy,
)
from tapstack.base.counters import Counters
from tapstack.base.datagram_socket import (
    AS_USUAL,
    Arrival,
    DatagramEngine,
    DatagramSocket,
    Manner,
    Origin,
)
from tapstack.base.errors import Drop, MalformedPacket, os_error
from tapstack.base.units import Instant
from tapstack.ip import wire
from tapstack.ip.icmp import Icmp
from tapstack.ip.identification import Identifications
from tapstack.ip.paths import Paths


@dataclass(slots=True, eq=False)
class RawSocket(DatagramSocket):
    """One raw socket; what is not named `queue`, `local`, `remote` or `error` the user sets.

    What it receives are datagrams with their IP header, and where each came from.
    """

    protocol: int
    header_included: bool
    """Whether the user lays out the IP header too (IP_HDRINCL)."""
    local: Ipv4Address = IPV4_ANY
    """Only datagrams to this address are received, unless it is 0; sent ones come from it."""
    remote: Ipv4Address = IPV4_ANY
    """Only datagrams from this address are received, unless it is 0; sent ones go there."""

    def wants(self, source: Ipv4Address, destination: Ipv4Address) -> bool:
        """Tell whether a datagram with these addresses is for this socket."""
        return self.remote in (IPV4_ANY, source) and self.local in (IPV4_ANY, destination)


class RawSockets(DatagramEngine):
    """All raw sockets of one stack."""

    def __init__(
        self,
        *,
        ip: DatagramSender,
        icmp: Icmp,
        paths: Paths,
        identifications: Identifications,
        counters: Counters,
        events: EventSink,
    ) -> None:
        super().__init__(ip=ip, events=events)
        self._icmp = icmp
        self._paths = paths
        self._identifications = identifications
        self._counters = counters
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
        self._check_bindable(address)
        socket.local = address

    def connect(self, socket: RawSocket, address: Ipv4Address | None) -> None:
        """Set where to send to and receive from; None dissolves that.

        Raises: OSError with ENETUNREACH, or EACCES for a broadcast address without the option.
        """
        if address is None:
            socket.remote = IPV4_ANY
            return
        self._check_broadcast(socket, address)
        path = self._ip.path_to(address, self._source_from(socket.local))
        socket.local = socket.local or path.source
        socket.remote = address

    def send(
        self,
        socket: RawSocket,
        data: Buffer,
        to: Ipv4Address | None,
        now: Instant,
        manner: Manner = AS_USUAL,
        copy: SentCopy | None = None,
    ) -> int:
        """Send one datagram; give the octets of `data`. `copy` is told what left.

        Raises: OSError with EDESTADDRREQ, EACCES, EMSGSIZE, EINVAL, ENETUNREACH, or the pending
        error, once.
        """
        self._raise_pending_error(socket)
        destination = socket.remote if to is None else to
        if not destination:
            raise os_error(errno.EDESTADDRREQ)
        self._check_broadcast(socket, destination)
        octets = bytes(data)
        if socket.header_included:
            self._send_with_header(socket, octets, destination, now, copy)
        else:
            self._ip.send_datagram(
                socket.protocol,
                manner.source or self._source_from(socket.local),
                destination,
                [octets],
                now,
                ttl=socket.ttl if manner.ttl is None else manner.ttl,
                tos=socket.tos if manner.tos is None else manner.tos,
                dont_fragment=socket.dont_fragment,
                copy=copy,
            )
            self._note_sent(socket.protocol, destination, octets)
        return len(octets)

    def _send_with_header(
        self,
        socket: RawSocket,
        octets: bytes,
        destination: Ipv4Address,
        now: Instant,
        copy: SentCopy | None,
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
        if copy is not None:
            copy.parts, copy.interface = parts, hop.interface.name
        hop.interface.send_datagram(hop.next_hop, parts, None, now)
        self._note_sent(header.protocol, header.destination, parts[1])

    def _note_sent(self, protocol: int, destination: Ipv4Address, payload: bytes) -> None:
        if protocol == wire.PROTOCOL_ICMP and payload:
            self._icmp.on_sent(destination, payload)

    def receive_from(
        self, socket: RawSocket, *, peek: bool = False
    ) -> tuple[bytes, Ipv4Address] | None:
        """Give the next datagram and its source; None: would block. Raises: as `receive_next`."""
        arrival = self.receive_next(socket, peek=peek)
        return None if arrival is None else (arrival.data, arrival.origin.source.address)

    # --- what arrives -----------------------------------------------------------------------------

    def deliver(self, datagram: Datagram, now: Instant) -> bool:
        """Hand out copies of a datagram; tell whether any socket wanted it."""
        wanting = [
            socket
            for socket in self.by_protocol.get(datagram.protocol, ())
            if socket.wants(datagram.source, datagram.destination)
        ]
        if not wanting:
            return False
        origin = Origin(
            Endpoint(datagram.source, 0),
            datagram.destination,
            datagram.ttl,
            datagram.tos,
            datagram.interface.name,
        )
        arrival = Arrival(bytes(datagram.header) + datagram.payload, origin, now)
        for socket in wanting:
            if socket.queue.put(arrival, len(arrival.data)):
                self._events.report(socket, READABLE)
            else:
                self._counters.drop(Drop.RAW_BUFFER_FULL)
        return True

    def on_icmp_error(self, error: IcmpError, now: Instant) -> None:
        """Keep a hard error for the connected sockets that it is about, and learn the MTU."""
        for socket in self.by_protocol.get(error.protocol, ()):
            if socket.wants(error.destination, error.source):
                connected = bool(socket.remote)
                self._keep_error(
                    socket, error, now, port=0, payload=error.quote, is_connected=connected
                )
