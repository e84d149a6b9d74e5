"""Passing on what is for others: the router's part (RFC 1812 §5.2, §5.3; RFC 1122 §3.3.1).

Not done here: source routes, which the caller refuses, and directed broadcasts, which are ours.
"""

from tapstack.base.address import format_ipv4, is_multicast, is_reserved
from tapstack.base.checksum import complete_checksum
from tapstack.base.contracts import Buffer, Datagram, Offload
from tapstack.base.counters import Counters
from tapstack.base.errors import Drop
from tapstack.base.trace import Tracer
from tapstack.base.units import Instant
from tapstack.ip import icmp_wire, wire
from tapstack.ip.config import IpConfig
from tapstack.ip.fragmentation import send_fragments
from tapstack.ip.icmp import Icmp
from tapstack.ip.paths import Hop, Paths


class Forwarder:
    """Takes each datagram that is for another host, while `ip_forward` is on."""

    def __init__(
        self,
        *,
        paths: Paths,
        icmp: Icmp,
        counters: Counters,
        tracer: Tracer,
        config: IpConfig,
    ) -> None:
        self._paths = paths
        self._icmp = icmp
        self._counters = counters
        self._tracer = tracer
        self._config = config

    def forward(self, datagram: Datagram, now: Instant) -> None:
        """Pass a datagram on, one hop older, or tell its source why not."""
        if not self._may_be_forwarded(datagram):
            self._counters.drop(Drop.IP_NOT_FOR_US)
            return
        hop = self._paths.find(datagram.destination)
        if hop is None:
            self._counters.drop(Drop.IP_NO_ROUTE)
            self._icmp.send_unreachable(datagram, icmp_wire.NETWORK_UNREACHABLE, now)
            return
        # RFC 1812 §5.3.1: a router sends 'time exceeded' when the TTL "is reduced to zero".
        if datagram.ttl <= 1:
            self._counters.drop(Drop.IP_TTL_EXCEEDED)
            self._icmp.send_time_exceeded(datagram, icmp_wire.TTL_EXCEEDED, now)
            return
        header = wire.parse_quoted(datagram.header)
        fits = _fits(datagram, header, hop)
        if not fits and header.flags & wire.DONT_FRAGMENT:
            self._counters.drop(Drop.IP_TOO_BIG)
            self._icmp.send_too_big(datagram, hop.interface.mtu, now)
            return
        if self._deserves_redirect(datagram, hop):
            self._icmp.send_redirect(datagram, hop.next_hop, now)
        self._pass_on(datagram, header._replace(ttl=header.ttl - 1), hop, fits, now)

    def _may_be_forwarded(self, datagram: Datagram) -> bool:
        """RFC 1122 §3.3.6: nothing that the link sent to all; RFC 1812 §5.3.7: no odd address."""
        destination = datagram.destination
        group = is_multicast(destination) or is_reserved(destination)
        return datagram.to_us and not group and destination != 0

    def _deserves_redirect(self, datagram: Datagram, hop: Hop) -> bool:
        """RFC 1812 §5.2.7.2: it goes out where it came in, and its source is a neighbour there."""
        if hop.interface is not datagram.interface or not self._config.send_redirects:
            return False
        if hop.interface.is_loopback():  # a link of one station, which knows the way itself
            return False
        back = self._paths.find(datagram.source)
        return (
            back is not None
            and back.interface is hop.interface
            and back.next_hop == datagram.source
        )

    def _pass_on(
        self, datagram: Datagram, header: wire.Header, hop: Hop, fits: bool, now: Instant
    ) -> None:
        """Send copies: the octets that came are the device's, and may wait for a neighbour."""
        self._counters["IpForwDatagrams"] += 1
        if "ip" in self._tracer.on:
            way = f"{format_ipv4(header.source)} > {format_ipv4(header.destination)}"
            self._tracer.emit("ip", f"forward {way} via {format_ipv4(hop.next_hop)}")
        if fits:
            parts = [wire.build(header), bytes(datagram.payload)]
            hop.interface.send_datagram(hop.next_hop, parts, datagram.offload, now)
        else:
            payload = _complete(datagram.payload, datagram.offload, header.length)
            send_fragments(hop, header, payload, hop.interface.mtu, self._counters, now)


def _fits(datagram: Datagram, header: wire.Header, hop: Hop) -> bool:
    """Tell whether a datagram goes whole: what a device coalesced is cut again as it had been."""
    if datagram.segment_size and hop.interface.mtu >= datagram.interface.mtu:
        return True
    return header.total_length <= hop.interface.mtu


def _complete(payload: Buffer, offload: Offload | None, header_length: int) -> bytes:
    """Copy a payload, having done what checksum work was left to a device."""
    if offload is None or not offload.checksum_start:
        return bytes(payload)
    return complete_checksum([payload], offload.behind(-header_length))
