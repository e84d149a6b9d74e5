"""A router between two links: what it passes on, and what it says when it does not."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tapstack.base.address import Network, parse_ipv4, parse_network
from tapstack.base.contracts import Offload
from tapstack.base.errors import Drop
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.ip.config import IpConfig
from tapstack.ip.routing import DEFAULT, Route
from tapstack.ip.wire import parse
from tests.ip.rig import (
    BROADCAST,
    DF,
    FAR,
    HOST,
    ICMP,
    OTHER,
    TCP,
    US,
    FakeInterface,
    Rig,
    Sent,
    echo,
    ipv4,
    udp,
)

THERE = parse_ipv4("10.1.0.7")  # a neighbour on the other link


class Router(Rig):
    def __init__(self, mtu: int = 1500) -> None:
        super().__init__(IpConfig(ip_forward=True))
        self.other = FakeInterface("tap1", mtu)
        self.ip.add_interface(self.other)
        self.ip.add_address(self.other, Network(parse_ipv4("10.1.0.1"), 24))

    def forwarded(self) -> list[Sent]:
        sent, self.other.queue = self.other.queue, []
        return sent


def test_a_datagram_passes_one_hop_older_and_otherwise_unchanged() -> None:
    router = Router()
    probe = ipv4(udp(), destination=THERE, ttl=9, flags=DF, tos=0x20, options=b"\x94\4\0\0")
    assert router.receive(probe + bytes(10)) == []
    (sent,) = router.forwarded()
    assert sent.next_hop == THERE
    assert sent.header == parse(probe)._replace(ttl=8)
    assert sent.payload == udp()
    assert router.counters["IpForwDatagrams"] == 1


def test_the_octets_are_copies() -> None:
    router = Router()
    buffer = bytearray(ipv4(udp(b"text"), destination=THERE))
    kept: list[bytes] = []
    router.other.send_datagram = (  # type: ignore[method-assign]
        lambda next_hop, parts, offload, now: kept.extend(parts)  # type: ignore[misc]
    )
    router.ip.receive(memoryview(buffer), None, router.tap, True, router.now)
    buffer[:] = bytes(len(buffer))
    assert kept[1] == udp(b"text")


def test_a_gateway_is_the_next_hop() -> None:
    router = Router()
    router.ip.routes.add(Route(DEFAULT, router.other, gateway=THERE))
    router.receive(ipv4(udp(), destination=FAR))
    assert [each.next_hop for each in router.forwarded()] == [THERE]


@pytest.mark.parametrize("ttl", [0, 1])
def test_time_exceeded(ttl: int) -> None:
    router = Router()
    probe = ipv4(udp(), destination=THERE, ttl=ttl)
    (error,) = router.receive(probe)
    assert (error.icmp.type, error.icmp.code, error.icmp.body) == (11, 0, probe)
    assert error.header.source == US
    assert router.forwarded() == []
    assert router.counters.drops == {Drop.IP_TTL_EXCEEDED: 1}


def test_no_route() -> None:
    router = Router()
    (error,) = router.receive(ipv4(udp(), destination=FAR))
    assert (error.icmp.type, error.icmp.code) == (3, 0)
    assert router.counters.drops == {Drop.IP_NO_ROUTE: 1}


@pytest.mark.parametrize(
    ("destination", "to_us"),
    [("224.0.0.9", True), ("240.0.0.1", True), ("0.0.0.0", True), ("10.1.0.7", False)],
)
def test_what_is_never_passed_on(destination: str, to_us: bool) -> None:
    router = Router()
    router.ip.routes.add(Route(DEFAULT, router.other, gateway=THERE))
    assert router.receive(ipv4(udp(), destination=parse_ipv4(destination)), to_us=to_us) == []
    assert router.forwarded() == []
    assert router.counters.drops == {Drop.IP_NOT_FOR_US: 1}


def test_directed_broadcasts_are_not_passed_on() -> None:
    router = Router()
    assert router.receive(ipv4(udp(), destination=parse_ipv4("10.1.0.255"))) == []
    assert router.forwarded() == []


def test_martians_are_not_passed_on() -> None:
    router = Router()
    router.receive(ipv4(udp(), source=BROADCAST, destination=THERE))
    router.receive(ipv4(udp(), source=parse_ipv4("127.0.0.1"), destination=THERE))
    assert router.forwarded() == []


def test_too_big_says_what_would_fit() -> None:
    router = Router(mtu=1000)
    probe = ipv4(udp(bytes(1200)), destination=THERE, flags=DF)
    for _ in range(20):  # path MTU discovery is not limited
        (error,) = router.receive(probe)
        assert (error.icmp.type, error.icmp.code, error.icmp.rest) == (3, 4, 1000)
    assert router.counters["IpFragFails"] == 20


def test_without_df_it_is_cut() -> None:
    router = Router(mtu=576)
    probe = ipv4(udp(bytes(range(200)) * 6), destination=THERE, ttl=9)
    assert router.receive(probe) == []
    sent = router.forwarded()
    assert [len(each.octets) <= 576 for each in sent] == [True] * 3
    assert {each.header.ttl for each in sent} == {8}
    assert {each.header.identification for each in sent} == {7}
    assert b"".join(each.payload for each in sent) == probe[20:]


def test_fragments_pass_as_they_are() -> None:
    router = Router()
    router.receive(ipv4(b"x" * 8, destination=THERE, offset=16))
    (sent,) = router.forwarded()
    assert sent.header.fragment_offset == 16
    assert len(router.ip.reassembler) == 0


def test_what_a_device_coalesced_is_cut_again_by_the_next() -> None:
    router = Router()
    offload = Offload(20, 16, 1448)
    router.receive(ipv4(bytes(9000), destination=THERE, protocol=TCP, flags=DF), offload=offload)
    assert [len(each.octets) for each in router.forwarded()] == [9020]
    narrow = Router(mtu=1000)
    (error,) = narrow.receive(
        ipv4(bytes(9000), destination=THERE, protocol=TCP, flags=DF), offload=offload
    )
    assert (error.icmp.type, error.icmp.code) == (3, 4)


def test_a_pending_checksum_is_completed_before_cutting() -> None:
    router = Router(mtu=576)
    plain = udp(bytes(1000), check=0x1111)
    router.receive(ipv4(plain, destination=THERE), offload=Offload(20, 6, 0))
    payload = b"".join(each.payload for each in router.forwarded())
    assert payload[:6] + payload[8:] == plain[:6] + plain[8:]
    assert payload[6:8] != b"\x11\x11"


def test_a_host_passes_nothing_on() -> None:
    router = Router()
    router.config.ip_forward = False
    assert router.receive(ipv4(udp(), destination=THERE)) == []
    assert router.forwarded() == []


# --- redirects ------------------------------------------------------------------------------------


def back_out(router: Router) -> tuple[list[Sent], list[Sent]]:
    """Send what goes out where it came in; give the redirects, and what was passed on."""
    sent = router.receive(ipv4(echo(), destination=FAR, protocol=ICMP))
    redirects = [each for each in sent if each.header.destination == HOST]
    return redirects, [each for each in sent if each.header.destination == FAR]


def test_a_redirect_names_the_better_hop_and_the_datagram_passes() -> None:
    router = Router()
    router.ip.routes.add(Route(parse_network("192.0.2.0/24"), router.tap, gateway=OTHER))
    (redirect,), (passed,) = back_out(router)
    assert (redirect.icmp.type, redirect.icmp.code, redirect.icmp.rest) == (5, 1, OTHER)
    assert redirect.header.source == US
    assert passed.next_hop == OTHER


def test_a_neighbour_of_both_is_named_itself() -> None:
    router = Router()
    sent = router.receive(ipv4(echo(), destination=OTHER, protocol=ICMP))
    assert [each.icmp.rest for each in sent if each.icmp.type == 5] == [OTHER]


def test_no_redirect_to_who_is_no_neighbour() -> None:
    router = Router()
    router.ip.routes.add(Route(DEFAULT, router.tap, gateway=OTHER))
    sent = router.receive(
        ipv4(echo(), source=parse_ipv4("198.51.100.1"), destination=FAR, protocol=ICMP)
    )
    assert [each.icmp.type for each in sent] == [8]


def test_no_redirect_if_not_wanted() -> None:
    router = Router()
    router.config.send_redirects = False
    router.ip.routes.add(Route(DEFAULT, router.tap, gateway=OTHER))
    assert back_out(router)[0] == []


def test_no_redirect_to_ourselves() -> None:
    router = Router()
    router.ip.routes.add(Route(parse_network("192.0.2.0/24"), router.lo))
    router.receive(ipv4(echo(), source=US, destination=FAR, protocol=ICMP, ttl=9), router.lo)
    assert router.counters["IpForwDatagrams"] == 8
    assert router.counters["IcmpOutRedirects"] == 0


def test_redirects_become_rarer_and_start_anew_after_silence() -> None:
    router = Router()
    router.ip.routes.add(Route(DEFAULT, router.tap, gateway=OTHER))
    times = []
    for _ in range(2000):
        if back_out(router)[0]:
            times.append(router.now)
        router.wait(10 * MILLISECOND)
    gaps = [(b - a) // (10 * MILLISECOND) for a, b in pairwise(times)]
    # Each pause is over 20 ms, doubled each time; after nine of them it gives up.
    assert gaps == [5, 9, 17, 33, 65, 129, 257, 513]
    router.wait(21 * SECOND)
    assert len(back_out(router)[0]) == 1
