"""Connections that are cast in the mould of one before them are what the steps would have made.

What is in it was taken from the listener, the settings and the way: when any of those changes, that
counts for the next connection.

Not done here: random worlds (`test_express_lane.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from socket import IPPROTO_TCP, SO_KEEPALIVE, SO_RCVBUF, SOL_SOCKET, TCP_CONGESTION, TCP_MAXSEG
from typing import Any

import pytest

from tapstack import express_syns
from tapstack.base.address import parse_ipv4
from tapstack.base.route_metrics import RouteMetrics
from tapstack.express import ExpressLane
from tapstack.express_syns import SynLane
from tapstack.sim import MILLISECOND, Host, Socket, Way, World
from tapstack.sysctl import Sysctls
from tapstack.tcp.expected_syn import take_expected_syn
from tapstack.tcp.tcb import Tcb
from tests.properties.test_express_lane import snapshot

Change = Callable[[Host, Socket], None]
"""What happens to a host and its listener between the second and the third connection."""


def nothing(_host: Host, _listener: Socket) -> None:
    pass


def set_option(level: int, name: int, value: int | bytes) -> Change:
    return lambda _, listener: listener.setsockopt(level, name, value)


def set_sysctl(name: str, value: str) -> Change:
    return lambda host, _: Sysctls(host.stack).set(name, value)


def narrow_path(host: Host, _listener: Socket) -> None:
    """Hear from a router that the path is narrow."""
    host.stack.ip.learn_path_mtu(parse_ipv4("10.0.0.2"), 1000, 0)


def change_route(host: Host, _listener: Socket) -> None:
    routes = host.stack.ip.routes
    (route,) = (each for each in routes if each.network.prefix_length == 24)
    routes.remove(route)
    routes.add(route._replace(metrics=RouteMetrics(initcwnd=3, quickack=True, rto_min=1000)))


def play(
    change: Change, monkeypatch: pytest.MonkeyPatch, *, express: bool, amid: bool = False
) -> tuple[list[object], list[bool]]:
    """Make four connections; tell what they were, and which were cast.

    The change comes before the third one's SYN, or between its SYN-ACK and the ACK of that.
    """
    cast: list[bool] = []

    def take(*syn: Any) -> Tcb | None:
        tcb = take_expected_syn(*syn)
        cast[-1] = tcb is not None
        return tcb

    with monkeypatch.context() as patch, World() as world:
        patch.setattr(express_syns, "take_expected_syn", take)
        if not express:
            patch.setattr(ExpressLane, "receive", lambda *_: 0)
            patch.setattr(SynLane, "receive", lambda *_: False)
        here, there = world.host("here"), world.host("there")
        world.link(here, there, Way(delay=MILLISECOND))
        listener = here.socket()
        listener.bind(("", 7000))
        listener.listen()
        made: list[object] = []
        for number in range(4):
            if number == 2:
                if amid:
                    world.spawn(change_amid, world, change, here, listener)
                else:
                    change(here, listener)
            cast.append(False)
            with there.socket() as client:
                client.connect((here.address, 7000))
                accepted, _ = listener.accept()
                counters = dict(here.stack.counters)
                made.append([counters, *map(snapshot, here.stack.tcp.connections)])
            accepted.close()
            world.run_for(100 * MILLISECOND)
        listener.close()
    return made, cast


def change_amid(world: World, change: Change, host: Host, listener: Socket) -> None:
    world.sleep(0.0015)  # the SYN was here after one, and the ACK will be after three
    change(host, listener)


@pytest.mark.parametrize(
    "change",
    [
        set_option(SOL_SOCKET, SO_RCVBUF, 30_000),
        set_option(SOL_SOCKET, SO_KEEPALIVE, 1),
        set_option(IPPROTO_TCP, TCP_MAXSEG, 500),
        set_option(IPPROTO_TCP, TCP_CONGESTION, b"reno"),
        set_sysctl("net.ipv4.tcp_rmem", "4096 50000 100000"),
        set_sysctl("net.ipv4.tcp_reordering", "7"),
        narrow_path,
        change_route,
    ],
)
def test_what_is_changed_counts_for_the_next_connection(
    change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, cast = play(change, monkeypatch, express=True)
    assert cast == [False, True, False, True]
    assert made == play(change, monkeypatch, express=False)[0]
    assert made != play(nothing, monkeypatch, express=True)[0]


@pytest.mark.parametrize(
    "change",
    [set_sysctl("net.ipv4.tcp_timestamps", "2"), set_sysctl("net.ipv4.tcp_syncookies", "2")],
)
def test_settings_under_which_more_is_to_be_done_leave_it_to_the_steps(
    change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, cast = play(change, monkeypatch, express=True)
    assert cast == [False, True, False, False]
    assert made == play(change, monkeypatch, express=False)[0]


def test_connections_that_begin_alike_are_cast_in_one_mould(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, cast = play(nothing, monkeypatch, express=True)
    assert cast == [False, True, True, True]
    assert made == play(nothing, monkeypatch, express=False)[0]


def test_what_is_changed_amid_a_handshake_counts_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change = set_sysctl("net.ipv4.tcp_wmem", "4096 16384 20000")
    made, cast = play(change, monkeypatch, express=True, amid=True)
    assert cast == [False, True, True, False]
    assert made == play(change, monkeypatch, express=False, amid=True)[0]
    assert made[2] != play(nothing, monkeypatch, express=True)[0][2]


def test_connections_from_several_hosts_are_cast_in_one_mould(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cast: list[bool] = []

    def take(*syn: Any) -> Tcb | None:
        tcb = take_expected_syn(*syn)
        cast.append(tcb is not None)
        return tcb

    monkeypatch.setattr(express_syns, "take_expected_syn", take)
    with World() as world:
        here, peers = world.host("here"), [world.host("one"), world.host("other")]
        addresses = ["10.0.1.1", "10.0.2.1"]
        for peer, address in zip(peers, addresses, strict=True):
            world.link(here, peer, addresses=(f"{address}/24", f"{address[:-1]}2/24"))
        with here.create_server(("", 7000)) as listener:
            for peer, address in [*zip(peers, addresses, strict=True)] * 3:
                with peer.create_connection((address, 7000)), listener.accept()[0]:
                    pass
    assert cast[-4:] == [True] * 4  # of each, the first made the way known
