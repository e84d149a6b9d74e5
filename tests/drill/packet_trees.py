"""Packets of a script as trees, and what a host sends: what the tests of matching are made of."""

from tapstack.base.address import Endpoint, parse_ipv4
from tapstack.drill.contract import Addresses, Captured
from tapstack.drill.language.syntax import (
    Direction,
    IcmpMessage,
    IpInfo,
    Packet,
    Ports,
    Position,
    Quoted,
    TcpOption,
    TcpSegment,
    UdpDatagram,
)
from tapstack.drill.wire.notation import format_packet
from tapstack.drill.wire.numbering import Payload
from tapstack.drill.wire.packets import build
from tapstack.tcp.seq import add

HERE = Position(1, 1)
LOCAL = parse_ipv4("192.168.0.1")
REMOTE = parse_ipv4("192.0.2.1")
ADDRESSES = Addresses(LOCAL, REMOTE, LOCAL, 16)


def option(kind: str, *numbers: int, octets: bytes = b"", **fields: int) -> TcpOption:
    return TcpOption(HERE, kind, numbers, octets, tuple(fields.items()))


NOP = option("nop")


def segment(
    flags: str = ".",
    seq: int = 0,
    length: int = 0,
    ack: int | None = None,
    win: int | None = None,
    *options: TcpOption,
    urg: int | None = None,
    ace: int | None = None,
    ports: Ports | None = None,
    any_options: bool = False,
) -> TcpSegment:
    chosen = None if any_options else options
    end = add(seq, length)
    return TcpSegment(HERE, ports, flags, ace, seq, end, length, ack, win, urg, chosen)


def udp(length: int, ports: Ports | None = None) -> UdpDatagram:
    return UdpDatagram(HERE, ports, length)


def icmp(
    type_: str,
    code: str | None = None,
    quoted: Quoted | None = None,
    *,
    mtu: int | None = None,
    id: int | None = None,  # noqa: A002
) -> IcmpMessage:
    return IcmpMessage(HERE, type_, code, mtu, id, quoted)


def quoted(kind: str, length: int, seq: int = 0) -> Quoted:
    return Quoted(HERE, kind, seq, length)


def ip(
    ecn: str | None = None, tos: int | None = None, ttl: int | None = None, flow: int | None = None
) -> IpInfo:
    return IpInfo(HERE, ecn, tos, ttl, flow)


def injected(payload: Payload, info: IpInfo | None = None) -> Packet:
    return Packet(HERE, Direction.IN, info, (), payload, format_packet(info, payload))


def expected(payload: Payload, info: IpInfo | None = None) -> Packet:
    return Packet(HERE, Direction.OUT, info, (), payload, format_packet(info, payload))


def sent(
    payload: Payload,
    ports: tuple[int, int] = (8080, 53055),
    info: IpInfo | None = None,
    time: int = 0,
) -> Captured:
    """What a host sends; all numbers are live."""
    ends = Endpoint(LOCAL, ports[0]), Endpoint(REMOTE, ports[1])
    return Captured(time, build(*ends, info, payload), "")
