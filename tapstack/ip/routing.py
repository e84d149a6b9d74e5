"""The routing table: longest prefix, then lowest metric (RFC 1122 §3.3.1, RFC 1812 §5.2.4.3).

Not done here: our own addresses, which come before any route (`paths.py`).
"""

import errno
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tapstack.base.address import IPV4_ANY, Ipv4Address, Network, format_ipv4
from tapstack.base.contracts import Interface
from tapstack.base.errors import os_error
from tapstack.base.route_metrics import NO_METRICS, RouteMetrics
from tapstack.base.units import MICROSECOND, MILLISECOND, SECOND, Duration


class Route(NamedTuple):
    """One way to a network. It renders as `ip route` shows it."""

    network: Network
    """Where it leads; the host bits are zero."""
    interface: Interface
    gateway: Ipv4Address = IPV4_ANY
    """The neighbour that passes datagrams on; 0: the destination is itself a neighbour."""
    source: Ipv4Address = IPV4_ANY
    """The address of ours that is preferred on this way; 0: the interface's."""
    metric: int = 0
    """The lower, the better."""
    protocol: str = "boot"
    """Who made it: `kernel` with an address, `boot` by hand, `static` by configuration."""
    metrics: RouteMetrics = NO_METRICS
    """What it says of the way."""

    @property
    def scope(self) -> str:
        """How far it leads: `link` to neighbours, `global` beyond a gateway."""
        return "global" if self.gateway else "link"

    def __str__(self) -> str:
        """Render as `10.0.0.0/24 dev tap0 proto kernel scope link src 10.0.0.1`."""
        words = ["default" if self.network == DEFAULT else _prefix(self.network)]
        words += ["via", format_ipv4(self.gateway)] if self.gateway else []
        words += ["dev", self.interface.name]
        words += ["proto", self.protocol] if self.protocol != "boot" else []
        words += ["scope", "link"] if not self.gateway else []
        words += ["src", format_ipv4(self.source)] if self.source else []
        words += ["metric", str(self.metric)] if self.metric else []
        return " ".join([*words, *describe_metrics(self.metrics)])


DEFAULT = Network(IPV4_ANY, 0)
"""The network of the default route: everywhere."""


class RoutingTable:
    """All routes. Iterates as `ip route` lists them: default first, then by network."""

    def __init__(
        self, on_change: Callable[[], None], may_be_gateway: Callable[[Ipv4Address], bool]
    ) -> None:
        """`may_be_gateway` tells whether an address can be another host's."""
        self._on_change = on_change
        self._may_be_gateway = may_be_gateway
        self._by_length: dict[int, dict[Ipv4Address, list[Route]]] = {}
        """Prefix length -> prefix -> its routes, best metric first."""
        self._lengths: list[int] = []
        """The prefix lengths in use, longest first."""

    def add(self, route: Route) -> None:
        """Add a route.

        Raises: OSError with EINVAL for host bits in the network and for a gateway that is ourselves
        or a group, EEXIST for a twin with the same metric, ENETUNREACH for a gateway that is no
        neighbour.
        """
        if route.network.prefix != route.network.address:
            raise os_error(errno.EINVAL)
        if route.gateway and not self._may_be_gateway(route.gateway):
            gateway = format_ipv4(route.gateway)
            raise OSError(errno.EINVAL, f"{gateway} is not another host's address")
        if route.gateway and not self._is_neighbour(route.gateway, route.interface):
            raise os_error(errno.ENETUNREACH)
        prefixes = self._by_length.setdefault(route.network.prefix_length, {})
        routes = prefixes.setdefault(route.network.prefix, [])
        if any(other.metric == route.metric for other in routes):
            raise os_error(errno.EEXIST)
        routes.append(route)
        routes.sort(key=lambda each: each.metric)
        self._lengths = sorted(self._by_length, reverse=True)
        self._on_change()

    def remove(self, route: Route) -> None:
        """Remove a route that the table holds. Raises: OSError with ESRCH when it does not."""
        prefixes = self._by_length.get(route.network.prefix_length, {})
        routes = prefixes.get(route.network.prefix, [])
        if route not in routes:
            raise os_error(errno.ESRCH)
        routes.remove(route)
        if not routes:
            del prefixes[route.network.prefix]
        if not prefixes:
            del self._by_length[route.network.prefix_length]
            self._lengths.remove(route.network.prefix_length)
        self._on_change()

    def lookup(self, destination: Ipv4Address) -> Route | None:
        """Find the best route to an address."""
        for length in self._lengths:
            routes = self._by_length[length].get(destination >> (32 - length) << (32 - length))
            if routes:
                return routes[0]
        return None

    def _is_neighbour(self, gateway: Ipv4Address, interface: Interface) -> bool:
        route = self.lookup(gateway)
        return route is not None and not route.gateway and route.interface is interface

    def __iter__(self) -> Iterator[Route]:
        """Go through all routes."""
        for _, routes in sorted(
            ((prefix, length), routes)
            for length, prefixes in self._by_length.items()
            for prefix, routes in prefixes.items()
        ):
            yield from routes


def describe_metrics(metrics: RouteMetrics) -> Iterator[str]:
    """Give the words that `ip route` shows metrics with."""
    for name, value in metrics._asdict().items():
        if not value or name == "locked":
            continue
        lock = " lock" if name in metrics.locked else ""
        if name == "ecn":
            yield "features ecn"
        elif name in _DURATIONS:
            yield f"{name}{lock} {_describe_duration(value)}"
        elif isinstance(value, bool):
            yield f"{name} 1"
        else:
            yield f"{name}{lock} {value}"


_DURATIONS = frozenset({"rtt", "rttvar", "rto_min"})


def _describe_duration(duration: Duration) -> str:
    for unit, name in ((SECOND, "s"), (MILLISECOND, "ms")):
        if duration % unit == 0:
            return f"{duration // unit}{name}"
    return f"{duration // MICROSECOND}us"


def _prefix(network: Network) -> str:
    """Render a network as `ip route` does: a host without its prefix length."""
    return format_ipv4(network.address) if network.prefix_length == 32 else str(network)
