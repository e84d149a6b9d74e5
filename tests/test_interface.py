"""A network interface put together: where datagrams go, what comes up, and any octets at all."""

import pytest
from hypothesis import given, strategies as st

from tapstack.arp import wire as arp_wire
from tapstack.base.address import MAC_BROADCAST, MAC_ZERO, Network
from tapstack.base.contracts import Frame, Offload
from tapstack.base.errors import MalformedPacket
from tapstack.device.loopback import LoopbackDevice
from tapstack.eth import wire as eth_wire
from tapstack.eth.wire import ETHERTYPE_ARP, ETHERTYPE_IPV4, EthernetHeader
from tests.eth.link import (
    OTHER_MAC,
    OUR_MAC,
    THEIR_MAC,
    THEM,
    US,
    Link,
    Recorder,
    SeededEntropy,
)

LIMITED, DIRECTED = 0xFFFFFFFF, 0x0A0000FF


@pytest.mark.parametrize(
    ("next_hop", "mac"),
    [
        pytest.param(LIMITED, MAC_BROADCAST, id="limited broadcast"),
        pytest.param(DIRECTED, MAC_BROADCAST, id="directed broadcast"),
        pytest.param(0xE0000001, bytes.fromhex("01005e000001"), id="all hosts"),
        pytest.param(0xEFFFFFFA, bytes.fromhex("01005e7ffffa"), id="239.255.255.250"),
    ],
)
def test_broadcast_and_multicast_need_no_asking(next_hop: int, mac: bytes) -> None:
    link = Link()
    link.send(b"datagram", to=next_hop)
    assert link.take_datagrams() == [(mac, b"datagram")]
    assert link.take_arp() == []
    assert len(link.neighbours) == 0


def test_a_network_of_two_has_no_broadcast() -> None:
    link = Link(network=Network(THEM, 31))
    link.send(to=THEM + 1)
    [(_, _, request)] = link.take_arp()
    assert request.target_ip == THEM + 1


def test_the_broadcast_of_a_foreign_network_is_a_neighbour_like_any() -> None:
    link = Link()
    link.send(to=0xC0A800FF)
    assert len(link.take_arp()) == 1


def test_parts_are_gathered_behind_one_header() -> None:
    link = Link()
    text = bytes(range(100))
    parts = [b"header", memoryview(text)[10:20], bytearray(b"end")]
    link.interface.send_datagram(LIMITED, parts, Offload(20, 16, 0), link.now)
    [sent] = link.take(ETHERTYPE_IPV4)
    assert sent.header == EthernetHeader(MAC_BROADCAST, OUR_MAC, ETHERTYPE_IPV4)
    assert sent.payload == b"header" + text[10:20] + b"end"
    assert sent.offload == Offload(34, 16, 0)


def test_a_datagram_that_waited_keeps_its_parts_and_its_offload() -> None:
    link = Link()
    parts = [b"header", memoryview(b"text of a send buffer")[:4]]
    link.interface.send_datagram(THEM, parts, Offload(20, 16, 1448), link.now)
    del parts
    link.reply()
    [sent] = link.take(ETHERTYPE_IPV4)
    assert sent.payload == b"headertext"
    assert sent.offload == Offload(34, 16, 1448)


def test_an_interface_is_what_its_device_is() -> None:
    link = Link()
    assert (link.interface.name, link.interface.mtu) == ("tap0", 1500)
    assert link.interface.mac == OUR_MAC
    assert link.interface.device is link.device
    assert not link.interface.is_loopback()
    assert link.interface.networks == [Network(US, 24)]


def test_an_unreachable_neighbour_needs_no_listener() -> None:
    link = Link()
    link.interface.on_unreachable = None
    link.send()
    link.run(10_000_000)
    assert link.interface.statistics.tx_dropped == 1


# --- the loopback ---


def test_what_is_sent_to_the_loopback_comes_back_unresolved() -> None:
    link = Link(mac=MAC_ZERO, network=Network(0x7F000001, 8))
    assert link.interface.is_loopback()
    assert link.interface.neighbours is None
    for destination in (0x7F000001, US, LIMITED, 0xE0000001):
        link.send(b"datagram", to=destination)
    sent = link.take(ETHERTYPE_IPV4)
    assert [frame.header for frame in sent] == [EthernetHeader(MAC_ZERO, MAC_ZERO, 0x0800)] * 4
    assert link.device.written == []


def test_the_loopback_announces_nothing() -> None:
    link = Link(mac=MAC_ZERO, network=None)
    link.interface.add_address(Network(0x7F000001, 8), 0)
    link.run(10_000_000)
    assert link.device.written == []


def test_a_unit_goes_round_the_real_loopback_whole() -> None:
    link = Link()
    device = LoopbackDevice()
    interface = type(link.interface)(
        device,
        timers=link.timers,
        entropy=SeededEntropy(),
        counters=link.counters,
        tracer=link.tracer,
    )
    above = Recorder()
    interface.bind_network(ETHERTYPE_IPV4, above)
    interface.send_datagram(0x7F000001, [b"unit", bytes(60_000)], Offload(20, 16, 1448), 0)
    frame = device.read(0)
    assert frame is not None
    interface.receive(frame, 0)
    [delivery] = above.delivered
    assert delivery.octets == b"unit" + bytes(60_000)
    assert delivery.offload == Offload(20, 16, 1448)
    assert delivery.to_us


# --- any octets ---

macs = st.sampled_from([OUR_MAC, THEIR_MAC, OTHER_MAC, MAC_BROADCAST, MAC_ZERO]) | st.binary(
    min_size=6, max_size=6
)
addresses = st.sampled_from([US, THEM, 0, LIMITED, DIRECTED]) | st.integers(0, LIMITED)
ethertypes = st.sampled_from([ETHERTYPE_IPV4, ETHERTYPE_ARP, 0x8100]) | st.integers(0, 65535)
arp_packets = st.builds(
    arp_wire.ArpPacket, st.integers(0, 3), macs, addresses, macs, addresses
).map(arp_wire.build)
frames = st.binary(max_size=80) | st.builds(
    lambda destination, source, ethertype, payload: (
        eth_wire.build(EthernetHeader(destination, source, ethertype)) + payload
    ),
    macs,
    macs,
    ethertypes,
    arp_packets | st.binary(max_size=60),
)
offloads = st.none() | st.builds(
    Offload, st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 65535)
)


@given(st.lists(st.tuples(frames, offloads), max_size=20), st.booleans(), st.booleans())
def test_any_octets_are_taken_or_malformed_and_every_frame_is_accounted_for(
    arrivals: list[tuple[bytes, Offload | None]], loopback: bool, traced: bool
) -> None:
    link = Link(mac=MAC_ZERO if loopback else OUR_MAC)
    if traced:
        link.watch()
    link.send()  # so that there is someone to learn of
    for octets, offload in arrivals:
        try:
            link.interface.receive(Frame((memoryview(octets),), offload), link.now)
        except MalformedPacket:
            continue
    statistics = link.interface.statistics
    assert statistics.rx_packets == len(arrivals)
    assert statistics.rx_bytes == sum(len(octets) for octets, _ in arrivals)
    assert statistics.rx_dropped + len(link.network.delivered) <= len(arrivals)
    link.run(1000_000_000)
    assert list(link.timers.armed()) == []
