"""Random worlds: whatever the network and the users do, TCP keeps its promises.

What has been received is a prefix of what was sent; it is all of it once the links have healed and
both ends close in good order. The invariants hold at every step, every run ends, and some time
later nothing is left: no connection, no timer, no port, no thread.

`make worlds` runs ten thousand of them.
"""

from __future__ import annotations

import gc
import threading

import pytest
from hypothesis import example, given, settings

from tapstack.sim import World
from tapstack.tcp.tcb import Tcb
from tests.properties.scenario_run import Outcome, Run, is_graceful
from tests.properties.scenarios import SCENARIOS, End, Meeting, Road, Scenario, Side, Write

pytestmark = pytest.mark.slow


def check_delivery(scenario: Scenario, meeting: Meeting, source: Outcome, sink: Outcome) -> None:
    assert source.text[: source.written].startswith(sink.received), "not a prefix of what was sent"
    met = both_connected(source, sink) or not meeting.simultaneous
    if is_graceful(meeting) and scenario.is_bearable and met:
        assert source.error is None
        assert len(sink.received) == len(source.text), "not everything arrived"
        assert sink.ended


def both_connected(source: Outcome, sink: Outcome) -> bool:
    """A simultaneous open succeeds only where both open within a round trip."""
    return source.connected and sink.connected


def check(scenario: Scenario) -> None:
    threads = threading.active_count()
    with World(scenario.seed) as world:
        run = Run(scenario, world)
        run.run()
        for meeting, client, server in run.meetings:
            check_delivery(scenario, meeting, client, server)
            check_delivery(scenario, meeting, server, client)
        for guard, host in zip(run.guards, (run.client, run.server), strict=True):
            guard.check_nothing_is_left()
            assert not list(host.stack.timers.armed())
    assert threading.active_count() == threads


SIDE = Side([], 0, End.HALF_CLOSE, [1_000_000], 0, None, {})
ROAD = Road(None, 0, 0, ("drop tail", 2), 0, None, (0, 1), 0, 0)


def test_a_connection_that_is_over_is_not_in_memory() -> None:
    side = SIDE._replace(writes=[Write(1000)], reads=[100])
    road = Road(None, 1000, 0, ("drop tail", 9), 0.1, None, (0.1, 1000), 0.1, 0.1)
    meetings = [Meeting(0, 0, False, side, side._replace(end=end)) for end in End]
    gc.collect()
    before = connections_in_memory()
    check(Scenario(1, "one link", 1500, 576, (road, road), [], 100, ({}, {}), meetings))
    gc.collect()
    assert connections_in_memory() == before


def connections_in_memory() -> int:
    return sum(isinstance(each, Tcb) for each in gc.get_objects())


def somebody_ends_first(scenario: Scenario) -> Scenario:
    """See that not both ends wait for the other to close: that would be for ever."""
    meetings = [
        meeting._replace(client=meeting.client._replace(end=End.HALF_CLOSE))
        if meeting.client.end is meeting.server.end is End.WAIT
        else meeting
        for meeting in scenario.meetings
    ]
    return scenario._replace(meetings=meetings)


WORLDS = SCENARIOS.map(somebody_ends_first)


# --- worlds in which a promise was broken once ---

_CLAMPED = {"TCP_NODELAY": 1, "TCP_KEEPIDLE": 1, "SO_KEEPALIVE": 1, "TCP_WINDOW_CLAMP": 1500}
A_WINDOW_THAT_OPENS_AMID_A_FLIGHT = Scenario(
    seed=502315,
    topology="one link",
    mtu=1500,
    narrow_mtu=576,
    roads=(ROAD._replace(loss=0.01), ROAD),
    outages=[],
    heals_at=2000,
    configs=({}, {}),
    meetings=[
        Meeting(0, 0, False, SIDE, SIDE),
        Meeting(
            0,
            0,
            False,
            SIDE._replace(writes=[Write(1), Write(852)], write_pause=1),
            SIDE._replace(writes=[Write(1, then=("TCP_WINDOW_CLAMP", 100_000))], options=_CLAMPED),
        ),
    ],
)
A_SYN_ACK_WHOSE_WINDOW_IS_SCALED = Scenario(
    seed=0,
    topology="one link",
    mtu=9000,
    narrow_mtu=576,
    roads=(ROAD, ROAD),
    outages=[],
    heals_at=0,
    configs=({}, {"tcp_timestamps": False, "tcp_rmem": (4096, 8192, 20_000)}),
    meetings=[Meeting(0, 0, True, SIDE._replace(writes=[Write(10_000)]), SIDE)],
)


@settings(max_examples=80)
@example(A_WINDOW_THAT_OPENS_AMID_A_FLIGHT)
@example(A_SYN_ACK_WHOSE_WINDOW_IS_SCALED)
@given(WORLDS)
def test_tcp_keeps_its_promises_in_any_world(scenario: Scenario) -> None:
    check(scenario)
