"""Worlds in virtual time: hosts, links, and plain blocking programs on them.

Time is a number that jumps from one deadline to the next, so that an hour in which nothing happens
costs nothing, and the same seed gives the same packets at the same instants.

Not done here: select, poll and asyncio, which ask the system for its own time; programs that make
threads of their own; links of more than two ends.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from tapstack.arp.config import ArpConfig
from tapstack.base.address import Network, parse_network
from tapstack.base.checks import check_whole
from tapstack.base.units import SECOND, Duration, Instant
from tapstack.ip.config import LEAST_MTU, IpConfig
from tapstack.sim.baton import Process
from tapstack.sim.clock import Clock
from tapstack.sim.host import Host
from tapstack.sim.link import End, Link
from tapstack.sim.way import Way
from tapstack.tcp.config import TcpConfig

T = TypeVar("T")

_ETHERNET_MTU = 1500  # RFC 894
_MOST_MTU = 65535  # RFC 791 §3.1: a datagram is no longer


class World:
    """Everything there is. Use it in a `with` block, which ends what still runs."""

    def __init__(self, seed: int = 0) -> None:
        """Begin at instant 0; everything that chance decides follows from the seed."""
        self.seed = seed
        self.hosts: dict[str, Host] = {}
        self.links: list[Link] = []
        self._clock = Clock()

    def __enter__(self) -> World:
        """Close at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    # --- building ---

    def host(
        self,
        name: str,
        *,
        tcp_config: TcpConfig | None = None,
        ip_config: IpConfig | None = None,
    ) -> Host:
        """Add a host. Raises: ValueError when there is one of that name, TypeError."""
        if name in self.hosts:
            raise ValueError(f"there is a host '{name}' already")
        if not isinstance(tcp_config, TcpConfig | None):
            raise TypeError(f"tcp_config is one such as TcpConfig(tcp_ecn=1), not {tcp_config!r}")
        if not isinstance(ip_config, IpConfig | None):
            raise TypeError(
                f"ip_config is one such as IpConfig(ip_forward=True), not {ip_config!r}"
            )
        seed = f"{self.seed} {name}"
        host = Host(name, self._clock, seed=seed, tcp_config=tcp_config, ip_config=ip_config)
        self.hosts[name] = host
        return host

    def router(self, name: str) -> Host:
        """Add a host that passes on what is for others. Raises: ValueError, as `host`."""
        return self.host(name, ip_config=IpConfig(ip_forward=True))

    def link(
        self,
        first: Host,
        second: Host,
        way: Way | None = None,
        *,
        back: Way | None = None,
        mtu: int = _ETHERNET_MTU,
        addresses: tuple[str, str] | None = None,
        arp: bool = False,
        offload: bool = False,
    ) -> Link:
        """Link two hosts, with addresses such as 10.0.0.1/24; by default of a network of their own.

        `way` is from the first to the second, `back` the other; by default they are alike. The
        hosts know each other's Ethernet address from the beginning, unless they are to use `arp`.
        With `offload`, units of up to 64 KB cross whole and no checksum is computed: fast, but
        not what a wire carries. Raises: ValueError, TypeError.
        """
        if not LEAST_MTU <= mtu <= _MOST_MTU:
            raise ValueError(f"an MTU of {mtu} is not between {LEAST_MTU} and {_MOST_MTU}")
        self._check_ends(first, second)
        networks = [parse_network(each) for each in addresses or self._next_addresses()]
        _check_networks(networks)
        for each in (way, back):
            if not isinstance(each, Way | None):
                raise TypeError(f"a link is made from a Way, and not from {each!r}")
        way = way or Way()
        link = Link(
            (_next_end(first), _next_end(second)),
            way,
            back or way,
            mtu=mtu,
            offload=offload,
            timers=self._clock.timers,
            seed=f"{self.seed} link {len(self.links)}",
        )
        config = ArpConfig(arp_notify=arp)
        for host, port, network in zip((first, second), link.ports, networks, strict=True):
            host.plug_in(port, network, config)
        if not arp:
            first.know_neighbour(link.ports[0].name, networks[1].address, link.ports[1].mac)
            second.know_neighbour(link.ports[1].name, networks[0].address, link.ports[0].mac)
        self.links.append(link)
        return link

    def _check_ends(self, first: Host, second: Host) -> None:
        """See that there can be a link between two hosts. Raises: ValueError."""
        if first is second:
            raise ValueError(f"a link has two ends, and not {first.name} at both")
        for host in (first, second):
            if host not in self.hosts.values():
                raise ValueError(f"{host!r} is no host of this world")

    def _next_addresses(self) -> tuple[str, str]:
        high, low = divmod(len(self.links), 256)
        return f"10.{high}.{low}.1/24", f"10.{high}.{low}.2/24"

    # --- running ---

    @property
    def now(self) -> Instant:
        """µs since the world began."""
        return self._clock.now

    @property
    def steps(self) -> int:
        """How many deadlines the world has met so far: what it costs."""
        return self._clock.steps

    def spawn(self, function: Callable[..., T], *arguments: Any) -> Process[T]:
        """Have a function run in the world, as a process of its own: it may block as it likes.

        It begins when the main program, or the process that calls this, waits next.
        Raises: TypeError.
        """
        if not callable(function):
            raise TypeError(f"a process is a function and its arguments, not {function!r}")
        name = getattr(function, "__name__", type(function).__name__)
        return self._clock.baton.spawn(name, function, arguments)

    def sleep(self, seconds: float) -> None:
        """Wait for some time to pass, as `time.sleep` does. Raises: ValueError."""
        if seconds < 0:
            raise ValueError(f"a sleep of {seconds} s is less than none")
        self._clock.wait(round(seconds * SECOND), lambda: "time to pass")

    def run(self, until: Instant | Callable[[], bool] | None = None) -> None:
        """Run until all processes have ended, or until an instant, or until something holds.

        What happens at the instant still happens. Whatever a process raises is raised here, once
        all others have been ended. An instant that has passed is as good as now.
        Raises: StandstillError when what it waits for never comes; TypeError.
        """
        baton, clock = self._clock.baton, self._clock
        if until is None:
            baton.wait_until(lambda: not baton.processes, lambda: "all processes to end")
        elif isinstance(until, int):
            instant = until
            baton.wait_until(lambda: clock.reach(instant), lambda: "time to pass")
        else:
            if not callable(until):
                raise TypeError(f"until is an instant in whole µs, or a function, not {until!r}")
            baton.wait_until(until, lambda: "what it was told to run for")

    def run_for(self, duration: Duration) -> None:
        """Run for some time, µs. Raises: as `run`, and ValueError, TypeError."""
        self.run(self.now + check_whole("a duration", duration, 0, "µs"))

    def close(self) -> None:
        """End the processes that still run, and complete the capture files. A second call does
        nothing.

        Raises: what a process raised that was ended.
        """
        try:
            self._clock.baton.kill_processes()
        finally:
            for link in self.links:
                link.close()


def _next_end(host: Host) -> End:
    return End(host.name, f"eth{len(host.interfaces)}")


def _check_networks(networks: list[Network]) -> None:
    """See that two addresses can be those of a link's ends. Raises: ValueError."""
    if len(networks) != 2:
        raise ValueError(f"a link has two addresses, and not {len(networks)}")
    first, second = networks
    if first.address == second.address:
        raise ValueError(f"both ends of a link cannot be {first}")
    if first.address not in second or second.address not in first:
        raise ValueError(f"{first} and {second} are not of one network")
