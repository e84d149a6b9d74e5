"""Fast Open with the kernel at the other end: each takes the cookies and the text of the other."""

import re

import pytest

from tests.live.netns import HOST, STACK, Namespace


def kernel_counters(namespace: Namespace) -> dict[str, int]:
    table = namespace.run("cat", "/proc/net/netstat").stdout
    names, numbers = re.findall("^TcpExt: (.*)$", table, re.M)
    return dict(zip(names.split(), map(int, numbers.split()), strict=True))


@pytest.mark.parametrize(
    ("server", "client", "address", "counter"),
    [
        ("kernel", "tapstack", HOST, "TCPFastOpenPassive"),
        ("tapstack", "kernel", STACK, "TCPFastOpenActive"),
    ],
)
def test_the_first_visit_brings_a_cookie_and_the_next_use_it(
    namespace: Namespace, server: str, client: str, address: str, counter: str
) -> None:
    namespace.run("sh", "-c", "echo 3 > /proc/sys/net/ipv4/tcp_fastopen")
    serving = namespace.python("fast_open_peer.py", server, "serve", "0.0.0.0", "3")
    serving.wait_for("listening")
    asking = namespace.python("fast_open_peer.py", client, "ask", address, "3")
    asking.wait_for("done")
    serving.wait_for("done")
    assert serving.stdout.split().count("ping") == asking.stdout.split().count("pong") == 3
    assert kernel_counters(namespace)[counter] == 2
