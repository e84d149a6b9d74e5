"""Ephemeral ports as RFC 6056 requires: all of the range, and hard to foresee."""

from __future__ import annotations

from errno import EADDRNOTAVAIL
from itertools import pairwise

import pytest

from tapstack.base.address import Endpoint
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.user_options import UserOptions
from tests.tcp.pair import A, B, Host
from tests.tcp.test_state_segment_grid import T0

FEW = TcpConfig(ip_local_port_range=(40_000, 40_019))


def port_to(host: Host, remote: Endpoint) -> int:
    return host.tcp.open_active(remote, UserOptions(), T0).local.port


def test_the_first_port_differs_between_destinations_and_hosts() -> None:
    ports = {
        port_to(Host(A, seed=seed), Endpoint(B, port))
        for seed in range(1, 9)
        for port in range(80, 88)
    }
    assert len(ports) > 50
    assert max(ports) - min(ports) > 14_000, "from all of the range"
    assert all(32_768 <= port <= 60_999 for port in ports)


def test_every_port_of_the_range_is_used_once_before_there_is_none() -> None:
    host = Host(A, config=FEW)
    ports = [port_to(host, Endpoint(B, 80)) for _ in range(20)]
    assert sorted(ports) == list(range(40_000, 40_020))
    with pytest.raises(OSError, match="assign") as caught:
        port_to(host, Endpoint(B, 80))
    assert caught.value.errno == EADDRNOTAVAIL


def test_a_port_serves_two_connections_to_different_destinations() -> None:
    host = Host(A, config=FEW)
    for _ in range(20):
        port_to(host, Endpoint(B, 80))
    assert 40_000 <= port_to(host, Endpoint(B, 81)) <= 40_019


def test_a_port_of_the_same_parity_is_tried_first_and_bind_takes_the_others() -> None:
    host = Host(A, config=TcpConfig(ip_local_port_range=(40_000, 40_019)))
    ports = [port_to(host, Endpoint(B, 80)) for _ in range(10)]
    assert sorted(ports) == list(range(40_000, 40_020, 2))
    bound = [host.tcp.bind(Endpoint(A, 0)).local.port for _ in range(10)]
    assert sorted(bound) == list(range(40_001, 40_020, 2))


def test_the_next_port_is_hard_to_tell_from_the_last() -> None:
    host = Host(A)
    ports = [port_to(host, Endpoint(B, 80)) for _ in range(50)]
    steps = {(later - port) % 28_232 for port, later in pairwise(ports)}
    assert len(ports) == len(set(ports))
    assert steps == set(range(2, 17, 2))


def test_one_destination_s_ports_do_not_tell_those_of_another() -> None:
    """RFC 6056 §3.3.4: connections elsewhere do not move the counter that a destination sees."""
    quiet, busy = Host(A), Host(A)
    first = [port_to(host, Endpoint(B, 80)) for host in (quiet, busy)]
    assert first[0] == first[1]
    for port in range(1000, 1020):
        port_to(busy, Endpoint(B, port))
    steps = [
        port_to(host, Endpoint(B, 80)) - port
        for host, port in zip((quiet, busy), first, strict=True)
    ]
    assert all(0 < step % 28_232 <= 16 for step in steps)


def test_reserved_ports_are_for_who_asks_for_them() -> None:
    config = TcpConfig(
        ip_local_port_range=(40_000, 40_003), ip_local_reserved_ports=frozenset({40_000, 40_001})
    )
    host = Host(A, config=config)
    assert host.tcp.bind(Endpoint(A, 0)).local.port == 40_003
    assert port_to(host, Endpoint(B, 80)) == 40_002
    assert host.tcp.bind(Endpoint(A, 40_000)).local.port == 40_000


def test_a_port_that_somebody_has_bound_is_not_given_to_connections() -> None:
    host = Host(A, config=TcpConfig(ip_local_port_range=(40_000, 40_001)))
    host.tcp.bind(Endpoint(A, 40_000), reuse_address=True)
    assert {port_to(host, Endpoint(B, port)) for port in (1, 2, 3)} == {40_001}
