"""Settings by the names and in the units of Linux's sysctl(8)."""

from __future__ import annotations

import os
from dataclasses import fields
from errno import EINVAL, ENOENT

import pytest

from tapstack.base.units import SECOND
from tapstack.sim import World
from tapstack.sysctl import Sysctls
from tapstack.tcp.config import TcpConfig


@pytest.fixture
def sysctls() -> Sysctls:
    with World() as world:
        world.link(world.host("a"), world.host("b"))
        return Sysctls(world.hosts["a"].stack)


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("net.ipv4.tcp_sack", "1"),
        ("net.ipv4.tcp_rfc1337", "0"),
        ("net.ipv4.tcp_rmem", "4096\t131072\t6291456"),
        ("net.ipv4.ip_local_port_range", "32768\t60999"),
        ("net.ipv4.ip_local_reserved_ports", ""),
        ("net.ipv4.tcp_fastopen", "1"),
        ("net.ipv4.tcp_syncookies", "1"),
        ("net.ipv4.tcp_tw_reuse", "2"),
        ("net.ipv4.tcp_tw_reuse_delay", "1000"),
        ("net.ipv4.tcp_fin_timeout", "60"),
        ("net.ipv4.tcp_rto_min_us", "200000"),
        ("net.ipv4.tcp_rto_max_ms", "120000"),
        ("net.ipv4.tcp_invalid_ratelimit", "500"),
        ("net.ipv4.tcp_congestion_control", "cubic"),
        ("net.core.somaxconn", "4096"),
        ("net.ipv4.ip_default_ttl", "64"),
        ("net.ipv4.route.mtu_expires", "600"),
        ("net.ipv4.conf.all.send_redirects", "1"),
        ("net.ipv4.neigh.eth0.base_reachable_time_ms", "30000"),
        ("net.ipv4.neigh.eth0.gc_stale_time", "60"),
    ],
)
def test_names_units_and_defaults_are_those_of_linux(
    sysctls: Sysctls, name: str, default: str
) -> None:
    assert sysctls.get(name) == default


def test_every_setting_can_be_set_to_what_it_says(sysctls: Sysctls) -> None:
    before = {name: sysctls.get(name) for name in sysctls}
    assert len(before) > 50
    for name, value in before.items():
        sysctls.set(name, value)
    assert {name: sysctls.get(name) for name in sysctls} == before


def test_a_slash_may_stand_for_a_point(sysctls: Sysctls) -> None:
    sysctls.set("net/ipv4/tcp_sack", " 0\n")
    assert sysctls.get("net.ipv4.tcp_sack") == "0"


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("net.ipv4.tcp_sock", "1", ENOENT),
        ("net.ipv4.tcp_sack", "", EINVAL),
        ("net.ipv4.tcp_sack", "yes", EINVAL),
        ("net.ipv4.tcp_retries2", "-1", EINVAL),
        ("net.ipv4.tcp_retries2", "9" * 5000, EINVAL),
        ("net.ipv4.tcp_retries2", "256", EINVAL),
        ("net.ipv4.tcp_syn_retries", "0", EINVAL),
        ("net.ipv4.tcp_sack", "256", EINVAL),
        ("net.ipv4.tcp_ecn", "6", EINVAL),
        ("net.ipv4.tcp_ecn_option", "3", EINVAL),
        ("net.ipv4.tcp_rto_max_ms", "999", EINVAL),
        ("net.ipv4.tcp_rmem", "", EINVAL),
        ("net.ipv4.tcp_rmem", "4096 0", EINVAL),
        ("net.ipv4.tcp_rmem", "4096 x 8192", EINVAL),
        ("net.ipv4.ip_local_port_range", "40000 30000", EINVAL),
        ("net.ipv4.ip_local_port_range", "0 40000", EINVAL),
        ("net.ipv4.ip_local_reserved_ports", "9010-9000", EINVAL),
        ("net.ipv4.tcp_congestion_control", "vegas", ENOENT),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    sysctls: Sysctls, name: str, value: str, number: int
) -> None:
    before = {each: sysctls.get(each) for each in sysctls}
    with pytest.raises(OSError, match=os.strerror(number)):
        sysctls.set(name, value)
    assert {each: sysctls.get(each) for each in sysctls} == before


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("net.ipv4.tcp_fastopen", "0x403", "1027"),
        ("net.ipv4.tcp_retries2", "010", "8"),
        ("net.ipv4.tcp_retries2", "7 and more", "7"),
        ("net.ipv4.tcp_rmem", "1 2", "1\t2\t6291456"),
        ("net.ipv4.tcp_rmem", "9 8 7 6", "9\t8\t7"),
        ("net.ipv4.ip_local_reserved_ports", "80,90-91", "80,90,91"),
    ],
)
def test_numbers_are_read_as_linux_reads_them(
    sysctls: Sysctls, name: str, text: str, value: str
) -> None:
    sysctls.set(name, text)
    assert sysctls.get(name) == value


def test_what_is_set_counts() -> None:
    with World() as world:
        client, server = world.host("a"), world.host("b")
        world.link(client, server)
        sysctls = Sysctls(client.stack)
        sysctls.set("net.ipv4.ip_local_port_range", "40000 40000")
        sysctls.set("net.ipv4.tcp_fin_timeout", "7")
        with server.create_server(("", 80)), client.create_connection((server.address, 80)) as c:
            assert c.getsockname()[1] == 40000
        assert client.stack.tcp.config.tcp_fin_timeout == 7 * SECOND


def test_only_what_linux_has_no_sysctl_for_is_missing(sysctls: Sysctls) -> None:
    named = {name.rsplit(".", 1)[1] for name in sysctls}
    missing = {each.name for each in fields(TcpConfig)} - named
    renamed = {"tcp_rto_min", "tcp_rto_max"}
    assert {name for name in missing - renamed if name.startswith("tcp_")} == {
        "tcp_delack_max",
        "tcp_mss_default",
        "tcp_initial_cwnd",
    }
