"""ping: echo requests through a raw socket, and what comes back (RFC 792), as iputils shows it.

It speaks to any socket that has the standard library's face.

Not done here: the options (`commands/ping.py`), the sums (`ping_statistics.py`).
"""

import errno
import os
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter_ns, time
from typing import NamedTuple, TextIO

from tapstack.base.address import IPV4_ANY, Ipv4Address, format_ipv4
from tapstack.base.contracts import Buffer
from tapstack.base.errors import MalformedPacket
from tapstack.base.units import MILLISECOND, SECOND, Duration, Instant
from tapstack.ip import icmp_wire, wire
from tapstack.ip.icmp_wire import ECHO, ECHO_REPLY, ECHO_REQUEST, REDIRECT, SOURCE_QUENCH
from tapstack.shell.command import UsageError
from tapstack.shell.icmp_words import describe
from tapstack.shell.interrupt import Interrupt, wait_readable
from tapstack.shell.ping_statistics import Statistics, format_round_trip
from tapstack.shell.sockets import OpenSocket, Socket

FLOOD_INTERVAL: Duration = 10 * MILLISECOND
"""A flood sends as fast as answers come, and this often without any."""
_ANY_PORT = 1025
# <linux/in.h>: what the socket module has no name for
IP_MTU_DISCOVER = 10
_MAX_DATAGRAM = 65535


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user wants of ping."""

    destination: Ipv4Address
    count: int | None = None
    """Requests to send; None: until the user ends it."""
    interval: Duration = SECOND
    linger: Duration = 10 * SECOND
    """How long to wait for the last reply when none has come before."""
    deadline: Duration | None = None
    """When to end, from the start, whatever has been sent."""
    size: int = 56
    """Octets of data behind the ICMP header."""
    ttl: int | None = None
    discovery: int | None = None
    """IP_MTU_DISCOVER: 2 forbids fragments, 0 and 1 allow them."""
    quiet: bool = False
    flood: bool = False
    stamps: bool = False
    """Put the time of day in front of each line."""


class Request(NamedTuple):
    """An echo request that was sent."""

    number: int
    """Which of all it is; the field on the wire holds 16 bits of it."""
    sent_at: Instant


class Ping:
    """One run of ping."""

    def __init__(
        self,
        plan: Plan,
        open_socket: OpenSocket,
        path_mtu: Callable[[], int],
        out: TextIO,
        err: TextIO,
        interrupt: Interrupt,
    ) -> None:
        """`path_mtu` tells the octets of the largest datagram that the way takes whole."""
        self._plan = plan
        self._open_socket = open_socket
        self._path_mtu = path_mtu
        self._out = out
        self._err = err
        self._interrupt = interrupt
        self._name = self._target = format_ipv4(plan.destination)
        self._identifier = int.from_bytes(os.urandom(2), "big")
        self._data = bytes(octet & 0xFF for octet in range(plan.size))
        self._requests: dict[int, Request] = {}
        """By sequence number: the last 65536."""
        self._answered: set[int] = set()
        """The sequence numbers among them that were."""
        self.statistics = Statistics()

    def run(self) -> int:
        """Ping until the plan is fulfilled or the user ends it; 0: somebody answered, 1: nobody.

        Raises: UsageError when the destination cannot be pinged at all; OSError when the output
        takes nothing.
        """
        with (
            closing(self._open_socket(socket.AF_INET, socket.SOCK_DGRAM, 0)) as probe,
            closing(
                self._open_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
            ) as echoes,
        ):
            self._target = self._find_way(probe)
            self._set_options(echoes)
            octets = self._plan.size
            overhead = wire.HEADER_LENGTH + icmp_wire.HEADER_LENGTH
            self._print(
                f"PING {self._name} ({self._target}) {octets}({octets + overhead}) bytes of data."
            )
            self._exchange(echoes)
        self._print("\n" + self.statistics.render(self._name, flood=self._plan.flood))
        enough = self._plan.count if self._plan.deadline is not None and self._plan.count else 1
        return 0 if self.statistics.received >= enough else 1

    def _find_way(self, probe: Socket) -> str:
        """Learn whom to ask, and that there is a way to them. Raises: UsageError.

        To Linux the address 0.0.0.0 is our own, and so it is here.
        """
        try:
            probe.connect((self._name, _ANY_PORT))  # of UDP, it sends nothing
        except OSError as error:
            raise UsageError(f"ping: {self._name}: {error.strerror}") from None
        if self._plan.destination == IPV4_ANY:
            return str(probe.getsockname()[0])
        return self._name

    def _set_options(self, echoes: Socket) -> None:
        echoes.setblocking(False)
        if self._plan.ttl is not None:
            echoes.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, self._plan.ttl)
        if self._plan.discovery is not None:
            echoes.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, self._plan.discovery)

    # --- the loop ---

    def _exchange(self, echoes: Socket) -> None:
        start = next_send = _now()
        while True:
            now = _now()
            end = self._end(start)
            if self._is_done() or (end is not None and now >= end):
                return
            if now >= next_send and not self._all_sent():
                self._send(echoes)
                interval = FLOOD_INTERVAL if self._plan.flood else self._plan.interval
                next_send = max(next_send + interval, now)
                timeout: float | None = 0  # a look, so that sending alone cannot keep us busy
            else:
                moments = [end] if end is not None else []
                moments += [next_send] if not self._all_sent() else []
                timeout = (min(moments) - now) / SECOND if moments else None
            ready = wait_readable(echoes, self._interrupt, timeout=timeout)
            if self._interrupt.is_up:
                return
            if ready and self._receive_all(echoes) and self._plan.flood:
                next_send = now

    def _all_sent(self) -> bool:
        return self._plan.count is not None and self.statistics.sent >= self._plan.count

    def _is_done(self) -> bool:
        counts = self.statistics
        if self._plan.deadline is not None and counts.errors:
            return True
        return self._plan.count is not None and counts.received + counts.errors >= self._plan.count

    def _end(self, start: Instant) -> Instant | None:
        """Tell when to end at the latest; None: there is no such time yet."""
        plan, counts = self._plan, self.statistics
        if plan.deadline is not None:
            return start + plan.deadline
        if not self._all_sent():
            return None
        wait = max(2 * counts.most, plan.interval) if counts.received else plan.linger
        return counts.last_sent_at + wait

    def _send(self, echoes: Socket) -> None:
        number = self.statistics.sent + 1
        sequence = number & 0xFFFF
        message = icmp_wire.build_echo(ECHO_REQUEST, self._identifier, sequence, self._data)
        now = _now()
        self._requests[sequence] = Request(number, now)
        self._answered.discard(sequence)
        self.statistics.on_sent(now)
        try:
            echoes.sendto(message, (self._target, 0))
        except OSError as error:
            self.statistics.errors += 1
            self._complain(error)
        else:
            if self._plan.flood and not self._plan.quiet:
                self._print(".", end="")

    def _complain(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        if error.errno == errno.EMSGSIZE:
            reason = f"local error: {reason.lower()}, mtu={self._path_mtu()}"
        print(f"ping: {reason}", file=self._err, flush=True)

    # --- what comes back ---

    def _receive_all(self, echoes: Socket) -> bool:
        """Look at everything that has come; tell whether any of it answered us."""
        answered = False
        while True:
            try:
                octets, address = echoes.recvfrom(_MAX_DATAGRAM)
            except BlockingIOError:
                return answered
            except OSError:
                return answered  # an ICMP error: we get a copy of it as well
            answered |= self._receive(memoryview(octets), address[0], _now())

    def _receive(self, datagram: memoryview, source: str, now: Instant) -> bool:
        try:
            payload = datagram[wire.header_length_of(datagram[0]) :]
            message = icmp_wire.parse(payload)
            if message.type == ECHO_REPLY:
                return self._on_reply(message, len(payload), datagram[8], source, now)
            if message.type in icmp_wire.ERRORS:
                return self._on_error(message, source)
        except MalformedPacket:
            pass  # whatever it is, it answers nothing of ours
        return False

    def _find(self, rest: int) -> Request | None:
        """Find the request of ours that an echo's second four octets name."""
        identifier, sequence = ECHO.unpack_from(rest.to_bytes(4, "big"))
        return self._requests.get(sequence) if identifier == self._identifier else None

    def _on_reply(
        self, message: icmp_wire.Message, length: int, ttl: int, source: str, now: Instant
    ) -> bool:
        request = self._find(message.rest)
        if request is None:
            return False
        remark = self._count_reply(request, message.body, now)
        sequence = request.number & 0xFFFF
        took = format_round_trip(now - request.sent_at)
        self._tell(
            f"{length} bytes from {source}: icmp_seq={sequence} ttl={ttl} time={took} ms{remark}"
        )
        return True

    def _count_reply(self, request: Request, data: Buffer, now: Instant) -> str:
        """Count a reply, and give what is to be remarked about it."""
        counts = self.statistics
        counts.on_answer(counts.sent - request.number + 1)
        counts.on_round_trip(now - request.sent_at)
        sequence = request.number & 0xFFFF
        if sequence in self._answered:
            counts.duplicates += 1
            return " (DUP!)"
        self._answered.add(sequence)
        counts.received += 1
        if self._plan.flood and not self._plan.quiet:
            self._print("\b \b", end="")
        if data != self._data:
            counts.corrupted += 1
            return " (DIFFERENT DATA!)"
        return ""

    def _on_error(self, message: icmp_wire.Message, source: str) -> bool:
        """Take an ICMP error. Raises: MalformedPacket when it quotes nothing that could be ours."""
        quoted = wire.parse_quoted(message.body)
        inner = message.body[quoted.length :]
        if quoted.protocol != wire.PROTOCOL_ICMP or len(inner) < icmp_wire.HEADER_LENGTH:
            return False
        type_, _, _, rest = icmp_wire.CODEC.unpack_from(inner)
        request = self._find(rest) if type_ == ECHO_REQUEST else None
        if request is None:
            return False
        if message.type not in (REDIRECT, SOURCE_QUENCH):
            self.statistics.on_answer(self.statistics.sent - request.number + 1)
            self.statistics.errors += 1
        sequence = request.number & 0xFFFF
        self._tell(f"From {source} icmp_seq={sequence} {describe(message)}")
        return True

    # --- output ---

    def _tell(self, line: str) -> None:
        if self._plan.quiet or self._plan.flood:
            return
        stamp = f"[{time():.6f}] " if self._plan.stamps else ""
        self._print(stamp + line)

    def _print(self, text: str, end: str = "\n") -> None:
        print(text, end=end, file=self._out, flush=True)


def _now() -> Instant:
    return perf_counter_ns() // 1000
