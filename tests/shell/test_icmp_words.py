"""ICMP errors in ping's words."""

import pytest

from tapstack.base.address import parse_ipv4
from tapstack.ip.icmp_wire import Message
from tapstack.shell.icmp_words import describe


@pytest.mark.parametrize(
    ("type_", "code", "rest", "words"),
    [
        (3, 0, 0, "Destination Net Unreachable"),
        (3, 1, 0, "Destination Host Unreachable"),
        (3, 3, 0, "Destination Port Unreachable"),
        (3, 4, 1400, "Frag needed and DF set (mtu = 1400)"),
        (3, 13, 0, "Packet filtered"),
        (3, 99, 0, "ICMP type 3, code 99"),
        (4, 0, 0, "Source Quench"),
        (5, 1, parse_ipv4("10.0.0.3"), "Redirect Host(New nexthop: 10.0.0.3)"),
        (11, 0, 0, "Time to live exceeded"),
        (11, 1, 0, "Frag reassembly time exceeded"),
        (12, 0, 20 << 24, "Parameter problem: pointer = 20"),
        (13, 0, 0, "ICMP type 13, code 0"),
    ],
)
def test_words(type_: int, code: int, rest: int, words: str) -> None:
    assert describe(Message(type_, code, rest, b"")) == words
