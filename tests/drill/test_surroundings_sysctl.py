"""`sysctl` as procps has it, over all settings that Linux has."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from tapstack.base.units import SECOND
from tapstack.drill.surroundings.inert_sysctls import inert_settings
from tapstack.drill.surroundings.settings import Settings
from tests.drill.command_bench import Bench, bench

__all__ = ["bench"]  # a fixture


@pytest.mark.parametrize(
    ("words", "status", "output"),
    [
        ("net.ipv4.tcp_sack", 0, "net.ipv4.tcp_sack = 1\n"),
        ("-n net.ipv4.tcp_sack", 0, "1\n"),
        ("-b net.ipv4.tcp_sack", 0, "1"),
        ("-N net.ipv4.tcp_sack", 0, "net.ipv4.tcp_sack\n"),
        ("--values net/ipv4/tcp_sack net.ipv4.tcp_retries2", 0, "1\n15\n"),
        ("net.ipv4.tcp_sack=0", 0, "net.ipv4.tcp_sack = 0\n"),
        ("-qw net.ipv4.tcp_sack=0 net.ipv4.tcp_dsack=0", 0, ""),
        ("-n net.ipv4.tcp_sack=0", 0, "0\n"),
        ("--quiet --write net.ipv4.tcp_sack=0", 0, ""),
        ("-w 'net.ipv4.tcp_sack = 0'", 0, "net.ipv4.tcp_sack = 0\n"),
        ("-w net.ipv4.tcp_fastopen=0x403", 0, "net.ipv4.tcp_fastopen = 0x403\n"),
        ("-w net.ipv4.tcp_sack", 1, "sysctl: command line(0): invalid syntax, continuing...\n"),
        ("-e net.ipv4.tcp_foo=1 net.ipv4.tcp_bar net.ipv4.tcp_sack=1 -q", 0, ""),
        ("-a -r '^net.ipv4.tcp_sack$'", 0, "net.ipv4.tcp_sack = 1\n"),
        ("-a -r '['", 0, ""),
        ("net.ipv4.route.min_pmtu", 0, "net.ipv4.route.min_pmtu = 552\n"),
        ("net.ipv4.neigh.eth0.locktime", 0, "net.ipv4.neigh.eth0.locktime = 100\n"),
        ("net.ipv4.conf.eth0.rp_filter=2", 0, "net.ipv4.conf.eth0.rp_filter = 2\n"),
        ("net.ipv4.tcp_mem", 0, "net.ipv4.tcp_mem = 287898\t383867\t575796\n"),
        ("net.ipv4.route.flush", 0, ""),
        ("net.ipv4.route.flush=1", 0, "net.ipv4.route.flush = 1\n"),
        ("net.ipv4.tcp_available_congestion_control -n", 0, "cubic reno\n"),
        ("net.ipv4.tcp_allowed_congestion_control -n", 0, "cubic reno\n"),
        ("-q net.ipv4.tcp_allowed_congestion_control='reno cubic'", 0, "\n"),
        ("-V", 0, "sysctl of tapstack\n"),
        ("--version net.ipv4.tcp_sack", 0, "sysctl of tapstack\n"),
        ("-h", 0, "Usage:\n sysctl [options] [variable[=value] ...]\n"),
        ("-p -", 2, "sysctl -p -: not simulated\n"),
        ("--load=/dev/stdin", 2, "sysctl -p /dev/stdin: not simulated\n"),
        ("", 1, "sysctl: no variables specified\n"),
        ("-p no-such-file", 1, 'sysctl: cannot open "no-such-file": No such file or directory\n'),
    ],
)
def test_what_procps_says(bench: Bench, words: str, status: int, output: str) -> None:
    shell = bench.run(f"sysctl {words}")
    if "congestion_control" in words:
        shell = shell._replace(output=" ".join(sorted(shell.output.split())) + "\n")
    assert shell == (status, output)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("net.ipv4.tcp_foo", "1"),
        ("net.ipv4.tcp_sack", "x"),
        ("net.ipv4.tcp_sack", "256"),
        ("net.ipv4.tcp_sack", ""),
        ("net.ipv4.tcp_early_retrans", "5"),
        ("net.ipv4.tcp_rmem", "0 1 2"),
        ("net.ipv4.tcp_congestion_control", "nosuch"),
        ("net.ipv4.tcp_allowed_congestion_control", "reno nosuch"),
        ("net.ipv4.tcp_fastopen_key", "zz"),
        ("net.ipv4.tcp_ehash_entries", "1"),
        ("net.ipv4.tcp_available_congestion_control", "reno"),
        ("net.ipv4.tcp_pacing_ss_ratio", "1001"),
        ("net.ipv4.tcp_plb_cong_thresh", "257"),
        ("net.ipv4.tcp_plb_cong_thresh", "x"),
        ("net.ipv4.tcp_plb_cong_thresh", ""),
        ("net.ipv4.conf.eth7.rp_filter", "1"),
        ("kernel.panic", "1"),
    ],
)
def test_what_cannot_be_set_fails_and_changes_nothing(bench: Bench, name: str, value: str) -> None:
    before = bench.run("sysctl -a").output
    shell = bench.run(f'sysctl -q {name}="{value}"')
    assert shell.status == 1
    assert shell.output.startswith("sysctl: ")
    assert bench.run("sysctl -a").output == before


def test_which_algorithms_are_for_everybody_is_kept(bench: Bench) -> None:
    allowed = "net.ipv4.tcp_allowed_congestion_control"
    assert bench.run(f"sysctl -q {allowed}=reno").status == 0
    assert bench.run(f"sysctl -n {allowed}").output == "reno\n"
    assert list(bench.surroundings.inert_used) == [allowed]
    assert bench.run("sysctl -q net.ipv4.tcp_congestion_control=cubic").status == 0


def test_a_folder_stands_for_all_below(bench: Bench) -> None:
    lines = bench.run("sysctl net.ipv4.neigh.eth0").output.splitlines()
    assert len(lines) == 17
    assert all(line.startswith("net.ipv4.neigh.eth0.") for line in lines)


def test_settings_come_from_a_file(bench: Bench) -> None:
    (bench.directory / "some.conf").write_text(
        "# a comment\n; another\n\n net.ipv4.tcp_sack = 0\n-net.ipv4.tcp_foo = 1\n"
        "net.ipv4.tcp_rmem=1 2 3\n"
    )
    assert bench.run("sysctl -p some.conf") == (
        0,
        "net.ipv4.tcp_sack = 0\nnet.ipv4.tcp_rmem = 1 2 3\n",
    )
    assert bench.get("net.ipv4.tcp_rmem") == "1\t2\t3"
    (bench.directory / "bad.conf").write_text("net.ipv4.tcp_foo = 1\nnonsense\n")
    assert bench.run("sysctl -qp ./bad.conf") == (
        1,
        "sysctl: cannot stat /proc/sys/net/ipv4/tcp_foo: No such file or directory\n"
        "sysctl: ./bad.conf(2): invalid syntax, continuing...\n",
    )


def test_flushing_routes_forgets_what_was_learned(bench: Bench) -> None:
    ip = bench.host.stack.ip
    peer = ip.path_to(0x0A000002)
    ip.learn_path_mtu(0x0A000002, 900, 0)
    assert ip.path_to(0x0A000002).mtu == 900 < peer.mtu
    bench.run("sysctl -q net.ipv4.route.flush=1")
    assert ip.path_to(0x0A000002).mtu == peer.mtu


def test_setting_the_rest_of_a_black_hole_ends_it(bench: Bench) -> None:
    peers = bench.host.stack.tcp.fast_open_peers
    peers.pause(0)
    assert peers.is_paused(60, SECOND)
    bench.run("sysctl -q net.ipv4.tcp_fastopen_blackhole_timeout_sec=60")
    assert not peers.is_paused(60, SECOND)


def test_every_setting_takes_back_what_it_says(bench: Bench) -> None:
    settings = Settings(bench.host.stack)
    for name in settings.names():
        value = settings.get(name)
        try:
            settings.set(name, value)
        except PermissionError:
            continue
        assert settings.get(name) == value


def test_inert_settings_say_why() -> None:
    table = inert_settings(("lo", "tun0"))
    assert len(table) > 500
    assert all(setting.reason for setting in table.values())
    for setting in table.values():
        if setting.is_numeric and "\t" not in setting.default:
            assert setting.least <= int(setting.default) <= setting.most


def names_of_linux() -> list[str]:
    """Ask a network namespace of its own, and look at what stands outside, too."""
    words = ["unshare", "-rn", "find", "/proc/sys/net", "-type", "f"]
    inside = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
    outside = [str(path) for path in Path("/proc/sys/net").rglob("*") if path.is_file()]
    names = {path.removeprefix("/proc/sys/").replace("/", ".") for path in [*inside, *outside]}
    # interfaces of this machine, and a key of its devices
    return sorted(name for name in names if not ("neigh." in name or ".conf." in name))


@pytest.mark.skipif(
    not platform.release().startswith("6.18.") or not shutil.which("unshare"),
    reason="the lists are those of Linux 6.18",
)
def test_every_name_that_linux_has_is_known(bench: Bench) -> None:
    known = Settings(bench.host.stack).names()
    expected = [n for n in names_of_linux() if n.split(".")[1] in ("core", "ipv4", "ipv6")]
    assert len(expected) > 100
    missing = set(expected) - known - {"net.core.netdev_rss_key"}
    assert not missing
    for folder in ("net.ipv4.conf", "net.ipv4.neigh", "net.ipv6.conf", "net.ipv6.neigh"):
        path = Path("/proc/sys", *folder.split("."), "default")
        if path.is_dir():
            assert {f"{folder}.default.{name}" for name in os.listdir(path)} <= known
