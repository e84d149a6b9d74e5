"""The headers that the express lane keeps prepared say what counts now, whatever was changed."""

from __future__ import annotations

from collections.abc import Callable
from socket import IP_TOS, IP_TTL, IPPROTO_IP, MSG_WAITALL

import pytest

from tapstack.sim import Host, Socket, World
from tapstack.sim.sighting import Direction, Sighting
from tapstack.sysctl import Sysctls

TOS_AT, TTL_AT = 15, 22
"""Octets of a frame (RFC 791 §3.1, behind Ethernet's header)."""


def set_ttl(_: Host, connection: Socket) -> None:
    connection.setsockopt(IPPROTO_IP, IP_TTL, 9)


def set_tos(_: Host, connection: Socket) -> None:
    connection.setsockopt(IPPROTO_IP, IP_TOS, 0x20)


def set_default_ttl(host: Host, _: Socket) -> None:
    Sysctls(host.stack).set("net.ipv4.ip_default_ttl", "9")


@pytest.mark.parametrize(
    ("change", "at", "value"),
    [(set_ttl, TTL_AT, 9), (set_tos, TOS_AT, 0x20), (set_default_ttl, TTL_AT, 9)],
)
def test_what_is_changed_counts_for_the_next_segment(
    change: Callable[[Host, Socket], None], at: int, value: int
) -> None:
    said: list[int] = []
    with World() as world:
        here, there = world.host("here"), world.host("there")

        def see(sighting: Sighting) -> None:
            if sighting.direction is Direction.OUT and sighting.host == "here":
                said.append(sighting.octets[at])

        world.link(here, there).watch(see)
        with here.create_server(("", 7000)) as listener, there.socket() as client:
            client.connect((here.address, 7000))
            with listener.accept()[0] as server:
                for number in range(4):
                    if number == 2:
                        change(here, server)
                        said.clear()
                    server.send(b"x")
                    assert client.recv(9) == b"x"
                assert set(said) == {value}


def test_a_path_that_is_narrower_counts_for_the_next_segment() -> None:
    lengths: list[int] = []
    with World() as world:
        here, there = world.host("here"), world.host("there")

        def see(sighting: Sighting) -> None:
            if sighting.direction is Direction.OUT and sighting.host == "here":
                lengths.append(len(sighting.octets))

        world.link(here, there).watch(see)
        with here.create_server(("", 7000)) as listener, there.socket() as client:
            client.connect((here.address, 7000))
            with listener.accept()[0] as server:
                for number in range(4):
                    if number == 2:
                        here.interfaces[0].mtu = 576
                        here.stack.ip.on_mtu_changed()
                        here.stack.tcp.on_routes_changed()
                        lengths.clear()
                    server.send(bytes(1000))
                    assert len(client.recv(1000, MSG_WAITALL)) == 1000
                assert max(lengths) <= 14 + 576
