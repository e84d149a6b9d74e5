"""What a device cannot do, done in software at its edge: checksums, and cutting TCP units.

A unit of up to 64 KB becomes the segments that a card with segmentation offload would send: the
IP identification counts on, each segment has its own sequence number, FIN and PSH stay with the
last (RFC 9293 §3.1), CWR with the first (RFC 3168 §6.1.2); an urgent pointer counts from each.

Not done here: anything but TCP over IPv4 in an untagged frame, which is never cut.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tapstack.base.checksum import (
    checksum,
    complete_checksum,
    ones_complement_sum,
    pseudo_header_sum,
)
from tapstack.base.contracts import Buffer, Capabilities, Frame, NetDevice, Offload
from tapstack.base.errors import MalformedPacket
from tapstack.base.units import Instant
from tapstack.device.middleware import Middleware
from tapstack.eth import wire as eth
from tapstack.ip import wire as ip
from tapstack.tcp import seq, wire as tcp
from tapstack.tcp.segment import CWR, FIN, PSH, URG

_DATA_OFFSET_SHIFT = tcp.CODEC.bit_fields["data_offset"].shift


class SoftwareOffload(Middleware):
    """Does for a device what its capabilities lack; one that lacks nothing gets units whole."""

    def __init__(self, device: NetDevice) -> None:
        """Wrap a device, and own it."""
        super().__init__(device)
        self.capabilities = Capabilities(checksum=True, segmentation=True)
        self._sums = device.capabilities.checksum
        # Who cuts has to sum: a device that does not is given no units either.
        self._cuts = device.capabilities.segmentation and self._sums

    def write(self, frame: Frame, now: Instant) -> None:
        """Send a unit as the frames that it makes."""
        offload = frame.offload
        if offload is None or self._cuts or (self._sums and not offload.segment_size):
            self.device.write(frame, now)
            return
        for piece in cut(frame, checksums=not self._sums):
            self.device.write(piece, now)


def cut(frame: Frame, *, checksums: bool = True) -> list[Frame]:
    """Make of a unit the frames that are on the wire, complete, with octets of their own.

    Without `checksums` each has its own partial one, left to the device. A frame that is complete
    already is handed back as it is.
    """
    offload = frame.offload
    if offload is None:
        return [frame]
    if offload.segment_size:
        unit = _Unit.of(b"".join(frame.parts))
        if unit and len(unit.text) > offload.segment_size:
            return list(unit.segments(offload.segment_size, checksums))
    if not offload.checksum_start:
        return [Frame(frame.parts)]
    if not checksums:
        return [Frame(frame.parts, offload._replace(segment_size=0))]
    return [Frame((complete_checksum(list(frame.parts), offload),))]


class _Unit(NamedTuple):
    """A TCP unit, with its headers read once for all segments."""

    link_header: Buffer
    ip_header: ip.Header
    tcp_words: tuple[int, ...]
    tcp_options: Buffer
    text: memoryview

    @classmethod
    def of(cls, octets: bytes) -> "_Unit | None":
        """Read a unit's headers; None for what is not TCP over IPv4."""
        view = memoryview(octets)
        try:
            if eth.parse(view).ethertype != eth.ETHERTYPE_IPV4:
                return None
            ip_header = ip.parse(view[eth.HEADER_LENGTH :])
        except MalformedPacket:
            return None
        tcp_start = eth.HEADER_LENGTH + ip_header.length
        segment = view[tcp_start : eth.HEADER_LENGTH + ip_header.total_length]
        if ip_header.protocol != tcp.PROTOCOL_TCP or len(segment) < tcp.HEADER_LENGTH:
            return None
        words: tuple[int, ...] = tcp.CODEC.unpack_from(segment)
        text_start = words[4] >> _DATA_OFFSET_SHIFT << 2
        options = segment[tcp.HEADER_LENGTH : text_start]
        return cls(view[: eth.HEADER_LENGTH], ip_header, words, options, segment[text_start:])

    def segments(self, size: int, checksums: bool) -> Iterator[Frame]:
        """Go through the segments, `size` octets of text each but the last."""
        for index, start in enumerate(range(0, len(self.text), size)):
            yield self._segment(index, start, self.text[start : start + size], checksums)

    def _segment(self, index: int, start: int, text: memoryview, checksums: bool) -> Frame:
        ip_header = self.ip_header
        length = tcp.HEADER_LENGTH + len(self.tcp_options) + len(text)
        network = ip.build_header(
            ip_header.tos,
            ip_header.length + length,
            (ip_header.identification + index) & 0xFFFF,
            ip_header.flags,
            ip_header.ttl,
            tcp.PROTOCOL_TCP,
            ip_header.source,
            ip_header.destination,
            ip_header.options,
        )
        partial = pseudo_header_sum(
            ip_header.source, ip_header.destination, tcp.PROTOCOL_TCP, length
        )
        is_last = start + len(text) == len(self.text)
        transport = self._tcp_header(start, is_last, partial)
        if not checksums:
            offload = Offload(eth.HEADER_LENGTH + len(network), tcp.CHECKSUM_OFFSET, 0)
            return Frame((b"".join((self.link_header, network, transport)), text), offload)
        # The header's length is even, so that the text's sum goes on where the header's ends.
        value = checksum(text, ones_complement_sum(transport)).to_bytes(2, "big")
        front, rest = transport[: tcp.CHECKSUM_OFFSET], transport[tcp.CHECKSUM_OFFSET + 2 :]
        return Frame((b"".join((self.link_header, network, front, value, rest)), text))

    def _tcp_header(self, start: int, is_last: bool, value: int) -> bytes:
        """Lay out the header of the segment at `start`, with `value` as its checksum."""
        source_port, destination_port, first, ack, word, wnd, _, up = self.tcp_words
        if start:
            word &= ~CWR
        if not is_last:
            word &= ~(FIN | PSH)
        up = max(0, up - start)
        if not up:
            word &= ~URG
        header = tcp.CODEC.pack(
            source_port, destination_port, seq.add(first, start), ack, word, wnd, value, up
        )
        return header + bytes(self.tcp_options)
