"""A script that is run on the Linux kernel, and on both hosts to compare them."""

from pathlib import Path

import pytest

from tapstack.drill.running import Manner, Verdict, run_file
from tests.live.kernel_plays import play_on_kernel

pytestmark = pytest.mark.usefixtures("able")

SERVER = """
`sysctl -q net.ipv4.tcp_timestamps=0`
 0.000 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0.000 bind(3, ..., ...) = 0
+0.000 listen(3, 1) = 0
+0.100 < S 0:0(0) win 4000 <mss 1000>
+0.000 > S. 0:0(0) ack 1 <...>
+0.100 < . 1:1(0) ack 1 win 1000
+0.000 accept(3, ..., ...) = 4
+0.200 write(4, ..., 10) = 10
+0.000 > P. 1:11(10) ack 1
+0.010 < . 1:1(0) ack 11 win 1000
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "server.pkt"
    path.write_text(text)
    return path


def test_the_kernel_passes(tmp_path: Path) -> None:
    result = play_on_kernel(written(tmp_path, SERVER), Manner(live=True))
    assert (result.verdict, result.report) == (Verdict.PASSED, "")
    assert 0.4 < result.seconds < 5


def test_the_kernel_fails_what_no_host_does(tmp_path: Path) -> None:
    wrong = SERVER.replace("> P. 1:11(10)", "> P. 1:12(11)")
    result = run_file(written(tmp_path, wrong), Manner(live=True))
    assert result.verdict is Verdict.FAILED
    assert "actual    P. 1:11(10) ack 1" in result.report
    assert "192.168.0.1:8080" in result.report, "the kernel's sockets are shown"


def test_both_hosts_do_the_same(tmp_path: Path) -> None:
    result = play_on_kernel(written(tmp_path, SERVER), Manner(compare=True, verbose=True))
    assert result.verdict is Verdict.PASSED
    assert result.report.startswith("tapstack passes\nLinux ")


def test_a_script_that_fails_on_both_has_failed(tmp_path: Path) -> None:
    wrong = SERVER.replace("listen(3, 1) = 0", "listen(3, 1) = 1")
    result = run_file(written(tmp_path, wrong), Manner(compare=True))
    assert result.verdict is Verdict.FAILED
    assert result.report.endswith("Linux fails alike.")


def test_hosts_that_are_set_up_otherwise_part_side_by_side(tmp_path: Path) -> None:
    on_the_kernel = "if [ -d /sys/class/net/tun0 ]; then sysctl -q net.ipv4.tcp_sack=0; fi; sysctl"
    script = SERVER.replace("<mss 1000>", "<mss 1000,sackOK,nop,nop>")
    script = script.replace("sysctl", on_the_kernel, 1)
    result = run_file(written(tmp_path, script), Manner(compare=True))
    assert result.verdict is Verdict.FAILED
    marked = next(line for line in result.report.splitlines() if line.startswith(">>"))
    ours, theirs = marked.split("|")
    assert "sackOK" in ours
    assert "sackOK" not in theirs


def test_a_mistake_is_told_before_anything_is_made(tmp_path: Path) -> None:
    result = run_file(written(tmp_path, SERVER + "0.5 frobnicate(3) = 0\n"), Manner(compare=True))
    assert result.verdict in (Verdict.UNREADABLE, Verdict.UNSUPPORTED)
