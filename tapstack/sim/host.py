"""A host of a world: a stack in virtual time, whose sockets block as those of any other.

Not done here: blocking (`socket/blocking.py`), and what its links do (`link.py`).
"""

from __future__ import annotations

import socket as stdlib
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from tapstack.arp.config import ArpConfig
from tapstack.base.address import (
    LOOPBACK_NETWORK,
    Ipv4Address,
    MacAddress,
    Network,
    format_ipv4,
    parse_ipv4,
    parse_network,
)
from tapstack.base.contracts import Frame
from tapstack.base.units import Instant
from tapstack.device.loopback import LoopbackDevice
from tapstack.device.segmentation import SoftwareOffload
from tapstack.interface import NetworkInterface
from tapstack.ip.config import IpConfig
from tapstack.ip.routing import DEFAULT, Route
from tapstack.sim.clock import Clock
from tapstack.sim.entropy import SeededEntropy
from tapstack.sim.port import Port
from tapstack.sim.waiting import Waiter
from tapstack.socket import opening
from tapstack.socket.addresses import Address
from tapstack.socket.contract import SocketEndpoint
from tapstack.socket.endpoints import open_endpoint
from tapstack.socket.facade import Socket
from tapstack.socket.watching import Listening, Watchers
from tapstack.stack import Stack
from tapstack.tcp.config import TcpConfig

A = TypeVar("A")
T = TypeVar("T")


class Host:
    """One host; implements `SocketHost`. Worlds make them."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        seed: str,
        tcp_config: TcpConfig | None = None,
        ip_config: IpConfig | None = None,
    ) -> None:
        self.name = name
        self.refuses = False
        """That is for stacks that can be closed: worlds just end."""
        self.stack = Stack(SeededEntropy(seed), tcp_config=tcp_config, ip_config=ip_config)
        self._clock = clock
        self._watchers = Watchers()
        self._deadline = clock.timers.timer(None, self._on_deadline)
        self.stack.attach(LoopbackDevice(), LOOPBACK_NETWORK, clock.now)

    # --- the network ---

    @property
    def interfaces(self) -> list[NetworkInterface]:
        """The interfaces on links, in the order that the links were made."""
        return [each for each in self.stack.interfaces.values() if not each.is_loopback()]

    @property
    def address(self) -> str:
        """The address on the first link, as programs write it. Raises: ValueError without one."""
        if not self.interfaces:
            raise ValueError(f"{self.name} has no link, and so no address")
        return format_ipv4(self.interfaces[0].networks[0].address)

    def plug_in(self, port: Port, network: Network, arp_config: ArpConfig) -> NetworkInterface:
        """Take the end of a link, with an address. For worlds."""
        device = port if port.capabilities.segmentation else SoftwareOffload(port)
        interface = self.stack.attach(device, network, self._clock.now, arp_config=arp_config)
        port.receive = partial(self._receive, interface)
        self._leave()
        return interface

    def know_neighbour(self, interface: str, address: Ipv4Address, mac: MacAddress) -> None:
        """Know a neighbour's Ethernet address for good, without asking. For worlds."""
        neighbours = self.stack.interfaces[interface].neighbours
        assert neighbours is not None
        neighbours.add_permanent(address, mac, self._clock.now)

    def add_route(self, network: str, via: str) -> None:
        """Send what is for a network, or `default`, by a neighbour. Raises: ValueError, OSError."""
        destination = DEFAULT if network == "default" else parse_network(network)
        gateway = parse_ipv4(via)
        way = self.stack.ip.routes.lookup(gateway)
        if way is None:
            raise ValueError(f"{via} is no neighbour of {self.name}")
        self.stack.ip.routes.add(Route(destination, way.interface, gateway))

    # --- sockets, as programs know them ---

    def socket(self, type: int = stdlib.SOCK_STREAM, proto: int = 0) -> Socket:  # noqa: A002
        """Make a socket. Raises: OSError."""
        return Socket(self, type, proto, timeout=stdlib.getdefaulttimeout())

    def create_connection(
        self,
        address: Address,
        timeout: float | None = opening.UNSET,
        source_address: Address | None = None,
    ) -> Socket:
        """Connect to an address, as `socket.create_connection` does. Raises: OSError."""
        return opening.connect(self.socket(), address, timeout, source_address)

    def create_server(
        self, address: Address, *, backlog: int | None = None, reuse_port: bool = False
    ) -> Socket:
        """Listen on an address, as `socket.create_server` does. Raises: OSError."""
        return opening.listen(self.socket(), address, backlog, reuse_port)

    # --- SocketHost ---

    def open(self, kind: int, protocol: int) -> SocketEndpoint:
        """Make a socket. Raises: OSError with EPROTONOSUPPORT or ESOCKTNOSUPPORT."""
        return open_endpoint(self.stack, kind, protocol)

    def call(self, attempt: Callable[..., T], *arguments: Any) -> T:
        """Enter the stack: call `attempt(*arguments, now=…)`, and send what comes of it.

        Raises: what the attempt raises.
        """
        try:
            return attempt(*arguments, now=self._clock.now)
        finally:
            self.flush()

    def enter(self, attempt: Callable[[A, Instant], T], argument: A) -> T:
        """Enter the stack: call `attempt(argument, …)` with the time. Raises: what it raises."""
        try:
            return attempt(argument, self._clock.now)
        finally:
            self.flush()

    def look(self, attempt: Callable[..., T], *arguments: Any) -> T:
        """Call an attempt of which nothing comes. Raises: what it raises."""
        return attempt(*arguments, now=self._clock.now)

    def call_soon(self, attempt: Callable[..., object], *arguments: Any) -> None:
        """Have an attempt made before anything else happens. For finalizers."""
        self._clock.call_soon(partial(self.call, attempt, *arguments))

    def watch(self, endpoint: object, events: int) -> Waiter:
        """Begin to hear of events of an endpoint."""
        waiter = Waiter(self._clock, self.name, endpoint, events)
        self._watchers.add(waiter)
        return waiter

    def wait(self, watcher: Waiter, deadline: Instant | None) -> bool:
        """Wait for an event; False when the time is up."""
        return watcher.wait(deadline)

    def wait_for(self, endpoint: object, events: int, deadline: Instant | None) -> bool:
        """Wait for one event; False when the time is up."""
        waiter = self.watch(endpoint, events)
        try:
            return waiter.wait(deadline)
        finally:
            self.forget(waiter)

    def flush(self) -> None:
        """Send what is to be sent, and wake who waits."""
        try:
            self.stack.flush(self._clock.now)
        finally:
            self._leave()

    def take_answers(self) -> None:
        """Take nothing: answers come as time goes on."""

    def take_arrivals(self) -> bool:
        """Take nothing, and tell so: whatever comes is taken at its time."""
        return False

    def forget(self, watcher: Waiter) -> None:
        """Tell a waiter no more."""
        self._watchers.remove(watcher)

    def notify(self, endpoint: object, on_event: Callable[[int], None]) -> Callable[[], None]:
        """Have `on_event` called with what happened at every event; give what ends that."""
        listener = Listening(endpoint, on_event)
        self._watchers.add(listener)
        return partial(self._watchers.remove, listener)

    def report(self, endpoint: object, events: int) -> None:
        """Tell of what happened to something that is no engine's."""
        self.stack.report(endpoint, events)

    def now(self) -> Instant:
        """Tell the time."""
        return self._clock.now

    # --- what the world brings ---

    def _receive(self, interface: NetworkInterface, frame: Frame, now: Instant) -> None:
        try:
            self.stack.receive(interface, frame, now)
        finally:  # as the runtime, which goes on whatever is raised
            self._leave()

    def _on_deadline(self, _: object, now: Instant) -> None:
        try:
            self.stack.expire(now)
        finally:
            self._leave()

    def _leave(self) -> None:
        """End a turn: wake who waits, and see when the stack is to be called next."""
        self._watchers.tell(self.stack)
        deadline = self.stack.next_deadline()
        if deadline is None:
            self._deadline.cancel()
        elif deadline != self._deadline.deadline:
            self._deadline.arm(deadline)
