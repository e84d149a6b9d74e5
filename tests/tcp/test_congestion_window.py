"""Congestion control of two engines: growth only by use, decay in silence, one's own choice."""

from __future__ import annotations

import random as random_module

import pytest

from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.congestion import ALGORITHMS
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tapstack.tcp.wire import parse
from tests.tcp.pair import World

RTT = 100 * MILLISECOND
NAMES = sorted(ALGORITHMS)


def connected(**settings: object) -> tuple[World, Tcb, Tcb]:
    """Establish a connection over 100 ms, whose receiver never limits it."""
    settings.setdefault("tcp_rmem", (4096, 6291456, 6291456))
    world = World(delay=RTT // 2, config=TcpConfig(**settings))  # type: ignore[arg-type]
    client, server = world.pair()
    world.run_for(SECOND)
    return world, client, server


def grow(world: World, source: Tcb, sink: Tcb, packets: int) -> None:
    """Send until the window has grown by use, and see all acknowledged."""
    world.transfer(source, sink, bytes(packets * source.effective_mss))
    world.run(lambda: not source.sent)


# --- rounds of slow start ---


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("packets", "rounds"), [(10, 1), (30, 2), (70, 3), (150, 4), (310, 5), (630, 6)]
)
def test_so_many_packets_take_so_many_rounds(name: str, packets: int, rounds: int) -> None:
    world, client, server = connected(tcp_congestion_control=name, max_segment_unit=1500)
    start = world.now
    world.transfer(client, server, bytes(packets * client.effective_mss))
    assert (world.now - start) / RTT == pytest.approx(rounds - 0.5, abs=0.01)


def test_the_initial_window_is_ten_segments() -> None:
    world, client, _ = connected()
    world.send(client, bytes(100_000))
    assert client.sent.packets_out == client.window.cwnd == 10


class LosesSyns:
    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, octets: bytes, random: random_module.Random) -> list[tuple[int, bytes]]:
        if parse(octets).flags & 0x02 and self.count:
            self.count -= 1
            return []
        return [(0, octets)]


@pytest.mark.parametrize(("lost", "window"), [(0, 10), (1, 10), (2, 1)])
def test_lost_syns_make_the_initial_window_one_segment(lost: int, window: int) -> None:
    """RFC 6928 §2, which Linux heeds from the second loss on."""
    world = World(fate=LosesSyns(lost))
    client, _ = world.pair()
    assert client.window.cwnd == window


# --- throughput ---


class LosesPeriodically:
    def __init__(self, period: int) -> None:
        self.period = period
        self.count = 0

    def __call__(self, octets: bytes, random: random_module.Random) -> list[tuple[int, bytes]]:
        if parse(octets).text:
            self.count += 1
            if self.count % self.period == 0:
                return []
        return [(0, octets)]


@pytest.mark.slow
def test_reno_under_periodic_loss_between_two_engines() -> None:
    """p = 1/1000, RTT 100 ms, MSS 1460: W = 1.22/√p, 4.52 Mb/s."""
    config = TcpConfig(
        tcp_congestion_control="reno", tcp_timestamps=False, tcp_rmem=(4096, 6291456, 6291456)
    )
    world = World(delay=RTT // 2, fate=LosesPeriodically(1000), config=config)
    client, server = world.pair()
    assert client.effective_mss == 1460
    client.window.ssthresh = 30  # begin near the end
    world.transfer(client, server, bytes(1100 * 1460))
    start = world.now
    size = 3800 * 1460
    world.transfer(client, server, bytes(size))
    assert size * 8 / (world.now - start) == pytest.approx(4.52, rel=0.1)
    assert world.a.counters["TcpExtTCPTimeouts"] == 0


# --- growth by use alone ---


@pytest.mark.parametrize("name", NAMES)
def test_no_growth_while_the_application_sends_little(name: str) -> None:
    world, client, server = connected(tcp_congestion_control=name)
    for _ in range(50):
        world.transfer(client, server, bytes(2 * client.effective_mss))
        world.run_for(RTT)
    assert client.window.cwnd == 10


@pytest.mark.parametrize("name", NAMES)
def test_slow_start_runs_ahead_of_use_by_a_factor_of_two(name: str) -> None:
    world, client, server = connected(tcp_congestion_control=name)
    for _ in range(50):
        world.transfer(client, server, bytes(8 * client.effective_mss))
        world.run_for(RTT)
    assert client.window.cwnd in (16, 17)  # the last ACK was for one segment, or two


def test_no_growth_while_the_receiver_is_what_limits() -> None:
    world, client, server = connected(tcp_rmem=(4096, 16384, 16384))
    world.transfer(client, server, bytes(500_000))
    assert client.window.cwnd <= 2 * 16384 // client.effective_mss + 1


def test_in_congestion_avoidance_an_unused_window_does_not_grow() -> None:
    world, client, server = connected(tcp_congestion_control="reno")
    grow(world, client, server, 70)
    client.window.ssthresh = 20
    kept = client.window.cwnd
    for _ in range(20):
        world.transfer(client, server, bytes((kept // 2 + 5) * client.effective_mss))
        world.run(lambda: not client.sent)
        assert client.window.cwnd <= kept


# --- decay ---


@pytest.mark.parametrize(("timeouts", "halvings"), [(0.5, 0), (1.5, 1), (2.5, 2), (3.5, 3)])
def test_each_timeout_of_silence_halves_the_window(timeouts: float, halvings: int) -> None:
    world, client, server = connected()
    grow(world, client, server, 300)
    before, rto = client.window.cwnd, client.rto()
    assert before > 80
    world.run_for(int(client.last_sent_at + timeouts * rto) - world.now)
    world.send(client, bytes(400 * client.effective_mss))
    assert client.window.cwnd == client.sent.packets_out == before >> halvings


def test_a_long_silence_leaves_the_initial_window_and_remembers_three_quarters() -> None:
    world, client, server = connected(tcp_congestion_control="reno")
    grow(world, client, server, 300)
    client.window.ssthresh = 50
    before = client.window.cwnd
    world.run_for(60 * SECOND)
    world.send(client, bytes(400 * client.effective_mss))
    assert client.window.cwnd == client.sent.packets_out == 10
    assert client.window.ssthresh == before * 3 // 4


def test_a_window_below_the_initial_one_is_not_raised_by_silence() -> None:
    world, client, _ = connected()
    client.window.cwnd = 4
    world.send(client, b"x")
    world.run_for(60 * SECOND)
    world.send(client, bytes(400 * client.effective_mss))
    assert client.window.cwnd == client.sent.packets_out == 4


def test_without_slow_start_after_idle_silence_costs_nothing() -> None:
    world, client, server = connected(tcp_slow_start_after_idle=False)
    grow(world, client, server, 300)
    before = client.window.cwnd
    world.run_for(60 * SECOND)
    world.send(client, bytes(400 * client.effective_mss))
    assert client.window.cwnd == client.sent.packets_out == before


def test_what_arrives_keeps_a_window_that_is_little_used() -> None:
    """As Linux: only who hears nothing for an RTO while it sends little is brought down."""
    world, client, server = connected()
    grow(world, client, server, 300)
    client.window.ssthresh = 20
    before = client.window.cwnd
    for _ in range(40):
        world.transfer(client, server, bytes(2 * client.effective_mss))
        world.run_for(20 * MILLISECOND)
    assert (client.window.cwnd, client.window.ssthresh) == (before, 20)


def test_a_window_was_not_left_unused_before_the_handshake_was_done() -> None:
    world = World(delay=RTT // 2)
    client, _ = world.pair()
    assert world.now - client.statistics.established_at < client.rto()
    client.window.cwnd = before = 40
    world.send(client, b"little")
    assert client.window.cwnd == before


# --- which algorithm ---


@pytest.mark.parametrize("name", NAMES)
def test_a_connection_may_choose_its_own(name: str) -> None:
    world = World()
    world.listen()
    assert world.connect(options=UserOptions(congestion=name)).congestion.name == name


def test_the_engine_s_choice_serves_the_others() -> None:
    _, client, server = connected()
    assert (client.congestion.name, server.congestion.name) == ("cubic", "cubic")
    _, client, server = connected(tcp_congestion_control="reno")
    assert (client.congestion.name, server.congestion.name) == ("reno", "reno")


def test_a_change_takes_over_the_window_as_it_is() -> None:
    world, client, server = connected()
    grow(world, client, server, 70)
    window = client.window.cwnd
    client.options.congestion = "reno"
    world.a.tcp.option_changed(client, "congestion", world.now)
    assert (client.congestion.name, client.window.cwnd) == ("reno", window)
    client.window.ssthresh = 2
    world.transfer(client, server, bytes(10 * window * client.effective_mss))
    assert window < client.window.cwnd <= window + 10


def test_the_available_ones_can_be_listed() -> None:
    assert TcpConfig().tcp_available_congestion_control == ("cubic", "reno")
    assert TcpConfig().tcp_allowed_congestion_control == ("cubic", "reno")
