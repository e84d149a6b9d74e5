"""One interface on an in-memory link in virtual time: what the tests of `eth/` and `arp/` use."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from tapstack.arp import wire as arp_wire
from tapstack.arp.cache import NeighbourCache
from tapstack.arp.config import ArpConfig
from tapstack.arp.neighbour import Neighbour
from tapstack.arp.wire import REPLY, REQUEST, ArpPacket
from tapstack.base.address import MAC_BROADCAST, MAC_ZERO, Network
from tapstack.base.contracts import (
    Buffer,
    Capabilities,
    Frame,
    Interface,
    NetDevice,
    Offload,
)
from tapstack.base.counters import Counters
from tapstack.base.errors import Drop, MalformedPacket
from tapstack.base.timers import TimerQueue
from tapstack.base.trace import TOPICS, Tracer
from tapstack.eth import wire as eth_wire
from tapstack.eth.wire import ETHERTYPE_ARP, ETHERTYPE_IPV4, HEADER_LENGTH, EthernetHeader
from tapstack.interface import NetworkInterface

OUR_MAC, THEIR_MAC, OTHER_MAC = (bytes.fromhex(f"0200000000{n:02x}") for n in (1, 2, 3))
US, THEM, OTHER = 0x0A000001, 0x0A000002, 0x0A000003
NETWORK = Network(US, 24)


class SeededEntropy:
    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def random_bits(self, count: int) -> int:
        return self._random.getrandbits(count)


class Sent(NamedTuple):
    """A frame that was written, and when."""

    now: int
    header: EthernetHeader
    payload: bytes
    offload: Offload | None


class FakeDevice(NetDevice):
    """A device that remembers what was written."""

    def __init__(self, mac: bytes = OUR_MAC, name: str = "tap0") -> None:
        self.name = name
        self.mtu = 1500
        self.mac = mac
        self.capabilities = Capabilities()
        self.written: list[Sent] = []

    def fileno(self) -> int:
        return -1

    def read(self, now: int) -> Frame | None:
        return None

    def write(self, frame: Frame, now: int) -> None:
        octets = b"".join(frame.parts)
        header = eth_wire.parse(octets)
        self.written.append(Sent(now, header, octets[HEADER_LENGTH:], frame.offload))

    def next_deadline(self) -> int | None:
        return None

    def close(self) -> None:
        pass


class Delivery(NamedTuple):
    """What the network layer was handed."""

    octets: bytes
    offload: Offload | None
    interface: Interface
    to_us: bool
    now: int


class Recorder:
    """A network layer that remembers."""

    def __init__(self) -> None:
        self.delivered: list[Delivery] = []

    def receive(
        self,
        octets: memoryview,
        offload: Offload | None,
        interface: Interface,
        to_us: bool,
        now: int,
    ) -> None:
        self.delivered.append(Delivery(bytes(octets), offload, interface, to_us, now))


class Link:
    """An interface with an address, and the hands of everybody else on its link."""

    def __init__(
        self,
        *,
        mac: bytes = OUR_MAC,
        network: Network | None = NETWORK,
        config: ArpConfig | None = None,
        seed: int = 1,
    ) -> None:
        self.now = 0
        self.timers = TimerQueue()
        self.counters = Counters()
        self.tracer = Tracer()
        self.lines: list[tuple[str, str]] = []
        self.device = FakeDevice(mac, "lo" if mac == MAC_ZERO else "tap0")
        self.interface = NetworkInterface(
            self.device,
            timers=self.timers,
            entropy=SeededEntropy(seed),
            counters=self.counters,
            tracer=self.tracer,
            arp_config=config,
        )
        self.network = Recorder()
        self.interface.bind_network(ETHERTYPE_IPV4, self.network)
        self.unreachable: list[tuple[int, bytes]] = []
        self.interface.on_unreachable = self._on_unreachable
        if network is not None:
            self.interface.add_address(network, 0)
            self.run(3_000_000)  # past the announcements
            self.device.written.clear()

    def _on_unreachable(self, parts: Sequence[Buffer], now: int) -> None:
        self.unreachable.append((now, b"".join(parts)))

    @property
    def neighbours(self) -> NeighbourCache:
        assert self.interface.neighbours is not None
        return self.interface.neighbours

    def neighbour(self, address: int = THEM) -> Neighbour:
        found = self.neighbours.find(address)
        assert found is not None
        return found

    def state(self, address: int = THEM) -> str:
        found = self.neighbours.find(address)
        return "-" if found is None else found.state.name

    def watch(self) -> None:
        self.tracer.watch(frozenset(TOPICS), lambda *line: self.lines.append(line))

    def traced(self, topic: str) -> list[str]:
        return [line for its_topic, line in self.lines if its_topic == topic]

    def drops(self, reason: Drop) -> int:
        return self.counters.drops.get(reason, 0)

    # --- time ---

    def run(self, duration: int) -> None:
        """Let time pass, and every deadline be met exactly."""
        end = self.now + duration
        while (deadline := self.timers.next_deadline()) is not None and deadline <= end:
            self.now = deadline
            self.timers.expire(deadline)
        self.now = end

    # --- in ---

    def receive(
        self,
        payload: bytes,
        ethertype: int,
        *,
        destination: bytes = OUR_MAC,
        source: bytes = THEIR_MAC,
        offload: Offload | None = None,
    ) -> None:
        header = eth_wire.build(EthernetHeader(destination, source, ethertype))
        self.receive_octets(header + payload, offload)

    def receive_octets(self, octets: bytes, offload: Offload | None = None) -> None:
        """Hand in a frame as the door does: what is malformed is counted."""
        try:
            self.interface.receive(Frame((memoryview(octets),), offload), self.now)
        except MalformedPacket as malformed:
            self.counters.drop(malformed.reason)

    def arp(
        self,
        operation: int,
        *,
        sender: int = THEM,
        mac: bytes = THEIR_MAC,
        target: int = US,
        to: bytes | None = None,
    ) -> None:
        """Hand in an ARP packet: a reply comes to us alone, a request to all, unless said."""
        packet = ArpPacket(operation, mac, sender, MAC_ZERO, target)
        if to is None:
            to = OUR_MAC if operation == REPLY else MAC_BROADCAST
        self.receive(arp_wire.build(packet), ETHERTYPE_ARP, destination=to, source=mac)

    def request(self, **fields: int | bytes) -> None:
        self.arp(REQUEST, **fields)  # type: ignore[arg-type]

    def reply(self, **fields: int | bytes) -> None:
        self.arp(REPLY, **fields)  # type: ignore[arg-type]

    # --- out ---

    def send(self, octets: bytes = b"datagram", to: int = THEM, *, confirmed: bool = False) -> None:
        self.interface.send_datagram(to, [octets], None, self.now, confirmed=confirmed)

    def take(self, ethertype: int) -> list[Sent]:
        """Take the frames of a type that were written since the last time."""
        taken = [sent for sent in self.device.written if sent.header.ethertype == ethertype]
        self.device.written = [sent for sent in self.device.written if sent not in taken]
        return taken

    def take_arp(self) -> list[tuple[int, bytes, ArpPacket]]:
        """Take the ARP packets that were sent: when, to whom, what."""
        return [
            (sent.now, sent.header.destination, arp_wire.parse(sent.payload))
            for sent in self.take(ETHERTYPE_ARP)
        ]

    def take_datagrams(self) -> list[tuple[bytes, bytes]]:
        """Take the datagrams that were sent: to whom, what."""
        return [(sent.header.destination, sent.payload) for sent in self.take(ETHERTYPE_IPV4)]
