"""Two stacks in one process, a wire of memory between them, and a clock that they are told.

What one of them does, in its doors and in its device, is metered: nothing else of the machine is in
the way, and no system call either.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from random import Random
from time import thread_time_ns
from typing import Any, Protocol

from tapstack.base.address import Endpoint, MacAddress, Network, parse_network
from tapstack.base.contracts import Capabilities, Frame, NetDevice
from tapstack.base.units import SECOND, Instant
from tapstack.device import vnet
from tapstack.socket.endpoints import open_endpoint
from tapstack.stack import Stack

PORT = 7000
SOCK_STREAM, IPPROTO_TCP = 1, 6
NO_FLAGS, MSG_DONTWAIT = 0, 0x40
BLOCK = memoryview(bytes(256 * 1024))
NETWORKS = parse_network("10.0.0.1/24"), parse_network("10.0.0.2/24")
_FRAMES_A_RUN = 16
"""Frames that are read at once, as by `runtime/driving.py`."""
_A_FRAME = 20
"""µs that pass while a frame travels."""
_A_PAUSE = 200
"""µs that pass between a program's calls."""


class Meter(Protocol):
    """What a host's calls go through."""

    def charge(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Make a call, and note what it costs."""


class Stopwatch:
    """Nanoseconds that this thread ran in all calls together: others may be on the machine."""

    def __init__(self) -> None:
        self.total = 0

    def charge(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Make a call, and add its time."""
        start = thread_time_ns()
        try:
            return call(*arguments)
        finally:
            self.total += thread_time_ns() - start


class MemoryDevice(NetDevice):
    """An end of the wire: like a TAP with offload, with a copy in place of the system calls."""

    mtu = 1500
    capabilities = Capabilities(checksum=True, segmentation=True)

    def __init__(self, name: str, mac: MacAddress) -> None:
        self.name = name
        self.mac = mac
        self.other: MemoryDevice | None = None
        self.arrived: deque[tuple[bytes, memoryview]] = deque()
        self.sent = 0
        """Frames."""

    def fileno(self) -> int:
        return -1

    def read(self, now: Instant) -> Frame | None:  # noqa: ARG002
        if not self.arrived:
            return None
        header, octets = self.arrived.popleft()
        return Frame((octets,), vnet.parse(header))

    def write(self, frame: Frame, now: Instant) -> None:  # noqa: ARG002
        assert self.other
        self.sent += 1
        self.other.arrived.append((vnet.build(frame), memoryview(b"".join(frame.parts))))

    def next_deadline(self) -> Instant | None:
        return None

    def close(self) -> None:
        self.arrived.clear()


class Seeded:
    """Numbers that are the same every time."""

    def __init__(self) -> None:
        self._random = Random(1)

    def random_bits(self, count: int) -> int:
        return self._random.getrandbits(count)


class Host:
    """One stack on its end of the wire."""

    def __init__(self, device: MemoryDevice, network: Network) -> None:
        self.meter: Meter = Stopwatch()
        self.device = device
        self.stack = Stack(Seeded())
        self.network = network
        self.interface = self.stack.attach(device, network, SECOND)

    def take_frames(self, now: Instant) -> bool:
        """Read what has arrived; tell whether that was anything."""
        some = bool(self.device.arrived)
        while self.device.arrived:
            self.meter.charge(self._take_several, now)
        return some

    def _take_several(self, now: Instant) -> None:
        frames: list[Frame] = []
        while len(frames) < _FRAMES_A_RUN and (frame := self.device.read(now)):
            frames.append(frame)
        self.stack.receive_all(self.interface, frames, now)
        self.stack.take_events()

    def call(self, attempt: Callable[..., Any], *arguments: Any, now: Instant) -> Any:
        """Make a socket call; None if it would block."""
        with suppress(BlockingIOError):
            return self.meter.charge(self._attempt, attempt, arguments, now)

    def _attempt(self, attempt: Callable[..., Any], arguments: Any, now: Instant) -> Any:
        try:
            return attempt(*arguments, now=now)
        finally:
            self.stack.flush(now)
            self.stack.take_events()


class TwoHosts:
    """A client, whose cost is metered, and a server, with a connection between them."""

    def __init__(self, meter: Meter) -> None:
        self.now: Instant = SECOND
        left, right = (MemoryDevice(f"eth{n}", b"\x02\0\0\0\0" + bytes([n])) for n in (1, 2))
        left.other, right.other = right, left
        self.client, self.server = self.hosts = Host(left, NETWORKS[0]), Host(right, NETWORKS[1])
        listener = open_endpoint(self.server.stack, SOCK_STREAM, IPPROTO_TCP)
        self.near = open_endpoint(self.client.stack, SOCK_STREAM, IPPROTO_TCP)
        self._call(self.server, listener.bind, Endpoint(0, PORT))
        self._call(self.server, listener.listen, 1)
        address = self.server.network.address
        self._call(self.client, self.near.connect, Endpoint(address, PORT))
        self.settle()
        self.far, _ = self._call(self.server, listener.accept)
        for _ in range(60):  # past slow start, on both ways
            self.receive()
            self.send()
        self.client.meter = meter

    def _call(self, host: Host, attempt: Callable[..., Any], *arguments: Any) -> Any:
        return host.call(attempt, *arguments, now=self.now)

    def settle(self) -> None:
        """Carry frames until there are none, and let time pass."""
        moving = True
        while moving:
            self.now += _A_FRAME
            moving = any(list(map(self._takes_frames, self.hosts)))  # each, whatever the others
        self.now += _A_PAUSE
        for host in self.hosts:
            deadline = host.stack.next_deadline()
            if deadline is not None and deadline <= self.now:
                host.meter.charge(host.stack.expire, self.now)

    def _takes_frames(self, host: Host) -> bool:
        return host.take_frames(self.now)

    def _drain(self, host: Host, endpoint: Any) -> None:
        while message := self._call(host, endpoint.receive, len(BLOCK), MSG_DONTWAIT):
            assert message.data
        self.settle()

    def receive(self) -> int:
        """Have the client receive a block; give the frames in which it came."""
        before = self.server.device.sent
        self._call(self.server, self.far.send, BLOCK, NO_FLAGS, None)
        self.settle()
        self._drain(self.client, self.near)
        return self.server.device.sent - before

    def send(self) -> int:
        """Have the client send a block; give the frames in which it went."""
        before = self.client.device.sent
        self._call(self.client, self.near.send, BLOCK, NO_FLAGS, None)
        self.settle()
        self._drain(self.server, self.far)
        return self.client.device.sent - before

    def echo(self) -> int:
        """Have the client send an octet back that the server sends; give 1: one echo."""
        self._call(self.server, self.far.send, BLOCK[:1], NO_FLAGS, None)
        self.client.take_frames(self.now)
        message = self._call(self.client, self.near.receive, 4096, MSG_DONTWAIT)
        self._call(self.client, self.near.send, memoryview(message.data), NO_FLAGS, None)
        self.server.take_frames(self.now)
        assert self._call(self.server, self.far.receive, 4096, MSG_DONTWAIT)
        self.now += _A_FRAME
        return 1
