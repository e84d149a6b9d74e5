"""A network interface: Ethernet and ARP put together over one device.

Not done here: the IP side of an address, and routes (`ip/`); reading the device (the driver).
"""

from collections.abc import Callable, Sequence

from tapstack.arp.config import ArpConfig
from tapstack.arp.protocol import Arp
from tapstack.base.address import (
    MAC_BROADCAST,
    Ipv4Address,
    Network,
    is_multicast,
)
from tapstack.base.contracts import Buffer, Entropy, Frame, NetDevice, NetworkLayer, Offload
from tapstack.base.counters import Counters
from tapstack.base.errors import Drop
from tapstack.base.timers import TimerQueue
from tapstack.base.trace import Tracer
from tapstack.base.units import Instant
from tapstack.eth.protocol import Ethernet, LinkStatistics, multicast_mac
from tapstack.eth.wire import ETHERTYPE_ARP, ETHERTYPE_IPV4

Unreachable = Callable[[Sequence[Buffer], Instant], None]
"""Hear of a datagram whose neighbour did not answer."""


class Passed:
    """Frames with segments that went past the layers since that was last looked at.

    To count one in every layer would cost a fifth of what it costs to take it.
    """

    __slots__ = ("frames", "octets")

    def __init__(self) -> None:
        self.frames = 0
        self.octets = 0
        """Of all of them."""


class NetworkInterface:
    """An attachment to one link; implements `Interface`.

    The loopback is one too: its frames have headers like all others, of zero addresses, as Linux's
    have, and nobody there needs to be asked for.
    """

    def __init__(
        self,
        device: NetDevice,
        *,
        timers: TimerQueue,
        entropy: Entropy,
        counters: Counters,
        tracer: Tracer,
        arp_config: ArpConfig | None = None,
    ) -> None:
        self.device = device
        self.name = device.name
        self.mtu = device.mtu
        """Octets of the largest IP datagram that fits one frame."""
        self.networks: list[Network] = []
        """Our addresses on this link, in the order that they were added."""
        self.on_unreachable: Unreachable | None = None
        """Told of each datagram whose neighbour did not answer."""
        self.on_looped: Callable[[NetworkInterface], None] | None = None
        """Told of each datagram that a loopback has sent: it is to be read back."""
        self._counters = counters
        self._ethernet = Ethernet(device, counters=counters, tracer=tracer)
        self.mac = self._ethernet.mac
        """Our own address on this link; zero on the loopback."""
        self.taken = Passed()
        """What the express lane has taken past the layers, for `count_passed`."""
        self.sent = Passed()
        """What it has sent past IP and Ethernet."""
        self._arp: Arp | None = None
        if not self._ethernet.is_loopback:
            self._arp = Arp(
                self._ethernet,
                timers=timers,
                entropy=entropy,
                counters=counters,
                tracer=tracer,
                give_up=self._on_undeliverable,
                config=arp_config,
            )
            self._ethernet.bind(ETHERTYPE_ARP, self._arp)
        self.neighbours = self._arp.neighbours if self._arp is not None else None
        """Who is on the link; None on the loopback."""

    # --- counting ---

    @property
    def statistics(self) -> LinkStatistics:
        """What went through."""
        self.count_passed()
        return self._ethernet.statistics

    def count_passed(self) -> None:
        """Count as the layers do what the express lane has taken, and what it has sent."""
        taken, sent = self.taken, self.sent
        if taken.frames:
            self.count_plain(taken.octets, taken.frames)
            self._counters["TcpInSegs"] += taken.frames
            taken.frames = taken.octets = 0
        if sent.frames:
            self._ethernet.count_sent(sent.octets, sent.frames)
            self._counters["IfOutOctets"] -= sent.octets  # which the lane has counted itself
            self._counters["IpOutRequests"] += sent.frames
            sent.frames = sent.octets = 0

    def count_plain(self, length: int, frames: int) -> None:
        """Count frames of `length` octets, all told, as Ethernet and IP do: whole datagrams."""
        counters = self._counters
        self._ethernet.count_received(length, frames)
        counters["IpInReceives"] += frames
        counters["IpExtInNoECTPkts"] += frames
        counters["IpInDelivers"] += frames

    # --- the link ---

    def is_loopback(self) -> bool:
        """Tell whether what is sent here comes straight back."""
        return self._ethernet.is_loopback

    def bind_network(self, ethertype: int, layer: NetworkLayer) -> None:
        """Set who takes the payload of frames of a type."""
        self._ethernet.bind(ethertype, layer)

    def add_address(self, network: Network, now: Instant) -> None:
        """Take an address on this link, and announce it. Again, it changes nothing."""
        if network in self.networks:
            return
        self.networks.append(network)
        if self._arp is not None:
            self._arp.own.add(network, now)

    def receive(self, frame: Frame, now: Instant) -> None:
        """Take a frame that the device read. Raises: MalformedPacket, which the door counts."""
        self._ethernet.receive(frame, self, now)

    def send_datagram(
        self,
        next_hop: Ipv4Address,
        parts: Sequence[Buffer],
        offload: Offload | None,
        now: Instant,
        *,
        confirmed: bool = False,
    ) -> None:
        """Send a whole IP datagram to a neighbour; see `Interface`. The parts may be kept."""
        if self._arp is None:
            self._ethernet.send_frame(self.mac, ETHERTYPE_IPV4, parts, offload, now)
            if self.on_looped is not None:
                self.on_looped(self)
        elif self._arp.own.is_broadcast(next_hop):
            self._ethernet.send_frame(MAC_BROADCAST, ETHERTYPE_IPV4, parts, offload, now)
        elif is_multicast(next_hop):
            group = multicast_mac(next_hop)
            self._ethernet.send_frame(group, ETHERTYPE_IPV4, parts, offload, now)
        else:
            self._arp.neighbours.send_datagram(next_hop, parts, offload, now, confirmed=confirmed)

    def _on_undeliverable(self, parts: Sequence[Buffer], reason: Drop, now: Instant) -> None:
        """Count a datagram that did not leave, and say so if it is because nobody answered."""
        self._ethernet.statistics.tx_dropped += 1
        self._counters.drop(reason)
        if reason is Drop.ARP_UNRESOLVED and self.on_unreachable is not None:
            self.on_unreachable(parts, now)
