"""Closing a connection (RFC 9293 §3.6): each side first, both at once, half, and by force."""

from __future__ import annotations

import pytest

from tapstack.base.units import SECOND
from tapstack.tcp.segment import RST, format_flags
from tapstack.tcp.state import State
from tests.tcp.pair import World


def assert_nothing_is_left(world: World, listeners: int = 1) -> None:
    for host in (world.a, world.b):
        assert list(host.tcp.connections) == []
        assert list(host.timers.armed()) == []
        assert host.counters["TcpCurrEstab"] == 0
    assert world.a.tcp.bound_ports == 0
    assert world.b.tcp.bound_ports == listeners


def test_normal_close_takes_four_segments_and_leaves_time_wait_with_who_closed_first() -> None:
    world = World()
    client, server = world.pair()
    world.log.clear()
    world.close(client)
    world.run_for(SECOND)
    assert (client.state, server.state) == (State.FIN_WAIT_2, State.CLOSE_WAIT)
    assert world.receive(server) == b""
    world.close(server)
    world.run_for(SECOND)
    assert [format_flags(s.flags) for _, _, s in world.log] == ["F.", ".", "F.", "."]
    assert (client.state, server.state) == (State.TIME_WAIT, State.CLOSED)
    world.run_for(60 * SECOND)
    assert client.state is State.CLOSED
    assert_nothing_is_left(world)


def test_simultaneous_close() -> None:
    world = World()
    client, server = world.pair()
    world.close(client)
    world.close(server)
    world.run_for(world.delay)
    assert client.state is server.state is State.CLOSING
    world.run_for(SECOND)
    assert client.state is server.state is State.TIME_WAIT
    world.run_for(61 * SECOND)
    assert_nothing_is_left(world)


def test_half_close_lets_the_other_direction_go_on() -> None:
    world = World()
    client, server = world.pair()
    world.a.tcp.shutdown(client, read=False, write=True)
    world.a.tcp.flush(world.now)
    world.run(lambda: server.state is State.CLOSE_WAIT)
    data = bytes(range(256)) * 400
    assert world.transfer(server, client, data) == data
    with pytest.raises(BrokenPipeError):
        world.send(client, b"more")


def test_what_was_queued_before_close_still_arrives() -> None:
    world = World()
    client, server = world.pair()
    data = b"d" * 200_000
    assert world.send(client, data) == len(data)
    world.close(client)
    got = b""
    while not got.endswith(b"d" * 10) or len(got) < len(data):
        got += world.receive(server) or b""
        world.step()
    assert got == data
    world.run(lambda: world.receive(server) == b"")


def test_closing_with_text_unread_resets_the_peer() -> None:
    world = World()
    client, server = world.pair()
    world.send(client, b"never read")
    world.run_for(SECOND)
    world.close(server)
    world.run_for(SECOND)
    assert world.log[-1][2].flags & RST
    with pytest.raises(ConnectionResetError):
        world.receive(client)
    assert world.b.counters["TcpExtTCPAbortOnClose"] == 1
    assert_nothing_is_left(world)


def test_text_that_comes_after_close_resets_the_peer() -> None:
    world = World()
    client, server = world.pair()
    world.close(server)
    world.run_for(SECOND)
    world.send(client, b"too late")
    world.run_for(SECOND)
    assert client.state is State.CLOSED
    with pytest.raises(BrokenPipeError):
        world.send(client, b"again")


def test_lingering_for_no_time_resets() -> None:
    world = World()
    client, server = world.pair()
    client.options.linger = 0
    world.close(client)
    world.run_for(SECOND)
    with pytest.raises(ConnectionResetError):
        world.receive(server)
    assert world.receive(server) == b""
    assert_nothing_is_left(world)


def test_closing_in_syn_sent_forgets_the_connection() -> None:
    world = World(fate=lambda octets, random: [])
    client = world.connect()
    world.close(client)
    assert client.state is State.CLOSED
    assert_nothing_is_left(world, listeners=0)


def test_closing_a_listener_resets_what_nobody_accepted() -> None:
    world = World()
    listener = world.listen()
    client = world.connect()
    world.run(lambda: bool(listener.accept_queue))
    world.b.tcp.close(listener, world.now)
    world.b.tcp.flush(world.now)
    world.run_for(SECOND)
    with pytest.raises(ConnectionResetError):
        world.receive(client)
    assert_nothing_is_left(world, listeners=0)


def test_a_peer_that_never_sends_its_fin_is_forgotten_after_a_minute() -> None:
    world = World()
    client, server = world.pair()
    world.close(client)
    world.run_for(SECOND)
    assert client.state is State.FIN_WAIT_2
    world.run_for(61 * SECOND)
    assert client.state is State.CLOSED
    assert server.state is State.CLOSE_WAIT


def test_a_lost_last_ack_is_repeated_when_the_fin_comes_again() -> None:
    drop = {"on": False}

    def fate(octets: bytes, random: object) -> list[tuple[int, bytes]]:
        return [] if drop["on"] else [(0, octets)]

    world = World(fate=fate)
    client, server = world.pair()
    world.close(client)
    world.run_for(SECOND)
    world.close(server)
    world.run(lambda: client.state is State.TIME_WAIT)
    drop["on"] = True
    world.next_instant()  # the ACK of the FIN is lost here
    drop["on"] = False
    assert server.state is State.LAST_ACK
    world.run(lambda: server.state is State.CLOSED)
    assert client.state is State.TIME_WAIT
