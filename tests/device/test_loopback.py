"""What is sent over the loopback comes back: whole, in order, owned by nobody else."""

from hypothesis import given

from tapstack.base.contracts import Frame, Offload
from tapstack.device.loopback import QUEUE_LENGTH, LoopbackDevice
from tests.device.units import joined, units


@given(units())
def test_a_unit_comes_back_whole_and_trusted(unit: Frame) -> None:
    device = LoopbackDevice()
    device.write(unit, 0)
    received = device.read(0)
    assert received
    assert len(received.parts) == 1
    assert joined(received) == joined(unit)
    assert received.offload == unit.offload
    assert device.read(0) is None


def test_a_frame_has_octets_of_its_own() -> None:
    device, buffer = LoopbackDevice(), bytearray(b"mine")
    device.write(Frame((memoryview(buffer),)), 0)
    buffer[:] = b"lost"
    assert device.read(0) == Frame((b"mine",))


def test_frames_keep_their_order() -> None:
    device = LoopbackDevice()
    device.write(Frame((b"first",), Offload(34, 16, 0)), 0)
    device.write(Frame((b"second",)), 0)
    assert device.read(0) == Frame((b"first",), Offload(34, 16, 0))
    assert device.read(0) == Frame((b"second",))


def test_a_full_queue_loses_the_newest_and_counts_it() -> None:
    device = LoopbackDevice()
    for number in range(QUEUE_LENGTH + 2):
        device.write(Frame((b"%d" % number,)), 0)
    assert device.frames_lost == 2
    kept = 0
    while frame := device.read(0):
        assert joined(frame) == b"%d" % kept
        kept += 1
    assert kept == QUEUE_LENGTH


def test_it_is_linuxs_lo() -> None:
    device = LoopbackDevice()
    assert (device.name, device.mtu, device.mac) == ("lo", 65_536, bytes(6))
    assert device.capabilities == (True, True, True)
    assert device.fileno() == -1
    assert device.next_deadline() is None


def test_closed_it_is_empty() -> None:
    device = LoopbackDevice()
    device.write(Frame((b"x",)), 0)
    device.close()
    device.close()
    assert device.read(0) is None
