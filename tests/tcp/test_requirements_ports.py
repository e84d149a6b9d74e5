"""Ephemeral ports as RFC 6056 requires: all of the range, and hard to foresee."""

from __future__ import annotations

from errno import EADDRNOTAVAIL

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
