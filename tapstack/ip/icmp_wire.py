"""ICMP messages (RFC 792, RFC 1191 §4).

Every message is eight octets, the last four of which mean something else in each type, and then a
body: what was sent for an echo, the quoted datagram for an error.

Not done here: what to answer (`icmp.py`).
"""

from typing import NamedTuple

from construct import Bytes, Int8ub, Int16ub, Int32ub, Struct

from tapstack.base.checksum import checksum, ones_complement_sum
from tapstack.base.codec import HeaderCodec
from tapstack.base.contracts import Buffer
from tapstack.base.errors import Drop, MalformedPacket
from tapstack.base.icmp_errors import (
    DESTINATION_UNREACHABLE,
    PARAMETER_PROBLEM,
    TIME_EXCEEDED,
)

ECHO_REPLY = 0  # types: RFC 792
SOURCE_QUENCH = 4
REDIRECT = 5
ECHO_REQUEST = 8
TIMESTAMP_REQUEST = 13
TIMESTAMP_REPLY = 14
MAX_TYPE = 18  # RFC 950: address mask reply, the last type that Linux knows

NETWORK_UNREACHABLE = 0  # codes of 'destination unreachable': RFC 792
HOST_UNREACHABLE = 1
PROTOCOL_UNREACHABLE = 2
TTL_EXCEEDED = 0  # codes of 'time exceeded': RFC 792
REASSEMBLY_TIME_EXCEEDED = 1
REDIRECT_HOST = 1  # code of 'redirect': RFC 792

ERRORS = frozenset(
    (DESTINATION_UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED, PARAMETER_PROBLEM)
)
"""The types that are about another datagram, which they quote (RFC 1122 §3.2.2)."""

ICMP_HEADER = Struct(
    "type" / Int8ub,
    "code" / Int8ub,
    "checksum" / Int16ub,
    "rest" / Int32ub,
)
CODEC = HeaderCodec(ICMP_HEADER)
HEADER_LENGTH = CODEC.size

ECHO = HeaderCodec(Struct("identifier" / Int16ub, "sequence" / Int16ub))
"""What `rest` is in an echo, request and reply."""
TOO_BIG = HeaderCodec(Struct("unused" / Int16ub, "mtu" / Int16ub))
"""What `rest` is in a 'fragmentation needed' (RFC 1191 §4)."""
POINTER = HeaderCodec(Struct("pointer" / Int8ub, "unused" / Bytes(3)))
"""What `rest` is in a 'parameter problem'."""
TIMESTAMPS = HeaderCodec(
    Struct("originate" / Int32ub, "receive" / Int32ub, "transmit" / Int32ub),
)
"""The body of a timestamp and of its reply, in ms since midnight UT, or else with the high bit."""


class Message(NamedTuple):
    """An ICMP message."""

    type: int
    code: int
    rest: int
    """The second four octets, in host order."""
    body: Buffer


def parse(octets: Buffer, *, verify: bool = True) -> Message:
    """Read a message; its body is a view of `octets`. Raises: MalformedPacket."""
    if len(octets) < HEADER_LENGTH:
        raise MalformedPacket(Drop.ICMP_TRUNCATED)
    if verify and ones_complement_sum(octets) != 0xFFFF:
        raise MalformedPacket(Drop.ICMP_BAD_CHECKSUM)
    type_, code, _, rest = CODEC.unpack_from(octets)
    return Message(type_, code, rest, octets[HEADER_LENGTH:])


def build(message: Message) -> bytes:
    """Lay out a message, checksum included."""
    type_, code, rest, body = message
    value = checksum(body, (type_ << 8) + code + (rest >> 16) + (rest & 0xFFFF))
    return CODEC.pack(type_, code, value, rest) + body


def build_echo(type_: int, identifier: int, sequence: int, data: Buffer) -> bytes:
    """Lay out an echo request or reply."""
    rest = int.from_bytes(ECHO.pack(identifier, sequence), "big")
    return build(Message(type_, 0, rest, data))
