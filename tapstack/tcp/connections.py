"""Demultiplexing: which connection or listener a segment belongs to, and who holds which port.

A segment finds its connection by one dictionary look-up on the four numbers that name it
(RFC 9293 §3.3: a connection is "uniquely defined by" its pair of sockets), however many there are.

Not done here: what happens to the segment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from errno import EADDRINUSE, EADDRNOTAVAIL
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tapstack.base.address import IPV4_ANY, Endpoint
from tapstack.base.errors import os_error

if TYPE_CHECKING:
    from tapstack.tcp.ephemeral_ports import Destination, EphemeralPorts
    from tapstack.tcp.listener import Listener
    from tapstack.tcp.tcb import Tcb


@dataclass(slots=True, eq=False)
class PortBinding:
    """A hold on a local port, shared by a listener and the connections it accepted."""

    local: Endpoint
    reuse_address: bool = False
    reuse_port: bool = False
    users: int = 1
    """Sockets and connections that hold it."""
    listening: bool = False
    automatic: bool = False
    """Nobody asked for this port: a connection needed one."""

    def conflicts(self, other: PortBinding) -> bool:
        """Tell whether both may not hold their address and port at once (socket(7))."""
        addresses = {self.local.address, other.local.address}
        if len(addresses) == 2 and IPV4_ANY not in addresses:
            return False
        if self.reuse_port and other.reuse_port:
            return False
        listening = self.listening or other.listening
        return not (self.reuse_address and other.reuse_address) or listening


class SocketPair(NamedTuple):
    """What names a connection: both its ends (RFC 9293 §3.3.1)."""

    local: int
    local_port: int
    remote: int
    remote_port: int


make_pair: Callable[[tuple[int, int, int, int]], SocketPair] = partial(tuple.__new__, SocketPair)
"""Make a pair of all four numbers, without the call of Python's that `SocketPair(…)` takes."""


class Connections:
    """Every connection, listener and bound port of one engine."""

    def __init__(self, ephemeral: EphemeralPorts) -> None:
        self._ephemeral = ephemeral
        self._ports: dict[int, list[PortBinding]] = {}
        self.tcbs: dict[tuple[int, int, int, int], Tcb] = {}
        """By their socket pairs."""
        self.listeners: dict[tuple[int, int], Listener] = {}
        """By local endpoint, whose address may be IPV4_ANY."""
        self._next_listeners: dict[tuple[int, int], list[Listener]] = {}
        """Who listen behind them at the same endpoint, in turn (SO_REUSEPORT)."""
        self.time_wait = 0
        """How many connections stand in TIME-WAIT."""

    # --- finding ---

    def find(self, local: int, local_port: int, remote: int, remote_port: int) -> Tcb | None:
        """Find the connection between two endpoints."""
        return self.tcbs.get((local, local_port, remote, remote_port))

    def find_listener(self, local: int, port: int) -> Listener | None:
        """Find who listens on an address and port: the address itself before the wildcard."""
        listeners = self.listeners
        return listeners.get((local, port)) or listeners.get((IPV4_ANY, port))

    def add_listener(self, listener: Listener) -> None:
        """Register who listens; behind who listens there already (SO_REUSEPORT).

        Deviation: Linux spreads new connections over all of them. The first has them all here.
        """
        if self.listeners.setdefault(listener.local, listener) is not listener:
            self._next_listeners.setdefault(listener.local, []).append(listener)

    def remove_listener(self, listener: Listener) -> bool:
        """Forget who listens, so that the next one's turn comes; False: it was not known."""
        local = listener.local
        following = self._next_listeners.get(local, [])
        if listener in following:
            following.remove(listener)
        elif self.listeners.get(local) is not listener:
            return False
        elif following:
            self.listeners[local] = following.pop(0)
        else:
            del self.listeners[local]
        if not following:
            self._next_listeners.pop(local, None)
        return True

    def all_listeners(self) -> Iterator[Listener]:
        """Give all who listen, also those who wait for their turn."""
        for local, listener in self.listeners.items():
            yield listener
            yield from self._next_listeners.get(local, ())

    def add(self, tcb: Tcb) -> None:
        """Register a connection. Raises: OSError with EADDRNOTAVAIL when there is one already."""
        if tcb.pair in self.tcbs:
            raise os_error(EADDRNOTAVAIL)
        self.tcbs[tcb.pair] = tcb

    def remove(self, tcb: Tcb) -> None:
        """Forget a connection, and give its hold on the port back."""
        del self.tcbs[tcb.pair]
        self.release(tcb.binding)

    # --- ports ---

    def bind(self, binding: PortBinding) -> PortBinding:
        """Take hold of a port; port 0 asks for any. Raises: OSError with EADDRINUSE."""
        if binding.local.port == 0:
            binding.local = Endpoint(binding.local.address, self._free_port())
        elif not self._is_free(binding):
            raise os_error(EADDRINUSE)
        self._ports.setdefault(binding.local.port, []).append(binding)
        return binding

    def _is_free(self, binding: PortBinding) -> bool:
        return not any(map(binding.conflicts, self._ports.get(binding.local.port, ())))

    def _free_port(self) -> int:
        for port in self._ephemeral.for_bind():
            # One that somebody holds with reuse is no free port for a caller who asks for any.
            if port not in self._ports:
                return port
        raise os_error(EADDRINUSE)

    def bind_for(
        self,
        source: int,
        remote: Endpoint,
        destination: Destination,
        may_succeed: Callable[[Tcb], bool],
    ) -> PortBinding:
        """Take hold of an ephemeral port for a connection to `remote` (RFC 6056 §3.3.4).

        A port that only other such connections hold will do, unless one of them is the same;
        `may_succeed` tells whether that is over and may have a successor. Raises: OSError with
        EADDRNOTAVAIL when no port is left.
        """
        for port in self._ephemeral.for_connection(destination):
            held = self._ports.get(port, ())
            if not all(binding.automatic for binding in held):
                continue
            same = self.tcbs.get((source, port, *remote))
            if same is None or may_succeed(same):
                binding = PortBinding(Endpoint(source, port), automatic=True)
                self._ports.setdefault(port, []).append(binding)
                return binding
        raise os_error(EADDRNOTAVAIL)

    def listen(self, binding: PortBinding) -> None:
        """Turn a hold into one that listens. Raises: OSError with EADDRINUSE."""
        others = [b for b in self._ports[binding.local.port] if b is not binding]
        taken = any(binding.conflicts(other) and other.listening for other in others)
        first = self.listeners.get(binding.local)
        if taken or (first is not None and binding.conflicts(first.binding)):
            raise os_error(EADDRINUSE)
        binding.listening = True

    def share(self, binding: PortBinding) -> PortBinding:
        """Count one more user of a hold."""
        binding.users += 1
        return binding

    def release(self, binding: PortBinding) -> None:
        """Give one user's share of a hold back; with the last, the port is free."""
        binding.users -= 1
        if binding.users == 0:
            held = self._ports[binding.local.port]
            held.remove(binding)
            if not held:
                del self._ports[binding.local.port]

    @property
    def bound_ports(self) -> int:
        """Count the ports that somebody holds."""
        return len(self._ports)
