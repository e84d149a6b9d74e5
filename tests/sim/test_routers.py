"""Routers pass datagrams on, and say what does not fit, or do not."""

import socket

import pytest

from tapstack.sim import MILLISECOND, SECOND, BlackHole, Host, Link, Sighting, Way, World
from tests.sim.worlds import PORT, send, transfer

DELAY = 5 * MILLISECOND


def chain(world: World, mtu: int = 1500) -> tuple[Host, Host, Link]:
    """Make client, two routers and server in a row, with the link of an MTU in the middle."""
    client, left, right, server = (
        world.host("client"),
        world.router("left"),
        world.router("right"),
        world.host("server"),
    )
    world.link(client, left, Way(delay=DELAY))
    middle = world.link(left, right, Way(delay=DELAY), mtu=mtu)
    world.link(right, server, Way(delay=DELAY))
    client.add_route("default", "10.0.0.2")
    left.add_route("10.0.2.0/24", "10.0.1.2")
    right.add_route("10.0.0.0/24", "10.0.1.1")
    server.add_route("default", "10.0.2.1")
    return client, server, middle


def longest_text(log: list[Sighting]) -> int:
    return max(len(each.segment.text) for each in log if each.segment is not None)


def test_a_stream_crosses_routers() -> None:
    with World() as world:
        client, server, middle = chain(world)
        log = middle.log()
        assert transfer(world, client, server, bytes(100_000)) == bytes(100_000)
        assert longest_text(log) == 1448
        assert {each.datagram.ttl for each in log if each.datagram} == {63}


def test_a_round_trip_is_the_sum_of_the_links() -> None:
    with World() as world:
        client, server, _ = chain(world)
        with server.create_server(("", PORT)):
            client.create_connection((server.address, PORT)).close()
            assert world.now == 6 * DELAY


def test_a_narrow_link_is_told_of_and_the_stream_adapts() -> None:
    with World() as world:
        client, server, middle = chain(world, mtu=1200)
        log = middle.log()
        assert transfer(world, client, server, bytes(100_000)) == bytes(100_000)
        assert longest_text(log) == 1200 - 52
        assert client.stack.counters["IcmpInDestUnreachs"] >= 1
        assert world.hosts["left"].stack.counters["IcmpOutDestUnreachs"] >= 1
        assert world.now < SECOND  # nothing had to time out


def test_a_black_hole_lets_the_small_through_and_says_nothing() -> None:
    with World() as world:
        client, server, middle = chain(world)
        middle.there.impairments.append(BlackHole(1200))
        with server.create_server(("", PORT)) as listener:
            world.spawn(send, client, server, bytes(1448))
            connection, _ = listener.accept()  # the handshake is small
            with connection:
                connection.settimeout(1)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
                assert middle.there.lost >= 1
                assert client.stack.counters["IcmpInMsgs"] == 0
                middle.there.impairments.clear()
                connection.settimeout(60)
                assert connection.recv(1)


def test_a_router_without_a_way_says_so() -> None:
    with World() as world:
        client, _, _ = chain(world)
        with client.socket(socket.SOCK_DGRAM) as speaker:
            speaker.connect(("192.0.2.1", PORT))
            speaker.send(b"anybody there?")
            world.run(until=2 * DELAY)
        assert client.stack.counters["IcmpInDestUnreachs"] == 1
