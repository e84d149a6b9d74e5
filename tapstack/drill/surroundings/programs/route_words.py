"""What `ip route` is told of a route: where it leads, by which way, and its metrics.

Not done here: doing it (`ip_route.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tapstack.base.address import IPV4_ANY, Ipv4Address, Network
from tapstack.base.route_metrics import NO_METRICS, RouteMetrics
from tapstack.base.units import MILLISECOND, SECOND, Duration
from tapstack.drill.surroundings.machine import WrongUse
from tapstack.drill.surroundings.programs.words import (
    Words,
    not_simulated,
    read_network,
    wrong_value,
)
from tapstack.interface import NetworkInterface
from tapstack.ip.routing import DEFAULT, Route
from tapstack.stack import Stack
from tapstack.tcp.congestion import ALGORITHMS

_LARGEST_MTU = 65535 - 15
"""What Linux brings larger ones down to."""
_LARGEST_ADVMSS = 65535 - 40
_TIME = re.compile(r"(\d+)(s|secs?|ms|msecs?)?", re.ASCII)


@dataclass(slots=True)
class RouteWish:
    """What was said of a route; None: nothing."""

    network: Network | None = None
    gateway: Ipv4Address = IPV4_ANY
    device: str = ""
    source: Ipv4Address = IPV4_ANY
    metric: int | None = None
    protocol: str = ""
    metrics: RouteMetrics = NO_METRICS
    interface: NetworkInterface | None = None

    def matches(self, route: Route) -> bool:
        """Tell whether a route is as was said, wherever it leads."""
        return (
            self.gateway in (IPV4_ANY, route.gateway)
            and self.device in ("", route.interface.name)
            and self.source in (IPV4_ANY, route.source)
            and self.metric in (None, route.metric)
            and self.protocol in ("", route.protocol)
        )

    def complete(self, stack: Stack) -> None:
        """Find the device. Raises: WrongUse."""
        if self.device:
            self.interface = stack.interfaces.get(self.device)
            if self.interface is None:
                raise WrongUse(f'Cannot find device "{self.device}"')
        if stack.ip.is_local(self.gateway):
            # As in Linux that makes a neighbour of everybody on the way.
            self.gateway = IPV4_ANY
        elif self.gateway:
            way = stack.ip.routes.lookup(self.gateway)
            found = stack.interfaces.get(way.interface.name) if way and not way.gateway else None
            if found is None or self.interface not in (None, found):
                raise WrongUse("Error: Nexthop has invalid gateway.", 2)
            self.interface = found
        if self.interface is None:
            raise WrongUse("RTNETLINK answers: No such device", 2)


def to_route(wish: RouteWish) -> Route:
    """Make the route that was wished for, and completed."""
    assert wish.network is not None
    assert wish.interface is not None
    return Route(
        wish.network,
        wish.interface,
        wish.gateway,
        wish.source,
        wish.metric or 0,
        wish.protocol or "boot",
        wish.metrics,
    )


# --- reading --------------------------------------------------------------------------------------


def read_wish(words: Words) -> RouteWish:
    """Read a whole route. Raises: WrongUse."""
    wish = RouteWish()
    while words:
        word = words.take()
        if word in _METRICS:
            _read_metric(wish, word, words)
        elif word in _ATTRIBUTES:
            _ATTRIBUTES[word](wish, words)
        elif word in _UNSUPPORTED:
            raise not_simulated(f"ip route {word}")
        else:
            if word == "to":
                word = words.take()
            if wish.network is not None:
                raise WrongUse(f'Error: either "to" is duplicate, or "{word}" is a garbage.', 255)
            wish.network = _read_prefix(word)
    if wish.network is None:
        wish.network = DEFAULT
    return wish


def read_selector(words: Words) -> RouteWish:
    """Read which routes are to be shown or flushed. Raises: WrongUse."""
    wish = RouteWish()
    while words:
        word = words.take()
        if word in _ATTRIBUTES:
            _ATTRIBUTES[word](wish, words)
        elif word in ("match", "root"):
            raise not_simulated(f"ip route show {word}")
        else:
            wish.network = _read_prefix(words.take() if word in ("to", "exact") else word)
    return wish


def _read_prefix(word: str) -> Network:
    if word in ("default", "any", "all"):
        return DEFAULT
    network = read_network(word)
    if network.prefix != network.address:
        raise WrongUse("Error: Invalid prefix for given prefix length.", 2)
    return network


def _read_gateway(wish: RouteWish, words: Words) -> None:
    words.take_if("inet")
    wish.gateway = words.address()


def _read_table(_: RouteWish, words: Words) -> None:
    name = words.take()
    if name not in ("main", "254", "all"):
        raise not_simulated(f"ip route table {name}")


def _read_device(wish: RouteWish, words: Words) -> None:
    wish.device = words.take()


def _read_source(wish: RouteWish, words: Words) -> None:
    wish.source = words.address()


def _read_preference(wish: RouteWish, words: Words) -> None:
    wish.metric = words.number("metric")


def _read_protocol(wish: RouteWish, words: Words) -> None:
    wish.protocol = words.take()


def _skip(_: RouteWish, words: Words) -> None:
    words.take()


def _skip_nothing(_: RouteWish, __: Words) -> None:
    pass


_ATTRIBUTES: dict[str, Callable[[RouteWish, Words], None]] = {
    "via": _read_gateway,
    "dev": _read_device,
    "oif": _read_device,
    "src": _read_source,
    "metric": _read_preference,
    "priority": _read_preference,
    "preference": _read_preference,
    "proto": _read_protocol,
    "protocol": _read_protocol,
    "table": _read_table,
    "scope": _skip,
    "unicast": _skip_nothing,
    "onlink": _skip_nothing,
}
_UNSUPPORTED = frozenset(
    "local broadcast multicast throw unreachable prohibit blackhole nat nexthop nhid encap realms "
    "tos dsfield expires pref ttl-propagate as".split()
)


# --- metrics --------------------------------------------------------------------------------------


def _read_metric(wish: RouteWish, name: str, words: Words) -> None:
    locked = wish.metrics.locked
    if words.take_if("lock") or name == "rto_min":
        locked = locked | {name}
    key = "ecn" if name == "features" else name
    changes = {key: _METRICS[name](words, name), "locked": locked}
    wish.metrics = wish.metrics._replace(**changes)


def _number(words: Words, name: str) -> int:
    return words.number(name)


def _mtu(words: Words, name: str) -> int:
    return min(words.number(name), _LARGEST_MTU)


def _advmss(words: Words, name: str) -> int:
    return min(words.number(name), _LARGEST_ADVMSS)


def _hoplimit(words: Words, name: str) -> int:
    return words.number(name, 255)


def _switch(words: Words, name: str) -> bool:
    return words.switch(name)


def _time(words: Words, name: str) -> Duration:
    word = words.take()
    found = _TIME.fullmatch(word)
    if found is None:
        raise wrong_value(word, name)
    return int(found[1]) * (SECOND if (found[2] or "").startswith("s") else MILLISECOND)


def _features(words: Words, name: str) -> bool:
    word = words.take()
    if word != "ecn":
        raise WrongUse(f'Error: argument "{word}" is wrong: "{name}" value not valid\n', 255)
    return True


def _algorithm(words: Words, _: str) -> str:
    name = words.take()
    if name not in ALGORITHMS:
        raise WrongUse("Error: Unknown tcp congestion algorithm.", 2)
    return name


_METRICS: dict[str, Callable[[Words, str], Any]] = {
    "mtu": _mtu,
    "window": _number,
    "rtt": _time,
    "rttvar": _time,
    "ssthresh": _number,
    "cwnd": _number,
    "advmss": _advmss,
    "reordering": _number,
    "hoplimit": _hoplimit,
    "initcwnd": _number,
    "features": _features,
    "rto_min": _time,
    "initrwnd": _number,
    "quickack": _switch,
    "congctl": _algorithm,
    "fastopen_no_cookie": _switch,
}
