"""Two TCP engines on an in-memory link in virtual time: what the tests of `tcp/` stand on."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tapstack.base.address import Endpoint
from tapstack.base.checksum import complete_checksum
from tapstack.base.contracts import Buffer, Datagram, Offload, Path, SentCopy, SocketEvent
from tapstack.base.counters import Counters
from tapstack.base.errors import MalformedPacket
from tapstack.base.route_metrics import NO_METRICS, RouteMetrics
from tapstack.base.timers import TimerQueue
from tapstack.base.trace import Tracer
from tapstack.base.units import SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.listener import Listener
from tapstack.tcp.protocol import Tcp
from tapstack.tcp.segment import CWR, FIN, PSH, Options, Segment
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.transmission import build_segment_header
from tapstack.tcp.user_options import UserOptions
from tapstack.tcp.wire import HEADER_LENGTH, PROTOCOL_TCP, parse

A, B = 0x0A000001, 0x0A000002


class SeededEntropy:
    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def random_bits(self, count: int) -> int:
        return self._random.getrandbits(count)


class Wire(bytes):
    """A segment's octets, and the TOS octet of the datagram that carries them."""

    tos = 0

    def marked(self, tos: int) -> Wire:
        """Give the same segment in a datagram with another TOS."""
        copy = Wire(self)
        copy.tos = tos
        return copy


def tos_of(octets: bytes) -> int:
    """Give the TOS octet that came with a segment; what a test made up has none."""
    return octets.tos if isinstance(octets, Wire) else 0


ROOMY = (4096, 262_144, 4_194_304)
"""A tcp_wmem that takes at once what tests send."""


def roomy_config() -> TcpConfig:
    """Give the default settings with such a buffer."""
    return TcpConfig(tcp_wmem=ROOMY)


@dataclass
class Host:
    """One engine, with everything around it; what it sends is cut to wire size and kept."""

    address: int
    mtu: int = 1500
    config: TcpConfig = field(default_factory=lambda: roomy_config())
    seed: int = 1
    metrics: RouteMetrics = NO_METRICS

    def __post_init__(self) -> None:
        self.timers = TimerQueue()
        self.counters = Counters()
        self.tracer = Tracer()
        self.events: list[SocketEvent] = []
        self.outbox: deque[tuple[int, bytes]] = deque()
        self.confirmations = 0
        """How often TCP told that the next hop is alive."""
        self.tcp = Tcp(
            ip=self,
            timers=self.timers,
            entropy=SeededEntropy(self.seed),
            counters=self.counters,
            events=self,
            tracer=self.tracer,
            config=self.config,
        )

    # --- the contracts that TCP asks for ---

    def report(self, endpoint: object, events: int) -> None:
        self.events.append((endpoint, events))

    @property
    def path_changes(self) -> int:
        return self.mtu  # it changes with that

    def path_to(self, destination: int, source: int = 0) -> Path:
        return Path(source or self.address, self.mtu, self.metrics)

    def learn_path_mtu(self, destination: int, mtu: int, now: int) -> None:
        self.mtu = mtu

    def is_local(self, address: int) -> bool:
        return address == self.address

    def is_broadcast(self, address: int) -> bool:
        return address == 0xFFFFFFFF

    def send_datagram(
        self,
        protocol: int,
        source: int,
        destination: int,
        parts: Sequence[Buffer],
        now: int,
        *,
        ttl: int = 0,
        tos: int = 0,
        dont_fragment: bool | None = False,
        offload: Offload | None = None,
        confirmed: bool = False,
        copy: SentCopy | None = None,
    ) -> None:
        assert offload is not None
        self.confirmations += confirmed
        for octets in cut(list(parts), offload, source, destination):
            assert len(octets) + 20 <= self.mtu
            self.outbox.append((destination, Wire(octets).marked(tos)))

    # --- doors ---

    def receive(self, source: int, octets: bytes, now: int) -> None:
        datagram = Datagram(
            source=source,
            destination=self.address,
            protocol=PROTOCOL_TCP,
            ttl=64,
            tos=tos_of(octets),
            header=b"",
            payload=memoryview(octets),
            offload=None,
            interface=None,  # type: ignore[arg-type]
        )
        try:
            self.tcp.receive(datagram, now)
        except MalformedPacket as malformed:
            self.counters.drop(malformed.reason)
        self.tcp.flush(now)

    def expire(self, now: int) -> None:
        self.timers.expire(now)
        self.tcp.flush(now)

    def sent(self) -> list[Segment]:
        """Take what was sent since the last look."""
        segments = [parse(octets, tos_of(octets) & 3) for _, octets in self.outbox]
        self.outbox.clear()
        return segments

    def inject(self, now: int, **fields: object) -> list[Segment]:
        """Receive a segment made of these fields, and take the answer."""
        text = bytes(fields.get("text", b""))  # type: ignore[arg-type]
        segment = Segment(
            source_port=fields.get("sport", 5000),  # type: ignore[arg-type]
            destination_port=fields.get("dport", 80),  # type: ignore[arg-type]
            seq=fields.get("seq", 0) & 0xFFFFFFFF,  # type: ignore[operator]
            ack=fields.get("ack", 0) & 0xFFFFFFFF,  # type: ignore[operator]
            flags=fields.get("flags", 0),  # type: ignore[arg-type]
            wnd=fields.get("wnd", 65535),  # type: ignore[arg-type]
            up=fields.get("up", 0),  # type: ignore[arg-type]
            options=fields.get("options", Options()),  # type: ignore[arg-type]
            text=b"",
        )
        header = build_segment_header(segment, B, self.address, len(text))
        octets = Wire(complete_checksum([header, text], Offload(0, 16, 0)))
        self.receive(B, octets.marked(fields.get("tos", 0)), now)  # type: ignore[arg-type]
        return self.sent()


def cut(parts: list[Buffer], offload: Offload, source: int, destination: int) -> list[bytes]:
    """Cut a unit into the segments that a device would put on the wire, checksums and all."""
    octets = b"".join(parts)
    header_length = octets[12] >> 4 << 2
    text = octets[header_length:]
    size = offload.segment_size or len(text) or 1
    whole = parse(octets)
    pieces = [text[at : at + size] for at in range(0, len(text), size)] or [b""]
    out = []
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        segment = whole._replace(
            seq=(whole.seq + index * size) & 0xFFFFFFFF,
            flags=whole.flags & ~(0 if last else FIN | PSH) & ~(CWR if index else 0),
            text=b"",
        )
        header = build_segment_header(segment, source, destination, len(piece))
        header = header[:HEADER_LENGTH] + octets[HEADER_LENGTH:header_length]
        out.append(complete_checksum([header, piece], Offload(0, 16, 0)))
    return out


Fate = Callable[[bytes, random.Random], list[tuple[int, bytes]]]
"""What becomes of a segment: (delay, octets) for each copy that arrives."""


class World:
    """Two hosts and a link that delays, and does to segments what a `fate` says."""

    def __init__(
        self,
        *,
        delay: int = 1000,
        mtu: int = 1500,
        fate: Fate | None = None,
        seed: int = 0,
        config: TcpConfig | None = None,
    ) -> None:
        self.now = SECOND
        self.delay = delay
        self.fate = fate
        self.random = random.Random(seed)
        self.a = Host(A, mtu, config or roomy_config(), seed * 2 + 1)
        self.b = Host(B, mtu, config or roomy_config(), seed * 2 + 2)
        self._wire: list[tuple[int, int, int, int, bytes]] = []
        self._count = 0
        self.log: list[tuple[int, int, Segment]] = []
        """(when, sent by, what) of all that was put on the wire."""

    def _collect(self) -> None:
        for host in (self.a, self.b):
            while host.outbox:
                destination, octets = host.outbox.popleft()
                segment = parse(octets, tos_of(octets) & 3)
                self.log.append((self.now, host.address, segment))
                fates = self.fate(octets, self.random) if self.fate else [(0, octets)]
                for extra, copy in fates:
                    self._count += 1
                    at = self.now + self.delay + extra
                    self._wire.append((at, self._count, host.address, destination, copy))
        self._wire.sort()

    def next_instant(self) -> int | None:
        self._collect()
        moments = [self._wire[0][0]] if self._wire else []
        moments += [t for h in (self.a, self.b) if (t := h.timers.next_deadline()) is not None]
        return min(moments, default=None)

    def step(self) -> bool:
        """Go on to the next thing that happens; False when nothing ever will."""
        instant = self.next_instant()
        if instant is None:
            return False
        self.now = max(self.now, instant)
        if self._wire and self._wire[0][0] <= self.now:
            _, _, source, destination, octets = self._wire.pop(0)
            host = self.a if destination == A else self.b
            host.receive(source, octets, self.now)
        else:
            self.a.expire(self.now)
            self.b.expire(self.now)
        return True

    def run(self, until: Callable[[], bool], limit: int = 200_000) -> None:
        """Go on until something holds."""
        for _ in range(limit):
            if until():
                return
            if not self.step():
                break
        assert until(), "the world stands still, or runs for ever"

    def run_for(self, duration: int) -> None:
        """Go on for some time."""
        end = self.now + duration
        while (instant := self.next_instant()) is not None and instant <= end:
            self.step()
        self.now = end

    def listen(self, port: int = 80, backlog: int = 8) -> Listener:
        binding = self.b.tcp.bind(Endpoint(0, port))
        return self.b.tcp.open_passive(binding, backlog, UserOptions())

    def connect(self, port: int = 80, options: UserOptions | None = None) -> Tcb:
        tcb = self.a.tcp.open_active(Endpoint(B, port), options or UserOptions(), self.now)
        self.a.tcp.flush(self.now)
        return tcb

    def pair(self) -> tuple[Tcb, Tcb]:
        """Establish a connection, and give both ends."""
        listener = self.listen()
        client = self.connect()
        self.run(lambda: bool(listener.accept_queue))
        server = self.b.tcp.accept(listener)
        assert server is not None
        return client, server

    def host_of(self, tcb: Tcb) -> Host:
        return self.a if tcb.local.address == A else self.b

    def send(self, tcb: Tcb, data: bytes) -> int:
        host = self.host_of(tcb)
        taken = host.tcp.send(tcb, data, self.now)
        host.tcp.flush(self.now)
        return taken

    def receive(self, tcb: Tcb, size: int = 1 << 20) -> bytes | None:
        host = self.host_of(tcb)
        text = host.tcp.receive_text(tcb, size, self.now)
        host.tcp.flush(self.now)
        return text

    def close(self, tcb: Tcb) -> None:
        host = self.host_of(tcb)
        host.tcp.close(tcb, self.now)
        host.tcp.flush(self.now)

    def transfer(self, source: Tcb, sink: Tcb, data: bytes, *, close: bool = False) -> bytes:
        """Send data from one end to the other, and give what arrives."""
        sent = 0
        got = bytearray()
        while len(got) < len(data):
            while sent < len(data) and (taken := self.send(source, data[sent:])):
                sent += taken
            if close and sent == len(data):
                self.host_of(source).tcp.shutdown(source, read=False, write=True)
                self.host_of(source).tcp.flush(self.now)
                close = False
            while (text := self.receive(sink)) is not None and text:
                got += text
            if len(got) < len(data):
                assert self.step(), f"stuck at {len(got)} of {len(data)}"
        return bytes(got)
