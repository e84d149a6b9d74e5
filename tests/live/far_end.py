"""The remote host that a test plays by hand against a kernel in a namespace of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from tapstack.base.address import Endpoint, parse_ipv4
from tapstack.base.checksum import checksum, pseudo_header_sum
from tapstack.base.units import SECOND, Instant
from tapstack.drill.contract import Addresses, Calls, Captured, Pending
from tapstack.drill.kernel import KernelHost
from tapstack.ip import wire as ip
from tapstack.tcp import wire as tcp
from tapstack.tcp.options import build_options
from tapstack.tcp.segment import ACK, SYN, Options, Segment

ADDRESSES = Addresses(
    parse_ipv4("192.168.0.1"), parse_ipv4("192.0.2.1"), parse_ipv4("192.168.0.1"), 16
)
LOCAL, REMOTE = Endpoint(ADDRESSES.local, 8080), Endpoint(ADDRESSES.remote, 40000)
AF_INET, SOCK_STREAM, SOCK_DGRAM = 2, 1, 2
NO_OPTIONS = Options()
PATIENCE = 20 * SECOND
"""For anything that should take moments."""

T = TypeVar("T")


class Seen(NamedTuple):
    """A segment that the kernel sent."""

    time: Instant
    segment: Segment


def wrap(protocol: int, payload: bytes) -> bytes:
    """Put an IP header in front of what goes to the kernel."""
    length = ip.HEADER_LENGTH + len(payload)
    return ip.build_header(0, length, 1, 0, 64, protocol, REMOTE.address, LOCAL.address) + payload


class Span(NamedTuple):
    """When something was done: not before the one, nor after the other."""

    begun: Instant
    ended: Instant


class FarEnd:
    """Plays one TCP connection, and waits for what the kernel does."""

    def __init__(self, host: KernelHost) -> None:
        self.host = host
        self.seq = 1000
        self.ack = 0

    def take(self) -> Captured:
        """Wait for the next datagram."""
        assert self.host.run(self.host.now() + PATIENCE, lambda: bool(self.host.captured))
        return self.host.captured.popleft()

    def segment(self) -> Seen:
        """Wait for the next segment; its checksums must be right."""
        time, octets, _ = self.take()
        header = ip.parse(octets)
        carried = octets[header.length : header.total_length]
        pseudo = pseudo_header_sum(header.source, header.destination, 6, len(carried))
        assert checksum(carried, pseudo) == 0
        segment = tcp.parse(carried)
        self.ack = (segment.seq + segment.length) % 2**32
        return Seen(time, segment)

    def send(self, flags: int, text: bytes = b"", options: Options = NO_OPTIONS) -> Span:
        """Send a segment that acknowledges everything; tell when."""
        begun = self.host.now()
        segment = Segment(
            source_port=REMOTE.port,
            destination_port=LOCAL.port,
            seq=self.seq,
            ack=self.ack if flags & ACK else 0,
            flags=flags,
            wnd=60000,
            up=0,
            options=options,
            text=text,
        )
        kinds = build_options(options)
        octets = tcp.build_header(segment, kinds, 0) + text
        pseudo = pseudo_header_sum(REMOTE.address, LOCAL.address, 6, len(octets))
        value = checksum(octets, pseudo)
        self.seq += segment.length
        self.host.inject(wrap(6, tcp.build_header(segment, kinds, value) + text))
        return Span(begun, self.host.now())

    def connect(self, mss: int = 1460) -> None:
        """Shake hands."""
        self.send(SYN, options=Options(mss=mss))
        assert self.segment().segment.flags == SYN | ACK
        self.send(ACK)

    def finish(self, pending: Pending[T]) -> T:
        """Wait for a call that is to return at once."""
        assert self.host.run(self.host.now() + PATIENCE, lambda: pending.ended() is not None)
        return pending.result()

    def call(self, call: Callable[[Calls], T]) -> T:
        """Make a call that does not block."""
        return self.finish(self.host.begin(call))

    def listen(self) -> int:
        """Have the kernel listen; give the descriptor."""

        def listening(calls: Calls) -> int:
            fd = calls.socket(AF_INET, SOCK_STREAM, 0)
            calls.bind(fd, LOCAL)
            calls.listen(fd, 1)
            return fd

        return self.call(listening)

    def establish(self, mss: int = 1460) -> int:
        """Open a connection from here; give the kernel's descriptor of it."""
        listener = self.listen()
        self.connect(mss)
        accepted, remote = self.call(lambda calls: calls.accept(listener))
        assert remote == REMOTE
        return accepted
