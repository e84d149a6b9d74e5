"""Control messages as scripts write them: numbers, strings, reports of errors, timestamps.

`{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=1000}` and its like (cmsg(3)).

Not done here: the message that they come with (`messages.py`).
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from tapstack.base.units import SECOND, format_seconds
from tapstack.drill.calls.arguments import Arguments, number_or_any
from tapstack.drill.calls.context import Context
from tapstack.drill.calls.results import differ, differ_text, show_octets
from tapstack.drill.calls.structs import fields_of, value_in
from tapstack.drill.language.syntax import Anything, Expression, Items, Text
from tapstack.drill.reports.failure import Difference
from tapstack.socket.structs import EXTENDED_ERROR, INT, SOCKADDR_IN, TIMESPEC, unpack_timespec

_ERROR_FIELDS = {
    "ee_errno": 32,
    "ee_origin": 8,
    "ee_type": 8,
    "ee_code": 8,
    "ee_info": 32,
    "ee_data": 32,
}
"""Of a struct sock_extended_err, with their bits."""
_TIMESTAMPS = 3 * TIMESPEC.size
"""Octets of a struct scm_timestamping: the first of its times is the software's."""
_ANY = 400
"""Octets for data that do not matter: none are longer (SCM_TIMESTAMPING_OPT_STATS has 256)."""

Cmsg = tuple[int, int, bytes]


class Numeral(NamedTuple):
    """An int."""

    value: int
    room: int = INT.size

    def octets(self) -> bytes:
        """Give the data to be sent."""
        return (self.value & 0xFFFFFFFF).to_bytes(INT.size, sys.byteorder)

    def differences(self, what: str, data: bytes, _: Context) -> list[Difference]:
        """Compare with what was received: an int of any length."""
        return differ(what, self.value, int.from_bytes(data, sys.byteorder, signed=True))


class Octets(NamedTuple):
    """A string, or anything."""

    text: Text | None
    room: int

    def octets(self) -> bytes:
        """Give the data to be sent."""
        return b"" if self.text is None else self.text.octets

    def differences(self, what: str, data: bytes, _: Context) -> list[Difference]:
        """Compare with what was received."""
        return differ_text(what, self.text, data)


class ErrorReport(NamedTuple):
    """A struct sock_extended_err; None: that field does not matter."""

    fields: tuple[int | None, ...]
    room: int = EXTENDED_ERROR.size + SOCKADDR_IN.size  # SO_EE_OFFENDER

    def octets(self) -> bytes:
        """Give the data to be sent."""
        return EXTENDED_ERROR.pack(*(value or 0 for value in self.fields))

    def differences(self, what: str, data: bytes, _: Context) -> list[Difference]:
        """Compare with what was received."""
        if len(data) < EXTENDED_ERROR.size:
            return [Difference(what, "a struct sock_extended_err", show_octets(data))]
        found: list[Difference] = []
        for name, wanted, actual in zip(
            _ERROR_FIELDS, self.fields, EXTENDED_ERROR.unpack_from(data), strict=True
        ):
            found += differ(f"{what} {name}", wanted, actual)
        return found


class Timestamp(NamedTuple):
    """The first of a struct scm_timestamping, in the script's time."""

    instant: int | None
    """µs since the script began; None: any."""
    room: int = _TIMESTAMPS

    def octets(self) -> bytes:
        """Give the data to be sent."""
        return bytes(_TIMESTAMPS)

    def differences(self, what: str, data: bytes, context: Context) -> list[Difference]:
        """Compare with what was received, within the tolerance of the script."""
        if len(data) < TIMESPEC.size:
            return [Difference(what, "a struct scm_timestamping", show_octets(data))]
        actual = unpack_timespec(data) - context.epoch
        tolerance = context.settings.tolerance_usecs
        if self.instant is None or abs(actual - self.instant) <= tolerance:
            return []
        return [Difference(what, format_seconds(self.instant), format_seconds(actual))]


Data = Numeral | Octets | ErrorReport | Timestamp


class Control(NamedTuple):
    """One control message; None: that does not matter."""

    expression: Expression
    level: int | None
    type: int | None
    data: Data

    @property
    def room(self) -> int:
        """Octets of its data."""
        return self.data.room

    def packed(self, arguments: Arguments) -> Cmsg:
        """Give it to be sent. Raises: ScriptError where it does not say all."""
        if self.level is None or self.type is None:
            raise arguments.wrong(self.expression, _WANTED)
        return self.level, self.type, self.data.octets()

    def differences(self, what: str, actual: Cmsg, context: Context) -> list[Difference]:
        """Compare with what was received: data of another kind are not looked into."""
        found = differ(f"{what} cmsg_level", self.level, actual[0])
        found += differ(f"{what} cmsg_type", self.type, actual[1])
        return found or self.data.differences(f"{what} cmsg_data", actual[2], context)


_WANTED = "a control message such as {cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=1000}"


def control_of(arguments: Arguments, expression: Expression) -> Control:
    """Read one control message. Raises: ScriptError."""
    fields = fields_of(arguments, expression, "cmsg_level cmsg_type cmsg_data", _WANTED)
    return Control(
        expression,
        arguments.short_or_any(value_in(fields, "cmsg_level")),
        arguments.short_or_any(value_in(fields, "cmsg_type")),
        _data_of(arguments, value_in(fields, "cmsg_data")),
    )


def _data_of(arguments: Arguments, expression: Expression | None) -> Data:
    match expression:
        case None | Anything():
            return Octets(None, _ANY)
        case Text(octets=octets):
            return Octets(expression, len(octets))
        case Items(is_struct=True):
            return _struct_of(arguments, expression)
        case Items(items=(number,)):  # an int may stand in an array of one
            return Numeral(arguments.number_in(number))
        case _:
            return Numeral(arguments.number_in(expression))


def _struct_of(arguments: Arguments, expression: Items) -> ErrorReport | Timestamp:
    wanted = "data such as {ee_errno=0, ee_origin=..., ...} or {scm_sec=0, scm_nsec=100000000}"
    fields = fields_of(
        arguments, expression, " ".join([*_ERROR_FIELDS, "scm_sec", "scm_nsec"]), wanted
    )
    if "scm_sec" not in fields and "scm_nsec" not in fields:
        return ErrorReport(
            tuple(
                _unsigned_or_any(arguments, value_in(fields, name), bits)
                for name, bits in _ERROR_FIELDS.items()
            )
        )
    if not fields.keys() <= {"scm_sec", "scm_nsec"}:
        raise arguments.wrong(expression, wanted)
    seconds, nanoseconds = value_in(fields, "scm_sec"), value_in(fields, "scm_nsec")
    if isinstance(seconds, Anything) or isinstance(nanoseconds, Anything):
        return Timestamp(None)
    return Timestamp(
        (number_or_any(seconds) or 0) * SECOND + (number_or_any(nanoseconds) or 0) // 1000
    )


def _unsigned_or_any(arguments: Arguments, expression: Expression | None, bits: int) -> int | None:
    number = number_or_any(expression)
    if expression is not None and number is not None and number >> bits:
        raise arguments.wrong(expression, f"a number of {bits} bits, none below 0,")
    return number
