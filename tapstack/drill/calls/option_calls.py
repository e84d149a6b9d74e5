"""getsockopt and setsockopt: numbers, strings and structs as the values of options.

Not done here: the options.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOPROTOOPT
from typing import NamedTuple

from tapstack.drill.calls.arguments import Arguments, number_or_any
from tapstack.drill.calls.results import Body, Returned, differ, differ_text
from tapstack.drill.calls.structs import Linger, linger_of, written_length
from tapstack.drill.contract import Calls
from tapstack.drill.language.syntax import Anything, Expression, Items, Text, Word
from tapstack.drill.language.values import unparse
from tapstack.drill.reports.failure import Difference
from tapstack.socket.structs import INT, LINGER

_LARGE = 512
"""Octets of room for what the script does not look at: TCP_INFO has about 300."""
_MOST_LENGTH = 1 << 16
"""Octets of a value: more are a slip."""
_VALUES = '[1], "reno", {onoff=1, linger=10} or ...'


def _check_length(arguments: Arguments, length: int | None) -> None:
    if length is not None and not 0 <= length <= _MOST_LENGTH:
        raise arguments.wrong(arguments[4], "the length of the value")


@contextmanager
def _known_to_be_lacking(arguments: Arguments) -> Iterator[None]:
    """Tell an option that a host lacks from one that Linux lacks, too: the script knows.

    Raises: UnsupportedError.
    """
    try:
        yield
    except OSError as error:
        name, wanted = arguments[2], arguments.call.errno
        is_expected = wanted is not None and wanted.name == "ENOPROTOOPT"
        is_unknown = error.errno == ENOPROTOOPT and isinstance(name, Word)
        if is_unknown and arguments.context.lacking and not is_expected:
            raise arguments.lacks(name, unparse(name)) from None
        raise


# --- setsockopt -----------------------------------------------------------------------------------


def read_setsockopt(arguments: Arguments) -> Body:
    """`setsockopt(3, SOL_TCP, TCP_NODELAY, [1], 4)`."""
    arguments.count(5)
    fd, level, name = arguments.fd(0), arguments.number(1), arguments.number(2)
    length = number_or_any(arguments[4])
    _check_length(arguments, length)
    value = _octets_of(arguments, arguments[3], length)

    def body(calls: Calls) -> Returned:
        with _known_to_be_lacking(arguments):
            calls.setsockopt(fd(), level, name, value)
        return Returned(0)

    return body


def _octets_of(arguments: Arguments, expression: Expression, length: int | None) -> bytes:
    """Lay out a value, cut or filled up to its length."""
    octets = _natural_octets_of(arguments, expression, length)
    return octets if length is None else octets[:length].ljust(length, b"\0")


def _natural_octets_of(arguments: Arguments, expression: Expression, length: int | None) -> bytes:
    match expression:
        case Text(octets=octets):
            return octets
        case Anything():
            return bytes(INT.size if length is None else length)
        case Items(is_struct=True):
            on, seconds = linger_of(arguments, expression)
            return LINGER.pack(on or 0, seconds or 0)
        case Items(items=items) if items:
            size = _size_of_each(len(items), length)
            numbers = [arguments.number_in(item) for item in items]
            return b"".join(_packed(number, size) for number in numbers)
        case _:
            raise arguments.wrong(expression, f"the value as {_VALUES}")


def _size_of_each(count: int, length: int | None) -> int:
    """Give the octets of one number: of eight there is one, but several are ints."""
    return 8 if count == 1 and length is not None and length >= 8 else INT.size


def _packed(number: int, size: int) -> bytes:
    return (number & (1 << 8 * size) - 1).to_bytes(size, sys.byteorder)


# --- getsockopt -----------------------------------------------------------------------------------


def read_getsockopt(arguments: Arguments) -> Body:
    """`getsockopt(3, SOL_TCP, TCP_NODELAY, [1], [4])`: what it writes is compared."""
    arguments.count(5)
    fd, level, name = arguments.fd(0), arguments.number(1), arguments.number(2)
    wanted = _wanted_value(arguments, arguments[3])
    length = written_length(arguments, 4)
    _check_length(arguments, length)
    room = wanted.room if length is None else length

    def body(calls: Calls) -> Returned:
        with _known_to_be_lacking(arguments):
            octets = calls.getsockopt(fd(), level, name, room)
        found = wanted.differences(octets)
        return Returned(0, found + differ("length", length, len(octets)))

    return body


class _Numbers(NamedTuple):
    """`[1]`, or several ints."""

    numbers: tuple[int | None, ...]

    @property
    def room(self) -> int:
        return INT.size * len(self.numbers)

    def differences(self, octets: bytes) -> list[Difference]:
        size = len(octets) if len(self.numbers) == 1 else INT.size
        parts = [octets[at : at + size] for at in range(0, len(octets), size or 1)]
        actual = [int.from_bytes(part, sys.byteorder, signed=True) for part in parts]
        if len(actual) == len(self.numbers) and all(
            wanted is None or _packed(wanted, size) == part
            for wanted, part in zip(self.numbers, parts, strict=True)
        ):
            return []
        return [Difference("value", _show(self.numbers), _show(actual))]


def _show(numbers: tuple[int | None, ...] | list[int]) -> str:
    return f"[{', '.join('...' if number is None else str(number) for number in numbers)}]"


class _String(NamedTuple):
    """A string; zeros behind it do not matter."""

    text: Text
    room: int = _LARGE

    def differences(self, octets: bytes) -> list[Difference]:
        text = self.text._replace(octets=self.text.octets.rstrip(b"\0"))
        return differ_text("value", text, octets.rstrip(b"\0"))


class _LingerValue(NamedTuple):
    """A struct linger."""

    linger: Linger
    room: int = LINGER.size

    def differences(self, octets: bytes) -> list[Difference]:
        on, seconds = LINGER.unpack(octets[: LINGER.size].ljust(LINGER.size, b"\0"))
        found = differ("onoff", self.linger.on, on)
        return found + differ("linger", self.linger.seconds, seconds)


class _Any(NamedTuple):
    """`...`."""

    room: int = _LARGE

    def differences(self, _: bytes) -> list[Difference]:
        return []


def _wanted_value(
    arguments: Arguments, expression: Expression
) -> _Numbers | _String | _LingerValue | _Any:
    match expression:
        case Anything():
            return _Any()
        case Text():
            return _String(expression)
        case Items(is_struct=True):
            return _LingerValue(linger_of(arguments, expression))
        case Items(items=items) if items:
            return _Numbers(tuple(number_or_any(item) for item in items))
        case _:
            raise arguments.wrong(expression, f"the value that is expected as {_VALUES}")
