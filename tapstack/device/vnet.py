"""The header that the kernel puts in front of a frame it has not finished (virtio 1.2 §5.1.6).

`struct virtio_net_hdr` of <linux/virtio_net.h>, ten octets in the machine's byte order, says of a
frame what `Offload` says.

Not done here: IPv6, which a device has to be asked for.
"""

from functools import lru_cache

from construct import Int8un, Int16un, Struct

from tapstack.base.codec import HeaderCodec
from tapstack.base.contracts import VERIFIED, Buffer, Frame, Offload
from tapstack.tcp.segment import CWR
from tapstack.udp import wire as udp

NEEDS_CSUM = 1
"""Flag: the checksum field holds the pseudo-header's sum alone."""
DATA_VALID = 2
"""Flag: the checksum has been verified."""
GSO_NONE = 0
GSO_TCPV4 = 1
GSO_UDP_L4 = 5
GSO_ECN = 0x80
"""With GSO_TCPV4: the unit has CWR, which belongs to its first segment alone."""

VNET_HEADER = Struct(
    "flags" / Int8un,
    "gso_type" / Int8un,
    "header_length" / Int16un,
    "gso_size" / Int16un,
    "checksum_start" / Int16un,
    "checksum_offset" / Int16un,
)
CODEC = HeaderCodec(VNET_HEADER, byte_order="=")
HEADER_LENGTH = CODEC.size

_UNITS = (GSO_TCPV4, GSO_UDP_L4)
NOTHING_LEFT = bytes(HEADER_LENGTH)
_DATA_OFFSET = 12  # RFC 9293 §3.1: the octet of the TCP header whose high half is its length
_FLAGS = 13


def build(frame: Frame) -> bytes:
    """Lay out the header of an outbound frame."""
    parts, offload = frame
    if offload is None:
        return NOTHING_LEFT
    start, offset, segment_size = offload
    if not start:
        return NOTHING_LEFT
    if not segment_size or offset == udp.CHECKSUM_OFFSET:
        return _build(offload, udp.HEADER_LENGTH, 0)
    headers = parts[0]
    if len(headers) <= start + _FLAGS:
        headers = b"".join(parts)
    return _build(offload, headers[start + _DATA_OFFSET] >> 4 << 2, headers[start + _FLAGS] & CWR)


@lru_cache(maxsize=256)
def _build(offload: Offload, transport_length: int, cwr: int) -> bytes:
    """Lay out the header of a frame, with such a transport header if that is one of a unit."""
    start, offset, segment_size = offload
    if not segment_size:
        return CODEC.pack(NEEDS_CSUM, GSO_NONE, 0, 0, start, offset)
    gso_type = GSO_UDP_L4 if offset == udp.CHECKSUM_OFFSET else GSO_TCPV4
    if cwr:
        gso_type |= GSO_ECN
    header_length = start + transport_length
    return CODEC.pack(NEEDS_CSUM, gso_type, header_length, segment_size, start, offset)


def is_understood(octets: Buffer) -> bool:
    """Tell whether an inbound frame is one segment, or a unit that can be spoken of here."""
    return octets[1] & ~GSO_ECN in (GSO_NONE, *_UNITS)


@lru_cache(maxsize=64)
def parse(octets: bytes) -> Offload | None:
    """Read the header of an inbound frame: what is left to do, or None to verify the checksum."""
    flags, gso_type, _, gso_size, start, offset = CODEC.unpack_from(octets)
    segment_size = gso_size if gso_type & ~GSO_ECN in _UNITS else 0
    if flags & NEEDS_CSUM:
        return Offload(start, offset, segment_size)
    if not flags & DATA_VALID:
        return None
    return Offload(0, 0, segment_size) if segment_size else VERIFIED
