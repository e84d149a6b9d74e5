"""The headers that the express lane keeps prepared say what counts now, whatever was changed."""

from __future__ import annotations

from collections.abc import Callable
from socket import IP_TOS, IP_TTL, IPPROTO_IP

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


def narrow(host: Host, _: Socket) -> None:
    host.interfaces[0].mtu = 576
    host.stack.ip.on_mtu_changed()


def sent_after(change: Callable[[Host, Socket], None], text: bytes) -> list[bytes]:
    """Send a text twice, and twice behind a change; give the frames that have left since."""
    frames: list[bytes] = []
    with World() as world:
        here, there = world.host("here"), world.host("there")

        def see(sighting: Sighting) -> None:
            if sighting.direction is Direction.OUT and sighting.host == "here":
                frames.append(bytes(sighting.octets))

        world.link(here, there).watch(see)
        with here.create_server(("", 7000)) as listener, there.socket() as client:
            client.connect((here.address, 7000))
            with listener.accept()[0] as server:
                for number in range(4):
                    if number == 2:
                        change(here, server)
                        frames.clear()
                    server.send(text)
                    received = client.recv(2000)
                    while len(received) < len(text):
                        received += client.recv(2000)
                    assert received == text
                return [*frames]


@pytest.mark.parametrize(
    ("change", "at", "value"),
    [(set_ttl, TTL_AT, 9), (set_tos, TOS_AT, 0x20), (set_default_ttl, TTL_AT, 9)],
)
def test_what_is_changed_counts_for_the_next_segment(
    change: Callable[[Host, Socket], None], at: int, value: int
) -> None:
    assert {frame[at] for frame in sent_after(change, b"x")} == {value}


def test_a_path_that_is_narrower_counts_for_the_next_segment() -> None:
    assert max(len(frame) for frame in sent_after(narrow, bytes(1000))) <= 14 + 576
