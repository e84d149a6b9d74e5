"""What leaves a device's edge is what a card with segmentation offload would have sent."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, strategies as st

from tapstack.base.checksum import complete_checksum
from tapstack.base.contracts import VERIFIED, Frame, Offload
from tapstack.device.segmentation import SoftwareOffload, cut
from tests.device.units import (
    ListDevice,
    Wire,
    joined,
    naive_sum,
    read_wire,
    tcp_unit,
    udp_unit,
    units,
)

FIN, PSH, CWR = 0x01, 0x08, 0x80
CHECKSUM = slice(50, 52)
"""Of a frame without IP options."""


def whole(unit: Frame) -> Wire:
    """Read a unit as one great segment."""
    assert unit.offload
    return read_wire(complete_checksum(list(unit.parts), unit.offload))


def segments(frames: Sequence[Frame]) -> list[Wire]:
    assert all(frame.offload is None for frame in frames)
    return [read_wire(joined(frame)) for frame in frames]


@given(units())
@example(tcp_unit(b"abcdefg", 3, flags=0xFF & ~0x20, seq=2**32 - 4, identification=65_535))
def test_segments_joined_are_the_unit(unit: Frame) -> None:
    before, after = whole(unit), segments(cut(unit))
    assert b"".join(segment.text for segment in after) == before.text
    seq = before.seq
    for index, segment in enumerate(after):
        assert segment.seq == seq
        assert segment.identification == (before.identification + index) % 2**16
        seq = (seq + len(segment.text)) % 2**32


@given(units())
def test_every_segment_but_the_last_is_full(unit: Frame) -> None:
    assert unit.offload
    size = unit.offload.segment_size or 65_535
    *full, last = segments(cut(unit))
    assert [len(segment.text) for segment in full] == [size] * len(full)
    assert len(last.text) <= size
    assert last.text or not full


@given(units())
def test_fin_and_push_stay_with_the_last_and_cwr_with_the_first(unit: Frame) -> None:
    flags = whole(unit).flags
    first, *rest = segments(cut(unit))
    *before, last = [first, *rest]
    assert last.flags & (FIN | PSH) == flags & (FIN | PSH)
    assert all(segment.flags & (FIN | PSH) == 0 for segment in before)
    assert first.flags & CWR == flags & CWR
    assert all(segment.flags & CWR == 0 for segment in rest)
    others = 0xFF & ~(FIN | PSH | CWR)
    assert {segment.flags & others for segment in (first, *rest)} == {flags & others}


OF_NO_CHECKSUM = tcp_unit(joined(cut(tcp_unit(bytes(20), 10))[0])[CHECKSUM] + bytes(18), 10)
"""One whose first segment has a checksum of zero: it has in its text what made it another one."""


@given(units())
@example(OF_NO_CHECKSUM)
def test_what_is_left_to_a_checksum_unit_comes_out_the_same(unit: Frame) -> None:
    left = cut(unit, checksums=False)
    assert all(frame.offload and not frame.offload.segment_size for frame in left)
    completed = [complete_checksum(list(f.parts), f.offload) for f in left if f.offload]
    assert completed == [joined(frame) for frame in cut(unit)]


def test_a_checksum_of_zero_is_sent_as_all_ones() -> None:
    assert joined(cut(OF_NO_CHECKSUM)[0])[CHECKSUM] == b"\xff\xff"


@pytest.mark.parametrize(
    ("length", "lengths"), [(0, [0]), (9, [9]), (10, [10]), (11, [10, 1]), (20, [10, 10])]
)
def test_a_unit_is_cut_where_a_segment_is_full(length: int, lengths: list[int]) -> None:
    after = segments(cut(tcp_unit(b"x" * length, 10)))
    assert [len(segment.text) for segment in after] == lengths


def test_an_urgent_pointer_counts_from_each_segment_up_to_the_mark() -> None:
    after = segments(cut(tcp_unit(b"x" * 35, 10, flags=0x30, up=21)))
    pointers = [int.from_bytes(segment.headers[-2:], "big") for segment in after]
    assert pointers == [21, 11, 1, 0]
    assert [bool(segment.flags & 0x20) for segment in after] == [True, True, True, False]


def test_options_are_in_every_segment() -> None:
    unit = tcp_unit(b"x" * 100, 40, options=b"\1\1\x08\x0a12345678", ip_options=b"\1\1\1\0")
    headers = [segment.headers for segment in segments(cut(unit))]
    assert len(headers) == 3
    assert all(header[34:38] == b"\1\1\1\0" for header in headers)
    assert all(header[58:] == b"\1\1\x08\x0a12345678" for header in headers)


def test_a_complete_frame_is_handed_back_as_it_is() -> None:
    frame = Frame((b"anything",))
    assert cut(frame) == [frame]
    assert cut(Frame((b"anything",), VERIFIED)) == [frame]


def test_a_unit_whose_checksum_was_verified_is_cut_with_new_ones() -> None:
    unit = tcp_unit(b"coalesced", 4)
    assert unit.offload
    octets = complete_checksum(list(unit.parts), unit.offload)
    texts = [segment.text for segment in segments(cut(Frame((octets,), Offload(0, 0, 4))))]
    assert texts == [b"coal", b"esce", b"d"]


def test_an_inbound_unit_has_octets_of_its_own() -> None:
    unit = tcp_unit(b"text" * 10, 8)
    buffer = bytearray(joined(unit))
    frames = cut(Frame((memoryview(buffer),), unit.offload))
    buffer[:] = bytes(len(buffer))
    assert b"".join(segment.text for segment in segments(frames)) == b"text" * 10


def test_what_is_not_tcp_is_never_cut() -> None:
    octets = bytearray(joined(tcp_unit(b"x" * 100, 0)))
    octets[12:14] = b"\x86\xdd"
    assert len(cut(Frame((bytes(octets),), Offload(34, 16, 10)))) == 1


@given(st.binary(max_size=80), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_nothing_that_arrives_makes_it_fail(
    octets: bytes, start: int, offset: int, size: int
) -> None:
    assert cut(Frame((octets,), Offload(start, offset, size)))


@given(st.data())
def test_a_spoilt_unit_makes_it_not_fail(data: st.DataObject) -> None:
    octets = bytearray(joined(tcp_unit(b"x" * 60, 10)))
    for place in data.draw(st.lists(st.integers(12, 60), max_size=4)):
        octets[place] = data.draw(st.integers(0, 255))
    length = data.draw(st.integers(0, len(octets)))
    assert cut(Frame((bytes(octets[:length]),), Offload(34, 16, 10)))


@pytest.mark.parametrize(("length", "lengths"), [(10, [10]), (11, [10, 1]), (20, [10, 10])])
@pytest.mark.parametrize("checksums", [False, True])
def test_a_unit_of_udp_becomes_datagrams(length: int, lengths: list[int], checksums: bool) -> None:
    data = bytes(range(length))
    frames = cut(udp_unit(data, 10, identification=65_535), checksums=checksums)
    wire = [
        complete_checksum(list(each.parts), each.offload) if each.offload else joined(each)
        for each in frames
    ]
    assert [len(each) - 42 for each in wire] == lengths
    assert b"".join(each[42:] for each in wire) == data
    for index, each in enumerate(wire):
        datagram, transport = each[14:], each[34:]
        assert int.from_bytes(datagram[2:4], "big") == len(datagram)
        assert int.from_bytes(datagram[4:6], "big") == (65_535 + index) % 2**16
        assert int.from_bytes(transport[4:6], "big") == len(transport)
        pseudo = datagram[12:20] + b"\0\x11" + transport[4:6]
        assert (naive_sum(datagram[:20]), naive_sum(pseudo + transport)) == (0xFFFF, 0xFFFF)


# --- the middleware ------------------------------------------------------------------------------


@pytest.mark.parametrize("segmentation", [False, True])
def test_a_device_without_checksums_gets_complete_segments(segmentation: bool) -> None:
    device = ListDevice(segmentation=segmentation)
    SoftwareOffload(device).write(tcp_unit(b"x" * 25, 10), 0)
    assert [len(segment.text) for segment in segments(device.sent)] == [10, 10, 5]


def test_a_device_with_checksums_alone_gets_segments_to_sum() -> None:
    device = ListDevice(checksum=True)
    SoftwareOffload(device).write(tcp_unit(b"x" * 25, 10), 0)
    assert [frame.offload for frame in device.sent] == [Offload(34, 16, 0)] * 3


def test_a_device_with_everything_gets_the_unit_itself() -> None:
    device, unit = ListDevice(checksum=True, segmentation=True), tcp_unit(b"x" * 25, 10)
    SoftwareOffload(device).write(unit, 0)
    assert device.sent[0] is unit


def test_a_device_that_cuts_tcp_alone_gets_datagrams() -> None:
    device = ListDevice(checksum=True, segmentation=True)
    SoftwareOffload(device).write(udp_unit(b"x" * 25, 10), 0)
    assert [frame.offload for frame in device.sent] == [Offload(34, 6, 0)] * 3


def test_a_frame_that_wants_nothing_passes_any_device() -> None:
    device, frame = ListDevice(), Frame((b"\xff" * 60,))
    SoftwareOffload(device).write(frame, 0)
    assert device.sent[0] is frame


def test_it_is_the_device_in_all_else() -> None:
    device = ListDevice()
    device.arriving.append(Frame((b"in",)))
    edge = SoftwareOffload(device)
    assert (edge.name, edge.mtu, edge.mac, edge.fileno()) == ("list0", 1500, device.mac, 77)
    assert edge.capabilities == (True, True, True)
    assert edge.read(0) == Frame((b"in",))
    assert edge.read(0) is None
    assert edge.next_deadline() is None
    edge.close()
    assert device.closed
