"""A capture shows the wire: segments instead of units, complete checksums, both directions."""

import errno
import os
from io import BytesIO
from pathlib import Path

import pytest

from tapstack.base.contracts import Buffer, Frame, NetDevice
from tapstack.capture.pcap import PcapReader, PcapWriter, Record, create_capture
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


class FullDisk(BytesIO):
    """A file that takes its header, and nothing after it."""

    def write(self, octets: Buffer) -> int:
        if self.tell():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(octets)


def test_a_full_disk_ends_the_capture_with_one_warning_and_not_the_device(
    caplog: pytest.LogCaptureFixture,
) -> None:
    below, frame = ListDevice(), Frame((b"frame",))
    below.arriving += [frame, frame]
    file = FullDisk()
    device = CaptureDevice(below, PcapWriter(file), EPOCH)
    for _ in range(2):
        device.write(frame, 0)
        assert device.read(0) is frame
    assert file.closed
    device.close()
    assert below.sent == [frame, frame]
    assert below.closed
    assert caplog.messages == ["the capture of list0 ended early: No space left on device"]


def test_the_reader_of_a_pipe_may_go(caplog: pytest.LogCaptureFixture) -> None:
    reading, writing = os.pipe()
    below, frame = ListDevice(), Frame((b"frame",))
    device = CaptureDevice(below, PcapWriter(os.fdopen(writing, "wb")), EPOCH)
    os.close(reading)
    device.write(frame, 0)
    device.write(frame, 0)
    device.close()
    assert isinstance(device.failure, BrokenPipeError)
    assert below.sent == [frame, frame]
    assert len(caplog.messages) == 1


def test_the_warning_names_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    device = CaptureDevice(ListDevice(), create_capture(path), EPOCH)
    os.close(reader)
    device.write(Frame((b"frame",)), 0)
    assert caplog.messages == [f"the capture of list0 in {path} ended early: Broken pipe"]
    device.close()


def test_what_is_written_after_the_end_is_not_recorded(caplog: pytest.LogCaptureFixture) -> None:
    """A device that has gone is closed, and written to until its stack closes."""
    below, frame = ListDevice(), Frame((b"frame",))
    captured = CaptureDevice(below, PcapWriter(BytesIO()), EPOCH)
    captured.close()
    captured.write(frame, 0)
    captured.close()
    assert below.sent == [frame]
    assert caplog.messages == []
