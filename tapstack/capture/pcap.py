"""The capture file that every analyser reads (draft-ietf-opsawg-pcap §4 and §5).

Written are times in microseconds, in little-endian order; read is every variant of the format.

Not done here: pcapng, and what the captured octets mean.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from construct import Construct, Int16ub, Int16ul, Int32ub, Int32ul, Struct

from tapstack.base.codec import HeaderCodec
from tapstack.base.contracts import Buffer
from tapstack.base.units import SECOND, Instant

LINKTYPE_ETHERNET = 1  # https://www.tcpdump.org/linktypes.html
LINKTYPE_RAW = 101  # begins with the IP header

_MAGIC_MICROSECONDS = 0xA1B2C3D4
_MAGIC_NANOSECONDS = 0xA1B23C4D
_VERSION = (2, 4)
_SNAPLEN = 262_144
"""Octets that a record has at most, as libpcap's readers want it."""
_CUT_SHORT = "the capture file is cut short"


def _file_header(half: Construct, word: Construct) -> Struct:
    return Struct(
        "magic" / word,
        "version_major" / half,
        "version_minor" / half,
        "reserved_1" / word,  # once the time zone
        "reserved_2" / word,  # once the accuracy
        "snaplen" / word,
        "linktype" / word,
    )


def _record_header(word: Construct) -> Struct:
    return Struct(
        "seconds" / word,
        "fraction" / word,
        "captured_length" / word,
        "original_length" / word,
    )


class _Layout(NamedTuple):
    """Both headers in one byte order."""

    file: HeaderCodec
    record: HeaderCodec


_LITTLE = _Layout(
    HeaderCodec(_file_header(Int16ul, Int32ul), "<"), HeaderCodec(_record_header(Int32ul), "<")
)
_BIG = _Layout(
    HeaderCodec(_file_header(Int16ub, Int32ub), ">"), HeaderCodec(_record_header(Int32ub), ">")
)


class PcapWriter:
    """Writes a capture file, which it owns."""

    def __init__(self, file: BinaryIO, linktype: int = LINKTYPE_ETHERNET) -> None:
        """Write the file's header. Raises: OSError, and closes the file then."""
        self._file = file
        try:
            file.write(_LITTLE.file.pack(_MAGIC_MICROSECONDS, *_VERSION, 0, 0, _SNAPLEN, linktype))
            file.flush()
        except OSError:
            with suppress(OSError):  # what could not be written is tried once more
                file.close()
            raise

    def write(self, time: Instant, parts: Sequence[Buffer]) -> None:
        """Write a packet, seen at `time` µs since 1970, UTC. Raises: OSError."""
        length = sum(map(len, parts))
        header = _LITTLE.record.pack(*divmod(time, SECOND), length, length)
        self._file.write(b"".join((header, *parts)))

    def flush(self) -> None:
        """Hand to the system what is still with this process. Raises: OSError."""
        self._file.flush()

    def close(self) -> None:
        """Close the file. A second call does nothing. Raises: OSError."""
        self._file.close()


def create_capture(path: str | Path, linktype: int = LINKTYPE_ETHERNET) -> PcapWriter:
    """Begin a capture file. Raises: OSError, which names it, as do those of the writer."""
    return PcapWriter(BufferedWriter(_NamedFile(str(path), "wb")), linktype)


class _NamedFile(FileIO):
    """A file that is named in what its writes raise, as the system's own errors name it."""

    def write(self, octets: Any, /) -> int:
        """Write what a buffer has, or some of it. Raises: OSError."""
        try:
            return super().write(octets)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.name) from None


class Record(NamedTuple):
    """A captured packet."""

    time: Instant
    """µs since 1970, UTC."""
    octets: bytes
    """What was captured of it."""
    length: int
    """Octets that it had."""


class PcapReader:
    """Reads a capture file from its beginning; iterate over it for the records."""

    def __init__(self, file: BinaryIO) -> None:
        """Read the file's header. Raises: ValueError with one clear sentence; OSError."""
        self._file = file
        octets = self._read(_LITTLE.file.size)
        for layout in (_LITTLE, _BIG):
            magic, *_, linktype = layout.file.unpack_from(octets)
            if magic in (_MAGIC_MICROSECONDS, _MAGIC_NANOSECONDS):
                self._record = layout.record
                self._per_microsecond = 1 if magic == _MAGIC_MICROSECONDS else 1000
                self.linktype: int = linktype
                """What each record begins with, such as LINKTYPE_ETHERNET."""
                return
        raise ValueError("this is not a pcap file")

    def __iter__(self) -> Iterator[Record]:
        """Go through the records. Raises: ValueError when the file ends within one; OSError."""
        while header := self._file.read(self._record.size):
            if len(header) < self._record.size:
                raise ValueError(_CUT_SHORT)
            seconds, fraction, captured, length = self._record.unpack_from(header)
            time = seconds * SECOND + fraction // self._per_microsecond
            yield Record(time, self._read(captured), length)

    def _read(self, count: int) -> bytes:
        octets = self._file.read(count)
        if len(octets) < count:
            raise ValueError(_CUT_SHORT)
        return octets
