"""Packets in a script's own notation, for reports and for who writes scripts.

Not done here: the numbers, which are rendered as they are (`numbering.py`).
"""

from __future__ import annotations

from tapstack.drill.language.syntax import (
    IcmpMessage,
    IpInfo,
    Ports,
    Quoted,
    TcpSegment,
    UdpDatagram,
)
from tapstack.drill.wire.numbering import Payload
from tapstack.drill.wire.packets import letters
from tapstack.drill.wire.tcp_options import format_options


def format_packet(ip: IpInfo | None, payload: Payload) -> str:
    """Render a packet: `[ect0] P. 1:11(10) ack 1 win 257 <nop,nop,TS val 1 ecr 2>`."""
    if isinstance(payload, TcpSegment):
        body = format_segment(payload)
    elif isinstance(payload, UdpDatagram):
        body = f"udp {_format_ports(payload.ports)}({payload.length})"
    else:
        body = format_message(payload)
    return f"{format_ip(ip)}{body}"


def format_ip(ip: IpInfo | None) -> str:
    """Render what is said of the IP header, with a space behind; '' if nothing is."""
    words = []
    if ip and ip.ecn is not None:
        words.append(ip.ecn)
    if ip and ip.tos is not None:
        words.append(f"tos {ip.tos:#04x}")
    if ip and ip.ttl is not None:
        words.append(f"ttl {ip.ttl}")
    return f"[{', '.join(words)}] " if words else ""


def format_segment(segment: TcpSegment) -> str:
    """Render a segment. An ACK number stands there if the ACK bit does."""
    flags = letters(segment.flags, segment.ace) or "-"
    words = [f"{flags} {segment.seq}:{segment.end}({segment.length})"]
    if segment.ack is not None:
        words.append(f"ack {segment.ack}")
    if segment.window is not None:
        words.append(f"win {segment.window}")
    if segment.urgent is not None:
        words.append(f"urg {segment.urgent}")
    if segment.options is None:
        words.append("<...>")
    elif segment.options:
        words.append(format_options(segment.options))
    return _format_ports(segment.ports) + " ".join(words)


def format_message(message: IcmpMessage) -> str:
    """Render an ICMP message."""
    words = ["icmp", message.type]
    if message.code is not None:
        words.append(message.code)
    if message.mtu is not None:
        words.append(f"mtu {message.mtu}")
    if message.id is not None:
        words.append(f"id {message.id}")
    if message.quoted is not None:
        words.append(format_quoted(message.quoted))
    return " ".join(words)


def format_quoted(quoted: Quoted) -> str:
    """Render what an ICMP message carries: `[1:1461(1460)]`, `[udp(1000)]`, `[raw(56)]`."""
    if quoted.kind == "tcp":
        return f"[{quoted.seq}:{quoted.seq + quoted.length}({quoted.length})]"
    return f"[{quoted.kind}({quoted.length})]"


def _format_ports(ports: Ports | None) -> str:
    return f"{ports.source} > {ports.destination} " if ports else ""
