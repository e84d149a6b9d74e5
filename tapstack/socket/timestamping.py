"""Timestamps that a user asks for: options, and what recvmsg(2) is told (socket(7)).

The time is that of the stack's clock, as µs since 1970; there is no hardware that has its own.

Not done here: taking note of the time (the engines).
"""

from __future__ import annotations

import socket as constants
from dataclasses import dataclass
from errno import EINVAL, EOPNOTSUPP
from functools import partial
from struct import Struct

from tapstack.base.contracts import SentCopy
from tapstack.base.error_queue import QueuedError, timestamp
from tapstack.base.errors import os_error
from tapstack.base.units import SECOND, Instant
from tapstack.socket import options, structs
from tapstack.socket.options import Option, Table, Value
from tapstack.socket.scattered import Item
from tapstack.tcp.transmit_timestamps import Moment, Wish

_SO = constants.SOL_SOCKET
SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TIMESTAMPING = 29, 35, 37  # <asm-generic/socket.h>
SO_TIMESTAMP_NEW, SO_TIMESTAMPNS_NEW, SO_TIMESTAMPING_NEW = 63, 64, 65
"""The same, with times of 64 bits on any machine: what is told by them is laid out alike here."""
SCM_TIMESTAMPING_OPT_STATS, SCM_TS_OPT_ID = 54, 81
# <linux/net_tstamp.h>: SOF_TIMESTAMPING_…
TX_HARDWARE, TX_SOFTWARE, RX_SOFTWARE, SOFTWARE = 1 << 0, 1 << 1, 1 << 3, 1 << 4
OPT_ID, TX_SCHED, TX_ACK, OPT_CMSG, OPT_TSONLY = 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 11
OPT_STATS, BIND_PHC, OPT_ID_TCP, OPT_RX_FILTER = 1 << 12, 1 << 15, 1 << 16, 1 << 17
TX_KINDS = TX_HARDWARE | TX_SOFTWARE | TX_SCHED | TX_ACK
"""What is told of what is sent."""
_ALL = (1 << 19) - 1
_settings = Struct("@ii")  # struct so_timestamping
_MICROSECONDS, _NANOSECONDS = 1, 1000
_LENIENT = _MICROSECONDS, True


_MOMENTS = (
    (TX_SCHED, Moment.SCHEDULED),
    (TX_SOFTWARE, Moment.SENT),
    (TX_ACK, Moment.ACKNOWLEDGED),
)


@dataclass(slots=True)
class Timestamping:
    """What one user asked for."""

    unit: int = 0
    """SO_TIMESTAMP (1) or SO_TIMESTAMPNS (1000), in units a µs; 0: neither."""
    flags: int = 0
    """SO_TIMESTAMPING."""
    is_new: bool = False
    """Whether what is told goes by the names of SO_TIMESTAMP…_NEW: one option decides for all."""
    next_number: int = 0
    """The number of the next datagram that is told of (SOF_TIMESTAMPING_OPT_ID)."""

    @property
    def is_wanted(self) -> bool:
        """Tell whether anything was asked for."""
        return self.unit != 0 or self.flags != 0

    def wish(self, kinds: int | None) -> Wish | None:
        """Give what is to be told of text; `kinds` of this message alone (None: as of others)."""
        asked = self.flags if kinds is None else kinds
        if not asked & TX_KINDS:
            return None
        moments = frozenset(moment for flag, moment in _MOMENTS if asked & flag)
        return Wish(
            moments,
            with_text=not self.flags & OPT_TSONLY,
            with_statistics=bool(self.flags & OPT_STATS),
        )

    def departures(
        self, kinds: int | None, number: int | None, copy: SentCopy, now: Instant
    ) -> list[QueuedError]:
        """Make what is told of a datagram that was sent: it leaves as soon as it is scheduled.

        By the number that its sender gave it; None: the next one.
        """
        wish = self.wish(kinds)
        if wish is None:
            return []
        if number is None:
            number = self._take_number() if self.flags & OPT_ID else 0
        payload, interface = (copy.octets, copy.interface) if wish.with_text else (b"", "")
        return [
            timestamp(moment, number, payload, now, interface)
            for moment in (Moment.SCHEDULED, Moment.SENT)
            if moment in wish.moments
        ]

    def _take_number(self) -> int:
        number, self.next_number = self.next_number, self.next_number + 1
        return number

    @property
    def is_of_arrivals(self) -> bool:
        """Tell whether the time is taken of what arrives."""
        return bool(self.unit or self.flags & RX_SOFTWARE)

    def tell(self, at: Instant) -> list[Item]:
        """Make control data of when something was received, µs since 1970."""
        return self._items(at, RX_SOFTWARE | SOFTWARE)

    def tell_of_error(self, at: Instant) -> list[Item]:
        """Make control data of when an error was met, or text was sent, µs since 1970."""
        return self._items(at, SOFTWARE)

    def _items(self, at: Instant, wanted: int) -> list[Item]:
        items: list[Item] = []
        if self.unit:
            seconds, rest = divmod(at, SECOND)
            stamp = structs.TIMEVAL.pack(seconds, rest * self.unit)
            items.append((_SO, _KINDS[self.unit, self.is_new], stamp))
        if self.flags & wanted == wanted:
            items.append(self._report(at))
        return items

    def _report(self, at: Instant) -> Item:
        """Make SCM_TIMESTAMPING of an instant: in software, and twice nothing for the hardware."""
        stamps = structs.pack_timespec(at) + bytes(2 * structs.TIMESPEC.size)
        return _SO, SO_TIMESTAMPING_NEW if self.is_new else SO_TIMESTAMPING, stamps


_KINDS = {
    (_MICROSECONDS, False): SO_TIMESTAMP,
    (_MICROSECONDS, True): SO_TIMESTAMP_NEW,
    (_NANOSECONDS, False): SO_TIMESTAMPNS,
    (_NANOSECONDS, True): SO_TIMESTAMPNS_NEW,
}
"""What tells when something was received, by its unit, and whether it is a new one."""


def _unit_option(unit: int, is_new: bool) -> Option:
    def set_it(target: Timestamping, value: Value) -> None:
        target.unit = unit if options.number(value) else 0
        if target.unit:
            target.is_new = is_new

    def get_it(target: Timestamping) -> int:
        # As Linux: the new one of microseconds does not ask which of both was set.
        of_unit = target.unit == unit or (target.unit != 0 and (unit, is_new) == _LENIENT)
        return int(of_unit and target.is_new == is_new)

    return Option(get_it, set_it)


def get_flags(target: Timestamping) -> Value:
    """Tell SO_TIMESTAMPING."""
    return _settings.pack(target.flags, 0)


def get_flags_if_new(target: Timestamping) -> Value:
    """Tell SO_TIMESTAMPING_NEW: like Linux, only who set the new one finds something there."""
    return _settings.pack(target.flags if target.is_new else 0, 0)


def read_flags(value: Value) -> int:
    """Read SO_TIMESTAMPING. Raises: OSError with EINVAL, EOPNOTSUPP."""
    wanted = options.number(value)
    if wanted & ~_ALL or (wanted & OPT_ID_TCP and not wanted & OPT_ID):
        raise os_error(EINVAL)
    if wanted & OPT_STATS and not wanted & OPT_TSONLY:
        raise os_error(EINVAL)
    if wanted & BIND_PHC:
        raise os_error(EOPNOTSUPP)
    return wanted


def _set_flags(target: Timestamping, value: Value, *, is_new: bool = False) -> None:
    wanted = read_flags(value)
    if wanted & ~target.flags & OPT_ID:
        target.next_number = 0
    target.flags, target.is_new = wanted, is_new


TIMESTAMPING_OPTIONS: Table = {
    **{(_SO, kind): _unit_option(*of_it) for of_it, kind in _KINDS.items()},
    (_SO, SO_TIMESTAMPING): Option(get_flags, _set_flags),
    (_SO, SO_TIMESTAMPING_NEW): Option(get_flags_if_new, partial(_set_flags, is_new=True)),
}
