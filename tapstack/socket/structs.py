"""Structs of C that options, addresses and control data have, as this machine lays them out.

Not done here: what they say; TCP_INFO (`tcp_info.py`).
"""

from __future__ import annotations

from struct import Struct

from tapstack.base.units import SECOND, Duration

INT = Struct("@i")
LINGER = Struct("@ii")
"""socket(7), struct linger: on or off, seconds."""
TIMEVAL = Struct("@ll")
"""<sys/time.h>: seconds, microseconds."""
TIMESPEC = Struct("@ll")
"""<time.h>: seconds, nanoseconds."""
SOCKADDR_IN = Struct("@H2s4s8x")
"""ip(7): the family; port and address in network order."""
EXTENDED_ERROR = Struct("@IBBBxII")
"""ip(7), struct sock_extended_err: errno, origin, type, code, info, data."""


def pack_timespec(time: Duration) -> bytes:
    """Lay out a time of so many µs."""
    seconds, microseconds = divmod(time, SECOND)
    return TIMESPEC.pack(seconds, microseconds * 1000)


def unpack_timespec(octets: bytes) -> Duration:
    """Read the time, in whole µs, that stands first in octets."""
    seconds, nanoseconds = TIMESPEC.unpack_from(octets)
    return int(seconds * SECOND + nanoseconds // 1000)
