"""The IPv4 header (RFC 791 §3.1).

Not done here: options beyond their place (`options.py`), and fields that only make sense together
with an address of ours (`protocol.py`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from construct import BitsInteger, BitStruct, Flag, Int8ub, Int16ub, Int32ub, Struct

from tapstack.base.address import Ipv4Address
from tapstack.base.checksum import ones_complement_sum
from tapstack.base.codec import HeaderCodec
from tapstack.base.contracts import Buffer
from tapstack.base.errors import Drop, MalformedPacket

PROTOCOL_ICMP = 1  # https://www.iana.org/assignments/protocol-numbers
PROTOCOL_RAW = 255

MAX_LENGTH = 0xFFFF
"""Octets of the largest datagram, header included."""

IPV4_HEADER = Struct(
    "version_and_length"
    / BitStruct(
        "version" / BitsInteger(4),
        "header_words" / BitsInteger(4),
    ),
    "tos" / Int8ub,
    "total_length" / Int16ub,
    "identification" / Int16ub,
    "flags_and_offset"
    / BitStruct(
        "reserved" / Flag,
        "dont_fragment" / Flag,
        "more_fragments" / Flag,
        "fragment_words" / BitsInteger(13),
    ),
    "ttl" / Int8ub,
    "protocol" / Int8ub,
    "checksum" / Int16ub,
    "source" / Int32ub,
    "destination" / Int32ub,
)
CODEC = HeaderCodec(IPV4_HEADER)
HEADER_LENGTH = CODEC.size

PLAIN = 0x45
"""The first octet of a version 4 header without options."""
DONT_FRAGMENT = 1 << CODEC.bit_fields["dont_fragment"].shift
MORE_FRAGMENTS = 1 << CODEC.bit_fields["more_fragments"].shift
FRAGMENT_MASK = MORE_FRAGMENTS | CODEC.bit_fields["fragment_words"].mask
"""What is zero in the flags and offset of a datagram that arrived whole."""

_OFFSET_MASK = CODEC.bit_fields["fragment_words"].mask
_FLAGS_MASK = 0xFFFF & ~_OFFSET_MASK
_ONES = 0xFFFF


class Header(NamedTuple):
    """A header with its options, for all but the hot path. The checksum is not a field of it."""

    tos: int
    total_length: int
    identification: int
    flags: int
    """The sum of DONT_FRAGMENT, MORE_FRAGMENTS and the reserved flag, each in its place."""
    fragment_offset: int
    """Octets, a multiple of 8."""
    ttl: int
    protocol: int
    source: Ipv4Address
    destination: Ipv4Address
    options: bytes = b""
    """Padded to a multiple of 4 octets."""

    @property
    def length(self) -> int:
        """Octets of the header."""
        return HEADER_LENGTH + len(self.options)


def unpack_valid(octets: Buffer) -> tuple[int, ...]:
    """Read the words of a header in the order of `IPV4_HEADER`, having checked each that can be.

    `octets` may go on behind the datagram: links pad short frames.
    Raises: MalformedPacket, and then the datagram is silently discarded (RFC 1122 §3.2.1).
    """
    if len(octets) < HEADER_LENGTH:
        raise MalformedPacket(Drop.IP_TRUNCATED)
    words: tuple[int, ...] = CODEC.unpack_from(octets)
    first, tos, total_length, identification, fragment, ttl, protocol, check, source, dest = words
    # 2¹⁶ is 1 modulo 65535: whole addresses add up like their halves, and one division folds all.
    total = (first << 8) + tos + total_length + identification + fragment + (ttl << 8) + protocol
    total += check + source + dest
    header_length = HEADER_LENGTH
    if first != PLAIN:
        header_length = _check_first_octet(first, len(octets))
        total += ones_complement_sum(octets[HEADER_LENGTH:header_length])
    if total % _ONES:
        raise MalformedPacket(Drop.IP_BAD_CHECKSUM)
    if not header_length <= total_length <= len(octets):
        raise MalformedPacket(Drop.IP_BAD_TOTAL_LENGTH)
    return words


def _check_first_octet(first: int, available: int) -> int:
    """Give the header's length in octets. Raises: MalformedPacket."""
    if first >> 4 != 4:
        raise MalformedPacket(Drop.IP_BAD_VERSION)
    header_length = header_length_of(first)
    if header_length < HEADER_LENGTH:
        raise MalformedPacket(Drop.IP_BAD_HEADER_LENGTH)
    if header_length > available:
        raise MalformedPacket(Drop.IP_TRUNCATED)
    return header_length


def header_length_of(first: int) -> int:
    """Read the header's length, in octets, from its first octet."""
    return (first & 15) << 2


def parse(octets: Buffer) -> Header:
    """Read a header that opens a whole datagram. Raises: MalformedPacket, as `unpack_valid`."""
    return _named(unpack_valid(octets), octets)


def parse_quoted(octets: Buffer) -> Header:
    """Read a header whose datagram is cut short, as ICMP quotes it; its checksum is not looked at.

    Raises: MalformedPacket when it is no header, or is not all there.
    """
    if len(octets) < HEADER_LENGTH:
        raise MalformedPacket(Drop.IP_TRUNCATED)
    _check_first_octet(octets[0], len(octets))
    return _named(CODEC.unpack_from(octets), octets)


def _named(words: Sequence[int], octets: Buffer) -> Header:
    first, tos, total_length, identification, fragment, ttl, protocol, _, source, dest = words
    return Header(
        tos,
        total_length,
        identification,
        fragment & _FLAGS_MASK,
        (fragment & _OFFSET_MASK) << 3,
        ttl,
        protocol,
        source,
        dest,
        bytes(octets[HEADER_LENGTH : header_length_of(first)]),
    )


def build(header: Header) -> bytes:
    """Lay out a header with its options and checksum."""
    return build_header(
        header.tos,
        header.total_length,
        header.identification,
        header.flags | header.fragment_offset >> 3,
        header.ttl,
        header.protocol,
        header.source,
        header.destination,
        header.options,
    )


def build_header(
    tos: int,
    total_length: int,
    identification: int,
    flags_and_offset: int,
    ttl: int,
    protocol: int,
    source: Ipv4Address,
    destination: Ipv4Address,
    options: bytes = b"",
) -> bytes:
    """Lay out a header, checksum included; the fields are as on the wire, options padded."""
    first = PLAIN + (len(options) >> 2)
    total = (first << 8) + tos + total_length + identification + flags_and_offset
    total += (ttl << 8) + protocol + source + destination
    if options:
        total += ones_complement_sum(options)
    header = CODEC.pack(
        first,
        tos,
        total_length,
        identification,
        flags_and_offset,
        ttl,
        protocol,
        -total % _ONES,
        source,
        destination,
    )
    return header + options
