"""Options of the IP level (ip(7)), which any socket has.

Their values may be shorter than an int: a char, or nothing at all, which is 0.

Not done here: what they do (the engines), and what they have recvmsg(2) tell (`received.py`).
"""

from __future__ import annotations

import socket as constants
from collections.abc import Callable
from errno import EINVAL
from typing import Any

from tapstack.base.errors import os_error
from tapstack.socket import options
from tapstack.socket.options import Option, Table, Value

IP = constants.IPPROTO_IP
# Of <linux/in.h>: Python 3.10 has no names for them.
IP_PKTINFO, IP_MTU_DISCOVER, IP_RECVERR, IP_RECVTTL, IP_RECVTOS, IP_MTU = 8, 10, 11, 12, 13, 14
_DEFAULT_TTL, _MAX_TTL = 64, 255
_PMTUDISC_OMIT = 5
"""The last of IP_PMTUDISC_DONT, _WANT, _DO, _PROBE, _INTERFACE, _OMIT."""
_PRIORITIES = (0, 2, 6, 4)
"""Linux's TC_PRIO_BESTEFFORT, _BULK, _INTERACTIVE and _INTERACTIVE_BULK, by IPTOS_THROUGHPUT and
IPTOS_LOWDELAY."""
_DONT_FRAGMENT = (False, None, True, True, False, False)
"""What each of them means to the engines of datagrams."""


def number(value: Value) -> int:
    """Read an option's value as a C int, a char or nothing."""
    if isinstance(value, int) or len(value) >= 4:
        return options.number(value)
    return value[0] if value else 0


def flag(attribute: str) -> Option:
    """Make an option of a bool."""
    return Option(
        lambda target: int(getattr(target, attribute)),
        lambda target, value: setattr(target, attribute, number(value) != 0),
        attribute,
    )


def limited(attribute: str, least: int, most: int, default: int) -> Option:
    """Make an option of an int within limits; −1 stands for the default."""

    def set_it(target: object, value: Value) -> None:
        wanted = number(value)
        wanted = default if wanted == -1 else wanted
        if not least <= wanted <= most:
            raise os_error(EINVAL)
        setattr(target, attribute, wanted)

    return Option(lambda target: int(getattr(target, attribute)), set_it, attribute)


def _set_ttl(target: Any, value: Value) -> None:
    wanted = number(value)
    if wanted != -1 and not 1 <= wanted <= _MAX_TTL:
        raise os_error(EINVAL)
    target.ttl = max(wanted, 0)


def type_of_service(keep: Callable[[int], int] = lambda tos: tos) -> Option:
    """Make IP_TOS, of which `keep` gives the bits that the user may set."""

    def set_it(target: Any, value: Value) -> None:
        target.tos = keep(number(value) & 0xFF)

    return Option(lambda target: int(target.tos), set_it, "tos")


def priority_of(tos: int) -> int:
    """Give the SO_PRIORITY that comes with a type of service."""
    return _PRIORITIES[tos >> 3 & 3]


def _set_discovery(target: Any, value: Value) -> None:
    wanted = number(value)
    if not 0 <= wanted <= _PMTUDISC_OMIT:
        raise os_error(EINVAL)
    target.discovery = wanted


def _set_discovery_of_datagrams(target: Any, value: Value) -> None:
    _set_discovery(target, value)
    target.dont_fragment = _DONT_FRAGMENT[target.discovery]


IP_OPTIONS: Table = {
    (IP, constants.IP_TTL): Option(lambda target: int(target.ttl or _DEFAULT_TTL), _set_ttl),
    (IP, IP_MTU_DISCOVER): Option(lambda target: int(target.discovery), _set_discovery),
    (IP, IP_RECVERR): flag("recverr"),
}
"""What the engines heed, of their objects."""

DATAGRAM_OPTIONS: Table = {
    **IP_OPTIONS,
    (IP, constants.IP_TOS): type_of_service(),
    (IP, IP_MTU_DISCOVER): Option(
        lambda target: int(target.discovery), _set_discovery_of_datagrams
    ),
}

TOLD_OPTIONS: Table = {
    (IP, IP_PKTINFO): flag("pktinfo"),
    (IP, IP_RECVTTL): flag("recvttl"),
    (IP, IP_RECVTOS): flag("recvtos"),
}
"""What recvmsg(2) is to tell of a datagram, of `Kept`."""
