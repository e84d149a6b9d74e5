"""What a flow makes of a router that marks, in virtual time.

Not done here: routers that drop (`tests/scenarios/test_scenario_windows.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest

from tapstack.base.address import format_ipv4
from tapstack.sim import (
    MEGABIT,
    MILLISECOND,
    SECOND,
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
    """What came of a flow."""

    octets: int
    retransmissions: int
    timeouts: int


def pass_a_bottleneck(config: TcpConfig, *, rate: int, queue: Queue, until: int) -> Outcome:
    """Have a host send to another one, through a router with a slow link."""
    with World(seed=1) as world:
        router = world.router("router")
        source = world.host("source", tcp_config=config)
        sink = world.host("sink", tcp_config=replace(config))
        world.link(source, router)
        world.link(router, sink, Way(rate=rate, delay=DELAY, queue=queue), back=Way(delay=DELAY))
        for host, interface in zip((source, sink), router.interfaces, strict=True):
            host.add_route("0.0.0.0/0", format_ipv4(interface.networks[0].address))
        octets = 0
        listener = sink.create_server(("", PORT))

        def send() -> None:
            with source.create_connection((sink.address, PORT)) as connection:
                while world.now < until:
                    connection.sendall(bytes(65536))

        def read() -> None:
            nonlocal octets
            with listener, listener.accept()[0] as connection:
                while piece := connection.recv(65536):
                    octets += len(piece) if world.now < until else 0

        world.spawn(read)
        world.spawn(send)
        world.run()
        counters = source.stack.counters
        return Outcome(octets, counters["TcpRetransSegs"], counters["TcpExtTCPTimeouts"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cubic", "reno"])
def test_where_the_router_marks_nothing_is_lost_and_the_link_is_full(name: str) -> None:
    duration = 10 * SECOND
    outcome = pass_a_bottleneck(
        TcpConfig(tcp_congestion_control=name, tcp_ecn=1),
        rate=10 * MEGABIT,
        queue=StepMarker(33, packets=1000),
        until=duration,
    )
    most = 10 * MEGABIT * WIRE_SHARE / 8 * duration / SECOND
    # A mark on the very segment that says CWR halves Reno's window once more.
    assert outcome.octets / most >= 0.9
    assert outcome.retransmissions == outcome.timeouts == 0
