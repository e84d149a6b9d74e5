"""The Internet Protocol: datagrams in and out (RFC 791, RFC 1122 §3).

`receive` is what every datagram pays for. Options, fragments, groups and forwarding are each off
that path, in functions and files of their own.

Not done here: multicast groups beyond all-hosts, and source routes, which are refused.
"""

import errno
from collections.abc import Callable, Sequence
from contextlib import suppress

from tapstack.base.address import (
    IPV4_ANY,
    IPV4_LOOPBACK,
    Ipv4Address,
    Network,
    format_ipv4,
    is_loopback,
)
from tapstack.base.checksum import complete_checksum
from tapstack.base.contracts import (
    Buffer,
    Datagram,
    Entropy,
    EventSink,
    IcmpError,
    Interface,
    Offload,
    Path,
    SentCopy,
    Transport,
)
from tapstack.base.counters import Counters
from tapstack.base.errors import Drop, MalformedPacket, os_error
from tapstack.base.timers import TimerQueue
from tapstack.base.trace import Tracer
from tapstack.base.units import Instant
from tapstack.ip import icmp_wire, wire
from tapstack.ip.config import IpConfig
from tapstack.ip.forwarding import Forwarder
from tapstack.ip.fragmentation import fragments, send_fragments
from tapstack.ip.icmp import Icmp
from tapstack.ip.identification import Identifications
from tapstack.ip.options import walk
from tapstack.ip.paths import Hop, Paths
from tapstack.ip.raw import RawSockets
from tapstack.ip.reassembly import Reassembler
from tapstack.ip.routing import Route
from tapstack.ip.wire import DONT_FRAGMENT, FRAGMENT_MASK, HEADER_LENGTH, MAX_LENGTH, PLAIN

_ECN_COUNTERS = ("IpExtInNoECTPkts", "IpExtInECT1Pkts", "IpExtInECT0Pkts", "IpExtInCEPkts")
"""By the codepoint of the ECN field (RFC 3168 §5)."""


class Ip:
    """The IPv4 of one host: it takes from links, and sends for transports."""

    def __init__(
        self,
        *,
        timers: TimerQueue,
        entropy: Entropy,
        counters: Counters,
        events: EventSink,
        tracer: Tracer,
        config: IpConfig | None = None,
    ) -> None:
        self.config = config or IpConfig()
        self._counters = counters
        self._tracer = tracer
        self._transports: dict[int, Transport] = {}
        self._identifications = Identifications(entropy)
        self.path_changes = 0
        """How often a path may have become another one."""
        self._paths = Paths(
            timers=timers, config=self.config, on_change=self._note_that_paths_changed
        )
        self.known_hop = self._paths.known
        """Give the way to a destination if it was looked up lately, and is still the same."""
        self._addresses = self._paths.addresses
        self._own = self._addresses.own
        self.routes = self._paths.routes
        self.icmp = Icmp(
            ip=self,
            counters=counters,
            tracer=tracer,
            config=self.config,
            on_error=self._on_icmp_error,
        )
        self.raw = RawSockets(
            ip=self,
            icmp=self.icmp,
            paths=self._paths,
            identifications=self._identifications,
            counters=counters,
            events=events,
        )
        self._forwarder = Forwarder(
            paths=self._paths,
            icmp=self.icmp,
            counters=counters,
            tracer=tracer,
            config=self.config,
        )
        self.reassembler = Reassembler(
            timers=timers,
            counters=counters,
            config=self.config,
            on_timeout=self._on_reassembly_timeout,
        )
        self.on_address_added: Callable[[], None] | None = None
        """Told when an address has become ours."""
        self.register(wire.PROTOCOL_ICMP, self.icmp)

    # --- setting up -------------------------------------------------------------------------------

    def add_interface(self, interface: Interface) -> None:
        """Take an interface into use; the loopback comes with 127.0.0.1/8."""
        if interface.is_loopback():
            self._addresses.loopback = interface
            self.add_address(interface, Network(IPV4_LOOPBACK, 8))

    def add_address(self, interface: Interface, network: Network) -> None:
        """Take an address as ours, and the route to its network. Again, it changes nothing.

        Raises: OSError with EEXIST when another interface has the address.
        """
        owner = self._own.get(network.address)
        if owner is interface:
            return
        if owner is not None:
            raise os_error(errno.EEXIST)
        self._paths.add_address(interface, network)
        if self.on_address_added is not None:
            self.on_address_added()
        if network.prefix_length == 32 or interface.is_loopback():
            return
        prefix = Network(network.prefix, network.prefix_length)
        route = Route(prefix, interface, source=network.address, protocol="kernel")
        with suppress(FileExistsError):  # a second address of the same network
            self.routes.add(route)

    def register(self, protocol: int, transport: Transport) -> None:
        """Set who takes the datagrams of a protocol."""
        self._transports[protocol] = transport

    # --- in: NetworkLayer -------------------------------------------------------------------------

    def receive(
        self,
        octets: memoryview,
        offload: Offload | None,
        interface: Interface,
        to_us: bool,
        now: Instant,
    ) -> None:
        """Take a frame's payload, padding included. Raises: MalformedPacket."""
        self._counters["IpInReceives"] += 1
        words = wire.unpack_valid(octets)
        first, tos, total_length, _, fragment, ttl, protocol, _, source, destination = words
        self._counters[_ECN_COUNTERS[tos & 3]] += 1
        header_length = wire.header_length_of(first)
        datagram = Datagram(
            source,
            destination,
            protocol,
            ttl,
            tos,
            octets[:header_length],
            octets[header_length:total_length],
            offload,
            interface,
            to_us,
        )
        if "ip" in self._tracer.on:
            self._trace("<", source, protocol, total_length)
        if self._addresses.is_martian(source, destination, interface):
            self._counters.drop(Drop.IP_MARTIAN_SOURCE)
            return
        if first != PLAIN and not self._accepts_options(datagram, now):
            return
        if destination not in self._own and not self._addresses.listens_to(destination):
            self._receive_for_others(datagram, now)
        elif fragment & FRAGMENT_MASK:
            self._receive_fragment(datagram, now)
        else:
            self._deliver(datagram, now)

    def _accepts_options(self, datagram: Datagram, now: Instant) -> bool:
        """Look at the options. Raises: MalformedPacket, and then the source was told."""
        options = walk(datagram.header[HEADER_LENGTH:])
        if options.error is not None:
            self.icmp.send_parameter_problem(datagram, options.error, now)
            raise MalformedPacket(Drop.IP_BAD_OPTION)
        if options.source_route:
            self._counters.drop(Drop.IP_SOURCE_ROUTE)
        return not options.source_route

    def _receive_for_others(self, datagram: Datagram, now: Instant) -> None:
        if self.config.ip_forward:
            self._forwarder.forward(datagram, now)
        else:
            self._counters.drop(Drop.IP_NOT_FOR_US)

    def _receive_fragment(self, fragment: Datagram, now: Instant) -> None:
        header = wire.parse_quoted(fragment.header)
        whole = self.reassembler.receive(header, fragment, now)
        if whole is not None:
            self._deliver(whole, now)

    def _deliver(self, datagram: Datagram, now: Instant) -> None:
        """Hand a whole datagram to raw sockets, then to its transport (RFC 1122 §3.2.1.1)."""
        protocol = datagram.protocol
        wanted = protocol in self.raw.by_protocol and self.raw.deliver(datagram, now)
        transport = self._transports.get(protocol)
        if transport is not None:
            self._counters["IpInDelivers"] += 1
            transport.receive(datagram, now)
        elif wanted:
            self._counters["IpInDelivers"] += 1
        else:
            self._counters.drop(Drop.IP_UNKNOWN_PROTOCOL)
            self.icmp.send_unreachable(datagram, icmp_wire.PROTOCOL_UNREACHABLE, now)

    # --- errors -----------------------------------------------------------------------------------

    def on_link_unreachable(self, parts: Sequence[Buffer], now: Instant) -> None:
        """Tell the source that a datagram's next hop did not answer (RFC 1812 §5.2.7.1)."""
        octets = memoryview(b"".join(parts))
        header = wire.parse_quoted(octets)
        hop = self._paths.find(header.destination)
        if hop is None:
            return
        datagram = Datagram(
            header.source,
            header.destination,
            header.protocol,
            header.ttl,
            header.tos,
            octets[: header.length],
            octets[header.length :],
            None,
            hop.interface,
        )
        self.icmp.send_unreachable(datagram, icmp_wire.HOST_UNREACHABLE, now)

    def _on_reassembly_timeout(self, first: Datagram, now: Instant) -> None:
        self.icmp.send_time_exceeded(first, icmp_wire.REASSEMBLY_TIME_EXCEEDED, now)

    def _on_icmp_error(self, error: IcmpError, now: Instant) -> None:
        self.raw.on_icmp_error(error, now)
        transport = self._transports.get(error.protocol)
        if transport is not None:
            transport.on_icmp_error(error, now)

    # --- out: DatagramSender ----------------------------------------------------------------------

    def path_to(self, destination: Ipv4Address, source: Ipv4Address = IPV4_ANY) -> Path:
        """Find the way to a destination, with our `source` kept unless it is 0.

        Raises: OSError with ENETUNREACH, EADDRNOTAVAIL where `source` is not ours, or EINVAL where
        it is in 127.0.0.0/8 and the destination is not.
        """
        if source and not self._addresses.is_local(source):
            raise os_error(errno.EADDRNOTAVAIL)
        hop = self._hop_to(destination, source)
        return Path(source or hop.source, hop.mtu, hop.metrics)

    def is_local(self, address: Ipv4Address) -> bool:
        """Tell whether datagrams to this address are for us: ours, or in 127.0.0.0/8."""
        return self._addresses.is_local(address)

    def is_broadcast(self, address: Ipv4Address) -> bool:
        """Tell whether an address is a broadcast address, limited or directed."""
        return self._addresses.is_broadcast(address)

    def learn_path_mtu(self, destination: Ipv4Address, mtu: int, now: Instant) -> None:
        """Lower the path's MTU after a 'fragmentation needed'."""
        self._paths.learn_mtu(destination, mtu, now)

    def _note_that_paths_changed(self) -> None:
        self.path_changes += 1

    def on_mtu_changed(self) -> None:
        """Hear that an interface takes longer datagrams, or shorter ones, than it did."""
        self._paths.look_up_anew()

    def forget_path_mtus(self) -> None:
        """Forget all that was learned of paths' MTUs, as `net.ipv4.route.flush` asks."""
        self._paths.forget_mtus()

    def send_datagram(
        self,
        protocol: int,
        source: Ipv4Address,
        destination: Ipv4Address,
        parts: Sequence[Buffer],
        now: Instant,
        *,
        ttl: int = 0,
        tos: int = 0,
        dont_fragment: bool | None = False,
        offload: Offload | None = None,
        confirmed: bool = False,
        copy: SentCopy | None = None,
    ) -> None:
        """Send one datagram whose payload is the parts, joined; see `DatagramSender`."""
        hop = self._hop_to(destination, source)
        total_length = HEADER_LENGTH + sum(map(len, parts))
        fits = total_length <= hop.mtu or (offload is not None and offload.segment_size > 0)
        if total_length > MAX_LENGTH or (dont_fragment and not fits):
            self._counters["IpFragFails"] += 1
            raise os_error(errno.EMSGSIZE)
        self._counters["IpOutRequests"] += 1
        if "ip" in self._tracer.on:
            self._trace(">", destination, protocol, total_length)
        source = source or hop.source
        ttl = ttl or hop.metrics.hoplimit or self.config.ip_default_ttl
        if not fits:
            header = wire.Header(tos, 0, 0, 0, 0, ttl, protocol, source, destination)
            payload = complete_checksum(list(parts), offload) if offload else b"".join(parts)
            self._send_fragments(hop, header, payload, now, copy)
            return
        flags = identification = 0
        if dont_fragment is False:
            identification = self._identifications.take(source, destination, protocol)
        else:
            # RFC 6864 §4.1: what is never fragmented needs no Identification.
            flags = DONT_FRAGMENT
        plain = wire.build_header(
            tos, total_length, identification, flags, ttl, protocol, source, destination
        )
        whole = [plain, *parts]
        if copy is not None:
            copy.parts, copy.interface = whole, hop.interface.name
        offload = offload.behind(HEADER_LENGTH) if offload is not None else None
        hop.interface.send_datagram(hop.next_hop, whole, offload, now, confirmed=confirmed)
        if hop.broadcast:
            self._loop_back(destination, whole, offload, now)

    def is_martian(self, source: Ipv4Address, ours: Ipv4Address, interface: Interface) -> bool:
        """Tell whether no true datagram that comes in by an interface has these addresses."""
        return self._addresses.is_martian(source, ours, interface)

    def _hop_to(self, destination: Ipv4Address, source: Ipv4Address) -> Hop:
        hop = self._paths.known(destination) or self._paths.find(destination, source)
        if hop is None:
            self._counters.drop(Drop.IP_NO_ROUTE)
            raise os_error(errno.ENETUNREACH)
        if is_loopback(source) and hop.interface is not self._addresses.loopback:
            # RFC 1122 §3.2.1.3 (g): such an address "MUST NOT appear outside a host".
            raise os_error(errno.EINVAL)
        return hop

    def _send_fragments(
        self, hop: Hop, header: wire.Header, payload: bytes, now: Instant, copy: SentCopy | None
    ) -> None:
        number = self._identifications.take(header.source, header.destination, header.protocol)
        header = header._replace(identification=number)
        if copy is not None:
            first = next(fragments(header, payload, hop.mtu))
            copy.parts, copy.interface = first, hop.interface.name
        send_fragments(hop, header, payload, hop.mtu, self._counters, now)
        if hop.broadcast:
            whole = header._replace(total_length=header.length + len(payload))
            self._loop_back(header.destination, [wire.build(whole), payload], None, now)

    def _loop_back(
        self,
        destination: Ipv4Address,
        parts: Sequence[Buffer],
        offload: Offload | None,
        now: Instant,
    ) -> None:
        """Let ourselves hear what we send to all, as every other host does (as Linux)."""
        if self._addresses.loopback is not None:
            self._addresses.loopback.send_datagram(destination, parts, offload, now)

    def _trace(self, direction: str, peer: Ipv4Address, protocol: int, total_length: int) -> None:
        words = f"protocol {protocol}, length {total_length}"
        self._tracer.emit("ip", f"{direction} {format_ipv4(peer)}: {words}")
