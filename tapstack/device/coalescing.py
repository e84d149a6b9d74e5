"""Many segments of one flow made one unit, for a device that reads them one by one.

It is what Linux's generic receive offload does: segments that follow each other without a gap, and
whose headers say the same, go up as the unit that `segmentation.cut` would make just them of. What
the layers above do costs by the unit; they learn its `segment_size`.

A unit ends with a segment that has PSH or is shorter, in front of the first frame that is not its
next segment, and where the device has no more: what came never waits for what may come.

Not done here: anything but plain text over IPv4 in an untagged frame, which goes up as it came.
"""

from __future__ import annotations

from typing import NamedTuple

from tapstack.base.checksum import is_checksum_right, pseudo_header_sum
from tapstack.base.contracts import VERIFIED, Buffer, Frame, NetDevice, Offload
from tapstack.base.errors import MalformedPacket
from tapstack.base.units import Instant
from tapstack.device.middleware import Middleware
from tapstack.eth import wire as eth
from tapstack.ip import wire as ip
from tapstack.tcp import seq, wire as tcp
from tapstack.tcp.segment import ACK, PSH

_LONGEST = eth.HEADER_LENGTH + 65_535
"""Octets of the longest unit: an IP datagram's most, behind the Ethernet header."""
_IPV4 = eth.ETHERTYPE_IPV4.to_bytes(2, "big")
_TCP_START = eth.HEADER_LENGTH + ip.HEADER_LENGTH
_TEXT_START = _TCP_START + tcp.HEADER_LENGTH
"""Where text begins at the earliest."""
_PROTOCOL = eth.HEADER_LENGTH + 9  # RFC 791 §3.1
_DATA_OFFSET, _FLAGS = _TCP_START + 12, _TCP_START + 13  # RFC 9293 §3.1
_CHECKSUM = _TCP_START + tcp.CHECKSUM_OFFSET
_DATA_OFFSET_SHIFT = tcp.CODEC.bit_fields["data_offset"].shift


class _Segment(NamedTuple):
    """A valid segment of plain text: nothing that a unit cannot express is in its headers."""

    identification: int
    seq: int
    end: int
    """The sequence number behind it."""
    pushed: bool
    text: Buffer
    common: tuple[object, ...]
    """What every segment of a unit has in common with the first."""


class Coalescing(Middleware):
    """Reads units from a device that has none."""

    def __init__(self, device: NetDevice) -> None:
        """Wrap a device, and own it."""
        super().__init__(device)
        self._waiting: Frame | None = None
        # Read, and not of the unit in front of it.
        self._waiting_since: Instant = 0

    def read(self, now: Instant) -> Frame | None:
        """Take the next frame or unit. Raises: OSError when the device is gone."""
        frame, self._waiting = self._waiting, None
        if frame is None:
            frame = self.device.read(now)
        if frame is None or _is_alone(frame):
            return frame
        first = _read(frame.parts[0])
        return frame if first is None else self._collect(first, frame.parts[0], now)

    def _collect(self, first: _Segment, octets: Buffer, now: Instant) -> Frame:
        """Read the segments that follow, and make a unit of all."""
        parts, end, size = [octets], len(octets), len(first.text)
        last, last_length = first, size
        while not last.pushed and last_length == size and end + size <= _LONGEST:
            frame = self.device.read(now)
            if frame is None:
                break
            following = None if frame.offload else _read(frame.parts[0])
            if following is None or not _follows(following, last, size):
                self._waiting, self._waiting_since = frame, now
                break
            last, last_length = following, len(following.text)
            parts.append(following.text)
            end += last_length
        if last is first:
            return Frame((octets,), VERIFIED)
        return _unit(parts, end, size, pushed=last.pushed)

    def next_deadline(self) -> Instant | None:
        """Tell that a frame waits here, of which the descriptor knows nothing any more."""
        return self.device.next_deadline() if self._waiting is None else self._waiting_since


def _is_alone(frame: Frame) -> bool:
    """Tell at a glance what a unit cannot begin with: whatever is urgent for its receiver."""
    octets = frame.parts[0]
    return (
        frame.offload is not None
        or len(octets) <= _TEXT_START
        or octets[_PROTOCOL] != tcp.PROTOCOL_TCP
        or octets[_FLAGS] != ACK
        or len(octets) == _TCP_START + (octets[_DATA_OFFSET] >> 4 << 2)
    )


def _read(octets: Buffer) -> _Segment | None:
    """Read a segment of plain text, checksums and all; None for what is anything else."""
    link = bytes(octets[: eth.HEADER_LENGTH])
    if len(octets) <= _TEXT_START or not link.endswith(_IPV4):
        return None
    try:
        words = ip.unpack_valid(octets[eth.HEADER_LENGTH :])
    except MalformedPacket:
        return None
    first, tos, length, identification, fragment, ttl, protocol, _, source, destination = words
    if first != ip.PLAIN or fragment & ip.FRAGMENT_MASK or protocol != tcp.PROTOCOL_TCP:
        return None
    source_port, destination_port, begin, ack, word, wnd, _, up = tcp.CODEC.unpack_from(
        octets, _TCP_START
    )
    text_start = _TCP_START + (word >> _DATA_OFFSET_SHIFT << 2)
    word &= ~PSH
    ends_where_it_should = _TEXT_START <= text_start < len(octets) == eth.HEADER_LENGTH + length
    if word & 0xFFF != ACK or up or not ends_where_it_should:
        return None
    if not is_checksum_right(source, destination, protocol, octets[_TCP_START:]):
        return None
    ends = source, destination, source_port, destination_port
    options, text = bytes(octets[_TEXT_START:text_start]), octets[text_start:]
    common = (link, tos, fragment, ttl, ends, ack, word, wnd, options)
    pushed = bool(octets[_FLAGS] & PSH)
    return _Segment(identification, begin, seq.add(begin, len(text)), pushed, text, common)


def _follows(segment: _Segment, last: _Segment, size: int) -> bool:
    """Tell whether a segment is the next of a unit whose segments have `size` octets of text."""
    return (
        segment.seq == last.end
        and len(segment.text) <= size
        and segment.common == last.common
        and segment.identification == (last.identification + 1) & 0xFFFF
    )


def _unit(parts: list[Buffer], length: int, size: int, *, pushed: bool) -> Frame:
    """Make the first segment's headers those of a unit, as `segmentation.cut` undoes it."""
    headers = bytearray(parts[0][:_TEXT_START])
    header = ip.parse(parts[0][eth.HEADER_LENGTH :])
    header = header._replace(total_length=length - eth.HEADER_LENGTH)
    headers[eth.HEADER_LENGTH : _TCP_START] = ip.build(header)
    headers[_FLAGS] |= PSH * pushed
    ends = header.source, header.destination
    partial = pseudo_header_sum(*ends, tcp.PROTOCOL_TCP, length - _TCP_START)
    headers[_CHECKSUM : _CHECKSUM + 2] = partial.to_bytes(2, "big")
    octets = b"".join([headers, parts[0][_TEXT_START:], *parts[1:]])
    return Frame((memoryview(octets),), Offload(_TCP_START, tcp.CHECKSUM_OFFSET, size))
