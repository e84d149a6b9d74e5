"""What was written is read back, and so is what other programs write."""

import os
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tapstack.capture.pcap import (
    LINKTYPE_ETHERNET,
    LINKTYPE_RAW,
    PcapReader,
    PcapWriter,
    Record,
    create_capture,
)

packets = st.lists(
    st.tuples(st.integers(0, 2**32 * 10**6 - 1), st.lists(st.binary(max_size=100), max_size=4))
)


@given(packets, st.sampled_from([LINKTYPE_ETHERNET, LINKTYPE_RAW]))
def test_what_is_written_is_read_back(written: list[tuple[int, list[bytes]]], kind: int) -> None:
    file = BytesIO()
    writer = PcapWriter(file, kind)
    for time, parts in written:
        writer.write(time, parts)
    writer.flush()
    file.seek(0)
    reader = PcapReader(file)
    octets = [(time, b"".join(parts)) for time, parts in written]
    assert list(reader) == [Record(time, whole, len(whole)) for time, whole in octets]
    assert reader.linktype == kind


def test_the_octets_are_those_of_the_format() -> None:
    file = BytesIO()
    PcapWriter(file).write(1_700_000_000_000_001, [b"a", b"bc"])
    assert file.getvalue() == bytes.fromhex(
        "d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000"
        "00f15365 01000000 03000000 03000000 616263"
    )


@pytest.mark.parametrize(
    ("head", "fraction"),
    [
        pytest.param("a1b2c3d4 0002 0004", "00000007", id="big-endian, microseconds"),
        pytest.param("a1b23c4d 0002 0004", "00001f3f", id="big-endian, nanoseconds"),
        pytest.param("4d3cb2a1 0200 0400", "3f1f0000", id="little-endian, nanoseconds"),
    ],
)
def test_every_variant_is_read(head: str, fraction: str) -> None:
    little = head.startswith("4d")

    def word(number: int) -> bytes:
        return number.to_bytes(4, "little" if little else "big")

    octets = (
        bytes.fromhex(head) + bytes(8) + word(65_535) + word(101)
        + word(12) + bytes.fromhex(fraction) + word(2) + word(1500) + b"ab"
    )  # fmt: skip
    reader = PcapReader(BytesIO(octets))
    assert reader.linktype == 101
    assert list(reader) == [Record(12_000_007, b"ab", 1500)]


@pytest.mark.parametrize("length", [1, 15, 16, 18])
def test_a_file_that_ends_within_a_record_is_cut_short(length: int) -> None:
    file = BytesIO()
    PcapWriter(file).write(0, [b"abc"])
    reader = PcapReader(BytesIO(file.getvalue()[: 24 + length]))
    with pytest.raises(ValueError, match="cut short"):
        list(reader)


def test_a_file_that_ends_within_its_header_is_cut_short() -> None:
    with pytest.raises(ValueError, match="cut short"):
        PcapReader(BytesIO(b"\xd4\xc3\xb2\xa1"))


def test_another_file_is_refused() -> None:
    with pytest.raises(ValueError, match="not a pcap file"):
        PcapReader(BytesIO(b"\x0a\x0d\x0d\x0a" + bytes(40)))


def test_what_is_flushed_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcap"
    with path.open("wb") as file:
        writer = PcapWriter(file)
        assert path.stat().st_size == 24, "the header is there at once"
        writer.write(0, [b"abc"])
        writer.flush()
        assert path.stat().st_size == 24 + 16 + 3
        writer.close()
        assert file.closed
        writer.close()


@pytest.mark.parametrize("path", ["/dev/full", "/nonexistent/x.pcap", "/proc/self"])
def test_a_file_that_cannot_be_begun_is_named_and_closed(path: str) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match=f": '{path}'$"):
        create_capture(Path(path))
    assert os.listdir("/proc/self/fd") == before


def test_a_file_that_takes_no_more_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = create_capture(path)
    os.close(reader)
    writer.write(0, [b"abc"])
    with pytest.raises(BrokenPipeError) as gone:
        writer.flush()
    assert gone.value.filename == str(path)
    with pytest.raises(BrokenPipeError):
        writer.close()
