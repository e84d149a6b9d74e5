"""The ARP packet: construct, the derived codec and the parser tell the same of any octets."""

import pytest
from hypothesis import given, strategies as st

from tapstack.arp import wire
from tapstack.arp.wire import ARP_PACKET, CODEC, REPLY, REQUEST, ArpPacket
from tapstack.base.errors import Drop, MalformedPacket
from tapstack.eth import wire as eth_wire

U16, U32, MACS = (
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=6, max_size=6),
)
packets = st.builds(ArpPacket, st.sampled_from([REQUEST, REPLY]), MACS, U32, MACS, U32)
any_fields = st.fixed_dictionaries(
    {
        "hardware_type": U16,
        "protocol_type": U16,
        "hardware_length": st.integers(0, 255),
        "protocol_length": st.integers(0, 255),
        "operation": U16,
        "sender_mac": MACS,
        "sender_ip": U32,
        "target_mac": MACS,
        "target_ip": U32,
    }
)

# RFC 826's layout spelt out by hand: who-has 10.0.0.1 tell 10.0.0.2.
REQUEST_OCTETS = bytes.fromhex("0001 0800 06 04 0001 020000000002 0a000002 000000000000 0a000001")


@given(st.binary(min_size=28, max_size=60))
def test_codec_and_declaration_read_any_octets_alike(octets: bytes) -> None:
    fields = CODEC.parse(octets)
    declared = ARP_PACKET.parse(octets)
    assert fields == {name: declared[name] for name in fields}
    assert CODEC.build(**fields) == ARP_PACKET.build(fields) == octets[:28]


@given(any_fields)
def test_codec_and_declaration_build_any_fields_alike(fields: dict[str, int | bytes]) -> None:
    octets = CODEC.build(**fields)
    assert octets == ARP_PACKET.build(fields)
    assert CODEC.parse(octets) == fields


@given(packets, st.binary(max_size=18))
def test_a_packet_survives_the_wire_padding_behind_it(packet: ArpPacket, padding: bytes) -> None:
    assert wire.parse(wire.build(packet) + padding) == packet


def test_the_layout_is_the_rfcs() -> None:
    packet = ArpPacket(REQUEST, bytes.fromhex("020000000002"), 0x0A000002, bytes(6), 0x0A000001)
    assert wire.parse(REQUEST_OCTETS) == packet
    assert wire.build(packet) == REQUEST_OCTETS


def test_the_types_are_those_of_ethernet() -> None:
    assert wire.ETHERTYPE_ARP == eth_wire.ETHERTYPE_ARP
    assert wire.PROTOCOL_IPV4 == eth_wire.ETHERTYPE_IPV4


@pytest.mark.parametrize("length", range(28))
def test_a_truncated_packet_is_malformed(length: int) -> None:
    with pytest.raises(MalformedPacket) as caught:
        wire.parse(REQUEST_OCTETS[:length])
    assert caught.value.reason is Drop.ARP_TRUNCATED


@pytest.mark.parametrize(
    ("offset", "octet", "reason"),
    [
        pytest.param(1, 6, Drop.ARP_BAD_FORMAT, id="IEEE 802 hardware"),
        pytest.param(2, 0x86, Drop.ARP_BAD_FORMAT, id="another protocol"),
        pytest.param(4, 0, Drop.ARP_BAD_FORMAT, id="hlen 0"),
        pytest.param(4, 255, Drop.ARP_BAD_FORMAT, id="hlen 255"),
        pytest.param(5, 16, Drop.ARP_BAD_FORMAT, id="plen 16"),
        pytest.param(7, 0, Drop.ARP_BAD_OPERATION, id="op 0"),
        pytest.param(7, 3, Drop.ARP_BAD_OPERATION, id="RARP"),
        pytest.param(7, 9, Drop.ARP_BAD_OPERATION, id="op 9"),
        pytest.param(6, 1, Drop.ARP_BAD_OPERATION, id="op 257"),
    ],
)
def test_what_is_not_ipv4_on_ethernet_is_malformed(offset: int, octet: int, reason: Drop) -> None:
    octets = bytearray(REQUEST_OCTETS)
    octets[offset] = octet
    with pytest.raises(MalformedPacket) as caught:
        wire.parse(octets)
    assert caught.value.reason is reason


@given(st.binary(max_size=64))
def test_any_octets_are_a_packet_or_malformed(octets: bytes) -> None:
    try:
        packet = wire.parse(octets)
    except MalformedPacket:
        return
    assert wire.build(packet) == octets[:28]


def test_packets_read_like_tcpdumps() -> None:
    a, b = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
    us, them = 0x0A000001, 0x0A000002
    said = [
        ArpPacket(REQUEST, b, them, bytes(6), us),
        ArpPacket(REQUEST, b, them, a, us),
        ArpPacket(REPLY, a, us, b, them),
        ArpPacket(REQUEST, b, 0, bytes(6), us),
        ArpPacket(REQUEST, a, us, bytes(6), us),
    ]
    assert list(map(str, said)) == [
        "Request who-has 10.0.0.1 tell 10.0.0.2, length 28",
        "Request who-has 10.0.0.1 (02:00:00:00:00:01) tell 10.0.0.2, length 28",
        "Reply 10.0.0.1 is-at 02:00:00:00:00:01, length 28",
        "Probe 10.0.0.1, length 28",
        "Announcement 10.0.0.1, length 28",
    ]
