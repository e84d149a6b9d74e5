"""What goes over the wire is right in the eyes of tcpdump and tshark, checksums included."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.netns import HOST, STACK, Namespace, Process

VALIDATION = (
    "-o", "ip.check_checksum:TRUE",
    "-o", "tcp.check_checksum:TRUE",
    "-o", "udp.check_checksum:TRUE",
)  # fmt: skip
WRONG = (
    "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 "
    "|| udp.checksum.status == 0 || icmp.checksum.status == 0"
)


def begin(namespace: Namespace, data: Path, *options: str) -> Process:
    """Start a stack that pings the host, sends it the data, then waits to receive them."""
    sink = namespace.start("nc", "-l", "12346")
    namespace.wait_listening(12346)
    with data.open("rb") as source:
        stack = namespace.tapstack(
            *options,
            *("-c", f"ping -c 2 -w 15 -i 0.01 -s 3001 {HOST}"),
            *("-c", f"snc -c {HOST}:12346 -N"),
            *("-c", f"snc -v -b {STACK}:12345"),
            stdin=source,
        )
    stack.wait_for("2 received")
    assert sink.wait() == 0, sink
    assert sink.stdout_path.read_bytes() == data.read_bytes()
    stack.wait_for(f"Listening on {STACK} 12345")
    return stack


def exercise(namespace: Namespace, data: Path, stack: Process) -> None:
    """Do the host's part: echoes, fragments, what is refused, and the transfer."""
    namespace.run("arping", "-c", "1", "-I", "tap0", STACK)
    namespace.ping(3, "-i", "0.01")
    namespace.ping(1, "-s", "6000")
    namespace.run("nc", "-z", "-w", "2", STACK, "81", status=1)  # a reset
    namespace.run("nc", "-v", "-u", "-z", "-w", "1", STACK, "81", status=None)  # port unreachable
    with data.open("rb") as source:
        namespace.run("nc", "-N", STACK, "12345", stdin=source)
    assert stack.wait() == 0, stack
    assert stack.stdout_path.read_bytes().endswith(data.read_bytes())


@pytest.fixture
def data(twenty_million_octets: Path, tmp_path: Path) -> Path:
    path = tmp_path / "sent"
    path.write_bytes(twenty_million_octets.read_bytes()[:500_000])
    return path


def test_tcpdump_on_the_host_finds_every_checksum_correct(namespace: Namespace, data: Path) -> None:
    namespace.run("ip", "tuntap", "add", "tap0", "mode", "tap")
    namespace.run("ip", "link", "set", "tap0", "up")
    dump = namespace.start("tcpdump", "-i", "tap0", "-nn", "-S", "-vvv", "-U", "--immediate-mode")
    dump.wait_for("listening on tap0")

    exercise(namespace, data, begin(namespace, data, "--no-offload"))

    dump.wait_for(r"\(correct\)", count=101)
    dump.popen.terminate()
    dump.wait()
    assert "incorrect" not in dump.stdout
    assert not re.search(r"\bbad\b", dump.stdout)  # "bad cksum", not a hexadecimal 0x5bad


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        pytest.param(("--no-offload",), WRONG, id="no offload"),
        # An ICMP error quotes a datagram as it came: its checksum had been left to us.
        pytest.param((), f"({WRONG}) && icmp.type != 3", id="offload"),
    ],
)
def test_tshark_finds_nothing_wrong_in_a_capture(
    namespace: Namespace, data: Path, tmp_path: Path, options: tuple[str, ...], wrong: str
) -> None:
    capture = tmp_path / "session.pcap"
    exercise(namespace, data, begin(namespace, data, *options, "--pcap", str(capture)))

    def count(display_filter: str) -> tuple[int, str]:
        shark = namespace.run(
            "tshark", "-n", "-r", str(capture), *VALIDATION, "-Y", display_filter, timeout=60
        )
        return shark.stdout.count("\n"), shark.stdout

    check_all_kinds_were_seen(lambda kind: count(kind)[0])
    assert count(wrong) == (0, "")


def check_all_kinds_were_seen(count: Callable[[str], int]) -> None:
    for kind in ("arp", "icmp.type == 0", "icmp.type == 3", "ip.flags.mf == 1", "tcp.len > 0"):
        assert count(kind) > 0, f"nothing captured of: {kind}"
