"""The express lane and the layers are one stack: whatever happens, both do the same.

Each random world is run twice, once with every frame left to the layers. All that both hosts put on
the wire must be the same to the octet and at the same time, and so must each field of each
connection whenever something was sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

import pytest
from hypothesis import given, settings

from tapstack.base.contracts import Frame
from tapstack.base.counters import Counters
from tapstack.base.timers import Timer
from tapstack.base.units import Instant
from tapstack.express import ExpressLane
from tapstack.interface import NetworkInterface
from tapstack.sim import Host, World
from tapstack.sim.sighting import Direction, Sighting
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.connections import PortBinding
from tapstack.tcp.listener import Listener
from tests.properties.scenario_run import Run
from tests.properties.scenarios import End, Meeting, Road, Scenario, Side, Write
from tests.properties.test_random_worlds import WORLDS

_ELSEWHERE = (Listener, PortBinding, TcpConfig, Counters)
"""What belongs to no connection alone."""


@dataclass
class History:
    """What happened in one world."""

    wire: list[tuple[Instant, str, bytes, object]] = field(default_factory=list)
    connections: list[object] = field(default_factory=list)
    counters: list[dict[str, int]] = field(default_factory=list)
    expected: int = 0
    """Frames that the lane took."""


def snapshot(value: object) -> object:
    """Spell out an object, down to what can be compared."""
    if value is None or isinstance(value, (int, str, bytes, Enum)):
        return value
    if isinstance(value, Timer):
        return value.deadline
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (list, tuple, deque)):
        return [snapshot(each) for each in value]
    if isinstance(value, dict):
        return {key: snapshot(each) for key, each in value.items()}
    if isinstance(value, _ELSEWHERE) or callable(value):
        return type(value).__name__
    return {name: snapshot(getattr(value, name, None)) for name in names_in(value)}


def names_in(value: object) -> Iterator[str]:
    yield from vars(value) if hasattr(value, "__dict__") else ()
    for kind in type(value).__mro__:
        yield from (name for name in getattr(kind, "__slots__", ()) if name != "lane")


def play(scenario: Scenario, *, express: bool) -> History:
    history = History()
    with pytest.MonkeyPatch.context() as patch, World(scenario.seed) as world:
        take = ExpressLane.receive

        def receive(
            lane: ExpressLane, interface: NetworkInterface, frame: Frame, now: Instant
        ) -> bool:
            taken = express and take(lane, interface, frame, now)
            history.expected += taken
            return taken

        patch.setattr(ExpressLane, "receive", receive)
        run = Run(scenario, world)
        hosts: dict[str, Host] = {host.name: host for host in (run.client, run.server)}

        def see(sighting: Sighting) -> None:
            if sighting.direction is Direction.OUT and sighting.host in hosts:
                what = sighting.time, sighting.host, sighting.octets, sighting.offload
                history.wire.append(what)
                tcp = hosts[sighting.host].stack.tcp
                history.connections.append([snapshot(each) for each in tcp.connections])

        for link in world.links:
            link.watch(see)
        run.run()
        history.counters = [dict(host.stack.counters) for host in hosts.values()]
    return history


def check(scenario: Scenario) -> int:
    fast, true = play(scenario, express=True), play(scenario, express=False)
    assert fast.wire == true.wire
    for now, then in zip(fast.connections, true.connections, strict=True):
        assert now == then
    assert fast.counters == true.counters
    return fast.expected


def test_bulk_goes_by_the_express_lane() -> None:
    side = Side([Write(200_000)], 0, End.HALF_CLOSE, [100_000], 0, None, {})
    road = Road(None, 1000, 0, ("drop tail", 1000), 0, None, (0, 1), 0, 0)
    meetings = [Meeting(0, 0, False, side, side)]
    taken = check(Scenario(1, "one link", 1500, 576, (road, road), [], 100, ({}, {}), meetings))
    assert taken > 10


def test_questions_and_answers_go_by_the_express_lane() -> None:
    side = Side([Write(10)] * 20, 3, End.HALF_CLOSE, [100], 0, None, {"TCP_NODELAY": 1})
    road = Road(None, 1000, 0, ("drop tail", 1000), 0, None, (0, 1), 0, 0)
    meetings = [Meeting(0, 0, False, side, side)]
    taken = check(Scenario(1, "one link", 1500, 576, (road, road), [], 100, ({}, {}), meetings))
    assert taken > 40


@settings(max_examples=25)
@given(WORLDS)
def test_the_lane_does_as_the_layers_do(scenario: Scenario) -> None:
    check(scenario)
