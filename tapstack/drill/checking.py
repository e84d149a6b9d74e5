"""What can be said of a script's packet before it is played: whether it makes sense, and is for us.

Not done here: what only building tells, such as numbers that do not fit (`packets.py`).
"""

from __future__ import annotations

from tapstack.drill.icmp_words import type_and_code
from tapstack.drill.packets import ECN_WORDS
from tapstack.drill.syntax import (
    Direction,
    IcmpMessage,
    IpInfo,
    Packet,
    ScriptError,
    TcpSegment,
    UnsupportedError,
)
from tapstack.drill.tcp_options import build_options
from tapstack.tcp.seq import add

_EITHER = "ect01"


def check_packet(packet: Packet) -> None:
    """Look at a packet. Raises: ScriptError, UnsupportedError."""
    for encapsulation in packet.encapsulations:
        raise UnsupportedError(encapsulation.text or encapsulation.kind, encapsulation.position)
    if packet.ip:
        _check_ip(packet.ip, packet.direction)
    if isinstance(packet.payload, TcpSegment):
        _check_segment(packet.payload, packet.direction)
    if isinstance(packet.payload, IcmpMessage):
        type_and_code(packet.payload)


def _check_ip(ip: IpInfo, direction: Direction) -> None:
    if ip.flow_label is not None:
        raise UnsupportedError("flowlabel", ip.position)
    if ip.ecn == _EITHER and direction is Direction.IN:
        raise ScriptError(
            "ect01 is for packets that are expected: inject ect0 or ect1", ip.position
        )
    if ip.ecn is not None and ip.ecn not in (*ECN_WORDS, _EITHER):
        raise ScriptError(f"there is no {ip.ecn} in the IP header", ip.position)
    if (ip.tos is not None and ip.tos > 0xFF) or (ip.ttl is not None and ip.ttl > 0xFF):
        raise ScriptError("tos and ttl are at most 255", ip.position)


def _check_segment(segment: TcpSegment, direction: Direction) -> None:
    if segment.end != add(segment.seq, segment.length):
        numbers = f"{segment.seq}:{segment.end}({segment.length})"
        raise ScriptError(f"{numbers} does not add up", segment.position)
    if segment.ace is not None and set(segment.flags) & set("EWA"):
        raise ScriptError(
            "a count of ECN takes the place of the flags E, W and A", segment.position
        )
    if segment.options:
        build_options(segment.options)
    if direction is Direction.OUT:
        return
    if segment.window is None:
        raise ScriptError("a segment that is injected needs its window: win N", segment.position)
    if segment.options is None:
        raise ScriptError("<...> is for segments that are expected", segment.position)
