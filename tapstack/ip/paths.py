"""Which way a datagram goes: interface, next hop, our address, MTU (RFC 1122 §3.3.1, §3.3.4).

Own addresses come first, then the routing table; what ICMP taught of the path's MTU is added.

Not done here: resolving the next hop (`arp/`).
"""

from collections.abc import Callable
from typing import NamedTuple

from tapstack.base.address import (
    IPV4_ANY,
    IPV4_LIMITED_BROADCAST,
    IPV4_LOOPBACK,
    Ipv4Address,
    Network,
    is_loopback,
    is_multicast,
)
from tapstack.base.contracts import Interface
from tapstack.base.route_metrics import NO_METRICS, RouteMetrics
from tapstack.base.timers import TimerQueue
from tapstack.base.units import Instant
from tapstack.ip.addresses import Addresses
from tapstack.ip.config import IpConfig
from tapstack.ip.pmtu import PathMtus
from tapstack.ip.routing import RoutingTable
from tapstack.ip.wire import MAX_LENGTH

MAX_CACHED = 4096
"""Destinations whose way is remembered; then all are looked up anew."""


class Hop(NamedTuple):
    """The way to one destination."""

    interface: Interface
    next_hop: Ipv4Address
    source: Ipv4Address
    """The address of ours that it carries unless another was asked for."""
    path_mtu: int
    """What was learned of the path behind the interface, or is told of it; 65535: nothing."""
    broadcast: bool
    """Whether we hear it too."""
    metrics: RouteMetrics = NO_METRICS
    """What the route says."""

    @property
    def mtu(self) -> int:
        """Octets of the largest datagram that the path is known to take whole."""
        return min(self.interface.mtu, self.path_mtu)


class Paths:
    """Finds the way to any destination."""

    def __init__(
        self, *, timers: TimerQueue, config: IpConfig, on_change: Callable[[], None]
    ) -> None:
        """`on_change` hears that a path may be another one now."""
        self._on_change = on_change
        self._cache: dict[Ipv4Address, Hop] = {}
        self.known: Callable[[Ipv4Address], Hop | None] = self._cache.get
        """Give the way to a destination that is remembered; None: it is to be found anew."""
        self.addresses = Addresses()
        self.routes = RoutingTable(self.look_up_anew, self.addresses.may_be_gateway)
        self._mtus = PathMtus(timers=timers, config=config, on_change=self.look_up_anew)

    def find(self, destination: Ipv4Address, source: Ipv4Address = IPV4_ANY) -> Hop | None:
        """Find the way to a destination. A `source` decides where a group is addressed."""
        hop = self._cache.get(destination)
        if hop is None:
            if destination == IPV4_LIMITED_BROADCAST or is_multicast(destination):
                return self._find_group(destination, source)
            hop = self._look_up(destination)
            if hop is not None:
                if len(self._cache) >= MAX_CACHED:
                    self._cache.clear()
                self._cache[destination] = hop
        return hop

    def add_address(self, interface: Interface, network: Network) -> None:
        """Take an address as ours."""
        self.addresses.add(interface, network)
        self.look_up_anew()

    def learn_mtu(self, destination: Ipv4Address, mtu: int, now: Instant) -> None:
        """Lower what is known of a path's MTU, which is never raised so."""
        hop = self.find(destination)
        if hop is not None and "mtu" not in hop.metrics.locked:
            self._mtus.learn(destination, mtu, hop.mtu, now)

    def look_up_anew(self) -> None:
        """Forget all ways that are remembered, as something that they were found by has changed."""
        self._cache.clear()
        self._on_change()

    def forget_mtus(self) -> None:
        """Forget all that was learned of paths' MTUs."""
        self._mtus.clear()

    def _look_up(self, destination: Ipv4Address) -> Hop | None:
        if self.addresses.is_local(destination):
            return self._find_ourselves(destination)
        route = self.routes.lookup(destination)
        if route is None:
            return None
        next_hop = route.gateway or destination
        source = route.source or self.addresses.select_source(route.interface, next_hop)
        broadcast = self.addresses.is_broadcast(destination)
        mtu = min(self._mtus.mtu_to(destination), route.metrics.mtu or MAX_LENGTH)
        return Hop(route.interface, next_hop, source, mtu, broadcast, route.metrics)

    def _find_ourselves(self, destination: Ipv4Address) -> Hop | None:
        """RFC 1122 §3.3.1.1: what is for ourselves never leaves the host."""
        loopback = self.addresses.loopback
        if loopback is None:
            return None
        source = IPV4_LOOPBACK if is_loopback(destination) else destination
        return Hop(loopback, destination, source, MAX_LENGTH, False)

    def _find_group(self, destination: Ipv4Address, source: Ipv4Address) -> Hop | None:
        """Find the link of a group that is on every link: our source's, else the best route's."""
        interface = self.addresses.own.get(source)
        if interface is None:
            route = self.routes.lookup(destination)
            if route is None:
                return None
            interface = route.interface
            source = route.source or self.addresses.select_source(interface, route.gateway)
        broadcast = destination == IPV4_LIMITED_BROADCAST
        return Hop(interface, destination, source, MAX_LENGTH, broadcast)
