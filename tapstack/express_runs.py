"""Runs on the express lane: frames that came one right behind the other, as if they were one.

Under load, most frames that wait in a device say of the same connection what the frame in front
says, and no more than how it goes on: the text that follows, or how much more has arrived. What
receive offload makes of segments is made here of its units, for one of which an IP datagram has no
length: their texts are taken as that of a single one. The last acknowledgment counts for all, as
it is cumulative (RFC 9293 §3.4), and so do its timestamps: a millisecond may pass between two.

A run ends in front of the first frame whose headers say anything else; and of one that says nothing
new, as each of several duplicate acknowledgments counts (RFC 5681 §3.2).

Not done here: the headers of the first frame (`express.py`), and what a run does to its connection
(`tcp/expected_segment.py`).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tapstack.eth.wire import HEADER_LENGTH as ETHERNET_LENGTH
from tapstack.express_headers import FLAGS_AT, ONES
from tapstack.tcp.segment import ACK, PSH, Timestamps
from tapstack.tcp.sent_segment import packets_of
from tapstack.tcp.seq import HALF, MASK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapstack.base.contracts import Buffer, Frame

_HEADERS = Struct("!16s HH 4s H 12s IIHH 4x 4s Q")
"""As the express lane's, what never differs within a run in one piece.

These are: all in front of IP's length; fragment, TTL and protocol; addresses and ports; what makes
the options timestamps. The two of those are read as one number.
"""
_ACK_HEADERS = Struct("!18s H 4s H 16s IHH 4x 4s Q")
"""The same of acknowledgments alone, whose length and SEG.SEQ do not differ either."""
_LENGTH = _HEADERS.size
_DATAGRAM = _LENGTH - ETHERNET_LENGTH
"""Octets of a datagram without text."""
_ADDRESSES_AND_PORTS = slice(ETHERNET_LENGTH + 12, ETHERNET_LENGTH + 24)  # RFC 791 §3.1


class Run(NamedTuple):
    """What some frames say together."""

    frames: int
    octets: int
    """Of all frames."""
    seq: int
    ack: int
    word: int
    """Data offset and flags: PSH if any with text had it."""
    wnd: int
    texts: Sequence[memoryview]
    length: int
    """Octets of text."""
    segment_size: int
    """Octets of text in each segment; 0: there is none."""
    packets: int
    """Segments that they were on the wire."""
    stamps: Timestamps


def is_followed(first: Buffer, behind: Frame) -> bool:
    """Tell whether a frame may go on in the one behind: of the same connection, and no FIN."""
    octets = behind.parts[0]
    same = first[_ADDRESSES_AND_PORTS] == octets[_ADDRESSES_AND_PORTS]
    return same and len(octets) >= _LENGTH and octets[FLAGS_AT] | PSH == ACK | PSH


def read_run(first: memoryview, segment_size: int, behind: Sequence[Frame]) -> Run:
    """Read the run of a frame, which is a plain segment, and those behind it.

    `segment_size` is of the first, octets; 0: it is no unit of several segments.
    """
    if len(first) == _LENGTH:
        return _read_acknowledgments(first, behind)
    (
        link, datagram, number, way, check, ends, seq, ack, word, wnd, kind, stamps,
    ) = _HEADERS.unpack_from(first)  # fmt: skip
    same, plain, varying = (link, way, ends, kind, stamps), word | PSH, datagram + number + check
    text = first[_LENGTH:]
    texts = [text]
    size = segment_size or len(text)
    end, packets, frames = seq + len(text), packets_of(len(text), size), 1
    for (whole,), offload in behind:
        length = len(whole) - _LENGTH
        if offload is None or length <= 0 or (offload.segment_size or length) != size:
            break
        (
            link, datagram, number, way, check, ends, begin, more, bits, room, kind, stamps,
        ) = _HEADERS.unpack_from(whole)  # fmt: skip
        if (
            (link, way, ends, kind, stamps) != same
            or bits | PSH != plain
            or begin != end & MASK
            or (more - ack) & MASK >= HALF
            or datagram - length != _DATAGRAM
            or (datagram + number + check - varying) % ONES
        ):
            break
        texts.append(memoryview(whole)[_LENGTH:])
        end += length
        packets += -(-length // size)
        word |= bits
        frames += 1
        ack, wnd = more, room
    length, said = end - seq, _stamps(same[-1])
    octets = frames * _LENGTH + length
    return Run(frames, octets, seq, ack, word, wnd, texts, length, size, packets, said)


def _read_acknowledgments(first: memoryview, behind: Sequence[Frame]) -> Run:
    """Read the run of a frame without text."""
    link, number, way, check, ends, ack, word, wnd, kind, stamps = _ACK_HEADERS.unpack_from(first)
    same, varying, frames = (link, way, ends, word, kind), number + check, 1
    for (whole,), offload in behind:
        if offload is None or len(whole) != _LENGTH:
            break
        (
            link, number, way, check, ends, more, bits, room, kind, latest,
        ) = _ACK_HEADERS.unpack_from(whole)  # fmt: skip
        if (
            (link, way, ends, bits, kind) != same
            or (number + check - varying) % ONES
            or not 0 < (more - ack) & MASK < HALF
            or (latest != stamps and _is_older(latest, stamps))
        ):
            break
        frames += 1
        ack, wnd, stamps = more, room, latest
    seq = int.from_bytes(ends[-4:], "big")
    said = _stamps(stamps)
    return Run(frames, frames * _LENGTH, seq, ack, word, wnd, (), 0, 0, frames, said)


def _stamps(both: int) -> Timestamps:
    """Part TSval from TSecr."""
    return Timestamps(both >> 32, both & MASK)


def _is_older(latest: int, stamps: int) -> bool:
    """Tell whether a TSval is before another: both with what they echo."""
    return ((latest >> 32) - (stamps >> 32)) & MASK >= HALF
