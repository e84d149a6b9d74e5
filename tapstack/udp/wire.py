"""The UDP header (RFC 768).

Not done here: the checksum's arithmetic (`base/checksum.py`).
"""

from typing import NamedTuple

from construct import Int16ub, Struct

from tapstack.base.codec import HeaderCodec
from tapstack.base.contracts import Buffer
from tapstack.base.errors import Drop, MalformedPacket

PROTOCOL_UDP = 17  # RFC 768
CHECKSUM_OFFSET = 6
"""Octets from the header's first to the checksum field."""

UDP_HEADER = Struct(
    "source_port" / Int16ub,
    "destination_port" / Int16ub,
    "length" / Int16ub,
    "checksum" / Int16ub,
)
CODEC = HeaderCodec(UDP_HEADER)
HEADER_LENGTH = CODEC.size


class UdpHeader(NamedTuple):
    """The ports of a datagram, its octets with this header, and its checksum."""

    source_port: int
    destination_port: int
    length: int
    checksum: int
    """0: the sender computed none."""


def unpack_valid(octets: Buffer) -> tuple[int, ...]:
    """Read the words of a header in the order of `UDP_HEADER`.

    Octets behind the length are not UDP's, and are not looked at (as Linux).
    Raises: MalformedPacket when the length cannot be.
    """
    if len(octets) < HEADER_LENGTH:
        raise MalformedPacket(Drop.UDP_TRUNCATED)
    words: tuple[int, ...] = CODEC.unpack_from(octets)
    if not HEADER_LENGTH <= words[2] <= len(octets):
        raise MalformedPacket(Drop.UDP_BAD_LENGTH)
    return words


def parse(octets: Buffer) -> UdpHeader:
    """Read a header by its fields' names. Raises: MalformedPacket, as `unpack_valid`."""
    return UdpHeader._make(unpack_valid(octets))


def parse_quoted(octets: Buffer) -> UdpHeader:
    """Read a header that ICMP quotes: 8 octets or more, whose datagram is cut short."""
    return UdpHeader._make(CODEC.unpack_from(octets))


def build(header: UdpHeader) -> bytes:
    """Lay out a header as on the wire."""
    return CODEC.pack(*header)
