"""Reads what a script writes out: numbers, times, strings, options.

Every function takes the text and its place, and raises ScriptError there.

Not done here: names that stand for numbers (`symbols.py`).
"""

from __future__ import annotations

import re

from tapstack.base.units import SECOND, Duration
from tapstack.drill.language.syntax import Option, Position, ScriptError

_LONGEST_TIME = 10_000_000
"""Seconds; some 115 days."""
_DIGITS = 40
"""More digits than any number that fits anywhere; Python refuses to read thousands of them."""


def read_natural(text: str, position: Position, what: str, bits: int = 32) -> int:
    """Read a decimal number of at most so many bits; `what` says of what, for the error."""
    return _limited(_digits(text, position, 10), 0, (1 << bits) - 1, position, what, text)


def read_integer(text: str, position: Position) -> int:
    """Read a number of 64 bits, with a sign or without: decimal, or hexadecimal behind 0x."""
    if text[:2] in ("0x", "0X"):
        value = _digits(text[2:], position, 16)
    else:
        value = _digits(text, position, 10)
    return _limited(value, -(1 << 63), (1 << 64) - 1, position, "a number", text)


def _digits(text: str, position: Position, base: int) -> int:
    if len(text) > _DIGITS:
        raise ScriptError(f"a number of {len(text)} digits is too long", position)
    return int(text, base)


def _limited(value: int, least: int, most: int, position: Position, what: str, text: str) -> int:
    if not least <= value <= most:
        raise ScriptError(f"{what} is {least} to {most}, not {text}", position)
    return value


def read_seconds(text: str, position: Position) -> Duration:
    """Read a time in seconds, such as `.1`; exact in µs, a 7th decimal rounds."""
    whole, _, decimals = text.partition(".")
    seconds = _digits(whole or "0", position, 10)
    if seconds > _LONGEST_TIME:
        raise ScriptError(f"a time is at most {_LONGEST_TIME} seconds, not {whole}", position)
    is_up = decimals[6:7] >= "5"
    return seconds * SECOND + int(decimals[:6].ljust(6, "0")) + is_up


_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(\n)|(.?))", re.DOTALL)
_SINGLE = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "e": "\x1b",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "?": "?",
}


def read_string(text: str, position: Position) -> bytes:
    """Read a string of C, quotes included: `"GET /\\r\\n\\x00"`."""
    octets = bytearray()
    end = 1
    for escape in _ESCAPE.finditer(text, 1, len(text) - 1):
        octets += _utf8(text[end : escape.start()])
        octets += _read_escape(escape, position)
        end = escape.end()
    return bytes(octets + _utf8(text[end:-1]))


def _read_escape(escape: re.Match[str], position: Position) -> bytes:
    hexadecimal, octal, newline, letter = escape.groups()
    if hexadecimal or octal:
        value = int(hexadecimal, 16) if hexadecimal else int(octal, 8)
        if value > 255:
            raise ScriptError(f"'\\{octal}' is more than an octet, which ends at \\377", position)
        return bytes([value])
    if newline:
        return b""
    if letter not in _SINGLE:
        shown = letter if letter.isprintable() else ascii(letter)[1:-1]
        raise ScriptError(f"'\\{shown}' in a string means nothing; is '\\\\' meant?", position)
    return _SINGLE[letter].encode()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def read_octets(text: str, position: Position, what: str) -> bytes:
    """Read hexadecimal digits, such as a Fast Open cookie's; `what` names it in the error."""
    if not re.fullmatch(r"[0-9A-Fa-f]*", text):
        raise ScriptError(f"{what} is hexadecimal digits, not '{text}'", position)
    if len(text) % 2:
        raise ScriptError(f"{what} has an odd number of hexadecimal digits: '{text}'", position)
    return bytes.fromhex(text)


def read_option(text: str, position: Position) -> Option:
    """Read `--name=value`, `--name="value"`, or `--name`."""
    name, equals, value = text[2:].partition("=")
    value = value.strip()
    if value[:1] in ("'", '"'):
        value = value[1:-1]
    return Option(position, name.strip(), value if equals else None)
