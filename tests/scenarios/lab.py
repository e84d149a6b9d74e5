"""What the scenarios share: a program that sends, one that reads, and a link between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import Random

from tapstack.base.units import Duration, Instant
from tapstack.device.parcel import Parcel
from tapstack.sim import (
    MEGABIT,
    MILLISECOND,
    SECOND,
    Direction,
    DropTail,
    Host,
    Link,
    Socket,
    Way,
    World,
)
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.congestion.window import CongestionWindow
from tapstack.tcp.segment import Segment
from tapstack.tcp.tcb import Tcb

MSS = 1460
"""Octets of text in a full segment: there are no timestamps unless a scenario asks for them."""
FRAME = 14 + 20 + 20 + MSS
RTT: Duration = 100 * MILLISECOND
LONG = Way(delay=RTT // 2)
"""A way that carries as much as is put on it."""
WIDE = (4096, 6291456, 6291456)
"""Buffers that never limit the sender, as `tcp_rmem` and `tcp_wmem`."""
ALGORITHMS = ("reno", "cubic")


def bottleneck(rate: int, round_trip: Duration, buffer: float) -> Way:
    """Describe a way with a drop-tail buffer of so many bandwidth-delay products."""
    frames = buffer * rate * round_trip / 8e6 / FRAME
    return Way(rate=rate, delay=round_trip // 2, queue=DropTail(packets=round(frames)))


BOTTLENECK = bottleneck(10 * MEGABIT, 40 * MILLISECOND, 1.0)


class Flow:
    """A connection from one host to another, on which the client sends and the server reads."""

    def __init__(self, world: World, client: Host, server: Host, link: Link, port: int) -> None:
        self.world, self.client, self.link = world, client, link
        with server.create_server(("", port)) as listener:
            self.sender = client.create_connection((server.address, port))
            self.receiver = listener.accept()[0]
        self.tcb = tcb_of(client, self.sender)
        self.log = link.log()
        self.asked = 0
        """Octets that the client has been given to send."""
        self.read = 0
        """Octets that the server has read."""

    @property
    def window(self) -> CongestionWindow:
        return self.tcb.window

    def count(self, name: str) -> int:
        """Give a counter of the client's."""
        return self.client.stack.counters[name]

    # --- programs ---

    def start_reading(self) -> None:
        self.world.spawn(self._read)

    def _read(self) -> None:
        while text := self.receiver.recv(1 << 20):
            self.read += len(text)

    def send(self, segments: float) -> None:
        """Give the stack so many full segments of text."""
        octets = round(segments * self.tcb.effective_mss)
        self.asked += octets
        self.sender.sendall(bytes(octets))

    def start_sending(self, *, after: Duration = 0) -> None:
        """Send without end."""
        self.world.spawn(self._send_without_end, after)

    def _send_without_end(self, after: Duration) -> None:
        self.world.sleep(after / 1e6)
        while True:
            self.sender.sendall(bytes(1 << 18))

    def finish(self) -> Duration:
        """Wait until all is read and acknowledged; tell how long the reading took, µs."""
        begun = self.world.now
        self.wait(lambda: self.read == self.asked)
        elapsed = self.world.now - begun
        self.wait(lambda: not self.tcb.sent)
        return elapsed

    def wait(self, until: Callable[[], bool], at_most: Duration = 60 * SECOND) -> Instant:
        """Run until something holds, which must be soon; tell when."""
        end = self.world.now + at_most
        self.world.run(until=lambda: until() or self.world.now > end)
        assert until(), "it never comes"
        return self.world.now

    def transfer(self, segments: float) -> Duration:
        """Send, and see it read and acknowledged; tell how long the reading took, µs."""
        self.send(segments)
        return self.finish()

    def begin_with(self, window: int) -> None:
        """Begin congestion avoidance with a window that the peer's does not limit any more."""
        self.transfer(1)
        self.window.cwnd = self.window.ssthresh = window

    def read_between(self, start: Instant, end: Instant) -> int:
        """Tell how many octets the server reads between two instants."""
        self.world.run(until=start)
        before = self.read
        self.world.run(until=end)
        return self.read - before

    # --- what is seen at the client ---

    def begin(self) -> Instant:
        """Forget what was seen so far; tell the time."""
        self.log.clear()
        return self.world.now

    def departures(self) -> list[tuple[Instant, Segment]]:
        """List the segments with text that have left."""
        return self._seen("client", Direction.OUT)

    def times(self, since: Instant) -> list[Duration]:
        """Tell when each segment with text has left, µs after an instant."""
        return [at - since for at, _ in self.departures()]

    def _seen(self, host: str, direction: Direction) -> list[tuple[Instant, Segment]]:
        seen = [s for s in self.log if s.host == host and s.direction is direction]
        segments = [(sighting.time, sighting.segment) for sighting in seen]
        return [(at, seg) for at, seg in segments if seg is not None and seg.text]


def tcb_of(host: Host, socket: Socket) -> Tcb:
    """Find the connection behind a socket."""
    port = socket.getsockname()[1]
    (tcb,) = [each for each in host.stack.tcp.connections if each.local.port == port]
    return tcb


@contextmanager
def flows(
    count: int,
    way: Way = LONG,
    *,
    back: Way | None = None,
    offload: bool = False,
    seed: int = 1,
    reads: bool = True,
    **settings: object,
) -> Iterator[list[Flow]]:
    """Establish connections over one link; `settings` are those of both hosts' TCP."""
    defaults = {"tcp_timestamps": False, "tcp_rmem": WIDE, "tcp_wmem": WIDE}
    config = TcpConfig(**{**defaults, **settings})  # type: ignore[arg-type]
    with World(seed=seed) as world:
        client = world.host("client", tcp_config=config)
        server = world.host("server", tcp_config=config)
        link = world.link(client, server, way, back=back, offload=offload)
        made = [Flow(world, client, server, link, 7000 + each) for each in range(count)]
        for flow in made:
            if reads:
                flow.start_reading()
        with ExitStack() as sockets:
            for flow in made:
                sockets.enter_context(flow.sender)
                sockets.enter_context(flow.receiver)
            yield made


@contextmanager
def flow(way: Way = LONG, **settings: object) -> Iterator[Flow]:
    """Establish one connection, as `flows`."""
    with flows(1, way, **settings) as (made,):  # type: ignore[arg-type]
        yield made


class Road:
    """Decides for each frame with text, counted from 1 since `begin`; implements `Impairment`."""

    def __init__(
        self,
        *,
        lose: Callable[[int], bool] = lambda number: False,
        late: Callable[[int], Duration] = lambda number: 0,
    ) -> None:
        self.lose, self.late = lose, late
        self.number = 0
        self.is_open = False

    def begin(self) -> None:
        """Begin to count: whatever came before was left alone."""
        self.number = 0
        self.is_open = True

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:
        if not self.is_open or len(parcel.octets) <= FRAME - MSS + 12:
            return (parcel,)
        self.number += 1
        if self.lose(self.number):
            return ()
        return (parcel._replace(late=parcel.late + self.late(self.number)),)


def road_of(flow: Flow) -> Road:
    """Give the road that the client's frames take: links have copies of what made them."""
    (road,) = [each for each in flow.link.there.impairments if isinstance(each, Road)]
    road.begin()
    return road
