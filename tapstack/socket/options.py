"""Socket options: which attribute of an engine's object each one reads and sets.

Not done here: what the options do.
"""

from __future__ import annotations

import socket as constants
from collections.abc import Callable
from dataclasses import dataclass
from errno import EDOM, EINVAL, ENOPROTOOPT
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

from tapstack.base.errors import os_error
from tapstack.base.units import SECOND

Value: TypeAlias = "int | bytes"

_linger = Struct("@ii")  # struct linger of socket(7)
_timeval = Struct("@ll")  # struct timeval of <sys/time.h>
_TICK = 4000
"""µs to which Linux rounds a timeout up (a jiffy of CONFIG_HZ=250)."""
_MIN_BUFFER = 2304
"""Least octets of a buffer that the user sets (Linux's SOCK_MIN_RCVBUF)."""
_MAX_BUFFER = 4_194_304
"""Most octets that the user sets, before doubling (net.core.rmem_max, wmem_max)."""
_DEFAULT_BUFFER = 212_992
"""Octets of a buffer that nobody has set (net.core.rmem_default, wmem_default)."""


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
    if len(value) < 4:
        raise os_error(EINVAL)
    return int.from_bytes(value[:4], "little", signed=True)


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


def buffer(attribute: str, default: int) -> Option:
    """Make an option of a buffer size: like Linux, twice what is asked for is kept (socket(7))."""

    def set_buffer(target: object, value: Value) -> None:
        setattr(target, attribute, doubled(number(value)))

    def get_buffer(target: object) -> int:
        value = getattr(target, attribute)
        return default if value is None else int(value)

    return Option(get_buffer, set_buffer, attribute)


def doubled(wanted: int) -> int:
    """Give the buffer that is kept for one of `wanted` octets: it holds Linux's overhead, too.

    A negative size counts as unsigned, and so is cut to the largest.
    """
    return max(2 * min(wanted if wanted >= 0 else _MAX_BUFFER, _MAX_BUFFER), _MIN_BUFFER)


def read_only(get: Callable[[Any], Value]) -> Option:
    """Make an option that only tells."""
    return Option(get, None)


def _get_linger(target: Any) -> bytes:
    seconds = target.linger
    return _linger.pack(seconds is not None, seconds or 0)


def _set_linger(target: Any, value: Value) -> None:
    if isinstance(value, int) or len(value) < _linger.size:
        raise os_error(EINVAL)
    on, seconds = _linger.unpack_from(value)
    target.linger = seconds if on else None


def timeout(attribute: str) -> Option:
    """Make an option of a struct timeval: seconds, None for ever; like Linux, 0 is for ever."""

    def set_timeout(target: object, value: Value) -> None:
        if isinstance(value, int) or len(value) < _timeval.size:
            raise os_error(EINVAL)
        seconds, microseconds = _timeval.unpack_from(value)
        if not 0 <= microseconds < SECOND:
            raise os_error(EDOM)
        ticks = seconds * SECOND + -(-microseconds // _TICK) * _TICK
        setattr(target, attribute, max(ticks, 0) / SECOND if ticks else None)

    def get_timeout(target: object) -> bytes:
        ticks = round((getattr(target, attribute) or 0) * SECOND)
        return _timeval.pack(*divmod(ticks, SECOND))

    return Option(get_timeout, set_timeout, attribute)


LINGER = Option(_get_linger, _set_linger)
"""SO_LINGER: struct linger."""


def get_option(table: Table, target: object, level: int, name: int) -> Value:
    """Read an option. Raises: OSError with ENOPROTOOPT."""
    option = table.get((level, name))
    if option is None or option.get is None:
        raise os_error(ENOPROTOOPT)
    return option.get(target)


def set_option(table: Table, target: object, level: int, name: int, value: Value) -> str:
    """Set an option, and name the attribute that it is kept in.

    Raises: OSError with ENOPROTOOPT or EINVAL.
    """
    option = table.get((level, name))
    if option is None or option.set is None:
        raise os_error(ENOPROTOOPT)
    option.set(target, value)
    return option.attribute


@dataclass(slots=True)
class Kept:
    """What any socket is asked to remember, although its kind may not heed it (socket(7))."""

    broadcast: bool = False
    keepalive: bool = False
    reuse_address: bool = False
    reuse_port: bool = False
    linger: int | None = None
    """Seconds; None: off."""
    receive_timeout: float | None = None
    """Seconds; None: for ever. 0: not at all."""
    send_timeout: float | None = None
    """Seconds; None: for ever. 0: not at all."""
    send_buffer: int | None = None
    """Octets; None: nobody set it. Sending a datagram never waits for room."""


_SO = constants.SOL_SOCKET

KEPT_OPTIONS: Table = {
    (_SO, constants.SO_BROADCAST): flag("broadcast"),
    (_SO, constants.SO_KEEPALIVE): flag("keepalive"),
    (_SO, constants.SO_REUSEADDR): flag("reuse_address"),
    (_SO, constants.SO_REUSEPORT): flag("reuse_port"),
    (_SO, constants.SO_LINGER): LINGER,
    (_SO, constants.SO_RCVTIMEO): timeout("receive_timeout"),
    (_SO, constants.SO_SNDTIMEO): timeout("send_timeout"),
    (_SO, constants.SO_SNDBUF): buffer("send_buffer", _DEFAULT_BUFFER),
}
"""Options that a kind of socket has which does not say otherwise."""

IP_OPTIONS: Table = {
    (constants.IPPROTO_IP, constants.IP_TTL): integer("ttl", 1, 255, 64),
    (constants.IPPROTO_IP, constants.IP_TOS): integer("tos", 0, 255),
}
"""What every kind of socket has."""
