"""Whether a packet is the one that a script expects: field by field, in the script's numbers.

Checked are protocol, the headers' lengths, ECN, TOS and TTL where the script gives them, all flags,
sequence and ACK numbers, the window where it is given, the urgent pointer, the options in their
order, and the length of the text; its octets are not.

Not done here: its time, and which conversation it belongs to (`matching.py`).
"""

from __future__ import annotations

from tapstack.base.units import Duration
from tapstack.drill.language.syntax import (
    Direction,
    IcmpMessage,
    IpInfo,
    Packet,
    Quoted,
    TcpOption,
    TcpSegment,
    UdpDatagram,
)
from tapstack.drill.reports.failure import Difference
from tapstack.drill.settings import LINUX_TOLERANCE, Settings
from tapstack.drill.wire.icmp_words import type_and_code
from tapstack.drill.wire.notation import format_quoted
from tapstack.drill.wire.numbering import Numbering
from tapstack.drill.wire.packets import ECN_MASK, ECN_WORDS, letters
from tapstack.drill.wire.reading import Reading
from tapstack.drill.wire.tcp_options import format_options
from tapstack.ip import wire as ip_wire
from tapstack.tcp.seq import sub

_PIECES_DIFFER = "FPW"
"""Flags that a device which cuts a unit gives its first or its last piece alone."""
_NAMES = {TcpSegment: "tcp", UdpDatagram: "udp", IcmpMessage: "icmp"}


def compare(
    expected: Packet,
    reading: Reading,
    numbering: Numbering,
    settings: Settings,
    *,
    as_piece: bool = False,
) -> list[Difference]:
    """Tell in what a datagram that was sent differs from what is expected.

    `as_piece`: it is the front of what is expected, so that its length is not looked at, nor the
    flags that only the whole has.
    """
    if type(expected.payload) is not type(reading.payload) or reading.payload is None:
        names = _NAMES[type(expected.payload)], _NAMES.get(type(reading.payload), "other")
        return [Difference("protocol", *names)]
    found = _compare_ip(expected.ip, reading)
    found += [Difference(fault, "correct", "wrong") for fault in reading.faults]
    actual = numbering.to_script(reading.payload, Direction.OUT)
    if isinstance(expected.payload, TcpSegment) and isinstance(actual, TcpSegment):
        found += _compare_segments(expected.payload, actual, as_piece)
        found += _compare_options(expected.payload, actual, settings)
    elif isinstance(expected.payload, IcmpMessage) and isinstance(actual, IcmpMessage):
        found += _compare_messages(expected.payload, actual)
    elif isinstance(expected.payload, UdpDatagram) and isinstance(actual, UdpDatagram):
        found += _differ("length", expected.payload.length, actual.length)
    return found


def _differ(what: str, expected: object, actual: object) -> list[Difference]:
    return [] if expected == actual else [Difference(what, str(expected), str(actual))]


def _compare_ip(expected: IpInfo | None, reading: Reading) -> list[Difference]:
    length = ip_wire.HEADER_LENGTH
    found = _differ("IP header length", length, length + reading.ip_options)
    if expected is None:
        return found
    tos, actual = expected.tos, reading.ip.tos or 0
    if expected.ecn is not None:
        allowed = ("ect0", "ect1") if expected.ecn == "ect01" else (expected.ecn,)
        word = ECN_WORDS[actual & ECN_MASK]
        found += [] if word in allowed else [Difference("ecn", expected.ecn, word)]
        if tos is not None:
            tos, actual = tos & ~ECN_MASK, actual & ~ECN_MASK
    if tos is not None:
        found += _differ("tos", f"{tos:#04x}", f"{actual:#04x}")
    if expected.ttl is not None:
        found += _differ("ttl", expected.ttl, reading.ip.ttl)
    return found


def _compare_segments(expected: TcpSegment, actual: TcpSegment, as_piece: bool) -> list[Difference]:
    flags = letters(expected.flags, expected.ace), actual.flags
    if as_piece:
        flags = _without_pieces_own(flags[0]), _without_pieces_own(flags[1])
    found = _differ("flags", *(each or "-" for each in flags))
    found += _differ("seq", expected.seq, actual.seq)
    if not as_piece:
        found += _differ("length", expected.length, actual.length)
    if expected.ack is not None and actual.ack is not None:
        found += _differ("ack", expected.ack, actual.ack)
    if expected.window is not None:
        found += _differ("win", expected.window, actual.window)
    return found + _differ("urg", expected.urgent or 0, actual.urgent or 0)


def _without_pieces_own(flags: str) -> str:
    return "".join(letter for letter in flags if letter not in _PIECES_DIFFER)


def _compare_options(
    expected: TcpSegment, actual: TcpSegment, settings: Settings
) -> list[Difference]:
    if expected.options is None or actual.options is None:
        return []
    wanted, came = _stamp(expected), _stamp(actual)
    found = []
    if wanted and came and settings.tcp_ts_tick_usecs:
        off = _off(wanted[0], came[0]) * settings.tcp_ts_tick_usecs
        if off > _stamp_tolerance(settings):
            found += [Difference("TS val", str(wanted[0]), str(came[0]))]
    options = actual.options
    if wanted and came:
        options = tuple(_with_value(each, wanted[0]) for each in options)
    texts = format_options(expected.options), format_options(options)
    if texts[0] != texts[1]:
        found += [Difference("options", texts[0], format_options(actual.options))]
    return found


def _stamp(segment: TcpSegment) -> tuple[int, ...]:
    """Give TS val and TS ecr of a segment; () without any."""
    stamps = (each.numbers for each in segment.options or () if each.kind == "TS")
    return next(stamps, ())


def _with_value(option: TcpOption, value: int) -> TcpOption:
    """Put another TS val, which is checked for itself, into an option."""
    if option.kind != "TS":
        return option
    return option._replace(numbers=(value, option.numbers[1]))


def _off(a: int, b: int) -> int:
    return min(sub(a, b), sub(b, a))


def _stamp_tolerance(settings: Settings) -> Duration:
    """What scripts were written for, however exact the time is: their ticks are rounded."""
    return max(settings.tolerance_usecs, LINUX_TOLERANCE[0])


def _compare_messages(expected: IcmpMessage, actual: IcmpMessage) -> list[Difference]:
    numbers = type_and_code(expected), type_and_code(actual)
    found = _differ("type", expected.type, actual.type) if numbers[0][0] != numbers[1][0] else []
    if numbers[0][1] != numbers[1][1]:
        found += [Difference("code", str(expected.code or 0), str(actual.code or 0))]
    if expected.mtu is not None:
        found += _differ("mtu", expected.mtu, actual.mtu or 0)
    if expected.id is not None:
        found += _differ("id", expected.id, actual.id or 0)
    return found + _compare_quoted(expected.quoted, actual.quoted)


def _compare_quoted(expected: Quoted | None, actual: Quoted | None) -> list[Difference]:
    """Compare what is carried; an expected error that does not say its subject has any."""
    if expected is None and actual is not None and actual.kind != "raw":
        return []
    return _differ(
        "carried", *(format_quoted(each) if each else "none" for each in (expected, actual))
    )
