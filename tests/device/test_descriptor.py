"""Frames through a real descriptor: gathered, scattered, lost when the kernel takes no more.

One end of a socket pair that keeps message boundaries stands for the TAP.
"""

import os
import socket
from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import given, strategies as st

from tapstack.base.contracts import Frame, Offload
from tapstack.device import vnet
from tapstack.device.descriptor import DescriptorDevice, derive_mac
from tests.device.units import joined, tcp_unit

Pair = tuple[DescriptorDevice, socket.socket]


def pair(*, offload: bool) -> Pair:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    return DescriptorDevice(ours.detach(), "pair0", 1500, b"\2" * 6, offload=offload), theirs


@pytest.fixture(params=[False, True], ids=["plain", "offload"])
def ends(request: pytest.FixtureRequest) -> Iterator[Pair]:
    device, theirs = pair(offload=request.param)
    yield device, theirs
    device.close()
    theirs.close()


def header(device: DescriptorDevice) -> bytes:
    return bytes(vnet.HEADER_LENGTH if device.capabilities.segmentation else 0)


def test_parts_are_gathered(ends: Pair) -> None:
    device, theirs = ends
    device.write(Frame((b"a", bytearray(b"b"), memoryview(b"xcx")[1:2])), 0)
    assert theirs.recv(100) == header(device) + b"abc"


def test_a_train_is_its_units_one_by_one(ends: Pair) -> None:
    device, theirs = ends
    units = [tcp_unit(bytes([number]) * 3000, 1448) for number in range(3)]
    device.write_train([unit.parts for unit in units], units[0].offload, 0)
    for unit in units:
        begun = vnet.build(unit) if device.capabilities.segmentation else b""
        assert theirs.recv(9000) == begun + joined(unit)
    assert device.frames_lost == 0


def test_what_the_kernel_does_not_take_of_a_train_is_lost_and_counted(ends: Pair) -> None:
    device, theirs = ends
    while not device.frames_lost:
        device.write(Frame((bytes(1500),)), 0)
    lost = device.frames_lost
    unit = tcp_unit(bytes(30_000), 1448)
    device.write_train([unit.parts] * 3, unit.offload, 0)
    assert device.frames_lost == lost + 3
    theirs.close()
    device.write_train([unit.parts], unit.offload, 0)
    with pytest.raises(OSError, match="the device pair0 is gone"):
        device.read(0)


def test_a_frame_of_more_parts_than_the_kernel_gathers_is_sent(ends: Pair) -> None:
    device, theirs = ends
    device.write(Frame([b"x"] * 5000), 0)
    assert theirs.recv(9000) == header(device) + b"x" * 5000
    assert device.frames_lost == 0


def test_frames_are_read_one_by_one(ends: Pair) -> None:
    device, theirs = ends
    theirs.send(header(device) + b"first")
    theirs.send(header(device) + b"2nd")
    assert device.read(0) == Frame((b"first",))
    assert device.read(0) == Frame((b"2nd",))
    assert device.read(0) is None


def test_frames_of_a_run_are_read_as_they_are_one_by_one_but_no_more_than_asked_for(
    ends: Pair,
) -> None:
    device, theirs = ends
    texts = [b"first", b"2nd" * 1000, b"3rd"]
    for text in texts:
        theirs.send(header(device) + text)
    assert device.read_run(0, 2) == [Frame((text,)) for text in texts[:2]]
    assert device.read_run(0, 2) == [Frame((texts[2],))]
    assert device.read_run(0, 2) == []


def test_units_of_a_run_are_read_with_what_is_left_to_do() -> None:
    device, theirs = pair(offload=True)
    units = [tcp_unit(bytes([number]) * 3000, 1448) for number in range(2)]
    for unit in units:
        theirs.send(vnet.build(unit) + joined(unit))
    received = device.read_run(0, 16)
    assert [joined(each) for each in received] == [joined(unit) for unit in units]
    assert [each.offload for each in received] == [Offload(34, 16, 1448)] * 2
    device.close()
    theirs.close()


def test_the_longest_unit_is_read_whole() -> None:
    device, theirs = pair(offload=True)
    unit = tcp_unit(b"x" * (65_535 - 40), 1448)
    theirs.send(vnet.build(unit) + joined(unit))
    received = device.read(0)
    assert received
    assert joined(received) == joined(unit)
    assert received.offload == Offload(34, 16, 1448)
    device.close()
    theirs.close()


def test_what_the_kernel_does_not_take_is_lost_and_counted(ends: Pair) -> None:
    device, _ = ends
    while not device.frames_lost:
        device.write(Frame((bytes(1500),)), 0)
    device.write(Frame((bytes(1500),)), 0)
    assert device.frames_lost == 2


def test_closed_it_is_gone(ends: Pair) -> None:
    device, _ = ends
    descriptor = device.fileno()
    device.close()
    device.close()
    assert device.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    with pytest.raises(OSError, match="the device pair0 is gone"):
        device.read(0)
    with pytest.raises(OSError, match="the device pair0 is gone"):
        device.read_run(0, 1)
    device.write(Frame((b"x",)), 0)
    assert device.frames_lost == 1


def test_what_is_written_to_a_device_that_has_gone_is_lost_and_reading_says_so(ends: Pair) -> None:
    device, theirs = ends
    assert device.read(0) is None
    theirs.close()
    for _ in range(2):
        device.write(Frame((b"x",)), 0)
    assert device.frames_lost == 2
    for _ in range(2):
        with pytest.raises(OSError, match="the device pair0 is gone"):
            device.read(0)


def test_reading_says_that_the_other_end_of_a_pair_was_closed(ends: Pair) -> None:
    device, theirs = ends
    theirs.close()
    with pytest.raises(OSError, match="the device pair0 is gone"):
        device.read(0)
    with pytest.raises(OSError, match="the device pair0 is gone"):
        device.read_run(0, 1)


def test_what_a_signal_handler_raises_amid_a_call_says_nothing_of_the_device(
    ends: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, theirs = ends

    def handler(*_: object) -> None:
        raise TimeoutError

    calls = (
        partial(device.read, 0),
        partial(device.read_run, 0, 16),
        partial(device.write, Frame((b"x",)), 0),
    )
    with monkeypatch.context() as patched:
        patched.setattr(device, "_take", handler)
        patched.setattr(os, "write", handler)
        for call in calls:
            with pytest.raises(TimeoutError):
                call()
    assert device.frames_lost == 0
    theirs.send(header(device) + b"still here")
    assert device.read(0) == Frame((b"still here",))


@given(st.text(min_size=1, max_size=15))
def test_an_own_address_is_individual_local_and_always_the_same(name: str) -> None:
    mac = derive_mac(name)
    assert len(mac) == 6
    assert mac[0] & 3 == 2
    assert derive_mac(name) == mac


def test_two_devices_have_two_addresses() -> None:
    assert derive_mac("tap0") != derive_mac("tap1")
