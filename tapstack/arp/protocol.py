"""The ARP engine of one link: whom it believes, and what it answers (RFC 826, RFC 5227, RFC 1122).

Not done here: proxy ARP, RARP, and answering for the addresses of other interfaces.
"""

from tapstack.arp import wire
from tapstack.arp.cache import GiveUp, NeighbourCache
from tapstack.arp.config import ArpConfig
from tapstack.arp.own_addresses import OwnAddresses
from tapstack.arp.wire import ETHERTYPE_ARP, REPLY, REQUEST, ArpPacket
from tapstack.base.address import (
    IPV4_ANY,
    MAC_BROADCAST,
    MAC_ZERO,
    Ipv4Address,
    MacAddress,
    format_ipv4,
    format_mac,
    is_group_mac,
    is_loopback,
    is_multicast,
    is_reserved,
)
from tapstack.base.contracts import Entropy, FrameSender, Interface, Offload
from tapstack.base.counters import Counters
from tapstack.base.errors import Drop, MalformedPacket
from tapstack.base.timers import TimerQueue
from tapstack.base.trace import Tracer
from tapstack.base.units import Instant


class Arp:
    """Speaks ARP on one link; implements `NetworkLayer`."""

    def __init__(
        self,
        frames: FrameSender,
        *,
        timers: TimerQueue,
        entropy: Entropy,
        counters: Counters,
        tracer: Tracer,
        give_up: GiveUp,
        config: ArpConfig | None = None,
    ) -> None:
        """Speak through `frames`; `give_up` hears of each datagram that waited in vain."""
        self._frames = frames
        self._counters = counters
        self._tracer = tracer
        config = config or ArpConfig()
        self.own = OwnAddresses(timers=timers, announce=self._announce, config=config)
        self.neighbours = NeighbourCache(
            frames,
            solicit=self._solicit,
            give_up=give_up,
            timers=timers,
            entropy=entropy,
            tracer=tracer,
            config=config,
        )

    # --- in: RFC 826, Packet Reception ------------------------------------------------------------

    def receive(
        self,
        octets: memoryview,
        offload: Offload | None,  # noqa: ARG002 - ARP has no checksum
        interface: Interface,  # noqa: ARG002 - there is one
        to_us: bool,
        now: Instant,
    ) -> None:
        """Take a packet, learn from it, answer it if it asks for us. Raises: MalformedPacket."""
        packet = wire.parse(octets)
        if "arp" in self._tracer.on:
            self._tracer.emit("arp", f"< {packet}")
        if not self._is_sender_credible(packet):
            raise MalformedPacket(Drop.ARP_BAD_SENDER)
        if packet.sender_ip in self.own:
            self._on_conflict(packet, now)
        elif packet.operation == REQUEST and packet.target_ip in self.own:
            self._receive_request(packet, now)
        else:
            self._update(packet, to_us, now)

    def _is_sender_credible(self, packet: ArpPacket) -> bool:
        """Tell whether the sender's addresses can be another host's; a probe has but one."""
        mac, address = packet.sender_mac, packet.sender_ip
        if is_group_mac(mac) or mac in (MAC_ZERO, self._frames.mac):
            return False
        if address == IPV4_ANY:
            return packet.is_probe
        if is_multicast(address) or is_reserved(address) or self.own.is_broadcast(address):
            return False
        # RFC 1122 §3.2.1.3: 0.0.0.0/8 is "this network", and 127.0.0.0/8 stays inside a host.
        return not is_loopback(address) and address >> 24 != 0

    def _receive_request(self, packet: ArpPacket, now: Instant) -> None:
        """Answer who asks for us, and learn its address, which we shall need soon."""
        if not packet.is_probe:
            self.neighbours.hear(packet.sender_ip, packet.sender_mac, now)
        reply = ArpPacket(
            REPLY, self._frames.mac, packet.target_ip, packet.sender_mac, packet.sender_ip
        )
        self._send(packet.sender_mac, reply, now)

    def _update(self, packet: ArpPacket, to_us: bool, now: Instant) -> None:
        """Learn from a packet that is not about us only what concerns a neighbour that we know."""
        answered = packet.operation == REPLY and to_us
        known = self.neighbours.update(
            packet.sender_ip,
            packet.sender_mac,
            now,
            answered=answered,
            override=packet.is_gratuitous,
        )
        if not known:
            about_us = packet.operation == REPLY and packet.target_ip in self.own
            self._counters.drop(Drop.ARP_UNSOLICITED if about_us else Drop.ARP_NOT_FOR_US)

    def _on_conflict(self, packet: ArpPacket, now: Instant) -> None:
        """Somebody else sends from our address: RFC 5227 §2.4."""
        self._counters.drop(Drop.ARP_DUPLICATE_ADDRESS)
        if "arp" in self._tracer.on:
            address, mac = format_ipv4(packet.sender_ip), format_mac(packet.sender_mac)
            self._tracer.emit("arp", f"duplicate address {address}: {mac} has it too")
        self.own.defend(packet.sender_ip, now)

    # --- out --------------------------------------------------------------------------------------

    def _solicit(self, address: Ipv4Address, mac: MacAddress | None, now: Instant) -> None:
        """Ask for an address: all stations, or the one that had it (RFC 1122 §2.3.2.1 (2))."""
        source = self.own.choose_source(address)
        request = ArpPacket(REQUEST, self._frames.mac, source, MAC_ZERO, address)
        self._send(mac or MAC_BROADCAST, request, now)

    def _announce(self, address: Ipv4Address, now: Instant) -> None:
        """Tell all stations that an address is ours (RFC 5227 §2.3)."""
        announcement = ArpPacket(REQUEST, self._frames.mac, address, MAC_ZERO, address)
        self._send(MAC_BROADCAST, announcement, now)

    def _send(self, destination: MacAddress, packet: ArpPacket, now: Instant) -> None:
        if "arp" in self._tracer.on:
            self._tracer.emit("arp", f"> {packet}")
        self._frames.send_frame(destination, ETHERTYPE_ARP, (wire.build(packet),), None, now)
