"""Buffers as Linux keeps them: the first windows, growth by use, clamps and low-water marks."""

from __future__ import annotations

import pytest

from tapstack.base.contracts import WRITABLE
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.tcp import send_space
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.segment import Segment
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, B, World

MS = MILLISECOND


def opened(config: TcpConfig, options: UserOptions | None = None) -> tuple[World, Tcb, Tcb]:
    world = World(delay=50 * MS, config=config)
    listener = world.listen()
    client = world.connect(options=options)
    world.run(lambda: bool(listener.accept_queue))
    server = world.b.tcp.accept(listener)
    assert server is not None
    return world, client, server


def sent_by(world: World, address: int) -> list[Segment]:
    return [segment for _, who, segment in world.log if who == address]


def set_option(world: World, tcb: Tcb, name: str, value: object) -> None:
    setattr(tcb.options, name, value)
    world.host_of(tcb).tcp.option_changed(tcb, name, world.now)
    world.host_of(tcb).tcp.flush(world.now)


# --- the first windows ------------------------------------------------------------------------


def test_the_windows_of_a_handshake_are_those_that_linux_is_known_by() -> None:
    world, _, _ = opened(TcpConfig())
    syn, ack = sent_by(world, A)
    (syn_ack,) = sent_by(world, B)
    assert (syn.wnd, syn.options.window_scale) == (64240, 7)
    assert (syn_ack.wnd, syn_ack.options.window_scale) == (65160, 7)
    assert ack.wnd == 502


def test_a_segment_of_the_buffer_is_kept_back() -> None:
    world, client, server = opened(TcpConfig())
    world.send(server, b"x" * 100)
    world.run_for(SECOND)
    assert len(world.receive(client) or b"") == 100
    world.send(server, b"x" * 500)
    world.run_for(SECOND)
    assert sent_by(world, A)[-1].wnd == 501


def test_a_larger_buffer_fills_the_field_of_the_syn_and_is_scaled_after_it() -> None:
    world, _, _ = opened(TcpConfig(tcp_rmem=(4096, 540_000, 15_728_640)))
    syn, ack = sent_by(world, A)
    assert (syn.wnd, syn.options.window_scale) == (65535, 8)
    assert ack.wnd == 1050


@pytest.mark.parametrize(
    ("buffer", "window", "shift"), [(20_000, 8760, 0), (200_000, 65535, 1), (4608, 1460, 0)]
)
def test_a_buffer_that_the_user_has_set_is_all_there_ever_is(
    buffer: int, window: int, shift: int
) -> None:
    world, client, _ = opened(TcpConfig(), UserOptions(receive_buffer=buffer))
    syn = sent_by(world, A)[0]
    assert (syn.wnd, syn.options.window_scale) == (window, shift)
    assert client.receive_space.clamp <= buffer // 2


def test_the_window_clamp_counts_in_the_syn_already() -> None:
    world, client, _ = opened(TcpConfig(), UserOptions(window_clamp=10_000))
    syn = sent_by(world, A)[0]
    assert (syn.wnd, syn.options.window_scale) == (8760, 0)
    assert client.receive_space.clamp == 10_000


def test_without_scaling_no_window_is_larger_than_its_field() -> None:
    config = TcpConfig(tcp_window_scaling=False, tcp_rmem=(4096, 540_000, 15_728_640))
    world, client, server = opened(config)
    assert world.transfer(server, client, bytes(500_000)) == bytes(500_000)
    assert max(segment.wnd for segment in sent_by(world, A)) <= 65535
    assert client.receive_space.clamp <= 65535


# --- growth of the receive buffer -------------------------------------------------------------


def test_the_receive_buffer_grows_with_what_the_user_takes() -> None:
    world, client, server = opened(TcpConfig())
    assert client.receive_space.buffer == 131_072
    world.transfer(server, client, bytes(3_000_000))
    assert 131_072 < client.receive_space.buffer <= 6_291_456
    assert client.receive_space.srtt == pytest.approx(100 * MS, rel=0.1)
    # The sender doubles in each round trip, and the receiver must never be what holds it back.
    assert world.b.tcp.info(server, world.now).rwnd_limited == 0


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (TcpConfig(tcp_moderate_rcvbuf=False), None),
        (TcpConfig(), UserOptions(receive_buffer=131_072)),
        (TcpConfig(tcp_rmem=(4096, 131_072, 131_072)), None),
    ],
)
def test_it_does_not_grow_where_it_may_not(config: TcpConfig, options: UserOptions | None) -> None:
    world, client, server = opened(config, options)
    world.transfer(server, client, bytes(2_000_000))
    assert client.receive_space.buffer == 131_072
    assert world.b.tcp.info(server, world.now).rwnd_limited > 0


def test_a_user_who_does_not_read_gets_no_larger_buffer() -> None:
    world, client, server = opened(TcpConfig())
    world.send(server, bytes(200_000))
    world.run_for(10 * SECOND)
    assert client.receive_space.buffer < 131_072 + 2304, "what is there at most, and a segment"
    while world.receive(client, 100):
        pass
    assert client.receive_space.buffer < 131_072 + 2304


def test_the_round_trip_is_known_without_timestamps_too() -> None:
    world, client, server = opened(TcpConfig(tcp_timestamps=False))
    world.transfer(server, client, bytes(3_000_000))
    assert client.receive_space.srtt == pytest.approx(100 * MS, rel=0.1)
    assert client.receive_space.buffer > 131_072


def test_the_clamp_can_be_moved_later() -> None:
    """Until the buffer grows: like Linux, which then forgets it."""
    config = TcpConfig(tcp_moderate_rcvbuf=False)
    world, client, server = opened(config)
    world.transfer(server, client, bytes(5000))  # the clamp starts anew with what segments cost
    set_option(world, client, "window_clamp", 5000)
    world.transfer(server, client, bytes(300_000))
    world.run_for(SECOND)
    assert sent_by(world, A)[-1].wnd << 7 <= 5000 + 127
    set_option(world, client, "window_clamp", 50_000)
    world.transfer(server, client, bytes(300_000))
    assert sent_by(world, A)[-1].wnd << 7 > 5000 + 127


# --- low water --------------------------------------------------------------------------------


def test_less_than_the_low_water_mark_is_not_worth_reading() -> None:
    world, client, server = opened(TcpConfig())
    set_option(world, client, "rcvlowat", 1000)
    tcp = world.a.tcp
    world.send(server, bytes(999))
    world.run_for(SECOND)
    assert not tcp.is_readable(client)
    assert tcp.is_readable(client, least=999)
    world.send(server, b"x")
    world.run_for(SECOND)
    assert tcp.is_readable(client)
    assert len(world.receive(client) or b"") == 1000
    world.send(server, b"end")
    world.close(server)
    world.run_for(SECOND)
    assert tcp.is_readable(client), "more will not come"


def test_the_buffer_has_room_for_what_the_user_waits_for() -> None:
    world, client, server = opened(TcpConfig())
    set_option(world, client, "rcvlowat", 1_000_000)
    assert client.receive_space.buffer == 2_000_000
    sent = 0
    while not world.a.tcp.is_readable(client):
        sent += world.send(server, bytes(1_000_000))
        world.step()
    # A window that is all but closed is worth reading, whatever the mark says.
    assert len(client.receive_queue) > 500_000


# --- the send buffer --------------------------------------------------------------------------


@pytest.mark.slow
def test_the_send_buffer_grows_with_the_congestion_window() -> None:
    world, client, server = opened(TcpConfig(tcp_wmem=(4096, 16_384, 4_194_304)))
    assert client.send_space == 46_080, "twice ten segments, as Linux counts their memory"
    world.transfer(client, server, bytes(5_000_000))
    assert client.window.cwnd > 200
    assert 200 * 2 * 1448 < client.send_space <= 4_194_304
    assert world.a.tcp.info(client, world.now).rwnd_limited == 0


def test_one_that_the_user_has_set_does_not() -> None:
    world, client, server = opened(TcpConfig(), UserOptions(send_buffer=20_000))
    world.transfer(client, server, bytes(2_000_000))
    assert client.send_space == 20_000
    assert world.a.tcp.info(client, world.now).sndbuf_limited > 0


def test_a_user_is_woken_when_a_third_is_free() -> None:
    world, client, _ = opened(TcpConfig(), UserOptions(send_buffer=15 * 1448))
    tcp = world.a.tcp
    assert tcp.is_writable(client)
    world.send(client, bytes(100_000))
    assert not tcp.is_writable(client)
    while 3 * send_space.charge(client) > 2 * client.send_space:
        world.a.events.clear()
        assert not tcp.is_writable(client)
        world.step()
    assert any(events & WRITABLE for _, events in world.a.events)
    assert tcp.is_writable(client)


def test_a_user_who_has_room_again_is_limited_no_longer() -> None:
    """As in Linux, though what is in flight may take its time."""
    world, client, _ = opened(TcpConfig(), UserOptions(send_buffer=15 * 1448))
    tcp = world.a.tcp
    world.send(client, bytes(100_000))
    assert not tcp.is_writable(client)
    world.a.events.clear()
    while not any(events & WRITABLE for _, events in world.a.events):
        world.step()
    limited = tcp.info(client, world.now).sndbuf_limited
    world.run_for(SECOND)
    assert tcp.info(client, world.now).sndbuf_limited == limited > 0


@pytest.mark.parametrize("by", ["option", "engine"])
def test_little_waits_unsent_where_the_user_wants_that(by: str) -> None:
    config = TcpConfig(tcp_notsent_lowat=20_000) if by == "engine" else TcpConfig()
    options = UserOptions(notsent_lowat=20_000) if by == "option" else UserOptions()
    world, client, server = opened(config, options)
    tcp = world.a.tcp
    taken = world.send(client, bytes(1_000_000))
    assert client.sent.packets_out == 10
    assert taken < 20_000 + 2 * 65_536
    assert not tcp.is_writable(client)
    assert world.send(client, b"x") == 0
    woken = 0
    while not woken:
        world.a.events.clear()
        world.step()
        woken = sum(1 for _, events in world.a.events if events & WRITABLE)
    assert tcp.is_writable(client)
    assert 2 * client.unsent() < 20_000
    world.run_for(SECOND)
    assert len(world.receive(server) or b"") == taken
