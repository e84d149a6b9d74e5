"""Units made of segments are those segments: cut again, they are the same octets in order."""

from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as st

from tapstack.base.contracts import VERIFIED, Frame, Offload
from tapstack.device.coalescing import Coalescing
from tapstack.device.segmentation import cut
from tests.device.units import ListDevice, joined, tcp_unit, units

PSH, ACK, FIN, ECE = 0x08, 0x10, 0x01, 0x40
STAMPS = bytes.fromhex("0101080a0000000100000002")


def segments_of(*sent: Frame) -> list[bytes]:
    """Give what units are on the wire."""
    return [joined(frame) for unit in sent for frame in cut(unit)]


def read_units(wire: Iterable[bytes]) -> list[Frame]:
    """Give what is read of frames that wait in a device, with octets of their own."""
    device = ListDevice()
    device.arriving.extend(Frame((memoryview(octets),)) for octets in wire)
    edge = Coalescing(device)
    read = []
    while (frame := edge.read(0)) is not None:
        read.append(Frame((joined(frame),), frame.offload))
    return read


def text_lengths(wire: Iterable[bytes]) -> list[int]:
    return [len(joined(unit)) - 54 for unit in read_units(wire)]


@given(st.lists(units(), min_size=1, max_size=4), st.data())
def test_what_is_read_is_what_was_on_the_wire(sent: list[Frame], data: st.DataObject) -> None:
    wire = segments_of(*sent)[:200]
    for _ in range(data.draw(st.integers(0, 3))):  # some are lost, damaged or overtaken
        place = data.draw(st.integers(0, len(wire) - 1))
        frame = wire.pop(place)
        octet = data.draw(st.integers(0, len(frame) - 1))
        damaged = frame[:octet] + bytes((frame[octet] ^ data.draw(st.integers(0, 255)),))
        wire.insert(data.draw(st.integers(0, len(wire))), damaged + frame[octet + 1 :])
    read = read_units(wire)
    assert [joined(frame) for unit in read for frame in cut(unit)] == wire


def test_segments_in_a_row_become_one_unit_with_the_size_that_they_had() -> None:
    sent = tcp_unit(b"x" * 4500, 1000, flags=ACK | PSH, options=STAMPS)
    (unit,) = read_units(segments_of(sent))
    assert joined(unit) == joined(sent)
    assert unit.offload == Offload(34, 16, 1000)


def test_a_unit_is_as_long_as_a_datagram_can_be() -> None:
    wire = segments_of(
        tcp_unit(b"x" * 60_000, 1000),
        tcp_unit(b"y" * 10_000, 1000, seq=61_000, identification=67),
    )
    assert text_lengths(wire) == [65_000, 5000]


@pytest.mark.parametrize("flags", [ACK | PSH, ACK | FIN, ACK | ECE])
def test_what_says_more_than_text_ends_the_unit_in_front_of_it(flags: int) -> None:
    wire = segments_of(
        tcp_unit(b"x" * 2000, 1000),
        tcp_unit(b"y" * 900, 1000, seq=3000, identification=9, flags=flags),
        tcp_unit(b"z" * 2000, 1000, seq=3900, identification=10),
    )
    lengths = [2900, 2000] if flags == ACK | PSH else [2000, 900, 2000]
    assert text_lengths(wire) == lengths


@pytest.mark.parametrize(
    "second",
    [
        tcp_unit(b"y" * 1000, 1000, seq=3001, identification=9),
        tcp_unit(b"y" * 1000, 1000, seq=3000, identification=8),
        tcp_unit(b"y" * 1000, 1000, seq=3000, identification=9, options=STAMPS),
        tcp_unit(b"y" * 1001, 1001, seq=3000, identification=9),
    ],
)
def test_what_is_not_next_begins_a_unit_of_its_own(second: Frame) -> None:
    read = read_units(segments_of(tcp_unit(b"x" * 2000, 1000), second))
    assert [unit.offload for unit in read] == [Offload(34, 16, 1000), VERIFIED]


def test_a_segment_whose_checksum_is_wrong_goes_up_as_it_came() -> None:
    wire = segments_of(tcp_unit(b"x" * 3000, 1000))
    wire[1] = wire[1][:-1] + b"y"
    assert [unit.offload for unit in read_units(wire)] == [VERIFIED, None, VERIFIED]


def test_what_is_not_plain_text_is_not_looked_at_twice() -> None:
    device = ListDevice()
    lone = Frame((memoryview(segments_of(tcp_unit(b"x", 1000, flags=ACK | PSH))[0]),))
    device.arriving.append(lone)
    assert Coalescing(device).read(0) is lone


def test_a_frame_that_waits_here_is_to_be_read_at_once() -> None:
    device = ListDevice()
    wire = segments_of(tcp_unit(b"x" * 10, 10), tcp_unit(b"y" * 10, 10))
    device.arriving.extend(Frame((memoryview(octets),)) for octets in wire)
    edge = Coalescing(device)
    assert edge.read(5) is not None
    assert edge.next_deadline() == 5
    assert edge.read(6) is not None
    assert edge.next_deadline() is None
