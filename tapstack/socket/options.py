"""Socket options: which attribute of an engine's object each one reads and sets.

Not done here: what the options do.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EDOM, EINVAL, ENOPROTOOPT, EOPNOTSUPP
from typing import Any, NamedTuple, TypeAlias

from tapstack.base.errors import os_error
from tapstack.base.units import SECOND
from tapstack.socket import structs

Value: TypeAlias = "int | bytes"

_IP = 0  # IPPROTO_IP, whose options may be a char
_SOCKET = 1  # SOL_SOCKET
TICK = 4000
"""µs to which Linux rounds a timeout up (a jiffy of CONFIG_HZ=250)."""
LEAST_RECEIVE_BUFFER, LEAST_SEND_BUFFER = 2304, 4608
"""Least octets of a buffer that the user sets (Linux's SOCK_MIN_RCVBUF, SOCK_MIN_SNDBUF)."""
_LARGEST_INT = 2**31 - 1
_MAX_BUFFER = 4_194_304
"""Most octets that the user sets, before doubling (net.core.rmem_max, wmem_max)."""


class Option(NamedTuple):
    """How to read and set one option of an object; None where that is not allowed."""

    get: Callable[[Any], Value] | None
    set: Callable[[Any, Value], None] | None
    attribute: str = ""
    """The attribute that it is kept in, if there is one."""


Table: TypeAlias = "dict[tuple[int, int], Option]"


def number(value: Value) -> int:
    """Read an option's value as a C int. Raises: OSError with EINVAL when it is shorter."""
    if isinstance(value, int):
        return value
    if len(value) < structs.INT.size:
        raise os_error(EINVAL)
    (read,) = structs.INT.unpack_from(value)
    return int(read)


def flag(attribute: str) -> Option:
    """Make an option of a bool."""
    return Option(
        lambda target: int(getattr(target, attribute)),
        lambda target, value: setattr(target, attribute, number(value) != 0),
        attribute,
    )


def integer(attribute: str, least: int, most: int, default: int = 0) -> Option:
    """Make an option of an int within limits; an attribute that is None or 0 shows the default."""

    def set_integer(target: object, value: Value) -> None:
        wanted = number(value)
        if not least <= wanted <= most:
            raise os_error(EINVAL)
        setattr(target, attribute, wanted)

    def get_integer(target: object) -> int:
        return int(getattr(target, attribute) or default)

    return Option(get_integer, set_integer, attribute)


def buffer(attribute: str, default: int, least: int = LEAST_RECEIVE_BUFFER) -> Option:
    """Make an option of a buffer size: like Linux, twice what is asked for is kept (socket(7))."""

    def set_buffer(target: object, value: Value) -> None:
        setattr(target, attribute, doubled(number(value), least))

    def get_buffer(target: object) -> int:
        value = getattr(target, attribute)
        return default if value is None else int(value)

    return Option(get_buffer, set_buffer, attribute)


def doubled(wanted: int, least: int) -> int:
    """Give the buffer that is kept for one of `wanted` octets: it holds Linux's overhead, too.

    A negative size counts as unsigned, and so is cut to the largest.
    """
    return max(2 * min(wanted if wanted >= 0 else _MAX_BUFFER, _MAX_BUFFER), least)


def doubled_at_will(wanted: int, least: int) -> int:
    """Give the buffer that is kept for one who may have as much as he likes (SO_RCVBUFFORCE)."""
    return max(2 * min(max(wanted, 0), _LARGEST_INT // 2), least)


def read_only(get: Callable[[Any], Value]) -> Option:
    """Make an option that only tells."""
    return Option(get, None)


def _get_linger(target: Any) -> bytes:
    seconds = target.linger
    if seconds is None:
        return structs.LINGER.pack(0, target.past_linger)
    return structs.LINGER.pack(1, seconds)


def _set_linger(target: Any, value: Value) -> None:
    if isinstance(value, int) or len(value) < structs.LINGER.size:
        raise os_error(EINVAL)
    on, seconds = structs.LINGER.unpack_from(value)
    if target.linger is not None:
        target.past_linger = target.linger
    target.linger = seconds if on else None


def timeout(attribute: str) -> Option:
    """Make an option of a struct timeval: seconds, None for ever; like Linux, 0 is for ever."""

    def set_timeout(target: object, value: Value) -> None:
        if isinstance(value, int) or len(value) < structs.TIMEVAL.size:
            raise os_error(EINVAL)
        seconds, microseconds = structs.TIMEVAL.unpack_from(value)
        if not 0 <= microseconds < SECOND:
            raise os_error(EDOM)
        ticks = seconds * SECOND + -(-microseconds // TICK) * TICK
        setattr(target, attribute, max(ticks, 0) / SECOND if ticks else None)

    def get_timeout(target: object) -> bytes:
        ticks = round((getattr(target, attribute) or 0) * SECOND)
        return structs.TIMEVAL.pack(*divmod(ticks, SECOND))

    return Option(get_timeout, set_timeout, attribute)


LINGER = Option(_get_linger, _set_linger)
"""SO_LINGER: struct linger."""


def get_option(table: Table, target: object, level: int, name: int) -> Value:
    """Read an option. Raises: OSError with ENOPROTOOPT, or EOPNOTSUPP of a level there is not."""
    option = table.get((level, name))
    if option is None or option.get is None:
        is_level = level == _SOCKET or any(level == each for each, _ in table)
        raise os_error(ENOPROTOOPT if is_level else EOPNOTSUPP)
    return option.get(target)


def set_option(table: Table, target: object, level: int, name: int, value: Value) -> str:
    """Set an option, and name the attribute that it is kept in.

    Raises: OSError with ENOPROTOOPT or EINVAL.
    """
    option = table.get((level, name))
    if option is None or option.set is None:
        number(value if level != _IP else 0)  # as Linux, its size is looked at first
        raise os_error(ENOPROTOOPT)
    option.set(target, value)
    return option.attribute
