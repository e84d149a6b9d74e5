"""The express lane and the layers are one stack: whatever happens, both do the same.

Each random world is run twice, once with every frame left to the layers. All that both hosts put on
the wire must be the same to the octet and at the same time, and so must each field of each
connection at the end of every door by which something was sent.
"""

from __future__ import annotations

import pickle
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from itertools import chain
from socket import MSG_MORE, MSG_OOB, MSG_WAITALL
from types import NoneType
from typing import Any

import pytest
from hypothesis import event, given, settings, strategies as st

from tapstack import express as lane, express_syns as syn_lane
from tapstack.base.address import Endpoint, parse_ipv4
from tapstack.base.contracts import Buffer, Frame
from tapstack.base.counters import Counters
from tapstack.base.timers import NeverArmed, Timer
from tapstack.base.units import MILLISECOND, SECOND, Instant
from tapstack.express import ExpressLane
from tapstack.express_syns import SynLane
from tapstack.interface import NetworkInterface
from tapstack.sim import GIGABIT, Host, Way, World
from tapstack.sim.sighting import Direction, Sighting
from tapstack.socket import plain_stream
from tapstack.socket.calls.process import Process
from tapstack.stack import Stack
from tapstack.tcp import output, protocol, queueing
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.connections import PortBinding
from tapstack.tcp.context import Context
from tapstack.tcp.exchange import read_exchange, take_exchange
from tapstack.tcp.expected_syn import take_expected_syn
from tapstack.tcp.expected_turn import take_expected_turn
from tapstack.tcp.lifetime import timers_of
from tapstack.tcp.listener import Listener
from tapstack.tcp.lone_fin import close_at_once, send_lone_fin
from tapstack.tcp.receive_memory import ReceiveMemory
from tapstack.tcp.receive_queue import ReceiveQueue
from tapstack.tcp.short_text import send_short_text
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.train import send_train, send_waiting_train
from tapstack.tcp.undisturbed import is_disturbed
from tests.properties.scenario_run import Run
from tests.properties.scenarios import (
    CONFIGS,
    ROADS,
    End,
    Meeting,
    Road,
    Scenario,
    Side,
    Write,
)
from tests.properties.test_random_worlds import WORLDS, somebody_ends_first

pytestmark = pytest.mark.slow

_ELSEWHERE = (Listener, PortBinding, TcpConfig, Counters)
"""What belongs to no connection alone."""
_PLAIN = frozenset({int, bool, str, NoneType})
_OF_THE_SHORT_WAYS = ("lane", "mould", "undisturbed")
"""What only they have."""


@dataclass
class History:
    """What happened in one world."""

    wire: list[tuple[Instant, str, bytes, object]] = field(default_factory=list)
    connections: list[bytes | None] = field(default_factory=list)
    """How they stood, packed: a long world has thousands of looks at hundreds of fields."""
    counters: list[dict[str, int]] = field(default_factory=list)
    expected: int = 0
    """Frames that the lane took."""
    syns: int = 0
    """And those of its way in for connections."""
    exchanges: int = 0
    """Of the former: short texts, and ACKs of such, that were taken in one pass."""
    reads: int = 0
    """And read in one."""
    opened: int = 0
    """Of those of its way in: what opened a connection in one pass."""
    turns: int = 0
    """Of its frames: what opened or closed a connection in one pass."""
    fins: int = 0
    """FINs of ours that left in one pass."""
    fins_at_close: int = 0
    """Of those: by the call that closed."""
    short_texts: int = 0
    """Texts that left as they came, in one pass."""
    trains: int = 0
    """Texts of which full units left as they were queued."""
    whole_trains: int = 0
    """Of those: which left to their ends."""
    undisturbed: int = 0
    """Connections that were known to be so at the end of a door."""
    waiting_trains: int = 0
    """Trains of text that had waited."""

    @contextmanager
    def watching(self, world: World, hosts: Sequence[Host]) -> Iterator[None]:
        """Note all that some hosts put on the wire meanwhile.

        A world goes when the garbage collector finds it, which does not know what a history weighs.
        """
        names = {host.name for host in hosts}

        def see(sighting: Sighting) -> None:
            if sighting.direction is Direction.OUT and sighting.host in names:
                what = sighting.time, sighting.host, sighting.octets, sighting.offload
                self.wire.append(what)

        with ExitStack() as stack:
            for link in world.links:
                stack.callback(link.watch(see))
            yield

    def look_at_connections(self, stack: Stack) -> None:
        """Note how they stand if anything was sent since the last look."""
        for tcb in stack.tcp.connections:
            assert not (tcb.undisturbed and is_disturbed(tcb))
            assert tcb.more_to_end or (len(timers_of(tcb)) == 2 and tcb.fast_open is None)
            self.undisturbed += tcb.undisturbed
        if len(self.wire) > len(self.connections):
            self.connections += [None] * (len(self.wire) - len(self.connections) - 1)
            counters = dict(stack.counters)
            standing = [counters, *map(snapshot, stack.tcp.connections)]
            self.connections.append(pickle.dumps(standing))

    def check_is_as(self, other: History) -> None:
        """See that the same happened in another world."""
        assert self.wire == other.wire
        for now, then in zip(self.connections, other.connections, strict=True):
            assert now == then or unpacked(now) == unpacked(then)
        assert self.counters == other.counters


def unpacked(standing: bytes | None) -> object:
    """Spell out again how connections stood."""
    return standing and pickle.loads(standing)


def snapshot(value: object) -> object:
    """Spell out an object, down to what can be compared; of texts their length and a checksum."""
    if type(value) in _PLAIN or isinstance(value, (int, str, Enum)):
        return value
    if isinstance(value, (Timer, NeverArmed)):
        return value.deadline
    if isinstance(value, (bytes, bytearray, memoryview)):
        return len(value), zlib.crc32(value)
    if isinstance(value, ReceiveQueue):
        memory = [snapshot(getattr(value, name)) for name in ReceiveMemory.__slots__]
        return snapshot(value.peek(len(value))), memory
    if isinstance(value, (list, tuple, deque)):
        return [snapshot(each) for each in value]
    if isinstance(value, dict):
        return {key: snapshot(each) for key, each in value.items()}
    if isinstance(value, _ELSEWHERE) or callable(value):
        return type(value).__name__
    names = (*getattr(value, "__dict__", ()), *names_in(type(value)))
    return {name: snapshot(getattr(value, name, None)) for name in names}


@cache
def names_in(kind: type) -> tuple[str, ...]:
    """Name what a class has a place for in its objects."""
    # What a class keeps of an object until the object has its own is as good as a slot.
    places = (vars(each) for each in kind.__mro__)
    names = (each.get("__slots__", each.get("__annotations__", ())) for each in places)
    return tuple(name for name in chain.from_iterable(names) if name not in _OF_THE_SHORT_WAYS)


def play(scenario: Scenario, *, express: bool) -> History:
    history = History()
    with pytest.MonkeyPatch.context() as patch, World(scenario.seed) as world:
        take, take_syn = ExpressLane.receive, SynLane.receive
        enter, flush = Stack.receive, Stack.flush

        def receive(
            express_lane: ExpressLane,
            interface: NetworkInterface,
            frames: Sequence[Frame],
            at: int,
            now: Instant,
        ) -> int:
            taken = take(express_lane, interface, frames, at, now) if express else 0
            history.expected += taken
            return taken

        def send(
            ctx: Context, tcb: Tcb, text: memoryview, now: Instant, *, to_its_end: bool
        ) -> int:
            length = send_train(ctx, tcb, text, now, to_its_end=to_its_end)
            history.trains += length > 0
            history.whole_trains += length == len(text)
            return length

        def send_waiting(
            ctx: Context, tcb: Tcb, unsent: int, now: Instant, *, most: int | None = None
        ) -> bool:
            sent = send_waiting_train(ctx, tcb, unsent, now, most=most)
            history.waiting_trains += sent
            return sent

        def send_short(ctx: Context, tcb: Tcb, text: Buffer, now: Instant) -> bool:
            sent = express and send_short_text(ctx, tcb, text, now)
            history.short_texts += sent
            return sent

        def enter_and_look(
            stack: Stack, interface: NetworkInterface, frame: Frame, now: Instant
        ) -> None:
            enter(stack, interface, frame, now)
            history.look_at_connections(stack)

        def flush_and_look(stack: Stack, now: Instant) -> None:
            flush(stack, now)
            history.look_at_connections(stack)

        def take_turn(*segment: Any) -> bool:
            taken = take_expected_turn(*segment)
            history.turns += taken
            return taken

        def send_fin(ctx: Context, tcb: Tcb, now: Instant) -> bool:
            sent = send_lone_fin(ctx, tcb, now)
            history.fins += sent
            return sent

        def close(ctx: Context, tcb: Tcb, now: Instant) -> bool:
            taken = express and close_at_once(ctx, tcb, now)
            history.fins += taken and tcb.fin_sent
            history.fins_at_close += taken and tcb.fin_sent
            return taken

        def exchange(*segment: Any) -> bool:
            taken = take_exchange(*segment)
            history.exchanges += taken
            return taken

        def read(*call: Any) -> bytes | None:
            text = read_exchange(*call) if express else None
            history.reads += text is not None
            return text

        def take_listened(*syn: Any) -> Tcb | None:
            tcb = take_expected_syn(*syn)
            history.opened += tcb is not None
            return tcb

        def receive_syn(lane_of_syns: SynLane, *arguments: Any) -> bool:
            taken = express and take_syn(lane_of_syns, *arguments)
            history.syns += taken
            return taken

        patch.setattr(ExpressLane, "receive", receive)
        patch.setattr(SynLane, "receive", receive_syn)
        patch.setattr(lane, "take_exchange", exchange)
        for user in (protocol, plain_stream):
            patch.setattr(user, "read_exchange", read)
            patch.setattr(user, "send_short_text", send_short)
        patch.setattr(lane, "take_expected_turn", take_turn)
        patch.setattr(syn_lane, "take_expected_syn", take_listened)
        patch.setattr(output, "send_lone_fin", send_fin)
        patch.setattr(protocol, "close_at_once", close)
        patch.setattr(queueing, "send_train", send)
        patch.setattr(output, "send_waiting_train", send_waiting)
        patch.setattr(Stack, "receive", enter_and_look)
        patch.setattr(Stack, "flush", flush_and_look)
        run = Run(scenario, world)
        hosts = (run.client, run.server)
        with history.watching(world, hosts):
            run.run()
        history.counters = [dict(host.stack.counters) for host in hosts]
    return history


def check(scenario: Scenario) -> History:
    fast, true = play(scenario, express=True), play(scenario, express=False)
    fast.check_is_as(true)
    return fast


def test_bulk_goes_by_the_express_lane() -> None:
    side = Side([Write(200_000)], 0, End.HALF_CLOSE, [100_000], 0, None, {})
    road = Road(None, 1000, 0, ("drop tail", 1000), 0, None, (0, 1), 0, 0)
    meetings = [Meeting(0, 0, False, side, side)]
    history = check(Scenario(1, "one link", 1500, 576, (road, road), [], 100, ({}, {}), meetings))
    assert history.expected > 10


def test_questions_and_answers_go_by_the_express_lane() -> None:
    side = Side([Write(10)] * 20, 5, End.HALF_CLOSE, [100], 0, None, {"TCP_NODELAY": 1})
    road = Road(None, 1000, 0, ("drop tail", 1000), 0, None, (0, 1), 0, 0)
    meetings = [Meeting(0, 0, False, side, side._replace(write_pause=7))]
    history = check(Scenario(1, "one link", 1500, 576, (road, road), [], 100, ({}, {}), meetings))
    assert history.expected > 40
    assert history.undisturbed > 40
    assert history.exchanges > 15  # all that does not cross another one
    assert history.reads > 30


def test_a_user_who_found_no_room_is_not_looked_at_where_text_is_all_that_comes() -> None:
    """All that he has sent is in flight, and fills his buffer."""
    road = Road(1_000_000, 1000, 0, ("drop tail", 1000), 0, None, (0, 1), 0, 0)
    options = {"SO_SNDBUF": 3000, "TCP_NODELAY": 1}
    client = Side([Write(1000)] * 6, 3, End.HALF_CLOSE, [5000], 0, None, options)
    server = Side([Write(100)] * 10, 1, End.HALF_CLOSE, [5000], 0, None, {"TCP_NODELAY": 1})
    meetings = [Meeting(0, 0, False, client, server)]
    check(Scenario(1, "one link", 1500, 576, (road, road), [], 100, ({}, {}), meetings))


SPEAKER = Side([Write(10)], 0, End.HALF_CLOSE, [100], 0, None, {})
LISTENER = SPEAKER._replace(writes=[], end=End.WAIT)


@pytest.mark.parametrize(("client", "server"), [(SPEAKER, LISTENER), (LISTENER, SPEAKER)])
def test_short_connections_go_by_the_express_lane(client: Side, server: Side) -> None:
    road = Road(None, 1000, 0, ("drop tail", 1000), 0, None, (0, 1), 0, 0)
    meetings = [Meeting(1000 * number, 0, False, client, server) for number in range(10)]
    configs: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    history = check(
        Scenario(1, "one link", 1500, 576, (road, road), [], 100, configs, meetings, True)
    )
    assert history.syns == 10
    assert history.opened == 9  # all in the mould of the first
    assert history.expected >= 10 * 6  # all but the SYNs
    # The texts; but a server's first one has another window than its SYN-ACK, which is not scaled.
    assert history.exchanges == (10 if client is SPEAKER else 0)
    # The end of the handshake, but the first one's, a FIN, and the last ACK.
    assert history.turns >= 10 * 3 - 1
    assert history.fins_at_close == 10  # who ends first does so behind text that is in flight


def test_a_fin_alone_leaves_by_the_express_lane() -> None:
    road = Road(None, 1000, 0, ("drop tail", 1000), 0, None, (0, 1), 0, 0)
    slow = SPEAKER._replace(write_pause=5)
    meetings = [Meeting(1000 * number, 0, False, slow, LISTENER) for number in range(10)]
    history = check(Scenario(1, "one link", 1500, 576, (road, road), [], 100, ({}, {}), meetings))
    assert history.fins_at_close == 10
    assert history.fins == 20  # and ten that `shutdown` has left to the flush


@settings(max_examples=25)
@given(WORLDS)
def test_the_lane_does_as_the_layers_do(scenario: Scenario) -> None:
    check(scenario)


SHORT_SIDES = st.builds(
    Side,
    writes=st.lists(st.integers(1, 3000).map(Write), max_size=2),
    write_pause=st.sampled_from([0, 1, 300]),
    end=st.sampled_from([End.WAIT, End.HALF_CLOSE, *End]),
    reads=st.just([100_000]),
    read_pause=st.just(0),
    stops_after=st.none() | st.sampled_from([0, 1000]),
    options=st.fixed_dictionaries(
        {},
        optional={
            "TCP_DEFER_ACCEPT": st.sampled_from([1, 10]),
            "SO_KEEPALIVE": st.just(1),
            "SO_RCVBUF": st.sampled_from([1024, 10_000, 60_000]),
            "SO_SNDBUF": st.sampled_from([1024, 100_000]),
            "TCP_MAXSEG": st.sampled_from([100, 536]),
            "TCP_WINDOW_CLAMP": st.sampled_from([1500, 10_000]),
            "TCP_CONGESTION": st.sampled_from([b"reno", b"cubic"]),
        },
    ),
)
SHORT_MEETINGS = st.builds(
    Meeting,
    opens_at=st.integers(0, 20),
    link=st.just(0),
    simultaneous=st.just(False),
    client=SHORT_SIDES,
    server=SHORT_SIDES,
)
PERFECT_ROADS = st.builds(
    Road,
    rate=st.none() | st.just(GIGABIT),
    delay=st.sampled_from([0, 20, 300, 5000]),
    jitter=st.just(0),
    queue=st.just(("drop tail", 1000)),
    loss=st.just(0),
    burst=st.none(),
    reordering=st.just((0, 1)),
    duplication=st.just(0),
    corruption=st.just(0),
)


@settings(max_examples=30)
@given(
    roads=st.tuples(PERFECT_ROADS | ROADS, PERFECT_ROADS | ROADS),
    configs=st.tuples(CONFIGS | st.just({}), CONFIGS | st.just({})),
    meetings=st.lists(SHORT_MEETINGS, min_size=1, max_size=6),
    mtu=st.sampled_from([1500, 1500, 9000, 576]),
    one_listener=st.booleans(),
)
def test_connections_open_and_close_as_the_layers_have_it(
    roads: tuple[Road, Road],
    configs: tuple[dict[str, Any], dict[str, Any]],
    meetings: list[Meeting],
    mtu: int,
    one_listener: bool,
) -> None:
    scenario = Scenario(1, "one link", mtu, 576, roads, [], 2000, configs, meetings, one_listener)
    history = check(somebody_ends_first(scenario))
    event(f"SYNs and turns: {min(history.opened, 5)}, {min(history.turns, 5)}")
    event(f"FINs: {min(history.fins, 5)}, {min(history.fins_at_close, 5)}")


LONG_SIDES = st.builds(
    Side,
    writes=st.lists(
        st.builds(
            Write,
            size=st.integers(1, 400_000) | st.sampled_from([1448, 65_160, 130_320, 262_144]),
            flags=st.sampled_from([0, 0, 0, MSG_MORE, MSG_OOB]),
            then=st.none() | st.sampled_from([("TCP_NODELAY", 1), ("TCP_CORK", 1)]),
        ),
        min_size=2,
        max_size=7,
    ),
    write_pause=st.sampled_from([0, 1, 1, 20, 300]),
    end=st.just(End.HALF_CLOSE),
    reads=st.lists(st.sampled_from([1_000_000, 100_000, 5000]), min_size=1, max_size=2),
    read_pause=st.sampled_from([0, 0, 0, 0, 3]),
    stops_after=st.none(),
    options=st.fixed_dictionaries(
        {},
        optional={
            "TCP_NODELAY": st.just(1),
            "SO_SNDBUF": st.sampled_from([100_000, 2_000_000, 4_000_000]),
            "SO_RCVBUF": st.sampled_from([60_000, 1_000_000, 4_000_000]),
            "TCP_CONGESTION": st.sampled_from([b"reno", b"cubic"]),
            "TCP_MAXSEG": st.sampled_from([536, 1000]),
            "TCP_NOTSENT_LOWAT": st.sampled_from([1, 4000]),
        },
    ),
)
LONG_ROADS = st.builds(
    Road,
    rate=st.none() | st.just(GIGABIT),
    delay=st.sampled_from([0, 20, 300, 5000]),
    jitter=st.just(0),
    queue=st.just(("drop tail", 10_000)),
    loss=st.sampled_from([0, 0, 0, 0.001]),
    burst=st.none(),
    reordering=st.just((0, 1)),
    duplication=st.just(0),
    corruption=st.just(0),
)


@settings(max_examples=10)
@given(LONG_ROADS, LONG_ROADS, LONG_SIDES, LONG_SIDES)
def test_a_train_leaves_as_unit_by_unit(
    there: Road, back: Road, client: Side, server: Side
) -> None:
    meetings = [Meeting(0, 0, False, client, server)]
    roads = there, back
    history = check(Scenario(1, "one link", 1500, 576, roads, [], 10_000, ({}, {}), meetings))
    trains = history.trains, history.whole_trains, history.waiting_trains
    event(f"trains: {[min(number, 5) for number in trains]}")


@pytest.mark.parametrize("pause", [0, 1])
def test_long_texts_leave_as_trains(pause: int) -> None:
    """At once after a pause; else they wait for the congestion window."""
    writes = Side([Write(262_144)] * 10, pause, End.HALF_CLOSE, [100_000], 0, None, {})
    road = Road(None, 50, 0, ("drop tail", 10_000), 0, None, (0, 1), 0, 0)
    meetings = [Meeting(0, 0, False, writes, writes._replace(writes=[]))]
    world = Scenario(1, "one link", 1500, 576, (road, road), [], 100, ({}, {}), meetings)
    history = check(world)
    assert (history.whole_trains if pause else history.waiting_trains) > 5


def test_text_that_left_is_on_its_way_whenever_the_flush_comes() -> None:
    """Who sends much may be answered before it."""
    with World() as world:
        here, there = world.host("here"), world.host("there")
        world.link(here, there, Way(delay=10 * MILLISECOND))
        client, server = Process(here), Process(there)
        listener, fd = server.socket(2, 1, 0), client.socket(2, 1, 0)
        to = Endpoint(parse_ipv4(there.address), 7000)
        server.bind(listener, to)
        server.listen(listener, 1)
        client.connect(fd, to)
        accepted, _ = server.accept(listener)
        for _ in range(10):  # until the congestion window takes all of it
            client.write(fd, bytes(200_000))
            server.recv(accepted, 200_000, MSG_WAITALL)
        world.run_for(SECOND // 10)
        tcp = here.stack.tcp
        (tcb,) = tcp.connections
        before, sent_at = tcp.info(tcb, world.now).busy_time, world.now
        assert tcp.send(tcb, bytes(200_000), sent_at) == 200_000
        world.run_for(SECOND)
        took = tcb.delivered_at - sent_at
        assert tcp.info(tcb, world.now).busy_time - before == took >= 20 * MILLISECOND
