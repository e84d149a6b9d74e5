"""The other end of every measurement: a client on the kernel's own sockets, which keeps the time.

It is the same program for every peer. What it sends to is `application.py` on the stack that is
measured, or the bare loop. It is asked, line by line, for a measure, an address and a time; however
soon that is up, something was measured.

usage: python -m bench.far_end
"""

import contextlib
import errno
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from statistics import median, quantiles
from threading import Thread
from time import perf_counter, perf_counter_ns
from typing import TypeVar

from bench.conversation import Reply, Request, answer, prepare_process, requests
from bench.many_datagrams import blast

BLOCK = bytes(256 * 1024)
PATIENCE = 5
"""Seconds for anything that should take moments."""
TOLD = struct.Struct("!QQ")
"""What a sink says at the end: octets or datagrams, and nanoseconds."""
TOGETHER = 10
"""Connections that are pinged at once, of those that are open."""
_UNTIMED = 20
"""Round trips before the first that counts: what is done but once is done by then."""
_ECHO_REQUEST = struct.Struct("!BBHHH")
_TIMEVAL = struct.Struct("@ll")

T = TypeVar("T")
Address = tuple[str, int]


def prepare(connection: socket.socket) -> socket.socket:
    """Set what is the same for all: no pacing, no Nagle, and no wait without an end."""
    # Linux may default to BBR, which paces: the comparison is of stacks, not of pacing.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL.pack(PATIENCE, 0))
    return connection


def connect(address: Address) -> socket.socket:
    connection = prepare(socket.socket())
    connection.connect(address)
    return connection


def end_service(address: Address) -> None:
    """End what serves until a connection says nothing."""
    connect(address).close()


# --- bulk -----------------------------------------------------------------------------------------


def at_once(task: Callable[[socket.socket], T], connections: list[socket.socket]) -> list[T]:
    """Do the same on each connection, each in a thread of its own."""
    results: list[T] = []
    threads = [Thread(target=lambda each=each: results.append(task(each))) for each in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(results) < len(connections):
        raise ConnectionError("a connection broke")
    return results


def push(connection: socket.socket, seconds: float) -> tuple[int, int]:
    """Send for a time; give the octets that arrived, and in how many ns, as the other end says."""
    count, end = 0, perf_counter() + seconds
    while perf_counter() < end or not count:
        connection.sendall(BLOCK)
        count += 1
    connection.shutdown(socket.SHUT_WR)
    octets, duration = TOLD.unpack(take_exactly(connection, TOLD.size))
    return octets, duration


def take_exactly(connection: socket.socket, count: int) -> bytes:
    taken = b""
    while len(taken) < count:
        if not (text := connection.recv(count - len(taken))):
            raise ConnectionError("the other end said less than it was to")
        taken += text
    return taken


def pull(connection: socket.socket, seconds: float) -> tuple[int, int]:
    """Receive for a time; give octets and ns. Unread text makes the end a reset."""
    buffer = bytearray(len(BLOCK))
    octets = connection.recv_into(buffer)
    start = perf_counter_ns()
    end, octets = start + round(seconds * 1e9), 0
    while (now := perf_counter_ns()) < end or not octets:
        if not (taken := connection.recv_into(buffer)):
            raise ConnectionError("the source dried up")
        octets += taken
    return octets, now - start


def rate(results: list[tuple[int, int]]) -> float:
    """Gbit/s of all together."""
    return sum(octets for octets, _ in results) * 8 / max(duration for _, duration in results)


def bulk(request: Request, flow: Callable[[socket.socket, float], tuple[int, int]]) -> Reply:
    address, seconds = (request["address"], request["port"]), request["seconds"]
    with contextlib.ExitStack() as exits:
        connections = [exits.enter_context(connect(address)) for _ in range(request["count"])]
        if len(connections) == 1:
            results = [flow(connections[0], seconds)]
        else:
            results = at_once(lambda each: flow(each, seconds), connections)
    return {"value": rate(results), "octets": sum(octets for octets, _ in results)}


def both_ways(request: Request) -> Reply:
    """Send and receive on one connection: the octets that arrive here, and that were taken."""
    address, seconds = (request["address"], request["port"]), request["seconds"]
    sent: list[int] = []
    with connect(address) as connection:

        def send() -> None:
            count, end = 0, perf_counter() + seconds
            while perf_counter() < end or not count:
                count += connection.send(BLOCK)
            sent.append(count)

        sender = Thread(target=send)
        sender.start()
        octets, duration = pull(connection, seconds)
        connection.shutdown(socket.SHUT_RDWR)
        sender.join()
    return {"value": (octets + sum(sent)) * 8 / duration}


# --- one octet, and short connections -------------------------------------------------------------


def round_trip(connection: socket.socket) -> float:
    """µs for an octet to come back."""
    before = perf_counter_ns()
    connection.send(b"x")
    if not connection.recv(16):
        raise ConnectionError("no echo")
    return (perf_counter_ns() - before) / 1000


def timed(trip: Callable[[], float], seconds: float) -> Reply:
    """Median and 99th percentile of trips, the first ones left out."""
    for _ in range(_UNTIMED):
        trip()
    trips: list[float] = []
    end = perf_counter() + seconds
    while perf_counter() < end or len(trips) < 2:
        trips.append(trip())
    p99 = quantiles(trips, n=100)[98]
    return {"value": median(trips), "p99": p99, "trips": _UNTIMED + len(trips)}


def ping_pong(request: Request) -> Reply:
    address = request["address"], request["port"]
    with connect(address) as connection:
        values = timed(lambda: round_trip(connection), request["seconds"])
    end_service(address)
    return values


def one_after_another(request: Request) -> Reply:
    """Connections a second: connect, an octet there and back, close."""
    address = request["address"], request["port"]
    count, start = 0, perf_counter()
    while (duration := perf_counter() - start) < request["seconds"] or not count:
        with connect(address) as connection:
            round_trip(connection)
        count += 1
    end_service(address)
    return {"value": count / duration}


def many_at_once(request: Request) -> Reply:
    """The same with `count` of them under way at any time."""
    address = request["address"], request["port"]
    poller, under_way = select.epoll(), dict[int, socket.socket]()

    def begin() -> None:
        connection = prepare(socket.socket())
        connection.setblocking(False)
        connection.connect_ex(address)
        under_way[connection.fileno()] = connection
        poller.register(connection, select.EPOLLOUT)

    done, start = 0, perf_counter()
    end = start + request["seconds"]
    for _ in range(request["count"]):
        begin()
    with poller:
        while under_way:
            for fd, events in poller.poll(PATIENCE):
                if events & select.EPOLLOUT:
                    under_way[fd].send(b"x")
                    poller.modify(fd, select.EPOLLIN)
                    continue
                poller.unregister(fd)
                with under_way.pop(fd) as connection:
                    if not connection.recv(16):
                        raise ConnectionError("no echo")
                done += 1
                if perf_counter() < end:
                    begin()
    duration = perf_counter() - start
    end_service(address)
    return {"value": done / duration}


# --- datagrams ------------------------------------------------------------------------------------


def ping(request: Request) -> Reply:
    """µs for an ICMP echo, 56 octets of data."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(PATIENCE)
        raw.connect((request["address"], 0))
        identifier, data = os.getpid() & 0xFFFF, bytes(56)
        total = 0x0800 + identifier
        checksum = ~(total % 0xFFFF) & 0xFFFF
        message = _ECHO_REQUEST.pack(8, 0, checksum, identifier, 0) + data

        def trip() -> float:
            before = perf_counter_ns()
            raw.send(message)
            while raw.recv(2048)[20] != 0:  # our own request, where the answerer is ourselves
                pass
            return (perf_counter_ns() - before) / 1000

        return timed(trip, request["seconds"])


@contextlib.contextmanager
def datagram_socket(request: Request) -> Iterator[socket.socket]:
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.settimeout(PATIENCE)
        udp.connect((request["address"], request["port"]))
        yield udp


def udp_echo(request: Request) -> Reply:
    with datagram_socket(request) as udp:
        values = timed(lambda: round_trip(udp), request["seconds"])
        udp.send(b"")
    return values


def udp_flood(request: Request) -> Reply:
    """Datagrams a second that the other end's program received, of as many as can be sent."""
    with datagram_socket(request) as udp:
        blast(udp, request["seconds"])
        udp.settimeout(0.05)
        for _ in range(PATIENCE * 20):
            # Who has answered is gone, and says so to what we sent until we heard of it.
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                udp.send(b"")
                count, duration = TOLD.unpack(udp.recv(64))
                return {"value": count / duration * 1e9}
    raise TimeoutError("the sink does not answer")


# --- many connections -----------------------------------------------------------------------------


class Crowd:
    """Connections that stay open between requests."""

    def __init__(self) -> None:
        self.connections: list[socket.socket] = []
        self.talking: list[socket.socket] = []
        self.next = 0

    def open(self, request: Request) -> Reply:
        address = request["address"], request["port"]
        for _ in range(request["count"]):
            self.connections.append(connect(address))
        self.talking = self.connections[: request["talking"]]
        return {"value": len(self.connections)}

    def echo(self, request: Request) -> Reply:
        """Ping those that talk in turn, some at once."""
        echoes, end = 0, perf_counter() + request["seconds"]
        while perf_counter() < end or not echoes:
            some = self.talking[self.next : self.next + TOGETHER]
            self.next = (self.next + TOGETHER) % len(self.talking)
            for connection in some:
                connection.send(b"x")
            for connection in some:
                if not connection.recv(16):
                    raise ConnectionError(errno.ECONNRESET, "a connection is gone")
            echoes += len(some)
        return {"value": echoes}


def main() -> None:
    prepare_process()
    crowd = Crowd()
    measures: dict[str, Callable[[Request], Reply]] = {
        "push": lambda request: bulk(request, push),
        "pull": lambda request: bulk(request, pull),
        "both": both_ways,
        "ping-pong": ping_pong,
        "one-after-another": one_after_another,
        "at-once": many_at_once,
        "ping": ping,
        "udp-echo": udp_echo,
        "udp-flood": udp_flood,
        "open": crowd.open,
        "echo-all": crowd.echo,
    }
    for request in requests():
        measure = measures[request["measure"]]
        answer(lambda measure=measure, request=request: measure(request))  # type: ignore[misc]


if __name__ == "__main__":
    main()
