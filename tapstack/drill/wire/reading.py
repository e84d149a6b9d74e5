"""Datagrams as packets of a script, with live numbers.

Not done here: what the script has for the live numbers (`numbering.py`).
"""

from __future__ import annotations

from typing import NamedTuple

from tapstack.base.address import Endpoint
from tapstack.base.checksum import ones_complement_sum, pseudo_header_sum
from tapstack.base.errors import Drop, MalformedPacket
from tapstack.base.icmp_errors import DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED
from tapstack.drill.language.syntax import (
    IcmpMessage,
    IpInfo,
    Ports,
    Quoted,
    TcpSegment,
    UdpDatagram,
)
from tapstack.drill.wire.icmp_words import code_word, type_word
from tapstack.drill.wire.numbering import Payload
from tapstack.drill.wire.packets import ECN_MASK, ECN_WORDS, FLAGS, letters
from tapstack.drill.wire.tcp_options import NOWHERE, read_options
from tapstack.ip import icmp_wire, wire as ip_wire
from tapstack.ip.icmp import MIN_QUOTE
from tapstack.tcp import wire as tcp_wire
from tapstack.tcp.seq import add
from tapstack.udp import wire as udp_wire

_ONES = 0xFFFF
_ECHOES = (icmp_wire.ECHO_REQUEST, icmp_wire.ECHO_REPLY)


class Reading(NamedTuple):
    """A datagram, as far as a script speaks of it; all numbers live."""

    source: Endpoint
    """Its port is 0 for ICMP."""
    destination: Endpoint
    protocol: int
    ip: IpInfo
    """The whole of what it says; `ecn` is of `tos`."""
    ip_options: int
    """Octets of options in the IP header."""
    payload: Payload | None
    """None: of a protocol that scripts do not have."""
    faults: tuple[str, ...]
    """What is wrong in itself: checksums."""


def read(octets: bytes) -> Reading:
    """Read a datagram. Raises: MalformedPacket."""
    header = ip_wire.parse(octets)
    body = octets[header.length : header.total_length]
    source, destination = Endpoint(header.source, 0), Endpoint(header.destination, 0)
    payload = _read_body(header, body)
    if isinstance(payload, TcpSegment | UdpDatagram) and payload.ports:
        source = source._replace(port=payload.ports.source)
        destination = destination._replace(port=payload.ports.destination)
    ecn = ECN_WORDS[header.tos & ECN_MASK]
    ip = IpInfo(NOWHERE, ecn, header.tos, header.ttl, None)
    faults = _faults(header, body)
    options = len(header.options)
    return Reading(source, destination, header.protocol, ip, options, payload, faults)


def _read_body(header: ip_wire.Header, body: bytes) -> Payload | None:
    if header.protocol == tcp_wire.PROTOCOL_TCP:
        return _read_tcp(body)
    if header.protocol == udp_wire.PROTOCOL_UDP:
        udp = udp_wire.parse(body)
        ports = Ports(udp.source_port, udp.destination_port)
        return UdpDatagram(NOWHERE, ports, udp.length - udp_wire.HEADER_LENGTH)
    if header.protocol == ip_wire.PROTOCOL_ICMP:
        return _read_icmp(body)
    return None


def _faults(header: ip_wire.Header, body: bytes) -> tuple[str, ...]:
    """Verify the checksum behind the IP header."""
    total = 0
    if header.protocol in (tcp_wire.PROTOCOL_TCP, udp_wire.PROTOCOL_UDP):
        ends = header.source, header.destination
        total = pseudo_header_sum(*ends, header.protocol, len(body))
    elif header.protocol != ip_wire.PROTOCOL_ICMP:
        return ()
    return () if ones_complement_sum(body, total) == _ONES else ("checksum",)


def _read_tcp(octets: bytes) -> TcpSegment:
    if len(octets) < tcp_wire.HEADER_LENGTH:
        raise MalformedPacket(Drop.TCP_TRUNCATED)
    fields = tcp_wire.CODEC.parse(octets)
    header_length = fields["data_offset"] * 4
    if not tcp_wire.HEADER_LENGTH <= header_length <= len(octets):
        raise MalformedPacket(Drop.TCP_BAD_DATA_OFFSET)
    flags = letters("".join(letter for letter, field in FLAGS.items() if fields[field]))
    length = len(octets) - header_length
    return TcpSegment(
        position=NOWHERE,
        ports=Ports(fields["source_port"], fields["destination_port"]),
        flags=flags,
        ace=None,
        seq=fields["seq"],
        end=add(fields["seq"], length),
        length=length,
        ack=fields["ack"] if "." in flags else None,
        window=fields["wnd"],
        urgent=fields["up"] if fields["up"] or "U" in flags else None,
        options=read_options(octets[tcp_wire.HEADER_LENGTH : header_length]),
    )


def _read_icmp(octets: bytes) -> IcmpMessage:
    message = icmp_wire.parse(octets, verify=False)
    code = code_word(message.type, message.code)
    rest = message.rest.to_bytes(4, "big")
    mtu = identifier = None
    if (message.type, message.code) == (DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED):
        _, mtu = icmp_wire.TOO_BIG.unpack_from(rest)
    if message.type in _ECHOES:
        identifier, _ = icmp_wire.ECHO.unpack_from(rest)
    quoted = Quoted(NOWHERE, "raw", 0, len(message.body)) if message.body else None
    if message.type in icmp_wire.ERRORS:
        quoted = _read_quote(bytes(message.body))
    return IcmpMessage(NOWHERE, type_word(message.type), code, mtu, identifier, quoted)


def _read_quote(octets: bytes) -> Quoted:
    """Read what an ICMP error is about: its length is what the quoted headers say."""
    header = ip_wire.parse_quoted(octets)
    quote = octets[header.length :]
    if len(quote) < MIN_QUOTE:
        raise MalformedPacket(Drop.ICMP_BAD_QUOTE)
    length = header.total_length - header.length
    if header.protocol == udp_wire.PROTOCOL_UDP:
        return Quoted(NOWHERE, "udp", 0, length - udp_wire.HEADER_LENGTH)
    if header.protocol == tcp_wire.PROTOCOL_TCP:
        seq, header_length = _read_quoted_tcp(quote)
        return Quoted(NOWHERE, "tcp", seq, length - header_length)
    return Quoted(NOWHERE, "raw", 0, length)


def _read_quoted_tcp(octets: bytes) -> tuple[int, int]:
    """Give the sequence number and the header's length, which the first 8 octets do not tell."""
    fields = tcp_wire.CODEC.parse(
        octets[: tcp_wire.HEADER_LENGTH].ljust(tcp_wire.HEADER_LENGTH, b"\0")
    )
    return fields["seq"], fields["data_offset"] * 4 or tcp_wire.HEADER_LENGTH
