"""What flows make of a bottleneck, in virtual time: full use, fair shares, marks, not loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tapstack.base.address import format_ipv4
from tapstack.sim import (
    MEGABIT,
    MILLISECOND,
    SECOND,
    DropTail,
    Host,
    Socket,
    StepMarker,
    Way,
    World,
)
from tapstack.sim.queues import Queue
from tapstack.tcp.config import TcpConfig

PORT = 7000
DELAY = 20 * MILLISECOND
WIRE_SHARE = 1448 / 1514
"""Text in a full frame, with timestamps."""


class Outcome(NamedTuple):
    """What came of some flows."""

    octets: list[int]
    """What each delivered in the time that counts."""
    retransmissions: int
    timeouts: int


def share_a_bottleneck(
    config: Callable[[], TcpConfig],
    *,
    rate: int,
    queue: Queue,
    flows: int = 1,
    until: int,
    since: int = 0,
) -> Outcome:
    """Have as many hosts as there are flows send to one, through a router with a slow link."""
    with World(seed=1) as world:
        router = world.router("router")
        sources = [world.host(f"source {n}", tcp_config=config()) for n in range(flows)]
        sink = world.host("sink", tcp_config=config())
        for source in sources:
            world.link(source, router)
        world.link(router, sink, Way(rate=rate, delay=DELAY, queue=queue), back=Way(delay=DELAY))
        gateways = [format_ipv4(each.networks[0].address) for each in router.interfaces]
        for host, gateway in zip([*sources, sink], gateways, strict=True):
            host.add_route("0.0.0.0/0", gateway)
        octets = [0] * flows
        listener = sink.create_server(("", PORT))

        def send(host: Host) -> None:
            with host.create_connection((sink.address, PORT)) as connection:
                while world.now < until:
                    connection.sendall(bytes(65536))

        def read(flow: int, connection: Socket) -> None:
            with connection:
                while piece := connection.recv(65536):
                    octets[flow] += len(piece) if since <= world.now < until else 0

        def serve() -> None:
            with listener:
                for flow in range(flows):
                    world.spawn(read, flow, listener.accept()[0])

        world.spawn(serve)
        for source in sources:
            world.spawn(send, source)
        world.run()
        counters = [source.stack.counters for source in sources]
        return Outcome(
            octets,
            sum(each["TcpRetransSegs"] for each in counters),
            sum(each["TcpExtTCPTimeouts"] for each in counters),
        )


@pytest.mark.parametrize("name", ["cubic", "reno"])
def test_one_flow_fills_a_bottleneck_with_a_buffer_of_one_bdp(name: str) -> None:
    """10 Mb/s and 40 ms are 33 full frames."""
    duration = 20 * SECOND
    outcome = share_a_bottleneck(
        lambda: TcpConfig(tcp_congestion_control=name),
        rate=10 * MEGABIT,
        queue=DropTail(33),
        until=duration,
    )
    most = 10 * MEGABIT * WIRE_SHARE / 8 * duration / SECOND
    assert sum(outcome.octets) / most >= 0.95
    assert outcome.timeouts == 0


@pytest.mark.parametrize("name", ["cubic", "reno"])
def test_two_flows_share_fairly(name: str) -> None:
    """Jain's index over the last 60 s of 120: (Σx)² / n·Σx²."""
    outcome = share_a_bottleneck(
        lambda: TcpConfig(tcp_congestion_control=name),
        rate=2 * MEGABIT,
        queue=DropTail(14),
        flows=2,
        since=60 * SECOND,
        until=120 * SECOND,
    )
    squares = sum(each**2 for each in outcome.octets)
    assert sum(outcome.octets) ** 2 / (2 * squares) >= 0.95


@pytest.mark.parametrize("name", ["cubic", "reno"])
def test_where_the_router_marks_nothing_is_lost_and_the_link_is_full(name: str) -> None:
    duration = 10 * SECOND
    outcome = share_a_bottleneck(
        lambda: TcpConfig(tcp_congestion_control=name, tcp_ecn=1),
        rate=10 * MEGABIT,
        queue=StepMarker(33, packets=1000),
        until=duration,
    )
    most = 10 * MEGABIT * WIRE_SHARE / 8 * duration / SECOND
    # A mark on the very segment that says CWR halves Reno's window once more.
    assert sum(outcome.octets) / most >= 0.9
    assert outcome.retransmissions == outcome.timeouts == 0
