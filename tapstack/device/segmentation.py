"""What a device cannot do, done in software at its edge: checksums, and cutting units.

A unit of TCP of up to 64 KB becomes the segments that a card with segmentation offload would send:
the IP identification counts on, each segment has its own sequence number, FIN and PSH stay with the
last (RFC 9293 §3.1), CWR with the first (RFC 3168 §6.1.2); an urgent pointer counts from each. A
unit of UDP becomes datagrams of a size.

Not done here: anything but TCP and UDP over IPv4 in an untagged frame, which is never cut.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tapstack.base.checksum import (
    ALL_ONES,
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
from tapstack.udp import wire as udp

_DATA_OFFSET_SHIFT = tcp.CODEC.bit_fields["data_offset"].shift


class SoftwareOffload(Middleware):
    """Does for a device what its capabilities lack; one that lacks nothing gets units whole."""

    def __init__(self, device: NetDevice) -> None:
        """Wrap a device, and own it."""
        super().__init__(device)
        self.capabilities = Capabilities(checksum=True, segmentation=True, udp_segmentation=True)
        able = device.capabilities
        self._sums = able.checksum
        # Who cuts has to sum: a device that does not is given no units either.
        self._cuts_tcp = able.segmentation and self._sums
        self._cuts_udp = able.udp_segmentation and self._sums

    def _does(self, offload: Offload) -> bool:
        """Tell whether the device does by itself what is left to it."""
        if not offload.segment_size:
            return self._sums
        is_udp = offload.checksum_offset == udp.CHECKSUM_OFFSET
        return self._cuts_udp if is_udp else self._cuts_tcp

    def write(self, frame: Frame, now: Instant) -> None:
        """Send a unit as the frames that it makes."""
        offload = frame.offload
        if offload is None or self._does(offload):
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
        unit = _read(b"".join(frame.parts))
        if unit and len(unit.text) > offload.segment_size:
            return list(unit.segments(offload.segment_size, checksums))
    if not offload.checksum_start:
        return [Frame(frame.parts)]
    if not checksums:
        return [Frame(frame.parts, offload._replace(segment_size=0))]
    return [Frame((complete_checksum(list(frame.parts), offload),))]


def _read(octets: bytes) -> "_TcpUnit | _UdpUnit | None":
    """Read a unit's headers; None for what is neither TCP nor UDP over IPv4."""
    view = memoryview(octets)
    try:
        if eth.parse(view).ethertype != eth.ETHERTYPE_IPV4:
            return None
        header = ip.parse(view[eth.HEADER_LENGTH :])
    except MalformedPacket:
        return None
    link = view[: eth.HEADER_LENGTH]
    payload = view[eth.HEADER_LENGTH + header.length : eth.HEADER_LENGTH + header.total_length]
    if header.protocol == tcp.PROTOCOL_TCP and len(payload) >= tcp.HEADER_LENGTH:
        words: tuple[int, ...] = tcp.CODEC.unpack_from(payload)
        start = words[4] >> _DATA_OFFSET_SHIFT << 2
        return _TcpUnit(link, header, words, payload[tcp.HEADER_LENGTH : start], payload[start:])
    if header.protocol == udp.PROTOCOL_UDP and len(payload) >= udp.HEADER_LENGTH:
        ports = udp.CODEC.unpack_from(payload)[:2]
        return _UdpUnit(link, header, ports, payload[udp.HEADER_LENGTH :])
    return None


def _ip_header(header: ip.Header, index: int, length: int) -> bytes:
    """Lay out the header of the datagram at an index, with `length` octets of payload."""
    return ip.build_header(
        header.tos,
        header.length + length,
        (header.identification + index) & 0xFFFF,
        header.flags,
        header.ttl,
        header.protocol,
        header.source,
        header.destination,
        header.options,
    )


class _UdpUnit(NamedTuple):
    """A UDP unit, with its headers read once for all datagrams."""

    link_header: Buffer
    ip_header: ip.Header
    ports: tuple[int, int]
    text: memoryview

    def segments(self, size: int, checksums: bool) -> Iterator[Frame]:
        """Go through the datagrams, `size` octets of data each but the last."""
        header = self.ip_header
        for index, start in enumerate(range(0, len(self.text), size)):
            data = self.text[start : start + size]
            length = udp.HEADER_LENGTH + len(data)
            network = _ip_header(header, index, length)
            partial = pseudo_header_sum(header.source, header.destination, header.protocol, length)
            transport = udp.CODEC.pack(*self.ports, length, partial)
            parts = (b"".join((self.link_header, network, transport)), data)
            offload = Offload(eth.HEADER_LENGTH + len(network), udp.CHECKSUM_OFFSET, 0)
            if checksums:
                yield Frame((complete_checksum(parts, offload),))
            else:
                yield Frame(parts, offload)


class _TcpUnit(NamedTuple):
    """A TCP unit, with its headers read once for all segments."""

    link_header: Buffer
    ip_header: ip.Header
    tcp_words: tuple[int, ...]
    tcp_options: Buffer
    text: memoryview

    def segments(self, size: int, checksums: bool) -> Iterator[Frame]:
        """Go through the segments, `size` octets of text each but the last."""
        for index, start in enumerate(range(0, len(self.text), size)):
            yield self._segment(index, start, self.text[start : start + size], checksums)

    def _segment(self, index: int, start: int, text: memoryview, checksums: bool) -> Frame:
        header = self.ip_header
        length = tcp.HEADER_LENGTH + len(self.tcp_options) + len(text)
        network = _ip_header(header, index, length)
        partial = pseudo_header_sum(header.source, header.destination, header.protocol, length)
        is_last = start + len(text) == len(self.text)
        transport = self._tcp_header(start, is_last, partial)
        if not checksums:
            offload = Offload(eth.HEADER_LENGTH + len(network), tcp.CHECKSUM_OFFSET, 0)
            return Frame((b"".join((self.link_header, network, transport)), text), offload)
        # The header's length is even, so that the text's sum goes on where the header's ends.
        value = (checksum(text, ones_complement_sum(transport)) or ALL_ONES).to_bytes(2, "big")
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
