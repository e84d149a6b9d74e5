"""What a route says to TCP: the metrics of ip-route(8), heeded as Linux heeds them."""

from __future__ import annotations

import pytest

from tapstack.base.address import Endpoint
from tapstack.base.route_metrics import RouteMetrics
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.segment import CWR, ECE, SYN, Options, Segment
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import B, Host, World
from tests.tcp.test_syn_queue import T0

MSS = Options(mss=1460)


def server(metrics: RouteMetrics, config: TcpConfig | None = None) -> tuple[Host, Segment]:
    """Answer a SYN."""
    world = World(config=config)
    world.b.metrics = world.a.metrics = metrics
    world.listen()
    (syn_ack,) = world.b.inject(
        T0, flags=SYN | ECE | CWR, seq=0, options=Options(mss=1460, window_scale=8)
    )
    return world.b, syn_ack


def client(
    metrics: RouteMetrics, options: UserOptions | None = None, config: TcpConfig | None = None
) -> tuple[World, Tcb, Segment]:
    """Send a SYN."""
    world = World(config=config)
    world.a.metrics = metrics
    tcb = world.connect(options=options)
    (syn,) = world.a.sent()
    return world, tcb, syn


def established(metrics: RouteMetrics, config: TcpConfig | None = None) -> tuple[World, Tcb, Tcb]:
    world = World(config=config, delay=50 * MILLISECOND)
    world.a.metrics = metrics
    client, server = world.pair()
    return world, client, server


def test_a_route_sets_the_initial_window() -> None:
    world, client, _ = established(RouteMetrics(initcwnd=3))
    assert client.window.cwnd == 3
    world.send(client, bytes(100_000))
    world.run_for(0)
    assert client.sent.packets_out == 3


def test_a_silence_brings_the_window_down_to_what_the_route_says() -> None:
    world, client, server = established(RouteMetrics(initcwnd=30))
    world.transfer(client, server, bytes(200_000))
    assert client.window.cwnd > 60
    world.run_for(60 * SECOND)
    world.send(client, b"x")
    assert client.window.cwnd == 30


def test_a_route_sets_the_mss_that_syns_name() -> None:
    _, _, syn = client(RouteMetrics(advmss=1000))
    assert syn.options.mss == 1000
    _, _, syn = client(RouteMetrics(advmss=1000), UserOptions(maxseg=900))
    assert syn.options.mss == 900
    _, syn_ack = server(RouteMetrics(advmss=1000))
    assert syn_ack.options.mss == 1000


def test_a_route_limits_the_window_that_is_offered() -> None:
    _, tcb, syn = client(RouteMetrics(window=5000))
    assert (syn.wnd, syn.options.window_scale) == (4380, 0)
    assert tcb.receive_space.clamp == 5000
    _, syn_ack = server(RouteMetrics(window=5000))
    assert (syn_ack.wnd, syn_ack.options.window_scale) == (4380, 0)
    _, tcb, _ = client(RouteMetrics(window=5000), UserOptions(window_clamp=9000))
    assert tcb.receive_space.clamp == 9000


def test_a_route_sets_the_first_window_in_segments() -> None:
    _, _, syn = client(RouteMetrics(initrwnd=2))
    assert syn.wnd == 2 * 1460
    _, _, syn = client(RouteMetrics(initrwnd=1000))
    assert syn.wnd == 64240  # a client's is only ever lowered
    _, syn_ack = server(RouteMetrics(initrwnd=2))
    assert syn_ack.wnd == 2 * 1460


def test_a_server_offers_more_than_its_buffer_has_at_first_if_the_route_says_so() -> None:
    config = TcpConfig(tcp_rmem=(4096, 20_000, 6_291_456))
    _, syn_ack = server(RouteMetrics(), config)
    assert syn_ack.wnd == 8760
    _, syn_ack = server(RouteMetrics(initrwnd=20), config)
    assert syn_ack.wnd == 20 * 1460


def test_a_route_sets_the_least_rto() -> None:
    world, client, server = established(RouteMetrics(rto_min=5 * MILLISECOND))
    for _ in range(10):  # it comes down from three times the first round trip by and by
        world.transfer(client, server, bytes(10_000))
    assert client.rto() < client.rtt.srtt + 60 * MILLISECOND
    assert server.rto() >= server.rtt.srtt + 200 * MILLISECOND


def test_acks_are_not_delayed_for_longer_than_that() -> None:
    """Linux: no longer than the least RTO less a tick."""
    world, client, server = established(RouteMetrics(rto_min=17 * MILLISECOND))
    world.transfer(server, client, bytes(100))
    world.run_for(30 * MILLISECOND)
    client.acks.quick = 0
    world.send(server, bytes(1000))
    world.run(lambda: client.acks.owed)
    assert client.delayed_ack_timer.deadline == world.now + 16 * MILLISECOND


def test_a_route_has_every_ack_sent_at_once() -> None:
    for quickack in (False, True):
        world, client, server = established(RouteMetrics(quickack=quickack))
        world.transfer(server, client, bytes(100))
        world.run_for(SECOND)
        client.acks.quick, client.acks.interactive = 0, True
        world.send(server, bytes(100))
        world.run(lambda c=client: len(c.receive_queue) > 0)  # type: ignore[misc]
        assert client.acks.owed is not quickack


@pytest.mark.parametrize("setting", [0, 2])
def test_a_route_has_ecn_spoken(setting: int) -> None:
    config = TcpConfig(tcp_ecn=setting)
    _, _, syn = client(RouteMetrics(ecn=True), config=config)
    assert syn.flags & (ECE | CWR) == ECE | CWR
    _, _, syn = client(RouteMetrics(), config=config)
    assert not syn.flags & (ECE | CWR)
    _, syn_ack = server(RouteMetrics(ecn=True), config)
    assert syn_ack.flags & (ECE | CWR) == ECE


def test_a_route_sets_the_congestion_control() -> None:
    options = UserOptions(congestion="cubic")
    _, tcb, _ = client(RouteMetrics(congctl="reno"), options)
    assert (tcb.congestion.name, options.congestion) == ("reno", "reno")
    world = World()
    world.b.metrics = RouteMetrics(congctl="reno")
    _, accepted = world.pair()
    assert accepted.congestion.name == accepted.options.congestion == "reno"
    world.a.metrics = world.b.metrics
    (listener,) = world.b.tcp.listeners
    assert listener.options.congestion == ""


def test_a_route_has_fast_open_do_without_cookies() -> None:
    world = World(config=TcpConfig(tcp_fastopen=3))
    world.a.metrics = world.b.metrics = RouteMetrics(fastopen_no_cookie=True)
    listener = world.listen()
    listener.options.fastopen = 5
    tcb = world.a.tcp.open_active(Endpoint(B, 80), UserOptions(), world.now, with_text=True)
    assert world.send(tcb, b"text") == 4
    world.run(lambda: bool(listener.accept_queue))
    accepted = world.b.tcp.accept(listener)
    assert accepted is not None
    assert world.receive(accepted) == b"text"
    first = world.log[0][2]
    assert (first.flags & SYN, first.text, first.options.fast_open) == (SYN, b"text", None)
    assert accepted.syn_text_acked
