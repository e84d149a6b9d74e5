"""Path MTU discovery: lowered by ICMP, never raised by it, forgotten in time (RFC 1191)."""

import pytest
from hypothesis import given, strategies as st

from tapstack.base.units import MINUTE
from tapstack.ip.pmtu import MAX_ENTRIES
from tapstack.ip.routing import DEFAULT, Route
from tests.ip.rig import FAR, HOST, OTHER, Rig


@given(st.lists(st.integers(0, 65535), max_size=8))
def test_it_only_falls_and_never_below_552(told: list[int]) -> None:
    rig = Rig()
    expected = 1500
    for mtu in told:
        rig.ip.learn_path_mtu(HOST, mtu, rig.now)
        expected = min(expected, max(mtu, 552))
        assert rig.ip.path_to(HOST).mtu == expected
        assert rig.ip.path_to(OTHER).mtu == 1500


def test_it_is_forgotten_after_ten_minutes() -> None:
    rig = Rig()
    rig.ip.learn_path_mtu(HOST, 1000, rig.now)
    rig.wait(5 * MINUTE)
    rig.ip.learn_path_mtu(OTHER, 900, rig.now)
    rig.wait(5 * MINUTE - 1)
    assert rig.ip.path_to(HOST).mtu == 1000
    rig.wait(1)
    assert (rig.ip.path_to(HOST).mtu, rig.ip.path_to(OTHER).mtu) == (1500, 900)
    rig.wait(5 * MINUTE)
    assert rig.ip.path_to(OTHER).mtu == 1500
    assert rig.timers.next_deadline() is None


def test_hearing_it_again_keeps_it() -> None:
    rig = Rig()
    rig.ip.learn_path_mtu(HOST, 1000, rig.now)
    rig.wait(6 * MINUTE)
    rig.ip.learn_path_mtu(HOST, 1000, rig.now)
    rig.wait(6 * MINUTE)
    assert rig.ip.path_to(HOST).mtu == 1000


def test_a_link_narrower_than_the_floor_stays_so() -> None:
    rig = Rig(mtu=400)
    rig.ip.learn_path_mtu(HOST, 500, rig.now)
    assert rig.ip.path_to(HOST).mtu == 400


def test_the_oldest_makes_room() -> None:
    rig = Rig()
    rig.ip.routes.add(Route(DEFAULT, rig.tap, gateway=HOST))
    for number in range(MAX_ENTRIES + 1):
        rig.ip.learn_path_mtu(FAR + number, 600, rig.now)
    assert rig.ip.path_to(FAR).mtu == 1500
    assert rig.ip.path_to(FAR + 1).mtu == rig.ip.path_to(FAR + MAX_ENTRIES).mtu == 600


def test_it_decides_what_is_fragmented() -> None:
    rig = Rig()
    rig.ip.learn_path_mtu(HOST, 600, rig.now)
    rig.ip.send_datagram(17, 0, HOST, [bytes(1000)], rig.now)
    assert [len(each.octets) <= 600 for each in rig.drain()] == [True, True]
    with pytest.raises(OSError, match="Message too long"):
        rig.ip.send_datagram(17, 0, HOST, [bytes(1000)], rig.now, dont_fragment=True)
