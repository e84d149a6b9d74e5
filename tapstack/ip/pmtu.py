"""What ICMP taught us of paths' MTUs (RFC 1191).

Not done here: believing it. A transport checks the quote first, then hands the MTU down.
"""

from collections.abc import Callable
from typing import NamedTuple

from tapstack.base.address import Ipv4Address
from tapstack.base.timers import TimerQueue
from tapstack.base.units import SECOND, Instant
from tapstack.ip.config import IpConfig
from tapstack.ip.wire import MAX_LENGTH

MAX_ENTRIES = 2048
"""Destinations that are remembered: as many as Linux has buckets (FNHE_HASH_SIZE)."""


class _Learned(NamedTuple):
    mtu: int
    expires: Instant


class PathMtus:
    """The lowered MTUs by destination, each for `mtu_expires` seconds."""

    def __init__(
        self, *, timers: TimerQueue, config: IpConfig, on_change: Callable[[], None]
    ) -> None:
        self._config = config
        self._on_change = on_change
        self._learned: dict[Ipv4Address, _Learned] = {}
        """Soonest to expire first: all live equally long."""
        self._timer = timers.timer(self, PathMtus.on_path_mtu_expiry)

    def mtu_to(self, destination: Ipv4Address) -> int:
        """Tell what was learned, in octets; 65535 when that is nothing."""
        learned = self._learned.get(destination)
        return learned.mtu if learned else MAX_LENGTH

    def learn(self, destination: Ipv4Address, mtu: int, current: int, now: Instant) -> None:
        """Lower the MTU of a path that is `current` octets now.

        RFC 1191 §3: "A host MUST NOT increase its estimate of the Path MTU in response to the
        contents of a Datagram Too Big message."
        """
        mtu = max(mtu, self._config.min_pmtu)
        if mtu > current:
            return
        self._learned.pop(destination, None)
        if len(self._learned) >= MAX_ENTRIES:
            del self._learned[next(iter(self._learned))]
        self._learned[destination] = _Learned(mtu, now + self._config.mtu_expires * SECOND)
        self._arm()
        self._on_change()

    def clear(self) -> None:
        """Forget everything."""
        self._learned.clear()
        self._timer.cancel()
        self._on_change()

    def on_path_mtu_expiry(self, now: Instant) -> None:
        """Forget what is too old: the path may have become wider (RFC 1191 §6.3)."""
        while self._learned:
            destination, learned = next(iter(self._learned.items()))
            if learned.expires > now:
                break
            del self._learned[destination]
        self._arm()
        self._on_change()

    def _arm(self) -> None:
        if self._learned:
            self._timer.arm(next(iter(self._learned.values())).expires)

    def __len__(self) -> int:
        """Tell how many paths are known to be narrow."""
        return len(self._learned)
