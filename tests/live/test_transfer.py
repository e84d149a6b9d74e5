"""Twenty million octets between the host's nc and snc, each way, arrive as they were sent."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.live.netns import HOST, STACK, Namespace

WHOLE = 20_000_000
LOSSY = ("--impair", "loss=5%,seed=7")
RECEIVING = [
    pytest.param((), WHOLE, id="offload"),
    pytest.param(("--no-offload",), WHOLE, id="no offload"),
    pytest.param(LOSSY, WHOLE, id="5% lost"),
    pytest.param(("--no-offload", *LOSSY), WHOLE, id="5% lost, no offload"),
]
SENDING = [
    *RECEIVING[:2],
    # Our congestion control obeys the losses, and 20 MB would take a quarter of a minute.
    pytest.param(LOSSY, 4_000_000, id="5% lost"),
    pytest.param(("--no-offload", *LOSSY), 4_000_000, id="5% lost, no offload"),
]
PORT = 12345


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def payload(twenty_million_octets: Path, tmp_path: Path, size: int) -> Path:
    part = tmp_path / "sent"
    part.write_bytes(twenty_million_octets.read_bytes()[:size])
    return part


@pytest.mark.parametrize(("options", "size"), RECEIVING)
def test_the_host_sends_to_snc(
    namespace: Namespace, options: tuple[str, ...], payload: Path
) -> None:
    server = namespace.tapstack(*options, "-c", f"snc -v -b {STACK}:{PORT}")
    server.wait_for(f"Listening on {STACK} {PORT}")

    with payload.open("rb") as source:
        namespace.run("nc", "-N", STACK, str(PORT), stdin=source, timeout=60)

    assert server.wait() == 0, server
    assert server.stdout_path.stat().st_size == payload.stat().st_size
    assert sha256(server.stdout_path) == sha256(payload)


@pytest.mark.parametrize(("options", "size"), SENDING)
def test_snc_sends_to_the_host(
    namespace: Namespace, options: tuple[str, ...], payload: Path
) -> None:
    sink = namespace.start("nc", "-l", str(PORT))
    namespace.wait_listening(PORT)

    with payload.open("rb") as source:
        client = namespace.tapstack(*options, "-c", f"snc -c {HOST}:{PORT} -N", stdin=source)
    assert client.wait(60) == 0, client

    assert sink.wait() == 0, sink
    assert sink.stdout_path.stat().st_size == payload.stat().st_size
    assert sha256(sink.stdout_path) == sha256(payload)


def test_lines_cross_both_ways_while_the_connection_lives(namespace: Namespace) -> None:
    peer = namespace.start("nc", "-l", str(PORT), stdin=subprocess.PIPE)
    namespace.wait_listening(PORT)
    client = namespace.tapstack("-c", f"snc -c {HOST}:{PORT}", stdin=subprocess.PIPE)

    client.type("from the stack")
    peer.wait_for("from the stack")
    peer.type("from the host")
    client.wait_for("from the host")
    client.type("and back")
    peer.wait_for("and back")
    peer.stop()

    assert client.wait() == 0, client
    assert client.stdout == "from the host\n"


def test_datagrams_cross_both_ways(namespace: Namespace) -> None:
    server = namespace.tapstack("-c", f"snc -u -v -b {STACK}:{PORT}", stdin=subprocess.PIPE)
    server.wait_for(f"Bound on {STACK} {PORT}")
    host = namespace.start("nc", "-u", STACK, str(PORT), stdin=subprocess.PIPE)

    host.type("hello")
    server.wait_for("hello")
    server.type("hello yourself")
    host.wait_for("hello yourself")


def test_a_refused_connection_is_told_as_nc_tells_it(namespace: Namespace) -> None:
    client = namespace.tapstack("-c", f"snc -c {HOST}:81")
    assert client.wait() == 1, client
    assert f"connect to {HOST} port 81 (tcp) failed: Connection refused" in client.stderr
    assert client.stdout == ""
