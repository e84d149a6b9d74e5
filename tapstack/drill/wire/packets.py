"""Packets of a script as IPv4 datagrams, with live numbers; every octet of text is 0.

The formats are those of `ip/`, `tcp/` and `udp/`.

Not done here: the way back (`reading.py`), and what the live numbers are (`numbering.py`).
"""

from __future__ import annotations

from tapstack.base.address import Endpoint
from tapstack.base.checksum import complete_checksum, pseudo_header_sum
from tapstack.base.contracts import Offload
from tapstack.drill.language.syntax import (
    IcmpMessage,
    IpInfo,
    Packet,
    Quoted,
    ScriptError,
    TcpSegment,
    UdpDatagram,
    UnsupportedError,
)
from tapstack.drill.wire.icmp_words import type_and_code
from tapstack.drill.wire.numbering import Payload
from tapstack.drill.wire.tcp_options import build_options
from tapstack.ip import icmp_wire, wire as ip_wire
from tapstack.ip.icmp import MIN_QUOTE
from tapstack.tcp import wire as tcp_wire
from tapstack.udp import wire as udp_wire
from tapstack.udp.wire import UdpHeader

INJECTED_TTL = 255
"""Of what a script injects and gives no TTL."""
_QUOTED_TTL = 64
"""Of what an ICMP error quotes; nobody looks at it."""
ECN_WORDS = ("noecn", "ect1", "ect0", "ce")
"""By the ECN field (RFC 3168 §5)."""
ECN_MASK = 3

FLAGS = {  # the letter, and the field of the header
    "F": "fin",
    "S": "syn",
    "R": "rst",
    "P": "psh",
    "E": "ece",
    "W": "cwr",
    "A": "ae",
    "U": "urg",
    ".": "ack_bit",
}
_ACE_LETTERS = ("E", "W", "A")
"""The bits of the ACE count, lowest first (RFC 9768 §3.2.2)."""


def check_packet(packet: Packet) -> None:
    """Look at a packet before the script is played: whether it can be, and is for us.

    Raises: ScriptError, UnsupportedError.
    """
    for encapsulation in packet.encapsulations:
        raise UnsupportedError(encapsulation.text or encapsulation.kind, encapsulation.position)
    if packet.ip and packet.ip.flow_label is not None:
        raise UnsupportedError("flowlabel", packet.ip.position)
    if isinstance(packet.payload, TcpSegment):
        build_options(packet.payload.options or ())
    if isinstance(packet.payload, IcmpMessage):
        type_and_code(packet.payload)


def letters(flags: str, ace: int | None = None) -> str:
    """Put flags in one order, an ACE count as the letters of its bits: `SEW`, `FP.`."""
    if ace is not None:
        flags += "".join(letter for bit, letter in enumerate(_ACE_LETTERS) if ace >> bit & 1)
    return "".join(letter for letter in FLAGS if letter in flags)


def build(
    source: Endpoint,
    destination: Endpoint,
    ip: IpInfo | None,
    payload: Payload,
    quote: bytes = b"",
) -> bytes:
    """Lay out a datagram, checksums included. Raises: ScriptError where it cannot be.

    `quote` is what an ICMP error is about when the script does not say.
    """
    protocol, body = _build_body(source, destination, payload, quote)
    length = ip_wire.HEADER_LENGTH + len(body)
    if length > ip_wire.MAX_LENGTH:
        message = f"the datagram has {length} octets, and {ip_wire.MAX_LENGTH} is the most"
        raise ScriptError(message, payload.position)
    ttl = ip.ttl if ip and ip.ttl is not None else INJECTED_TTL
    addresses = source.address, destination.address
    return ip_wire.build_header(_tos(ip), length, 0, 0, ttl, protocol, *addresses) + body


def _tos(ip: IpInfo | None) -> int:
    if ip is None:
        return 0
    ecn = ECN_WORDS.index(ip.ecn) if ip.ecn else 0
    return (ip.tos or 0) | ecn


def _build_body(
    source: Endpoint, destination: Endpoint, payload: Payload, quote: bytes
) -> tuple[int, bytes]:
    if isinstance(payload, IcmpMessage):
        return ip_wire.PROTOCOL_ICMP, _build_icmp(source, destination, payload, quote)
    if isinstance(payload, TcpSegment):
        protocol, field = tcp_wire.PROTOCOL_TCP, tcp_wire.CHECKSUM_OFFSET
        octets = _build_tcp(source.port, destination.port, payload)
    else:
        protocol, field = udp_wire.PROTOCOL_UDP, udp_wire.CHECKSUM_OFFSET
        octets = _build_udp(source.port, destination.port, payload)
    total = pseudo_header_sum(source.address, destination.address, protocol, len(octets))
    octets[field : field + 2] = total.to_bytes(2, "big")
    return protocol, complete_checksum([octets], Offload(0, field, 0))


def _build_tcp(source_port: int, destination_port: int, segment: TcpSegment) -> bytearray:
    """Lay out a segment; its checksum is 0."""
    options = build_options(segment.options or ())
    flags = letters(segment.flags, segment.ace)
    header = tcp_wire.CODEC.build(
        source_port=source_port,
        destination_port=destination_port,
        seq=segment.seq,
        ack=segment.ack or 0,
        data_offset=(tcp_wire.HEADER_LENGTH + len(options)) // 4,
        wnd=_fit(segment, segment.window or 0),
        up=_fit(segment, segment.urgent or 0),
        reserved=0,
        **{field: int(letter in flags) for letter, field in FLAGS.items()},
    )
    return bytearray(header + options + bytes(segment.length))


def _fit(payload: Payload, number: int) -> int:
    """Let a number of 16 bits through. Raises: ScriptError."""
    if number >> 16:
        raise ScriptError(f"{number} does not fit 16 bits", payload.position)
    return number


def _build_udp(source_port: int, destination_port: int, datagram: UdpDatagram) -> bytearray:
    """Lay out a datagram; its checksum is 0."""
    length = udp_wire.HEADER_LENGTH + datagram.length
    if length > ip_wire.MAX_LENGTH:
        raise ScriptError(f"{datagram.length} octets do not fit a datagram", datagram.position)
    header = udp_wire.build(UdpHeader(source_port, destination_port, length, 0))
    return bytearray(header + bytes(datagram.length))


def _build_icmp(
    source: Endpoint, destination: Endpoint, message: IcmpMessage, quote: bytes
) -> bytes:
    type_, code = type_and_code(message)
    rest = 0
    if message.mtu is not None:
        rest = int.from_bytes(icmp_wire.TOO_BIG.pack(0, _fit(message, message.mtu)), "big")
    elif message.id is not None:
        rest = int.from_bytes(icmp_wire.ECHO.pack(_fit(message, message.id), 0), "big")
    if type_ in icmp_wire.ERRORS:
        body = _build_quote(destination, source, message.quoted) if message.quoted else quote
    else:
        body = bytes(message.quoted.length if message.quoted else 0)
    return icmp_wire.build(icmp_wire.Message(type_, code, rest, body))


def _build_quote(source: Endpoint, destination: Endpoint, quoted: Quoted) -> bytes:
    """Lay out the header and the first octets of what went the other way (RFC 792)."""
    if quoted.kind == "tcp":
        protocol, length = tcp_wire.PROTOCOL_TCP, tcp_wire.HEADER_LENGTH + quoted.length
        segment = TcpSegment(quoted.position, None, ".", None, quoted.seq, 0, 0, 0, 0, 0, ())
        body = bytes(_build_tcp(source.port, destination.port, segment))
    elif quoted.kind == "udp":
        protocol, length = udp_wire.PROTOCOL_UDP, udp_wire.HEADER_LENGTH + quoted.length
        datagram = UdpDatagram(quoted.position, None, quoted.length)
        body = bytes(_build_udp(source.port, destination.port, datagram))
    else:
        protocol, length, body = ip_wire.PROTOCOL_ICMP, quoted.length, bytes(quoted.length)
    length += ip_wire.HEADER_LENGTH
    ends = source.address, destination.address
    header = ip_wire.build_header(0, length, 0, ip_wire.DONT_FRAGMENT, _QUOTED_TTL, protocol, *ends)
    return header + body[:MIN_QUOTE]


def quote_of(datagram: bytes) -> bytes:
    """Cut a datagram to what an ICMP error quotes at least (RFC 792)."""
    return datagram[: ip_wire.header_length_of(datagram[0]) + MIN_QUOTE]
