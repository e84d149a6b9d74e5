"""ARP as Linux, RFC 826 and RFC 5227 have it: who is answered, learnt, and not believed."""

import pytest

from tapstack.arp import wire
from tapstack.arp.wire import REPLY, REQUEST, ArpPacket
from tapstack.base.address import MAC_BROADCAST, MAC_ZERO, Network
from tapstack.base.errors import Drop
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.eth.wire import ETHERTYPE_ARP
from tests.eth.link import NETWORK, OTHER, OTHER_MAC, OUR_MAC, THEIR_MAC, THEM, US, Link

OFF_LINK = 0xC0A80101
ANNOUNCEMENT = ArpPacket(REQUEST, OUR_MAC, US, MAC_ZERO, US)


def answers(link: Link) -> list[tuple[bytes, ArpPacket]]:
    return [(to, packet) for _, to, packet in link.take_arp()]


# --- what is answered, and learnt ---


@pytest.mark.parametrize(
    ("sender", "to"),
    [
        pytest.param(THEM, MAC_BROADCAST, id="broadcast"),
        pytest.param(THEM, OUR_MAC, id="unicast"),
        pytest.param(OFF_LINK, MAC_BROADCAST, id="off-link sender"),
    ],
)
def test_a_request_for_us_is_answered_and_its_sender_learnt(sender: int, to: bytes) -> None:
    link = Link()
    link.request(sender=sender, to=to)
    reply = ArpPacket(REPLY, OUR_MAC, US, THEIR_MAC, sender)
    assert answers(link) == [(THEIR_MAC, reply)]
    assert link.state(sender) == "STALE"
    assert link.neighbour(sender).mac == THEIR_MAC


def test_a_probe_is_answered_and_nothing_learnt() -> None:
    link = Link()
    link.request(sender=0)
    assert answers(link) == [(THEIR_MAC, ArpPacket(REPLY, OUR_MAC, US, THEIR_MAC, 0))]
    assert len(link.neighbours) == 0


def test_the_packet_says_who_asked_and_not_the_frame() -> None:
    link = Link()
    packet = ArpPacket(REQUEST, OTHER_MAC, THEM, MAC_ZERO, US)
    link.receive(wire.build(packet), ETHERTYPE_ARP, source=THEIR_MAC)
    assert answers(link) == [(OTHER_MAC, ArpPacket(REPLY, OUR_MAC, US, OTHER_MAC, THEM))]
    assert link.neighbour().mac == OTHER_MAC


def test_padding_behind_a_request_is_nothing_to_us() -> None:
    link = Link()
    packet = ArpPacket(REQUEST, THEIR_MAC, THEM, MAC_ZERO, US)
    link.receive(wire.build(packet) + bytes(18), ETHERTYPE_ARP)
    assert len(answers(link)) == 1


def test_every_address_of_ours_is_answered_for() -> None:
    link = Link()
    link.interface.add_address(Network(0x0A000007, 24), link.now)
    link.take_arp()
    link.request(target=0x0A000007)
    [(_, reply)] = answers(link)
    assert (reply.sender_ip, reply.sender_mac) == (0x0A000007, OUR_MAC)


# --- what is met with silence, and not learnt ---

REQUEST_OCTETS = wire.build(ArpPacket(REQUEST, THEIR_MAC, THEM, MAC_ZERO, US))


def changed(offset: int, octets: bytes) -> bytes:
    return REQUEST_OCTETS[:offset] + octets + REQUEST_OCTETS[offset + len(octets) :]


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        pytest.param(changed(4, b"\x08"), Drop.ARP_BAD_FORMAT, id="bad hlen"),
        pytest.param(changed(7, b"\x09"), Drop.ARP_BAD_OPERATION, id="op 9"),
        pytest.param(REQUEST_OCTETS[:27], Drop.ARP_TRUNCATED, id="truncated"),
        pytest.param(changed(8, b"\x03"), Drop.ARP_BAD_SENDER, id="group hardware address"),
        pytest.param(changed(8, MAC_BROADCAST), Drop.ARP_BAD_SENDER, id="broadcast hardware"),
        pytest.param(changed(8, MAC_ZERO), Drop.ARP_BAD_SENDER, id="zero hardware address"),
        pytest.param(changed(8, OUR_MAC), Drop.ARP_BAD_SENDER, id="our hardware address"),
        pytest.param(changed(14, b"\xe0\0\0\x01"), Drop.ARP_BAD_SENDER, id="multicast sender"),
        pytest.param(changed(14, b"\xff" * 4), Drop.ARP_BAD_SENDER, id="limited broadcast"),
        pytest.param(changed(14, b"\x0a\0\0\xff"), Drop.ARP_BAD_SENDER, id="directed broadcast"),
        pytest.param(changed(14, b"\x7f\0\0\x01"), Drop.ARP_BAD_SENDER, id="loopback sender"),
        pytest.param(changed(14, b"\0\0\0\x05"), Drop.ARP_BAD_SENDER, id="0.0.0.5"),
    ],
)
def test_what_cannot_be_true_is_neither_answered_nor_learnt(octets: bytes, reason: Drop) -> None:
    link = Link()
    link.receive(octets, ETHERTYPE_ARP, destination=MAC_BROADCAST)
    assert answers(link) == []
    assert len(link.neighbours) == 0
    assert link.drops(reason) == 1


def test_a_reply_from_nobody_is_malformed() -> None:
    link = Link()
    link.reply(sender=0)
    assert link.drops(Drop.ARP_BAD_SENDER) == 1


@pytest.mark.parametrize("target", [OTHER, OFF_LINK])
def test_a_request_for_another_is_not_ours(target: int) -> None:
    link = Link()
    link.request(target=target)
    assert answers(link) == []
    assert len(link.neighbours) == 0
    assert link.drops(Drop.ARP_NOT_FOR_US) == 1


def test_a_probe_for_another_is_not_ours() -> None:
    link = Link()
    link.request(sender=0, target=OTHER)
    assert answers(link) == []
    assert link.drops(Drop.ARP_NOT_FOR_US) == 1


def test_an_unsolicited_reply_is_not_learnt() -> None:
    link = Link()
    link.reply()
    assert len(link.neighbours) == 0
    assert link.drops(Drop.ARP_UNSOLICITED) == 1


def test_an_announcement_of_a_stranger_is_not_learnt() -> None:
    link = Link()
    link.request(sender=OTHER, target=OTHER)
    assert answers(link) == []
    assert len(link.neighbours) == 0


def test_a_neighbour_that_we_know_is_updated_by_what_it_asks_of_others() -> None:
    """RFC 826: the merge flag is set before the target is looked at."""
    link = Link()
    link.request()
    link.take_arp()
    link.run(2 * SECOND)
    link.request(mac=OTHER_MAC, target=OTHER)
    assert link.neighbour().mac == OTHER_MAC
    assert answers(link) == []
    assert link.drops(Drop.ARP_NOT_FOR_US) == 0


def test_without_an_address_nothing_is_answered_and_requests_are_probes() -> None:
    link = Link(network=None)
    link.request()
    assert answers(link) == []
    link.send()
    [(_, request)] = answers(link)
    assert request.is_probe


# --- asking ---


def test_a_request_is_from_our_address_on_the_targets_network() -> None:
    link = Link()
    link.interface.add_address(Network(0xC0A80001, 16), link.now)
    link.take_arp()
    for target in (THEM, OFF_LINK, 0x08080808):
        link.send(to=target)
    sources = [packet.sender_ip for _, packet in answers(link)]
    assert sources == [US, 0xC0A80001, US]


# --- our own addresses ---


def test_an_address_is_announced_twice_two_seconds_apart() -> None:
    link = Link(network=None)
    link.interface.add_address(NETWORK, link.now)
    link.run(100 * SECOND)
    assert link.take_arp() == [
        (0, MAC_BROADCAST, ANNOUNCEMENT),
        (2 * SECOND, MAC_BROADCAST, ANNOUNCEMENT),
    ]


def test_adding_an_address_again_changes_nothing() -> None:
    link = Link()
    link.interface.add_address(NETWORK, link.now)
    link.run(10 * SECOND)
    assert answers(link) == []
    assert link.interface.networks == [NETWORK]


CLAIMS = [
    pytest.param(REQUEST, US, id="gratuitous request"),
    pytest.param(REQUEST, OTHER, id="request for another"),
    pytest.param(REPLY, OTHER, id="reply"),
    pytest.param(REPLY, US, id="gratuitous reply"),
]


@pytest.mark.parametrize(("operation", "target"), CLAIMS)
def test_who_claims_our_address_is_not_answered_but_the_address_defended(
    operation: int, target: int
) -> None:
    link = Link()
    link.watch()
    link.arp(operation, sender=US, target=target)
    assert answers(link) == [(MAC_BROADCAST, ANNOUNCEMENT)]
    assert len(link.neighbours) == 0
    assert link.drops(Drop.ARP_DUPLICATE_ADDRESS) == 1
    assert "duplicate address 10.0.0.1: 02:00:00:00:00:02 has it too" in link.traced("arp")


def test_an_address_is_defended_once_in_ten_seconds() -> None:
    link = Link()
    start = link.now
    for _ in range(250):
        link.request(sender=US, target=US)
        link.run(100 * MILLISECOND)
    assert link.drops(Drop.ARP_DUPLICATE_ADDRESS) == 250
    assert [when - start for when, _, _ in link.take_arp()] == [0, 10 * SECOND, 20 * SECOND]


def test_each_address_is_defended_for_itself() -> None:
    link = Link()
    link.interface.add_address(Network(0x0A000007, 24), link.now)
    link.run(10 * SECOND)
    link.take_arp()
    link.request(sender=US, target=US)
    link.request(sender=0x0A000007, target=0x0A000007)
    assert [packet.sender_ip for _, packet in answers(link)] == [US, 0x0A000007]


def test_packets_are_traced_both_ways() -> None:
    link = Link()
    link.watch()
    link.request()
    assert link.traced("arp") == [
        "< Request who-has 10.0.0.1 tell 10.0.0.2, length 28",
        "neighbour 10.0.0.2 NONE -> STALE",
        "> Reply 10.0.0.1 is-at 02:00:00:00:00:01, length 28",
    ]
