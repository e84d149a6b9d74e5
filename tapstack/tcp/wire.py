"""The TCP header (RFC 9293 §3.1, RFC 9768 §3.1).

Not done here: options (`options.py`), and a checksum's arithmetic (`base/checksum.py`).
"""

from construct import BitsInteger, BitStruct, Flag, Int16ub, Int32ub, Struct

from tapstack.base.checksum import is_checksum_right
from tapstack.base.codec import HeaderCodec
from tapstack.base.contracts import Buffer, Datagram
from tapstack.base.errors import Drop, MalformedPacket
from tapstack.tcp.options import parse_options
from tapstack.tcp.segment import Segment

PROTOCOL_TCP = 6  # RFC 9293 §3.1
CHECKSUM_OFFSET = 16
"""Octets from the segment's first to the checksum field."""

TCP_HEADER = Struct(
    "source_port" / Int16ub,
    "destination_port" / Int16ub,
    "seq" / Int32ub,
    "ack" / Int32ub,
    "offset_and_flags"
    / BitStruct(
        "data_offset" / BitsInteger(4),
        "reserved" / BitsInteger(3),
        "ae" / Flag,
        "cwr" / Flag,
        "ece" / Flag,
        "urg" / Flag,
        "ack_bit" / Flag,
        "psh" / Flag,
        "rst" / Flag,
        "syn" / Flag,
        "fin" / Flag,
    ),
    "wnd" / Int16ub,
    "checksum" / Int16ub,
    "up" / Int16ub,
)
CODEC = HeaderCodec(TCP_HEADER)
HEADER_LENGTH = CODEC.size

_OFFSET_SHIFT = CODEC.bit_fields["data_offset"].shift
_FLAGS_MASK = 0x1FF


def parse(octets: Buffer, tos: int = 0) -> Segment:
    """Read a segment; its text is a view of `octets`, `tos` its datagram's type of service.

    Raises: MalformedPacket when it is shorter than its header says, or the header than 20 octets.
    """
    if len(octets) < HEADER_LENGTH:
        raise MalformedPacket(Drop.TCP_TRUNCATED)
    source_port, destination_port, seq, ack, word, wnd, _, up = CODEC.unpack_from(octets)
    header_length = word >> _OFFSET_SHIFT << 2
    if header_length < HEADER_LENGTH:
        raise MalformedPacket(Drop.TCP_BAD_DATA_OFFSET)
    if header_length > len(octets):
        raise MalformedPacket(Drop.TCP_TRUNCATED)
    options = parse_options(octets[HEADER_LENGTH:header_length])
    text = octets[header_length:]
    flags = word & _FLAGS_MASK
    ports = source_port, destination_port
    return Segment(*ports, seq, ack, flags, wnd, up, options, text, tos, header_length)


def build_header(segment: Segment, options: bytes, checksum: int) -> bytes:
    """Lay out a header in front of its options, which are; `checksum` goes in as it is."""
    word = (HEADER_LENGTH + len(options)) >> 2 << _OFFSET_SHIFT | segment.flags
    header = CODEC.pack(
        segment.source_port,
        segment.destination_port,
        segment.seq,
        segment.ack,
        word,
        segment.wnd,
        checksum,
        segment.up,
    )
    return header + options


def verify_checksum(datagram: Datagram) -> None:
    """Check what the device has not (RFC 9293 MUST-3). Raises: MalformedPacket."""
    ends = datagram.source, datagram.destination
    if not is_checksum_right(*ends, PROTOCOL_TCP, datagram.payload):
        raise MalformedPacket(Drop.TCP_BAD_CHECKSUM)
