"""A stack in virtual time that scripts are played on; implements `contract.TestedHost`.

The far end of its one link is the script: what the stack sends is kept, and what the script injects
arrives at once.

Not done here: the system calls (`socket/calls/`), and commands (`surroundings/`).
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable
from errno import ENETUNREACH
from pathlib import Path
from typing import Generic, TypeVar

from tapstack.arp.config import ArpConfig
from tapstack.base.address import format_ipv4
from tapstack.base.units import Duration, Instant
from tapstack.capture.pcap import create_capture
from tapstack.device.parcel import Parcel
from tapstack.drill.contract import DEVICE, Addresses, Calls, Captured, Shell
from tapstack.drill.language.syntax import UnsupportedError
from tapstack.drill.surroundings.surroundings import Surroundings
from tapstack.eth import wire as eth
from tapstack.shell.ss_rows import Selection, rows
from tapstack.shell.ss_table import render
from tapstack.sim.baton import StandstillError
from tapstack.sim.clock import Clock
from tapstack.sim.host import Host
from tapstack.sim.port import Port
from tapstack.sim.recording import Recording
from tapstack.socket.calls.process import Process
from tapstack.tcp.wire import PROTOCOL_TCP

T = TypeVar("T")

_PROTOCOL_AT = 9  # RFC 791 §3.1: the octet of an IP header that has the protocol
_SCRIPT_MAC = bytes.fromhex("020000000001")
"""The script's Ethernet address: that of every neighbour."""
_REASON = re.compile(r"length \d+ \((.*)\)$")
"""Where a traced segment says why it is sent."""
LACKING = frozenset(
    "AF_INET6 PF_INET6 IPPROTO_MPTCP IPPROTO_SCTP "
    "TCP_ZEROCOPY_RECEIVE TCP_MD5SIG TCP_MD5SIG_EXT".split()
)
"""Words of a script that ask for what the stack does not have. Of options only those are here that
take structs of their own: the stack itself says that it does not know the others."""


class Tape:
    """Keeps what a host sends, and why: what the frames of its port go to."""

    def __init__(self) -> None:
        self.captured: deque[Captured] = deque()
        self._why = ""

    def send(self, parcel: Parcel, now: Instant) -> None:
        """Keep a frame's datagram."""
        if eth.parse(memoryview(parcel.octets)).ethertype == eth.ETHERTYPE_IPV4:
            datagram = parcel.octets[eth.HEADER_LENGTH :]
            is_segment = datagram[_PROTOCOL_AT] == PROTOCOL_TCP
            self.captured.append(Captured(now, datagram, self._why if is_segment else ""))

    def hear(self, topic: str, line: str) -> None:  # noqa: ARG002 - a tracer's watcher
        """Hear from the stack what it is about to send: every piece of it is sent for one reason.

        What it says of segments that arrive has no reason.
        """
        reason = _REASON.search(line)
        if reason:
            self._why = reason[1]


class Begun(Generic[T]):
    """A system call in a process of the world; implements `contract.Pending`."""

    def __init__(self, clock: Clock, calls: Calls, call: Callable[[Calls], T]) -> None:
        self._clock = clock
        self._calls = calls
        self._call = call
        self._ended: Instant | None = None
        self._error: OSError | UnsupportedError | None = None
        self._value: T
        clock.baton.spawn("the script's system call", self._run, ())

    def _run(self) -> None:
        try:
            self._value = self._call(self._calls)
        except (OSError, UnsupportedError) as error:
            self._error = error
        self._ended = self._clock.now

    def ended(self) -> Instant | None:
        """Tell when it returned; None while it blocks."""
        return self._ended

    def result(self) -> T:
        """Give what it returned. Raises: OSError, UnsupportedError, if it did."""
        if self._error is not None:
            raise self._error
        return self._value


class SimulatedHost:
    """One stack, the script's wire, and the script's process."""

    def __init__(
        self, addresses: Addresses, mtu: int, directory: Path, capture: Path | None = None
    ) -> None:
        """Write what is on the wire to the file `capture`, if there is one. Raises: OSError."""
        self.addresses = addresses
        self.epoch: Instant = 0
        self.lacking = LACKING
        self._clock = Clock()
        self._host = Host("tapstack", self._clock, seed="drill")
        self._tape = Tape()
        self.captured = self._tape.captured
        self._port = Port(self._tape, self._host.name, DEVICE, mtu, offload=False)
        self._recording: Recording | None = None
        if capture is not None:
            self._recording = Recording(create_capture(capture))
            self._port.watches.append(self._recording.write)
        self._plug_in(addresses)
        self._host.stack.tracer.watch(frozenset({"tcp"}), self._tape.hear)
        self._calls = Process(self._host, directory)
        self.surroundings = Surroundings(self._host, directory, self._sleep)

    def _plug_in(self, addresses: Addresses) -> None:
        """Put the script behind a gateway that is a neighbour, as every other of its addresses.

        Raises: OSError with ENETUNREACH for a gateway that is none.
        """
        self._host.plug_in(self._port, addresses.local_network, ArpConfig(arp_notify=False))
        gateway = addresses.gateway
        if gateway == addresses.local:  # the tool's default; its device has no neighbours
            gateway ^= 1
        if gateway not in addresses.local_network:
            why = f"no route to {addresses.remote_network} by the gateway {format_ipv4(gateway)}"
            raise OSError(ENETUNREACH, f"{why}: {os.strerror(ENETUNREACH)}")
        for neighbour in (gateway, addresses.remote):
            self._host.know_neighbour(DEVICE, neighbour, _SCRIPT_MAC)
        # Scripts change the route to the remote network, as well as the default one.
        self._host.add_route("default", via=format_ipv4(gateway))
        if not addresses.is_remote_beside:
            self._host.add_route(str(addresses.remote_network), via=format_ipv4(gateway))

    # --- time ---

    def now(self) -> Instant:
        """Tell the time."""
        return self._clock.now

    def run(self, until: Instant | None, ended: Callable[[], bool]) -> bool:
        """Let time pass until `ended()` holds, or an instant has passed; tell whether it holds."""
        clock = self._clock

        def is_over() -> bool:
            return ended() or (until is not None and clock.reach(until))

        try:
            clock.baton.wait_until(is_over, lambda: "the script to go on")
        except StandstillError:
            return False
        return ended()

    def _sleep(self, duration: Duration) -> None:
        self.run(self.now() + duration, lambda: False)

    # --- what the player does ---

    def inject(self, datagram: bytes) -> None:
        """Have a datagram arrive now."""
        header = eth.build(eth.EthernetHeader(self._port.mac, _SCRIPT_MAC, eth.ETHERTYPE_IPV4))
        self._port.take(Parcel(header + datagram, None), self._clock.now)

    def begin(self, call: Callable[[Calls], T]) -> Begun[T]:
        """Begin system calls."""
        return Begun(self._clock, self._calls, call)

    def shell(self, command: str) -> Shell:
        """Run what stands in backticks."""
        return self.surroundings.run(command)

    def describe(self) -> str:
        """Show the state of the connections."""
        stack, now = self._host.stack, self._clock.now
        shown = rows(
            stack,
            Selection(listening=True, everything=True, timers=True, insides=True, sequence=True),
            now=now,
        )
        return "\n".join(render(shown, header=False)) if shown else ""

    def remarks(self) -> list[str]:
        """Tell what commands did without effect, and why it has none."""
        used = self.surroundings.inert_used
        return [f"without effect: {name} ({reason})" for name, reason in sorted(used.items())]

    def close(self) -> None:
        """Give everything back. A second call does nothing."""
        self._clock.baton.kill_processes()
        if self._recording is not None:
            self._recording.close()
