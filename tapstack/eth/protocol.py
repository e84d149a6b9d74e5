"""The Ethernet engine: which frames are ours, who takes them, and a header for ours (RFC 894).

Not done here: VLANs, which are refused with a counter of their own; groups but all-hosts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tapstack.base.address import (
    IPV4_ALL_HOSTS,
    MAC_BROADCAST,
    MAC_ZERO,
    Ipv4Address,
    MacAddress,
    format_mac,
    is_group_mac,
)
from tapstack.base.contracts import Buffer, Frame, Interface, NetDevice, NetworkLayer, Offload
from tapstack.base.counters import Counters
from tapstack.base.errors import Drop, MalformedPacket
from tapstack.base.trace import Tracer
from tapstack.base.units import Instant
from tapstack.eth import wire
from tapstack.eth.wire import ETHERTYPE_QINQ, ETHERTYPE_VLAN, HEADER_LENGTH, EthernetHeader


def multicast_mac(group: Ipv4Address) -> MacAddress:
    """Map a group to 01:00:5e and the low 23 bits of its address (RFC 1112 §6.4)."""
    return (0x01005E << 24 | group & 0x7FFFFF).to_bytes(6, "big")


ALL_HOSTS_MAC = multicast_mac(IPV4_ALL_HOSTS)


@dataclass(slots=True)
class LinkStatistics:
    """What went through one interface. A unit that the device cuts or coalesces is one frame."""

    rx_packets: int = 0
    """Frames that came in, dropped ones included."""
    rx_bytes: int = 0
    """Octets of them, headers included."""
    rx_dropped: int = 0
    """Frames that were malformed, not for us, or of a type that nobody here speaks."""
    tx_packets: int = 0
    """Frames handed to the device."""
    tx_bytes: int = 0
    """Octets of them, headers included."""
    tx_dropped: int = 0
    """Datagrams that never became frames, for want of a neighbour's address."""


class Ethernet:
    """Speaks Ethernet II over one device; implements `FrameSender`."""

    def __init__(self, device: NetDevice, *, counters: Counters, tracer: Tracer) -> None:
        self.mac = device.mac
        """Our own address on this link."""
        self.is_loopback = device.mac == MAC_ZERO
        """Whether this is no link at all, but a way back to ourselves."""
        self.statistics = LinkStatistics()
        self._device = device
        self._counters = counters
        self._tracer = tracer
        self._layers: dict[int, NetworkLayer] = {}
        self._tails: dict[int, bytes] = {}  # by EtherType: our header behind its destination

    def bind(self, ethertype: int, layer: NetworkLayer) -> None:
        """Set who takes the payload of frames of a type."""
        self._layers[ethertype] = layer

    # --- in ---------------------------------------------------------------------------------------

    def receive(self, frame: Frame, interface: Interface, now: Instant) -> None:
        """Hand a frame's payload to its network layer, if it is for us.

        Raises: MalformedPacket when it is shorter than a header, or comes from a group.
        """
        octets = memoryview(frame.parts[0])
        self.count_received(len(octets))
        if len(octets) < HEADER_LENGTH:
            raise self._malformed(Drop.ETH_TRUNCATED)
        destination, source, ethertype = wire.CODEC.unpack_from(octets)
        if self._tracer.on:
            header = EthernetHeader(destination, source, ethertype)
            self._trace("<", header, len(octets), frame.offload)
        if is_group_mac(source):
            raise self._malformed(Drop.ETH_BAD_SOURCE)
        layer = self._layers.get(ethertype)
        refusal = self._refusal(destination, source, ethertype)
        if layer is None or refusal is not None:
            self._drop(refusal or Drop.ETH_UNKNOWN_TYPE)
            return
        offload = frame.offload
        if offload is not None and offload.checksum_start:
            offload = offload.behind(-HEADER_LENGTH)
        layer.receive(octets[HEADER_LENGTH:], offload, interface, destination == self.mac, now)

    def _refusal(self, destination: MacAddress, source: MacAddress, ethertype: int) -> Drop | None:
        """Say why a frame is not for us whoever speaks its type; None when it may be."""
        if destination not in (self.mac, MAC_BROADCAST, ALL_HOSTS_MAC):
            return Drop.ETH_OTHER_HOST
        # What we sent, and a bridge or a hub gave back.
        if source == self.mac and not self.is_loopback:
            return Drop.ETH_OWN_SOURCE
        if ethertype in (ETHERTYPE_VLAN, ETHERTYPE_QINQ):
            return Drop.ETH_VLAN
        return None

    def count_received(self, length: int, frames: int = 1) -> None:
        """Count frames of `length` octets, all told, that came in."""
        self.statistics.rx_packets += frames
        self.statistics.rx_bytes += length
        self._counters["IfInPkts"] += frames
        self._counters["IfInOctets"] += length

    def _malformed(self, reason: Drop) -> MalformedPacket:
        """Make the exception to raise: the door counts the reason, here the link's share is."""
        self.statistics.rx_dropped += 1
        return MalformedPacket(reason)

    def _drop(self, reason: Drop) -> None:
        self.statistics.rx_dropped += 1
        self._counters.drop(reason)

    # --- out: FrameSender -------------------------------------------------------------------------

    def send_frame(
        self,
        destination: MacAddress,
        ethertype: int,
        parts: Sequence[Buffer],
        offload: Offload | None,
        now: Instant,
    ) -> None:
        """Put a header in front and write the frame. `offload` counts from the payload."""
        header = destination + self._tail(ethertype)
        if offload is not None and offload.checksum_start:
            offload = offload.behind(HEADER_LENGTH)
        length = HEADER_LENGTH + sum(map(len, parts))
        self.count_sent(length)
        if self._tracer.on:
            self._trace(">", wire.parse(header), length, offload)
        self._device.write(Frame((header, *parts), offload), now)

    def _tail(self, ethertype: int) -> bytes:
        """Give the header of our frames of a type, without its destination."""
        tail = self._tails.get(ethertype)
        if tail is None:
            header = wire.build(EthernetHeader(MAC_ZERO, self.mac, ethertype))
            tail = self._tails[ethertype] = header[len(MAC_ZERO) :]
        return tail

    def count_sent(self, length: int, frames: int = 1) -> None:
        """Count frames that leave, of `length` octets together."""
        self.statistics.tx_packets += frames
        self.statistics.tx_bytes += length
        self._counters["IfOutPkts"] += frames
        self._counters["IfOutOctets"] += length

    # --- trace ------------------------------------------------------------------------------------

    def _trace(
        self, direction: str, header: EthernetHeader, length: int, offload: Offload | None
    ) -> None:
        name = self._device.name
        if "dev" in self._tracer.on:
            left = f", {_describe_offload(offload)}" if offload is not None else ""
            self._tracer.emit("dev", f"{name} {direction} length {length}{left}")
        if "l2" in self._tracer.on:
            way = f"{format_mac(header.source)} > {format_mac(header.destination)}"
            kind = f"ethertype {wire.type_name(header.ethertype)} (0x{header.ethertype:04x})"
            self._tracer.emit("l2", f"{direction} {way}, {kind}, length {length}")


def _describe_offload(offload: Offload) -> str:
    """Say in words what is left to the device, or what the sender's left."""
    if offload.segment_size:
        return f"segments of {offload.segment_size}"
    return "checksum partial" if offload.checksum_start else "checksum verified"
