"""Options that are taken, kept and read back, and that nothing here depends on (socket(7), ip(7)).

They are for devices, routes or bookkeeping that this stack has no need of: a program that sets one
finds it set, with Linux's defaults and limits.

Not done here: options that do something (`kept_options.py`, `stream_options.py`).
"""

from __future__ import annotations

import socket as constants
from collections.abc import Callable
from errno import EINVAL
from typing import Protocol

from tapstack.base.errors import os_error
from tapstack.socket import ip_options, options
from tapstack.socket.options import Option, Table, Value

_SO, _IP, _TCP = constants.SOL_SOCKET, constants.IPPROTO_IP, constants.IPPROTO_TCP

# Of <asm-generic/socket.h>, <linux/in.h> and <linux/tcp.h>: Python 3.10 has no names for them.
SO_NO_CHECK, SO_RXQ_OVFL, SO_WIFI_STATUS, SO_NOFCS, SO_SELECT_ERR_QUEUE = 11, 40, 41, 43, 45
SO_BUSY_POLL, SO_INCOMING_CPU, SO_BPF_EXTENSIONS, SO_BINDTOIFINDEX = 46, 49, 48, 62
SO_PREFER_BUSY_POLL, SO_BUF_LOCK, SO_TXREHASH, SO_RCVMARK, SO_RCVPRIORITY = 69, 72, 74, 75, 82
IP_RECVOPTS, IP_RETOPTS, IP_FREEBIND, IP_PASSSEC, IP_TRANSPARENT = 6, 7, 15, 18, 19
IP_ORIGDSTADDR, IP_CHECKSUM, IP_BIND_ADDRESS_NO_PORT, IP_RECVERR_RFC4884 = 20, 23, 24, 26
IP_MULTICAST_ALL = 49
TCP_TX_DELAY, TCP_IS_MPTCP = 37, 43

_LARGEST = (1 << 31) - 1
_ALL_BUFFERS_LOCKED = 3
_BPF_EXTENSIONS = 64
"""How many there are (SKF_AD_MAX)."""
_LONGEST_TX_DELAY = _LARGEST // 1000 - 1
"""µs; Linux counts in ns."""


class _Keeper(Protocol):
    """What remembers values, by level and name."""

    remembered: dict[tuple[int, int], int]


_Change = Callable[[int], int]


def _within(least: int, most: int) -> _Change:
    """Make a check: the value is kept as it is, or refused."""

    def check(wanted: int) -> int:
        if not least <= wanted <= most:
            raise os_error(EINVAL)
        return wanted

    return check


def _as_flag(wanted: int) -> int:
    return int(wanted != 0)


def _rehash(wanted: int) -> int:
    """Check SO_TXREHASH: −1 asks for the default, which is to."""
    return 1 if wanted == -1 else _within(0, 1)(wanted)


def _remembered(level: int, name: int, change: _Change, default: int = 0) -> Table:
    """Make an option of what `change` makes of the user's number, or refuses."""
    key = (level, name)
    number = ip_options.number if level == _IP else options.number

    def get(keeper: _Keeper) -> Value:
        return keeper.remembered.get(key, default)

    def set_it(keeper: _Keeper, value: Value) -> None:
        keeper.remembered[key] = change(number(value))

    return {key: Option(get, set_it)}


_ANY = _within(-_LARGEST - 1, _LARGEST)
_FLAGS = (
    (_SO, constants.SO_DEBUG),
    (_SO, constants.SO_DONTROUTE),
    (_SO, SO_NO_CHECK),
    (_SO, SO_RXQ_OVFL),
    (_SO, SO_WIFI_STATUS),
    (_SO, SO_NOFCS),
    (_SO, SO_SELECT_ERR_QUEUE),
    (_SO, SO_PREFER_BUSY_POLL),
    (_SO, SO_RCVMARK),
    (_SO, SO_RCVPRIORITY),
    (_IP, IP_RECVOPTS),
    (_IP, IP_RETOPTS),
    (_IP, IP_FREEBIND),
    (_IP, IP_PASSSEC),
    (_IP, IP_TRANSPARENT),
    (_IP, IP_ORIGDSTADDR),
    (_IP, IP_CHECKSUM),
    (_IP, IP_BIND_ADDRESS_NO_PORT),
)

REMEMBERED_OPTIONS: Table = {
    **_remembered(_SO, constants.SO_PRIORITY, _ANY),
    **_remembered(_SO, constants.SO_MARK, _ANY),
    **_remembered(_SO, SO_INCOMING_CPU, _ANY, -1),
    **_remembered(_SO, SO_BUSY_POLL, _within(0, _LARGEST)),
    **_remembered(_SO, SO_BINDTOIFINDEX, _within(0, _LARGEST)),
    **_remembered(_SO, SO_BUF_LOCK, _within(0, _ALL_BUFFERS_LOCKED)),
    **_remembered(_SO, SO_TXREHASH, _rehash, 1),
    **_remembered(_IP, IP_RECVERR_RFC4884, _within(0, 1)),
    **_remembered(_IP, IP_MULTICAST_ALL, _within(0, 1), 1),
    (_SO, SO_BPF_EXTENSIONS): options.read_only(lambda _: _BPF_EXTENSIONS),
    **{key: option for pair in _FLAGS for key, option in _remembered(*pair, _as_flag).items()},
}
"""Those of any socket."""

REMEMBERED_BY_STREAMS: Table = {
    **_remembered(_TCP, TCP_TX_DELAY, _within(0, _LONGEST_TX_DELAY)),
    (_TCP, TCP_IS_MPTCP): options.read_only(lambda _: 0),
}
"""Those of a TCP socket alone."""
