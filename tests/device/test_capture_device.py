"""A capture shows the wire: segments instead of units, complete checksums, both directions."""

import os
from io import BytesIO
from pathlib import Path

from tapstack.base.contracts import Frame, NetDevice
from tapstack.capture.pcap import PcapReader, PcapWriter, Record
from tapstack.device.capture import CaptureDevice
from tapstack.device.loopback import LoopbackDevice
from tests.device.units import ListDevice, joined, read_wire, tcp_unit

EPOCH = 1_700_000_000_000_000


class Captured:
    """A device under capture, and what has been recorded."""

    def __init__(self, device: NetDevice) -> None:
        self.file = BytesIO()
        self.device = CaptureDevice(device, PcapWriter(self.file), EPOCH)

    @property
    def records(self) -> list[Record]:
        return list(PcapReader(BytesIO(self.file.getvalue())))


def test_an_outbound_unit_is_recorded_as_segments_and_sent_whole() -> None:
    below = ListDevice(checksum=True, segmentation=True)
    captured, unit = Captured(below), tcp_unit(b"x" * 25, 10)
    captured.device.write(unit, 5)
    assert below.sent == [unit]
    assert [record.time for record in captured.records] == [EPOCH + 5] * 3
    texts = [read_wire(record.octets).text for record in captured.records]
    assert [len(text) for text in texts] == [10, 10, 5]


def test_an_inbound_frame_is_recorded_complete_and_handed_up_as_it_came() -> None:
    below = ListDevice()
    captured, frame = Captured(below), tcp_unit(b"text", 0)
    below.arriving.append(frame)
    assert captured.device.read(9) is frame
    (record,) = captured.records
    assert record.time == EPOCH + 9
    assert read_wire(record.octets).text == b"text"


def test_a_silent_wire_records_nothing() -> None:
    captured = Captured(ListDevice())
    assert captured.device.read(0) is None
    assert captured.records == []


def test_frames_are_in_the_order_of_the_wire() -> None:
    below = ListDevice()
    captured = Captured(below)
    captured.device.write(Frame((b"question",)), 1)
    below.arriving.append(Frame((b"answer",)))
    captured.device.read(2)
    assert [record.octets for record in captured.records] == [b"question", b"answer"]


def test_the_loopback_is_recorded_once() -> None:
    captured, unit = Captured(LoopbackDevice()), tcp_unit(b"x" * 25, 10)
    captured.device.write(unit, 0)
    received = captured.device.read(0)
    assert received
    assert joined(received) == joined(unit)
    assert [len(read_wire(record.octets).text) for record in captured.records] == [10, 10, 5]


def test_it_is_on_the_disk_before_the_process_can_die(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcap"
    with path.open("wb") as file:
        device = CaptureDevice(ListDevice(), PcapWriter(file), EPOCH)
        device.write(Frame((b"frame",)), 0)
        with path.open("rb") as reading:
            assert [record.octets for record in PcapReader(reading)] == [b"frame"]
        device.close()
        assert file.closed


def test_a_writer_that_fails_ends_the_capture_and_not_the_device() -> None:
    reading, writing = os.pipe()
    below, frame = ListDevice(), Frame((b"frame",))
    device = CaptureDevice(below, PcapWriter(os.fdopen(writing, "wb")), EPOCH)
    os.close(reading)
    device.write(frame, 0)
    device.write(frame, 0)
    device.close()
    assert isinstance(device.failure, BrokenPipeError)
    assert below.sent == [frame, frame]
    assert below.closed
