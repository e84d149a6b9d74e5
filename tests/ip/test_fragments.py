"""Cutting and putting together: what goes in comes out, in whatever order, and nothing stays."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from tapstack.base.address import Endpoint, Network, parse_ipv4
from tapstack.base.checksum import ones_complement_sum, pseudo_header_sum
from tapstack.base.contracts import VERIFIED, Offload
from tapstack.base.errors import Drop
from tapstack.base.units import SECOND
from tapstack.ip.config import IpConfig
from tapstack.ip.fragmentation import fragments
from tapstack.ip.icmp_wire import build_echo
from tapstack.ip.reassembly import DATAGRAM_OVERHEAD, FRAGMENT_OVERHEAD, Fit, Incomplete
from tapstack.ip.wire import MORE_FRAGMENTS, parse
from tests.ip.rig import BROADCAST, DF, HOST, ICMP, MF, OTHER, UDP, US, Rig, echo, ipv4, udp

RAW = 200  # a protocol that nobody speaks but a raw socket


@st.composite
def cut_datagrams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A datagram, and the octets of its fragments."""
    options = draw(
        st.sampled_from([b"", b"\x94\4\0\0", b"\7\7\4abcd\0", b"\7\7\4abcd\x94\4\0\0\0"])
    )
    length = draw(st.integers(1, 3000))
    start = draw(st.integers(0, 255))
    payload = bytes((start + i * 7) & 255 for i in range(length))
    whole = ipv4(payload, options=options, protocol=RAW, identification=draw(st.integers(0, 9)))
    mtu = draw(st.integers(68, 1500))
    header = parse(whole)
    return whole, [b"".join(parts) for parts in fragments(header, payload, mtu)]


@given(cut_datagrams(), st.data())
def test_any_order_with_duplicates_gives_back_the_datagram(
    cut: tuple[bytes, list[bytes]], data: st.DataObject
) -> None:
    whole, pieces = cut
    order = data.draw(st.permutations(pieces))
    again = data.draw(st.lists(st.sampled_from(pieces), max_size=4))
    rig = Rig()
    socket = rig.ip.raw.open(RAW)
    for octets in [*again, *order] if len(pieces) > 1 else order:
        rig.receive(octets)
    received = rig.ip.raw.receive_from(socket)
    assert received == (whole, HOST)
    assert not rig.counters.drops


@given(cut_datagrams(), st.integers(68, 400))
def test_a_fragment_can_be_cut_again(cut: tuple[bytes, list[bytes]], mtu: int) -> None:
    whole, pieces = cut
    rig = Rig()
    socket = rig.ip.raw.open(RAW)
    for octets in pieces:
        header = parse(octets)
        for parts in fragments(header, octets[header.length :], mtu):
            assert sum(map(len, parts)) <= mtu
            rig.receive(b"".join(parts))
    assert rig.ip.raw.receive_from(socket) == (whole, HOST)


def test_later_fragments_carry_the_copied_options_only() -> None:
    record_route, alert = b"\7\7\4abcd\1", b"\x94\4\0\0"
    header = parse(ipv4(bytes(100), options=record_route + alert))
    first, *later = [parse(b"".join(parts)) for parts in fragments(header, bytes(100), 68)]
    assert first.options == record_route + alert
    assert [each.options for each in later] == [alert] * len(later)
    assert [each.flags & MORE_FRAGMENTS > 0 for each in (first, *later)] == (
        [True] * len(later) + [False]
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(1, 6), st.booleans()), min_size=1, max_size=25
    )
)
def test_pieces_fit_as_in_a_plain_model(pieces: list[tuple[int, int, bool]]) -> None:
    """The model holds a set of octets, and an end once a last piece told it."""
    incomplete = Incomplete(deadline=0)
    held: set[int] = set()
    end: int | None = None
    for start, length, last in pieces:
        octets = set(range(start, start + length))
        stop = start + length
        clash = bool(octets & held) and not octets <= held
        clash |= last and (end not in (None, stop) or any(octet >= stop for octet in held))
        clash |= not last and end is not None and stop > end
        expected = Fit.CLASH if clash else Fit.HELD if octets <= held else Fit.NEW
        piece = bytes(range(start, stop))
        assert incomplete.insert(start, piece, last=last) is expected
        if expected is Fit.CLASH:
            break
        held |= octets
        end = stop if last else end
        runs = [(s, e) for s, e in zip(incomplete.starts, incomplete.ends, strict=True)]
        assert held == {octet for s, e in runs for octet in range(s, e)}
        assert all(before[1] < after[0] for before, after in pairwise(runs))
        assert incomplete.is_complete() == (end is not None and held == set(range(end)))
        if incomplete.is_complete():
            assert incomplete.payload() == bytes(range(end or 0))


# --- sending --------------------------------------------------------------------------------------


def test_a_large_ping_is_answered_in_fragments() -> None:
    rig = Rig()
    whole = ipv4(build_echo(8, 1, 1, bytes(range(200)) * 300), protocol=ICMP)
    header = parse(whole)
    sent = []
    for parts in fragments(header, whole[20:], 1500):
        sent += rig.receive(b"".join(parts))
    assert len(sent) == 41
    assert all(len(each.octets) <= 1500 for each in sent)
    assert len({each.header.identification for each in sent}) == 1
    reply = b"".join(each.payload for each in sent)
    assert reply[0] == 0
    assert ones_complement_sum(reply) == 0xFFFF
    assert reply[4:] == whole[24:]
    assert rig.counters["IpFragOKs"] == 1
    assert rig.counters["IpFragCreates"] == 41
    assert rig.counters["IpReasmOKs"] == 1


def test_dont_fragment_forbids_it() -> None:
    rig = Rig()
    with pytest.raises(OSError, match="Message too long"):
        rig.ip.send_datagram(17, 0, HOST, [bytes(1481)], rig.now, dont_fragment=True)
    rig.ip.send_datagram(17, 0, HOST, [bytes(1480)], rig.now, dont_fragment=True)
    (sent,) = rig.drain()
    assert (sent.header.flags, sent.header.identification) == (DF, 0)


def test_path_mtu_discovery_marks_only_what_fits() -> None:
    rig = Rig()
    rig.ip.send_datagram(17, 0, HOST, [bytes(1480)], rig.now, dont_fragment=None)
    rig.ip.send_datagram(17, 0, HOST, [bytes(1481)], rig.now, dont_fragment=None)
    flags = [each.header.flags for each in rig.drain()]
    assert flags == [DF, MF, 0]


def test_nothing_is_longer_than_its_length_field_can_say() -> None:
    rig = Rig()
    with pytest.raises(OSError, match="Message too long"):
        rig.ip.send_datagram(17, 0, HOST, [bytes(65516)], rig.now)
    rig.ip.send_datagram(17, 0, HOST, [bytes(65515)], rig.now)
    assert sum(len(each.payload) for each in rig.drain()) == 65515


def test_the_checksum_is_completed_before_cutting() -> None:
    rig = Rig()
    data = bytes(range(250)) * 10
    length = 8 + len(data)
    pseudo = pseudo_header_sum(US, HOST, UDP, length)
    header = bytes((0, 1, 0, 2)) + length.to_bytes(2, "big") + pseudo.to_bytes(2, "big")
    rig.ip.send_datagram(UDP, 0, HOST, [header, data], rig.now, offload=Offload(0, 6, 0))
    whole = b"".join(each.payload for each in rig.drain())
    assert ones_complement_sum(whole, pseudo) == 0xFFFF


def test_a_unit_that_the_device_cuts_goes_down_whole() -> None:
    rig = Rig()
    rig.ip.send_datagram(6, 0, HOST, [bytes(9000)], rig.now, offload=Offload(0, 16, 1448))
    assert len(rig.drain()) == 1


def test_identifications_count_for_each_destination_alone() -> None:
    rig = Rig()

    def number(destination: int) -> int:
        rig.ip.send_datagram(17, 0, destination, [b""], rig.now)
        return rig.drain()[0].header.identification

    first = [number(HOST), number(OTHER)]
    assert first[0] != first[1]
    for _ in range(5):
        number(OTHER)
    assert number(HOST) == (first[0] + 1) & 0xFFFF


def test_what_we_broadcast_we_hear_too() -> None:
    rig = Rig()
    socket = rig.ip.raw.open(RAW)
    rig.ip.send_datagram(RAW, 0, BROADCAST, [b"x"], rig.now)
    assert [each.next_hop for each in rig.drain()] == [BROADCAST]
    rig.ip.send_datagram(RAW, 0, BROADCAST, [bytes(3000)], rig.now)
    assert len(rig.drain()) == 3
    assert [len(rig.ip.raw.receive_from(socket)[0]) for _ in "12"] == [21, 3020]  # type: ignore[index]


# --- ECN ------------------------------------------------------------------------------------------

NOT_ECT, ECT_1, ECT_0, CE = range(4)


@pytest.mark.parametrize(
    ("codepoints", "whole"),
    [
        ((NOT_ECT, NOT_ECT, NOT_ECT), NOT_ECT),
        ((ECT_0, ECT_0, ECT_0), ECT_0),
        ((ECT_0, CE, ECT_0), CE),
        ((ECT_1, ECT_1, CE), CE),
        ((CE, ECT_0, ECT_0), CE),
        ((CE, CE, CE), CE),
        ((ECT_0, ECT_1, ECT_0), ECT_0),
        ((NOT_ECT, CE, NOT_ECT), None),
        ((ECT_0, ECT_0, NOT_ECT), None),
    ],
)
def test_a_mark_on_a_fragment_is_a_mark_on_the_datagram(
    codepoints: tuple[int, int, int], whole: int | None
) -> None:
    """RFC 3168 §5.3; fragments of which only some are capable are dropped, as in Linux."""
    rig = Rig()
    socket = rig.ip.raw.open(RAW)
    for index, codepoint in enumerate(codepoints):
        more = {"flags": MF} if index < 2 else {}
        rig.receive(ipv4(b"8 octets", offset=8 * index, tos=0xB8 | codepoint, protocol=RAW, **more))
    received = rig.ip.raw.receive_from(socket)
    assert (received[0][1] if received else None) == (None if whole is None else 0xB8 | whole)
    assert rig.counters.drops == ({Drop.IP_FRAGMENT_ECN: 1} if whole is None else {})


# --- limits ---------------------------------------------------------------------------------------


def fragment(offset: int = 0, length: int = 8, **fields: int) -> bytes:
    return ipv4(bytes(length), offset=offset, flags=MF, **fields)


def test_time_exceeded_when_the_first_fragment_is_here() -> None:
    rig = Rig()
    first = fragment(0, 800)
    rig.receive(fragment(1600))
    rig.receive(first)
    assert rig.wait(30 * SECOND - 1) == []
    (error,) = rig.wait(1)
    assert (error.header.destination, error.icmp.type, error.icmp.code) == (HOST, 11, 1)
    assert error.icmp.body == first[:548]
    assert rig.counters["IpReasmTimeout"] == 1
    assert len(rig.ip.reassembler) == rig.ip.reassembler.octets == 0
    assert rig.timers.next_deadline() is None


def test_silence_when_the_first_fragment_is_missing() -> None:
    rig = Rig()
    rig.receive(fragment(800))
    assert rig.wait(31 * SECOND) == []
    assert rig.counters.drops == {Drop.IP_FRAGMENT_TIMEOUT: 1}


def test_time_runs_from_the_first_to_arrive_for_each_datagram() -> None:
    rig = Rig()
    rig.receive(fragment(0, identification=1))
    rig.wait(20 * SECOND)
    rig.receive(fragment(8, identification=1))
    rig.receive(fragment(0, identification=2))
    assert len(rig.wait(10 * SECOND)) == 1
    assert len(rig.wait(20 * SECOND)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("each", [1, 2, 40])
def test_the_cap_holds_for_the_memory_that_is_really_taken(each: int) -> None:
    """Each datagram has so many tiny fragments, every other one missing."""
    cap = 1 << 20
    rig = Rig(IpConfig(ipfrag_high_thresh=cap))
    options = b"\x94\4\0\0" * 10  # the longest that a header has room for
    wire = [
        ipv4(bytes(8), offset=16 * index, flags=MF, identification=number, options=options)
        for number in range(8000 // each)
        for index in range(each)
    ]
    tracemalloc.start()
    try:
        for octets in wire:
            rig.receive(octets)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rig.counters.drops[Drop.IP_FRAGMENT_MEMORY]
    assert cap / 4 < taken < cap


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_is_put_together_is_verified_whatever_a_device_said_of_its_pieces(order) -> None:
    rig = Rig()
    socket = rig.udp.open()
    rig.udp.bind(socket, Endpoint(US, 53))
    text = b"sixteen octets !"
    pseudo = pseudo_header_sum(HOST, US, UDP, 8 + len(text))
    right = udp(text, port=53, check=ones_complement_sum(udp(text, port=53), pseudo) ^ 0xFFFF)
    wrong = right[:-1] + b"?"
    for payload, identification in ((right, 1), (wrong, 2)):
        pieces = [
            ipv4(payload[:16], flags=MF, identification=identification),
            ipv4(payload[16:], offset=16, identification=identification),
        ]
        for index in order:
            rig.receive(pieces[index], offload=VERIFIED)
    assert rig.udp.receive_from(socket) is not None
    assert rig.udp.receive_from(socket) is None
    assert rig.counters.drops == {Drop.UDP_BAD_CHECKSUM: 1}


def test_memory_is_capped_and_the_oldest_goes_first() -> None:
    cap = 20 * (8 + FRAGMENT_OVERHEAD + DATAGRAM_OVERHEAD)
    rig = Rig(IpConfig(ipfrag_high_thresh=cap))
    for number in range(1000):
        rig.receive(fragment(8, identification=number))
        assert rig.ip.reassembler.octets <= cap
    assert len(rig.ip.reassembler) == 20
    assert rig.counters.drops == {Drop.IP_FRAGMENT_MEMORY: 980}
    rig.receive(ipv4(b"x" * 8, flags=MF, identification=999, protocol=RAW))
    socket = rig.ip.raw.open(UDP)
    rig.receive(fragment(0, identification=999))
    rig.receive(ipv4(b"end", offset=16, identification=999))
    assert rig.ip.raw.receive_from(socket) is not None


@pytest.mark.parametrize(
    "other",
    [{"source": OTHER}, {"identification": 8}, {"protocol": 99}, {"destination": US + 8}],
)
def test_fragments_of_different_datagrams_never_mix(other: dict[str, int]) -> None:
    rig = Rig()
    rig.ip.add_address(rig.tap, Network(parse_ipv4("10.0.0.9"), 24))
    socket = rig.ip.raw.open(UDP)
    rig.receive(fragment())
    rig.receive(ipv4(b"end", offset=8, **other))  # type: ignore[arg-type]
    assert rig.ip.raw.receive_from(socket) is None
    assert len(rig.ip.reassembler) == 2


def test_a_fragmented_echo_from_one_source_answers_that_source() -> None:
    rig = Rig()
    request = echo(bytes(16))
    rig.receive(ipv4(request[8:], source=OTHER, protocol=ICMP, offset=8))
    (answer,) = rig.receive(ipv4(request[:8], source=OTHER, protocol=ICMP, flags=MF))
    assert answer.header.destination == OTHER
