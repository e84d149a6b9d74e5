"""Ethernet: which frames go up, which are refused and how that is counted, and what goes down."""

import pytest
from hypothesis import given, strategies as st

from tapstack.base.address import MAC_BROADCAST
from tapstack.base.contracts import VERIFIED, Offload
from tapstack.base.errors import Drop
from tapstack.eth import wire
from tapstack.eth.protocol import multicast_mac
from tapstack.eth.wire import ETHERTYPE_IPV4, ETHERTYPE_QINQ, ETHERTYPE_VLAN, EthernetHeader
from tests.eth.link import OTHER_MAC, OUR_MAC, THEIR_MAC, Link

ALL_HOSTS_MAC = bytes.fromhex("01005e000001")
IPV6_ALL_NODES_MAC = bytes.fromhex("333300000001")


@pytest.mark.parametrize(
    ("destination", "to_us"),
    [(OUR_MAC, True), (MAC_BROADCAST, False), (ALL_HOSTS_MAC, False)],
)
def test_frames_for_us_go_up_and_tell_whether_for_us_alone(destination: bytes, to_us: bool) -> None:
    link = Link()
    link.receive(b"datagram", ETHERTYPE_IPV4, destination=destination)
    [delivery] = link.network.delivered
    assert delivery.octets == b"datagram"
    assert delivery.to_us is to_us
    assert delivery.interface is link.interface
    assert delivery.now == link.now


@pytest.mark.parametrize(
    "destination",
    [OTHER_MAC, IPV6_ALL_NODES_MAC, bytes.fromhex("01005e0000fb"), bytes(6)],
)
def test_frames_for_others_are_dropped(destination: bytes) -> None:
    link = Link()
    link.receive(b"datagram", ETHERTYPE_IPV4, destination=destination)
    assert not link.network.delivered
    assert link.drops(Drop.ETH_OTHER_HOST) == 1


@pytest.mark.parametrize("ethertype", [ETHERTYPE_VLAN, ETHERTYPE_QINQ])
def test_tags_are_refused_with_a_counter_of_their_own(ethertype: int) -> None:
    link = Link()
    link.receive(b"\x00\x01\x08\x00datagram", ethertype)
    assert not link.network.delivered
    assert link.drops(Drop.ETH_VLAN) == 1
    assert link.drops(Drop.ETH_UNKNOWN_TYPE) == 0
    assert link.counters["IfInUnknownProtos"] == 1


@pytest.mark.parametrize("ethertype", [0x86DD, 0x0026, 0xFFFF])
def test_a_type_that_nobody_speaks_is_counted(ethertype: int) -> None:
    link = Link()
    link.receive(b"datagram", ethertype)
    assert link.drops(Drop.ETH_UNKNOWN_TYPE) == 1


@pytest.mark.parametrize("source", [MAC_BROADCAST, ALL_HOSTS_MAC, b"\x03" + bytes(5)])
def test_a_group_sends_nothing(source: bytes) -> None:
    link = Link()
    link.receive(b"datagram", ETHERTYPE_IPV4, source=source)
    assert not link.network.delivered
    assert link.drops(Drop.ETH_BAD_SOURCE) == 1


def test_our_own_frames_given_back_are_dropped() -> None:
    link = Link()
    link.receive(b"datagram", ETHERTYPE_IPV4, destination=MAC_BROADCAST, source=OUR_MAC)
    assert not link.network.delivered
    assert link.drops(Drop.ETH_OWN_SOURCE) == 1


@pytest.mark.parametrize("length", range(14))
def test_a_frame_shorter_than_a_header_is_malformed(length: int) -> None:
    link = Link()
    link.receive_octets(OUR_MAC.ljust(length)[:length])
    assert link.drops(Drop.ETH_TRUNCATED) == 1
    assert link.counters["IfInErrors"] == 1


def test_an_empty_payload_is_the_network_layers_to_judge() -> None:
    link = Link()
    link.receive(b"", ETHERTYPE_IPV4)
    assert [delivery.octets for delivery in link.network.delivered] == [b""]


def test_inbound_offload_counts_from_the_payload() -> None:
    link = Link()
    link.receive(bytes(60), ETHERTYPE_IPV4, offload=Offload(34, 16, 1448))
    link.receive(bytes(60), ETHERTYPE_IPV4, offload=VERIFIED)
    link.receive(bytes(60), ETHERTYPE_IPV4, offload=Offload(0, 0, 1448))
    assert [delivery.offload for delivery in link.network.delivered] == [
        Offload(20, 16, 1448),
        VERIFIED,
        Offload(0, 0, 1448),
    ]


def test_outbound_offload_counts_from_the_frame() -> None:
    link = Link()
    broadcast = 0xFFFFFFFF
    for offload in (Offload(20, 16, 1448), VERIFIED, None):
        link.interface.send_datagram(broadcast, [bytes(40)], offload, link.now)
    sent = link.take(ETHERTYPE_IPV4)
    # What is verified already is not to be summed by the device again.
    assert [frame.offload for frame in sent] == [Offload(34, 16, 1448), VERIFIED, None]


def test_what_went_through_is_counted_with_its_headers() -> None:
    link = Link()
    link.receive(bytes(100), ETHERTYPE_IPV4)
    link.receive(bytes(50), 0x86DD)
    link.receive(bytes(10), ETHERTYPE_IPV4, source=MAC_BROADCAST)
    link.send(bytes(60), to=0xFFFFFFFF)
    statistics = link.interface.statistics
    assert (statistics.rx_packets, statistics.rx_bytes, statistics.rx_dropped) == (3, 202, 2)
    # The two announcements of our address went before.
    assert (statistics.tx_packets, statistics.tx_bytes) == (3, 74 + 2 * 42)
    assert link.counters["IfInPkts"] == 3
    assert link.counters["IfInOctets"] == 202
    assert link.counters["IfOutPkts"] == 3
    assert link.counters["IfOutOctets"] == 158


@given(st.integers(0xE0000000, 0xEFFFFFFF))
def test_groups_map_to_ethernets_by_23_bits(group: int) -> None:
    mac = multicast_mac(group)
    assert mac[:3] == b"\x01\x00\x5e"
    assert int.from_bytes(mac[3:], "big") == group % 2**23


def test_frames_are_traced_as_tcpdump_shows_them() -> None:
    link = Link()
    link.watch()
    link.receive(bytes(46), ETHERTYPE_IPV4, offload=Offload(34, 16, 1448))
    link.receive(bytes(46), 0x0026, destination=OTHER_MAC)
    link.send(bytes(20), to=0xFFFFFFFF)
    assert link.traced("l2") == [
        "< 02:00:00:00:00:02 > 02:00:00:00:00:01, ethertype IPv4 (0x0800), length 60",
        "< 02:00:00:00:00:02 > 02:00:00:00:00:03, ethertype 802.3 (0x0026), length 60",
        "> 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype IPv4 (0x0800), length 34",
    ]
    assert link.traced("dev") == [
        "tap0 < length 60, segments of 1448",
        "tap0 < length 60",
        "tap0 > length 34",
    ]


@given(st.binary(min_size=14, max_size=64))
def test_any_header_reads_and_builds_back(octets: bytes) -> None:
    header = wire.parse(octets)
    assert header == EthernetHeader(octets[:6], octets[6:12], int.from_bytes(octets[12:14], "big"))
    assert wire.build(header) == octets[:14]


def test_a_loopback_takes_its_own_frames() -> None:
    link = Link(mac=bytes(6), network=None)
    link.receive(b"datagram", ETHERTYPE_IPV4, destination=bytes(6), source=bytes(6))
    [delivery] = link.network.delivered
    assert delivery.to_us


def test_a_loopback_takes_no_frame_for_a_station() -> None:
    link = Link(mac=bytes(6), network=None)
    link.receive(b"datagram", ETHERTYPE_IPV4, destination=OUR_MAC, source=THEIR_MAC)
    assert link.drops(Drop.ETH_OTHER_HOST) == 1
