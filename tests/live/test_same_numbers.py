"""What our TCP_INFO says of a connection to the kernel is what `ss -tio` on the host says of it."""

import json
import re

import pytest

from tests.live.netns import Namespace


@pytest.mark.parametrize("way", ["connect", "accept"])
def test_tcp_info_agrees_with_ss_on_the_host(namespace: Namespace, way: str) -> None:
    namespace.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/tcp_ecn")
    program = namespace.python("same_numbers.py", way)
    program.wait_for("}")
    ours = json.loads(program.stdout)
    theirs = namespace.run(
        "ss", "-Htino", "state", "established", "( sport = 4242 or dport = 4242 )"
    )

    assert ours["words"] == ["ts", "sack", "ecn"]
    assert ours["congestion"] == "cubic"
    words = theirs.stdout.split()
    assert {"ts", "sack", "ecn", "cubic"} <= set(words), theirs
    assert f"mss:{ours['mss']}" in words
    send, receive = ours["wscale"]
    assert f"wscale:{receive},{send}" in words
    assert re.search(r"rtt:[\d.]+/", theirs.stdout)
