"""How many ICMP messages we send of ourselves (RFC 1122 §3.2.2, RFC 1812 §4.3.2.8).

A token bucket for each destination and one for all together, as in Linux: whoever makes us answer
a forged source cannot make us a nuisance to it, nor waste more than a little of our time.
"""

from dataclasses import dataclass

from tapstack.base.address import Ipv4Address
from tapstack.base.counters import Counters
from tapstack.base.icmp_errors import DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED
from tapstack.base.units import MILLISECOND, SECOND, Duration, Instant
from tapstack.ip.config import IpConfig

BURST = 6
"""Errors that one destination may get at once (Linux: XRLIM_BURST_FACTOR)."""
MAX_DESTINATIONS = 1024
"""Buckets kept: the global limit refills fewer in the time that a bucket takes to fill."""

REDIRECT_LOAD: Duration = 20 * MILLISECOND
"""The pause after the first redirect; each later one doubles it (Linux: redirect_load)."""
REDIRECT_NUMBER = 9
"""Redirects to a host that does not listen (Linux: redirect_number)."""
REDIRECT_SILENCE: Duration = REDIRECT_LOAD << 10
"""After so long without any, it is told anew (Linux: redirect_silence)."""


@dataclass(slots=True)
class _Bucket:
    tokens: Duration
    """Time saved up, in µs."""
    filled: Instant


@dataclass(slots=True)
class _Redirects:
    sent: int
    last: Instant


class IcmpLimit:
    """Allows or refuses each ICMP message, and counts what it refuses."""

    def __init__(self, *, counters: Counters, config: IpConfig) -> None:
        self._counters = counters
        self._config = config
        self._buckets: dict[Ipv4Address, _Bucket] = {}
        self._everyone: _Bucket | None = None
        self._redirects: dict[Ipv4Address, _Redirects] = {}

    def allow(self, type_: int, code: int, destination: Ipv4Address, now: Instant) -> bool:
        """Tell whether a message may go to a destination now, and if so, charge it."""
        if (type_, code) == (DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED):
            return True  # path MTU discovery stands or falls with it
        if not self._config.icmp_ratemask >> type_ & 1:
            return True
        if not self._take_from_everyone(now):
            self._counters["IcmpOutRateLimitGlobal"] += 1
            return False
        if not self._take_from_destination(destination, now):
            self._counters["IcmpOutRateLimitHost"] += 1
            return False
        return True

    def _take_from_everyone(self, now: Instant) -> bool:
        price = SECOND // max(self._config.icmp_msgs_per_sec, 1)
        if self._everyone is None:
            self._everyone = _Bucket(price * self._config.icmp_msgs_burst, now)
        return _take(self._everyone, price, self._config.icmp_msgs_burst, now)

    def _take_from_destination(self, destination: Ipv4Address, now: Instant) -> bool:
        price = self._config.icmp_ratelimit * MILLISECOND
        bucket = self._buckets.get(destination)
        if bucket is None:
            _make_room(self._buckets)
            bucket = self._buckets[destination] = _Bucket(price * BURST, now)
        return _take(bucket, price, BURST, now)

    def allow_redirect(self, host: Ipv4Address, now: Instant) -> bool:
        """Tell whether a host may be redirected now: ever more rarely, if it does not listen."""
        redirects = self._redirects.get(host)
        if redirects is None or now - redirects.last > REDIRECT_SILENCE:
            self._redirects.pop(host, None)
            _make_room(self._redirects)
            self._redirects[host] = _Redirects(1, now)
            return True
        if redirects.sent >= REDIRECT_NUMBER:
            redirects.last = now
            return False
        if now - redirects.last <= REDIRECT_LOAD << redirects.sent:
            return False
        redirects.sent += 1
        redirects.last = now
        return True


def _take(bucket: _Bucket, price: Duration, burst: int, now: Instant) -> bool:
    """Take a message's price in time out of a bucket that fills as time passes."""
    bucket.tokens = min(bucket.tokens + now - bucket.filled, price * burst)
    bucket.filled = now
    if bucket.tokens < price:
        return False
    bucket.tokens -= price
    return True


def _make_room(table: dict[Ipv4Address, _Bucket] | dict[Ipv4Address, _Redirects]) -> None:
    """Forget the oldest entry of a full table."""
    if len(table) >= MAX_DESTINATIONS:
        del table[next(iter(table))]
