"""One host's IP, ICMP and UDP between interfaces that only remember: what these tests stand on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from tapstack.base.address import Network, parse_ipv4
from tapstack.base.checksum import checksum, complete_checksum
from tapstack.base.contracts import Buffer, Offload, SocketEvent
from tapstack.base.counters import Counters
from tapstack.base.errors import MalformedPacket
from tapstack.base.timers import TimerQueue
from tapstack.base.trace import Tracer
from tapstack.ip import icmp_wire
from tapstack.ip.config import IpConfig
from tapstack.ip.protocol import Ip
from tapstack.ip.wire import IPV4_HEADER, Header, parse
from tapstack.udp.protocol import Udp
from tapstack.udp.wire import PROTOCOL_UDP

US = parse_ipv4("10.0.0.1")
HOST = parse_ipv4("10.0.0.2")
OTHER = parse_ipv4("10.0.0.3")
BROADCAST = parse_ipv4("10.0.0.255")
FAR = parse_ipv4("192.0.2.9")
ICMP, TCP, UDP = 1, 6, 17
DF, MF = 0x4000, 0x2000


class SeededEntropy:
    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def random_bits(self, count: int) -> int:
        return self._random.getrandbits(count)


class Sent(NamedTuple):
    """A datagram that left, with its checksum completed as a device would."""

    next_hop: int
    header: Header
    payload: bytes
    octets: bytes

    @property
    def icmp(self) -> icmp_wire.Message:
        return icmp_wire.parse(self.payload)


class FakeInterface:
    def __init__(self, name: str, mtu: int = 1500, loopback: bool = False) -> None:
        self.name = name
        self.mtu = mtu
        self._loopback = loopback
        self.queue: list[Sent] = []

    def is_loopback(self) -> bool:
        return self._loopback

    def send_datagram(
        self,
        next_hop: int,
        parts: Sequence[Buffer],
        offload: Offload | None,
        now: int,
        *,
        confirmed: bool = False,
    ) -> None:
        if offload is not None and offload.checksum_start:
            octets = complete_checksum(list(parts), offload)
        else:
            octets = b"".join(parts)
        header = parse(octets)
        assert header.total_length == len(octets)
        self.queue.append(Sent(next_hop, header, octets[header.length :], octets))


class Rig:
    """A host with lo, and 10.0.0.1/24 on tap0. `now` is virtual."""

    def __init__(self, config: IpConfig | None = None, mtu: int = 1500) -> None:
        self.now = 1_000_000
        self.timers = TimerQueue()
        self.counters = Counters()
        self.tracer = Tracer()
        self.events: list[SocketEvent] = []
        self.config = config or IpConfig()
        entropy = SeededEntropy()
        self.ip = Ip(
            timers=self.timers,
            entropy=entropy,
            counters=self.counters,
            events=self,
            tracer=self.tracer,
            config=self.config,
        )
        self.udp = Udp(
            ip=self.ip,
            icmp=self.ip.icmp,
            entropy=entropy,
            counters=self.counters,
            events=self,
            tracer=self.tracer,
        )
        self.ip.register(PROTOCOL_UDP, self.udp)
        self.lo = FakeInterface("lo", 65536, loopback=True)
        self.tap = FakeInterface("tap0", mtu)
        self.ip.add_interface(self.lo)
        self.ip.add_interface(self.tap)
        self.ip.add_address(self.tap, Network(US, 24))

    def report(self, endpoint: object, events: int) -> None:
        self.events.append((endpoint, events))

    def receive(
        self,
        octets: bytes,
        interface: FakeInterface | None = None,
        to_us: bool = True,
        offload: Offload | None = None,
    ) -> list[Sent]:
        """Let a datagram come in by a door, deliver what loops back, give what left by tap0."""
        self._receive(octets, interface or self.tap, to_us, offload)
        return self.drain()

    def _receive(
        self, octets: bytes, interface: FakeInterface, to_us: bool, offload: Offload | None
    ) -> None:
        try:
            self.ip.receive(memoryview(octets), offload, interface, to_us, self.now)
        except MalformedPacket as malformed:
            self.counters.drop(malformed.reason)

    def drain(self) -> list[Sent]:
        """Deliver what loops back until none is left, and give what left by tap0."""
        for _ in range(100):
            if not self.lo.queue:
                break
            self._receive(self.lo.queue.pop(0).octets, self.lo, True, None)
        assert not self.lo.queue
        sent, self.tap.queue = self.tap.queue, []
        return sent

    def wait(self, duration: int) -> list[Sent]:
        """Let time pass, deadline by deadline."""
        end = self.now + duration
        while (deadline := self.timers.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.timers.expire(self.now)
        self.now = end
        return self.drain()


def ipv4(
    payload: bytes = b"",
    *,
    source: int = HOST,
    destination: int = US,
    protocol: int = UDP,
    options: bytes = b"",
    flags: int = 0,
    offset: int = 0,
    check: int | None = None,
    padding: bytes = b"",
    **fields: int,
) -> bytes:
    """Build any datagram by construct alone; `fields` are the header's, over sensible ones."""
    values: dict[str, int] = {
        "version": 4,
        "header_words": 5 + len(options) // 4,
        "tos": 0,
        "total_length": 20 + len(options) + len(payload),
        "identification": 7,
        "ttl": 64,
        **fields,
    }
    first = {key: values.pop(key) for key in ("version", "header_words")}
    fragment = {
        "reserved": bool(flags & 0x8000),
        "dont_fragment": bool(flags & DF),
        "more_fragments": bool(flags & MF),
        "fragment_words": offset // 8,
    }
    values |= {"protocol": protocol, "source": source, "destination": destination, "checksum": 0}
    whole = {"version_and_length": first, "flags_and_offset": fragment, **values}
    whole["checksum"] = checksum(IPV4_HEADER.build(whole) + options) if check is None else check
    built: bytes = IPV4_HEADER.build(whole)
    return built + options + payload + padding


def udp(
    data: bytes = b"data",
    *,
    source_port: int = 4000,
    port: int = 9,
    length: int | None = None,
    check: int = 0,
) -> bytes:
    """Build a UDP datagram; without a checksum unless one is given."""
    words = (source_port, port, 8 + len(data) if length is None else length, check)
    return b"".join(word.to_bytes(2, "big") for word in words) + data


def echo(data: bytes = b"ping", *, type_: int = 8, sequence: int = 1) -> bytes:
    return icmp_wire.build_echo(type_, 0x1234, sequence, data)
