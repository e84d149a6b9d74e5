"""Runs a scenario: builds its world, lets its programs meet, and tells what arrived.

Not done here: choosing one (`scenarios.py`), and judging what came of it (the tests).
"""

from __future__ import annotations

import random
import socket as names
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle

from tapstack.sim import MILLISECOND, SECOND, Host, Process, Socket, World
from tapstack.tcp.config import TcpConfig
from tests.properties.invariants import Guard
from tests.properties.scenarios import End, Meeting, Outage, Scenario, Side

MOST_STEPS = 400_000
"""Deadlines of a world that runs for ever."""
LONGEST = 7200 * SECOND
"""The same, as time of the world's."""
QUIET = 1000 * SECOND
"""How long after its programs nothing may be left of a connection, whatever has happened to it."""
PATIENCE = 30
"""Seconds that a user waits for anything, where somebody may leave him in the lurch."""
_COMMON_PORT = 6999
"""Where the one listener is, if there is one."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass
class Outcome:
    """What became of the user at one end."""

    side: Side
    text: bytes
    """What it is to write, all in all."""
    written: int = 0
    """Octets that it has tried to write."""
    received: bytearray = field(default_factory=bytearray)
    ended: bool = False
    """It has read to the end of the stream."""
    connected: bool = False
    error: OSError | None = None
    active: int = 2
    """Processes that still use the socket."""


class Run:
    """One scenario under way."""

    def __init__(self, scenario: Scenario, world: World, *, every: int = 1) -> None:
        self.scenario = scenario
        self.world = world
        self.chance = random.Random(scenario.seed)
        self.meetings: list[tuple[Meeting, Outcome, Outcome]] = []
        self._processes: list[Process[None]] = []
        self._expected: dict[int, tuple[Outcome, float | None]] = {}
        # Whom those who connect to the one listener will meet, by their ports.
        self.client, self.server = (
            world.host(name, tcp_config=TcpConfig(**config))  # type: ignore[arg-type]
            for name, config in zip(("client", "server"), scenario.configs, strict=True)
        )
        self._build()
        self.guards = [
            Guard(host.stack.tcp, host.stack.timers, every=every)
            for host in (self.client, self.server)
        ]

    def _build(self) -> None:
        scenario, world = self.scenario, self.world
        there, back = (road.way() for road in scenario.roads)
        if scenario.topology != "routers":
            for _ in range(1 + (scenario.topology == "two links")):
                world.link(self.client, self.server, there, back=back, mtu=scenario.mtu)
            return
        near, far = world.router("near"), world.router("far")
        world.link(self.client, near, mtu=max(scenario.mtu, 1500))
        world.link(near, far, there, back=back, mtu=scenario.narrow_mtu)
        world.link(far, self.server, mtu=max(scenario.mtu, 1500))
        self.client.add_route("default", near.address)
        self.server.add_route("default", "10.0.2.1")
        near.add_route("10.0.2.0/24", "10.0.1.2")
        far.add_route("10.0.0.0/24", "10.0.1.1")

    # --- running ---

    def run(self) -> None:
        """Let everything happen. Raises: AssertionError, and whatever a program died of."""
        for number, meeting in enumerate(self.scenario.meetings):
            self._prepare(meeting, 7000 + number)
        for outage in self.scenario.outages:
            self._spawn(self._cut, outage)
        self._spawn(self._heal)
        self.world.run(self._is_over)
        self.world.run_for(QUIET)

    def _is_over(self) -> bool:
        assert self.world.steps < MOST_STEPS, "it runs for ever"
        assert self.world.now < LONGEST, "it lasts for ever"
        return all(process.has_ended for process in self._processes)

    def _spawn(self, function: Callable[..., None], *arguments: object) -> None:
        self._processes.append(self.world.spawn(function, *arguments))

    def _cut(self, outage: Outage) -> None:
        self.world.sleep(outage.begin / 1000)
        for link in self.world.links:
            link.down()
        self.world.sleep(outage.length / 1000)
        for link in self.world.links:
            link.up()

    def _heal(self) -> None:
        self.world.sleep(self.scenario.heals_at / 1000)
        for link in self.world.links:
            link.there.impairments = []
            link.back.impairments = []

    # --- connections ---

    def _prepare(self, meeting: Meeting, port: int) -> None:
        ends = [
            Outcome(side, self.chance.randbytes(side.length))
            for side in (meeting.client, meeting.server)
        ]
        self.meetings.append((meeting, ends[0], ends[1]))
        link = meeting.link if self.scenario.topology == "two links" else 0
        addresses = [f"10.0.{link}.1", f"10.0.{link}.2"]
        if self.scenario.topology == "routers":
            addresses[1] = "10.0.2.2"
        patience = None if is_graceful(meeting) and self.scenario.is_bearable else PATIENCE
        if meeting.simultaneous:
            for end, host in zip(ends, (self.client, self.server), strict=True):
                here, there = addresses if host is self.client else addresses[::-1]
                self._spawn(
                    self._connect, meeting, end, host, (there, port), (here, port), patience
                )
            return
        # Somebody listens before anybody can connect.
        source = None
        if not self.scenario.one_listener:
            self._spawn(self._accept, ends[1], self._listen(meeting.server, port), patience)
        else:
            source = addresses[0], port
            if not self._expected:
                self._spawn(self._accept_all, self._listen(meeting.server, _COMMON_PORT))
            self._expected[port] = ends[1], patience
            port = _COMMON_PORT
        self._spawn(
            self._connect, meeting, ends[0], self.client, (addresses[1], port), source, patience
        )

    def _listen(self, side: Side, port: int) -> Socket:
        listener = self.server.socket()
        set_options(listener, side)
        listener.bind(("", port))
        listener.listen()
        return listener

    def _accept(self, end: Outcome, listener: Socket, patience: float | None) -> None:
        listener.settimeout(patience and 200.0)
        try:
            with listener:
                connection, _ = listener.accept()
        except OSError as error:
            end.error = error
            return
        self._converse(end, connection, patience)

    def _accept_all(self, listener: Socket) -> None:
        """Accept for all servers: whose connection it is tells the peer's port."""
        listener.settimeout(200.0)
        with listener, suppress(OSError):
            while self._expected:
                connection, (_, port) = listener.accept()
                if port not in self._expected:
                    # A SYN cookie knows no connections: it admits what came behind a reset, too.
                    connection.close()
                    continue
                end, patience = self._expected.pop(port)
                self._spawn(self._converse, end, connection, patience)

    def _connect(
        self,
        meeting: Meeting,
        end: Outcome,
        host: Host,
        to: tuple[str, int],
        source: tuple[str, int] | None,
        patience: float | None,
    ) -> None:
        self.world.sleep(meeting.opens_at / 1000)
        connection = host.socket()
        set_options(connection, end.side)
        try:
            if source is not None:
                connection.bind(source)
            connection.connect(to)
        except OSError as error:
            end.error = error
            connection.close()
            return
        self._converse(end, connection, patience)

    def _converse(self, end: Outcome, connection: Socket, patience: float | None) -> None:
        end.connected = True
        connection.settimeout(patience)
        self._spawn(self._guarded, self._read, end, connection)
        self._guarded(self._write, end, connection)

    def _guarded(
        self, act: Callable[[Outcome, Socket], None], end: Outcome, connection: Socket
    ) -> None:
        """Have a process act; the last one closes the socket."""
        try:
            act(end, connection)
        except OSError as error:
            end.error = end.error or error
        end.active -= 1
        if not end.active:
            connection.close()

    # --- what users do ---

    def _write(self, end: Outcome, connection: Socket) -> None:
        side = end.side
        for write in side.writes:
            begin = end.written
            end.written += write.size
            connection.sendall(end.text[begin : end.written], write.flags)
            if write.then is not None:
                set_option(connection, *write.then)
            self._pause(side.write_pause)
        if side.end is End.HALF_CLOSE:
            connection.shutdown(names.SHUT_WR)
        elif side.end is End.SHUT_BOTH:
            connection.shutdown(names.SHUT_RDWR)
        elif side.end is End.ABORT:
            connection.setsockopt(names.SOL_SOCKET, names.SO_LINGER, _RESET_ON_CLOSE)
        if side.end in (End.CLOSE, End.ABORT):
            connection.close()

    def _read(self, end: Outcome, connection: Socket) -> None:
        side = end.side
        for size in cycle(side.reads):
            if side.stops_after is not None and len(end.received) >= side.stops_after:
                connection.close()
                return
            piece = connection.recv(size)
            if not piece:
                end.ended = True
                return
            end.received += piece
            self._pause(side.read_pause)

    def _pause(self, milliseconds: int) -> None:
        if milliseconds:
            self.world.sleep(milliseconds * MILLISECOND / SECOND)


def is_graceful(meeting: Meeting) -> bool:
    """Tell whether both users let everything arrive, and none waits for the other to begin."""
    return meeting.client.is_graceful and meeting.server.is_graceful


_LEVELS = {"SO": names.SOL_SOCKET, "IP": names.IPPROTO_IP, "TCP": names.IPPROTO_TCP}


def set_options(socket: Socket, side: Side) -> None:
    """Set what a side asks for; urgent text stays where it belongs in the stream."""
    set_option(socket, "SO_OOBINLINE", 1)
    for name, value in side.options.items():
        set_option(socket, name, value)


def set_option(socket: Socket, name: str, value: int | bytes) -> None:
    """Set an option by its name, which tells the level, too."""
    kind, _ = name.split("_", 1)
    socket.setsockopt(_LEVELS[kind], getattr(names, name), value)
