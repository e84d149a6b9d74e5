"""Options that every socket has, of whatever kind (socket(7), ip(7)).

Not done here: what the options do: some are only remembered, as in Linux on a machine whose devices
have no use for them.
"""

from __future__ import annotations

import socket as constants
from dataclasses import dataclass, field, replace
from errno import EINVAL
from struct import Struct
from typing import Protocol

from tapstack.base.errors import os_error
from tapstack.socket import options
from tapstack.socket.ip_options import TOLD_OPTIONS
from tapstack.socket.options import Option, Table, Value
from tapstack.socket.remembered_options import REMEMBERED_BY_STREAMS, REMEMBERED_OPTIONS
from tapstack.socket.timestamping import TIMESTAMPING_OPTIONS, Timestamping

_SO = constants.SOL_SOCKET
_DEFAULT_BUFFER = 212_992
"""Octets of a buffer that nobody has set (net.core.wmem_default)."""
NO_RATE = (1 << 64) - 1
"""SO_MAX_PACING_RATE of who is not paced."""
_rate = Struct("@Q")

# Of <asm-generic/socket.h>: Python 3.10 has no names for them.
SO_BSDCOMPAT, SO_PEEK_OFF, SO_MAX_PACING_RATE, SO_ZEROCOPY = 14, 42, 47, 60
SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW = 66, 67

PRIORITY = _SO, constants.SO_PRIORITY


@dataclass(slots=True)
class Kept:
    """What any socket is asked to remember, although its kind may not heed it (socket(7))."""

    broadcast: bool = False
    keepalive: bool = False
    oobinline: bool = False
    reuse_address: bool = False
    reuse_port: bool = False
    linger: int | None = None
    """Seconds; None: off."""
    past_linger: int = 0
    """What they were before that."""
    receive_timeout: float | None = None
    """Seconds; None: for ever. 0: not at all."""
    send_timeout: float | None = None
    """Seconds; None: for ever. 0: not at all."""
    send_buffer: int | None = None
    """Octets; None: nobody set it. Sending a datagram never waits for room."""
    rcvlowat: int = 1
    """Octets. A datagram is always worth waking for."""
    pktinfo: bool = False
    """Tell where a datagram came in (IP_PKTINFO)."""
    recvttl: bool = False
    """Tell a datagram's TTL (IP_RECVTTL)."""
    recvtos: bool = False
    """Tell a datagram's type of service (IP_RECVTOS)."""
    timestamping: Timestamping = field(default_factory=Timestamping)
    """Tell when things happened."""
    inq: bool = False
    """Tell how much text is left behind what was received (TCP_INQ)."""
    max_pacing_rate: int = NO_RATE
    """Octets a second."""
    zerocopy: bool = False
    """Heed MSG_ZEROCOPY (SO_ZEROCOPY)."""
    listened: int = 0
    """How often it was a listener, and is none any more."""
    remembered: dict[tuple[int, int], int] = field(default_factory=dict)
    """Values of options that nothing here depends on, by level and name."""

    shared: bool = False
    """More than one socket has them: who changes any takes `own` first."""

    @property
    def tells_of_text(self) -> bool:
        """Tell whether there are control data with what a stream receives."""
        stamping = self.timestamping
        return self.inq or stamping.unit != 0 or stamping.flags != 0

    @property
    def tells_of_datagrams(self) -> bool:
        """Tell whether there are control data with a datagram."""
        return self.tells_of_headers or self.timestamping.is_wanted

    @property
    def tells_of_headers(self) -> bool:
        """Tell whether some of them are of its IP header."""
        return self.pktinfo or self.recvttl or self.recvtos

    def inherit(self) -> Kept:
        """Give them to an accepted connection; nobody may change them then.

        As in Linux, a priority is not passed on.
        """
        kept = self
        if PRIORITY in self.remembered:
            kept = replace(
                self,
                remembered=dict(self.remembered),
                timestamping=replace(self.timestamping),
            )
            del kept.remembered[PRIORITY]
        kept.shared = True
        return kept

    def own(self) -> Kept:
        """Give what may be changed: themselves, or a copy of what is shared."""
        if not self.shared:
            return self
        return replace(
            self,
            shared=False,
            remembered=dict(self.remembered),
            timestamping=replace(self.timestamping),
        )


class _HasRate(Protocol):
    """What keeps a rate."""

    max_pacing_rate: int


def get_rate(keeper: _HasRate) -> Value:
    """Give SO_MAX_PACING_RATE as an unsigned long."""
    return _rate.pack(keeper.max_pacing_rate)


def set_rate(keeper: _HasRate, value: Value) -> None:
    """Take an unsigned int, or an unsigned long; the largest int means no limit, too."""
    if isinstance(value, bytes) and len(value) == _rate.size:
        keeper.max_pacing_rate = _rate.unpack(value)[0]
        return
    wanted = options.number(value) & 0xFFFFFFFF
    keeper.max_pacing_rate = NO_RATE if wanted == 0xFFFFFFFF else wanted


def _set_zerocopy(kept: Kept, value: Value) -> None:
    wanted = options.number(value)
    if wanted not in (0, 1):
        raise os_error(EINVAL)
    kept.zerocopy = bool(wanted)


def _set_nothing(_: Kept, value: Value) -> None:
    """Take any int, and pass over it."""
    options.number(value)


def _of_timestamping(option: Option) -> Option:
    """Make an option of what `Kept` has for timestamps an option of `Kept`."""
    get, set_it = option.get, option.set
    assert get is not None
    assert set_it is not None
    return Option(
        lambda kept: get(kept.timestamping), lambda kept, value: set_it(kept.timestamping, value)
    )


def _set_low_water(kept: Kept, value: Value) -> None:
    wanted = options.number(value)
    kept.rcvlowat = ((1 << 31) - 1 if wanted < 0 else wanted) or 1


KEPT_OPTIONS: Table = {
    **TOLD_OPTIONS,
    **{key: _of_timestamping(option) for key, option in TIMESTAMPING_OPTIONS.items()},
    (_SO, constants.SO_RCVLOWAT): Option(lambda kept: kept.rcvlowat, _set_low_water),
    (_SO, constants.SO_BROADCAST): options.flag("broadcast"),
    (_SO, constants.SO_KEEPALIVE): options.flag("keepalive"),
    (_SO, constants.SO_OOBINLINE): options.flag("oobinline"),
    (_SO, constants.SO_REUSEADDR): options.flag("reuse_address"),
    (_SO, constants.SO_REUSEPORT): options.flag("reuse_port"),
    (_SO, constants.SO_LINGER): options.LINGER,
    (_SO, constants.SO_RCVTIMEO): options.timeout("receive_timeout"),
    (_SO, constants.SO_SNDTIMEO): options.timeout("send_timeout"),
    (_SO, SO_RCVTIMEO_NEW): options.timeout("receive_timeout"),
    (_SO, SO_SNDTIMEO_NEW): options.timeout("send_timeout"),
    (_SO, constants.SO_SNDBUF): options.buffer(
        "send_buffer", _DEFAULT_BUFFER, options.LEAST_SEND_BUFFER
    ),
    (_SO, constants.SO_SNDLOWAT): options.read_only(lambda _: 1),
    (_SO, SO_BSDCOMPAT): Option(lambda _: 0, _set_nothing),
    (_SO, SO_MAX_PACING_RATE): Option(get_rate, set_rate),
    (_SO, SO_ZEROCOPY): Option(lambda kept: int(kept.zerocopy), _set_zerocopy),
    **REMEMBERED_OPTIONS,
}
"""Options that a kind of socket has which does not say otherwise."""

KEPT_BY_STREAMS: Table = {**KEPT_OPTIONS, **REMEMBERED_BY_STREAMS}
