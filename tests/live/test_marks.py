"""ECN with the kernel: it offers, we consent, and the new text that we send it is capable."""

import re
import subprocess

from tests.live.netns import STACK, Namespace

PORT = 12345


def capable_datagrams(namespace: Namespace) -> int:
    """Ask the kernel how many datagrams with ECT(0) it has received."""
    names, numbers = re.findall(
        "^IpExt: (.*)$", namespace.run("cat", "/proc/net/netstat").stdout, re.M
    )
    return int(dict(zip(names.split(), numbers.split(), strict=True))["InECT0Pkts"])


def test_the_kernel_offers_and_we_consent(namespace: Namespace) -> None:
    namespace.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/tcp_ecn")
    server = namespace.tapstack("-c", f"snc -v -b {STACK}:{PORT}", stdin=subprocess.PIPE)
    server.wait_for(f"Listening on {STACK} {PORT}")
    assert capable_datagrams(namespace) == 0

    client = namespace.start("nc", STACK, str(PORT), stdin=subprocess.PIPE)
    server.type("x" * 100_000)
    client.wait_for("x\n")
    server.end_input()
    client.end_input()

    assert client.stdout == "x" * 100_000 + "\n"
    assert capable_datagrams(namespace) > 0
