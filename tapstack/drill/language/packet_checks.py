"""Makes the parts of a script's packets, and checks what they say: flags, lengths, options.

Not done here: octets, and what is in a packet that the script leaves open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tapstack.drill.language.literals import read_natural, read_octets
from tapstack.drill.language.symbols import hint
from tapstack.drill.language.syntax import (
    Direction,
    IpInfo,
    Packet,
    Position,
    ScriptError,
    TcpOption,
    TcpSegment,
)

FLAGS = "FSRPEWAU"


class Range(NamedTuple):
    """`1:1001(1000)`: sequence numbers, and the octets of text between them."""

    position: Position
    seq: int
    end: int
    length: int


class Written(NamedTuple):
    """A token: what is written, and where."""

    text: str
    position: Position
    is_number: bool = False


def make_range(position: Position, seq: int, end: int, length: int) -> Range:
    """Check that a range of sequence numbers adds up: SYN and FIN do not count."""
    right = (seq + length) & 0xFFFFFFFF
    if end != right:
        octets = "1 octet" if length == 1 else f"{length} octets"
        what = f"{seq}:{end}({length}) does not add up: {octets} from {seq} on end at {right}"
        raise ScriptError(f"{what} (SYN and FIN do not count here)", position)
    return Range(position, seq, end, length)


def read_flags(word: str, position: Position) -> tuple[str, int | None]:
    """Read `FP.`, or `P.5`: the letters, and the AccECN count where there is one."""
    if word == "-":
        return "", None
    letters, ace = word, None
    if word[-1].isdigit():
        letters, ace = word[:-1], int(word[-1])
        _check_count(letters, ace, word, position)
    wrong = next((letter for letter in letters if letter not in FLAGS + "."), None)
    if wrong is not None:
        what = f"a packet's flags are letters of {FLAGS} and '.', or '-' for none"
        raise ScriptError(f"{what}; found '{word}'", position)
    twice = next((letter for letter in letters if letters.count(letter) > 1), None)
    if twice is not None:
        raise ScriptError(f"the flag '{twice}' stands twice in '{word}'", position)
    return letters, ace


def _check_count(letters: str, ace: int, word: str, position: Position) -> None:
    if ace > 7:
        raise ScriptError(f"an AccECN count is 0 to 7, not {ace}, in '{word}'", position)
    if not letters.endswith("."):
        raise ScriptError(f"an AccECN count stands right behind '.', not as in '{word}'", position)
    if set(letters) & set("EWA"):
        what = "an AccECN count takes the place of the flags E, W and A; write one or the other"
        raise ScriptError(f"{what}, not '{word}'", position)


# --- TCP options ----------------------------------------------------------------------------------

_NUMBERS = {  # an option: the limits of its numbers, in bits
    "mss": 16,
    "wscale": 8,
    "sack": 32,
    "TS": 32,
    "ECN": 24,
}
_LONGEST = 38
"""Octets that an option may carry: 40 without its kind and length (RFC 9293 §3.1)."""


def make_tcp_option(position: Position, parts: Sequence[Written]) -> TcpOption:
    """Make an option of its tokens: the kind, and what follows it."""
    kind, *rest = parts
    bits = _NUMBERS.get(kind.text, 0)
    numbers = tuple(
        read_natural(part.text, part.position, f"a number of {kind.text}", bits)
        for part in rest
        if part.is_number
    )
    if kind.text == "ECN":
        return TcpOption(position, kind.text, fields=_ecn_fields(rest, numbers))
    if kind.text in ("FO", "FOEXP", "md5"):
        return TcpOption(position, kind.text, octets=_option_octets(kind.text, rest))
    return TcpOption(position, kind.text, numbers)


def _ecn_fields(parts: Sequence[Written], numbers: tuple[int, ...]) -> tuple[tuple[str, int], ...]:
    names = [part for part in parts if not part.is_number]
    for place, name in enumerate(names):
        if name.text in [other.text for other in names[:place]]:
            raise ScriptError(f"'{name.text}' stands twice in an ECN option", name.position)
    return tuple(zip((name.text for name in names), numbers, strict=True))


def _option_octets(kind: str, parts: Sequence[Written]) -> bytes:
    if not parts:
        return b""
    octets = read_octets(parts[0].text, parts[0].position, f"what follows {kind}")
    if len(octets) > _LONGEST:
        what = f"{kind} with {len(octets)} octets does not fit into a TCP header"
        raise ScriptError(what, parts[0].position)
    return octets


# --- the IP header --------------------------------------------------------------------------------

_ECN = ("noecn", "ect0", "ect1", "ce", "ect01")
_FIELDS = {"tos": 8, "ttl": 8, "flowlabel": 20}
"""What takes a number, and its bits."""


class IpField(NamedTuple):
    """`ect0`, `ttl 64`."""

    position: Position
    name: str
    value: int | None


def make_ip_info(position: Position, fields: Sequence[IpField]) -> IpInfo:
    """Put together what the IP header is to say."""
    found: dict[str, IpField] = {}
    for field in fields:
        _check_ip_field(field)
        kind = field.name if field.name in _FIELDS else "ecn"
        if kind in found:
            what = f"'{field.name}' says again what '{found[kind].name}' has said"
            raise ScriptError(what, field.position)
        found[kind] = field
    numbers = {name: field.value for name, field in found.items()}
    ecn = found["ecn"].name if "ecn" in found else None
    return IpInfo(position, ecn, numbers.get("tos"), numbers.get("ttl"), numbers.get("flowlabel"))


def _check_ip_field(field: IpField) -> None:
    bits = _FIELDS.get(field.name)
    if bits is None and field.name not in _ECN:
        what = "of an IP header, noecn, ect0, ect1, ce, ect01, tos, ttl and flowlabel can be said"
        likely = hint(field.name, (*_ECN, *_FIELDS))
        raise ScriptError(f"{what}, not '{field.name}'{likely}", field.position)
    if bits is None and field.value is not None:
        raise ScriptError(f"'{field.name}' takes no number", field.position)
    if bits is not None and (field.value is None or not 0 <= field.value < 1 << bits):
        what = f"'{field.name}' takes a number from 0 to {(1 << bits) - 1}"
        raise ScriptError(what, field.position)


# --- the whole -----------------------------------------------------------------------------------


def check_packet(packet: Packet) -> None:
    """Check what only a packet as a whole shows."""
    if packet.direction is not Direction.IN:
        return
    if packet.ip is not None and packet.ip.ecn == "ect01":
        what = "'ect01', either of two, can be expected, not injected; say ect0 or ect1"
        raise ScriptError(what, packet.ip.position)
    if isinstance(packet.payload, TcpSegment):
        _check_injected(packet.payload)


def _check_injected(segment: TcpSegment) -> None:
    if segment.window is None:
        raise ScriptError("a packet that is injected needs a window: win 1000", segment.position)
    if segment.options is None:
        what = "'<...>', any options, can be expected, not injected"
        raise ScriptError(what, segment.position)
