"""System calls that wait: in virtual time, and to the microsecond."""

import os
import socket
import struct
from collections.abc import Iterator

import pytest

from tapstack.base.address import Endpoint, parse_ipv4
from tapstack.sim import MILLISECOND, SECOND, Way, World
from tapstack.socket.calls.process import Process
from tests.socket.nets import Background

PORT = 7000
DELAY = 10 * MILLISECOND
INET, STREAM = socket.AF_INET, socket.SOCK_STREAM
RCVTIMEO, SNDTIMEO = 20, 21
IN, OUT = 1, 4


class Pair:
    """Two hosts, 10 ms apart, with a process on each, and a connection between them."""

    def __init__(self, world: World) -> None:
        self.world = world
        hosts = world.host("client"), world.host("server")
        world.link(*hosts, Way(delay=DELAY))
        self.client, self.server = (Process(host) for host in hosts)
        self.address = Endpoint(parse_ipv4(hosts[1].address), PORT)
        self.listener = self.server.socket(INET, STREAM, 0)
        self.server.bind(self.listener, Endpoint(0, PORT))
        self.server.listen(self.listener, 5)
        self.here = self.client.socket(INET, STREAM, 0)

    def connect(self) -> int:
        """Connect; give the server's descriptor."""
        self.client.connect(self.here, self.address)
        return self.server.accept(self.listener)[0]

    def after(self, duration: int, call: object, *arguments: object) -> None:
        """Have something called in a while."""

        def later() -> None:
            self.world.sleep(duration / SECOND)
            call(*arguments)  # type: ignore[operator]

        self.world.spawn(later)


@pytest.fixture
def pair() -> Iterator[Pair]:
    with World() as world:
        yield Pair(world)


def set_timeout(process: Process, fd: int, option: int, milliseconds: int) -> None:
    value = struct.pack("ll", *divmod(milliseconds * 1000, SECOND))
    process.setsockopt(fd, socket.SOL_SOCKET, option, value)


def test_connect_takes_a_round_trip(pair: Pair) -> None:
    pair.client.connect(pair.here, pair.address)
    assert pair.world.now == 2 * DELAY


def test_accept_waits_for_the_third_segment(pair: Pair) -> None:
    pair.world.spawn(pair.client.connect, pair.here, pair.address)
    pair.server.accept(pair.listener)
    assert pair.world.now == 3 * DELAY


def test_read_waits_for_text(pair: Pair) -> None:
    fd = pair.connect()
    pair.after(50 * MILLISECOND, pair.client.write, pair.here, b"text")
    begun = pair.world.now
    assert pair.server.read(fd, 100) == b"text"
    assert pair.world.now == begun + 50 * MILLISECOND + DELAY


def test_write_waits_until_everything_has_found_room(pair: Pair) -> None:
    fd = pair.connect()
    pair.client.setsockopt(pair.here, socket.SOL_SOCKET, socket.SO_SNDBUF, struct.pack("i", 20_000))
    pair.after(SECOND, drain, pair, fd, 10**6)
    assert pair.client.write(pair.here, bytes(10**6)) == 10**6
    assert pair.world.now > SECOND


def drain(pair: Pair, fd: int, size: int) -> None:
    while size:
        size -= len(pair.server.read(fd, 65536))


def test_a_write_that_may_not_wait_gives_what_found_room(pair: Pair) -> None:
    pair.connect()
    pair.client.fcntl(pair.here, 4, os.O_NONBLOCK)
    taken = pair.client.write(pair.here, bytes(10**7))
    assert 0 < taken < 10**7
    with pytest.raises(BlockingIOError):
        pair.client.write(pair.here, b"x")


def test_sndtimeo_ends_a_write_with_what_found_room(pair: Pair) -> None:
    pair.connect()
    set_timeout(pair.client, pair.here, SNDTIMEO, 500)
    begun = pair.world.now
    taken = pair.client.write(pair.here, bytes(10**8))
    assert 0 < taken < 10**8
    assert pair.world.now == begun + 500 * MILLISECOND


def test_sndtimeo_ends_a_connect(pair: Pair) -> None:
    nobody = Endpoint(pair.address.address + 5, PORT)  # no such neighbour
    set_timeout(pair.client, pair.here, SNDTIMEO, 100)
    with pytest.raises(BlockingIOError, match="now in progress"):
        pair.client.connect(pair.here, nobody)
    assert pair.world.now == 100 * MILLISECOND
    with pytest.raises(BlockingIOError, match="already in progress"):
        pair.client.connect(pair.here, nobody)
    assert pair.world.now == 200 * MILLISECOND


def test_rcvtimeo_ends_a_read(pair: Pair) -> None:
    fd = pair.connect()
    set_timeout(pair.server, fd, RCVTIMEO, 300)
    begun = pair.world.now
    with pytest.raises(BlockingIOError):
        pair.server.read(fd, 1)
    assert pair.world.now == begun + 300 * MILLISECOND


def test_waitall_waits_for_all(pair: Pair) -> None:
    fd = pair.connect()
    for number in range(3):
        pair.after(number * SECOND, pair.client.write, pair.here, b"ab")
    assert pair.server.recv(fd, 5, socket.MSG_WAITALL) == b"ababa"
    assert pair.server.recv(fd, 5, 0) == b"b"


def test_waitall_ends_with_the_stream(pair: Pair) -> None:
    fd = pair.connect()
    pair.after(SECOND, pair.client.write, pair.here, b"ab")
    pair.after(2 * SECOND, pair.client.close, pair.here)
    assert pair.server.recv(fd, 5, socket.MSG_WAITALL) == b"ab"
    assert pair.server.recv(fd, 5, socket.MSG_WAITALL) == b""


def test_rcvlowat_is_waited_for(pair: Pair) -> None:
    fd = pair.connect()
    pair.server.setsockopt(fd, socket.SOL_SOCKET, socket.SO_RCVLOWAT, struct.pack("i", 4))
    for number in range(3):
        pair.after(number * SECOND, pair.client.write, pair.here, b"abc")
    assert pair.server.poll([(fd, IN)], 0) == [0]
    assert pair.server.read(fd, 100) == b"abcabc"


def test_poll_waits_for_the_first(pair: Pair) -> None:
    fd = pair.connect()
    other = pair.server.socket(INET, socket.SOCK_DGRAM, 0)
    pair.after(SECOND, pair.client.write, pair.here, b"text")
    begun = pair.world.now
    assert pair.server.poll([(other, IN), (fd, IN), (pair.listener, IN)], -1) == [0, IN, 0]
    assert pair.world.now == begun + SECOND + DELAY
    assert pair.server.poll([(other, IN)], 250) == [0]
    assert pair.world.now == begun + SECOND + DELAY + 250 * MILLISECOND


def test_epoll_wait_waits(pair: Pair) -> None:
    fd = pair.connect()
    watch = pair.server.epoll_create(1)
    pair.server.epoll_ctl(watch, 1, fd, IN, 77)
    begun = pair.world.now
    assert pair.server.epoll_wait(watch, 5, 100) == []
    assert pair.world.now == begun + 100 * MILLISECOND
    pair.after(SECOND, pair.client.write, pair.here, b"text")
    assert pair.server.epoll_wait(watch, 5, -1) == [(IN, 77)]
    assert pair.world.now == begun + 100 * MILLISECOND + SECOND + DELAY


def test_room_is_an_edge(pair: Pair) -> None:
    fd = pair.connect()
    pair.client.fcntl(pair.here, 4, os.O_NONBLOCK)
    watch = pair.client.epoll_create(1)
    pair.client.epoll_ctl(watch, 1, pair.here, OUT | 1 << 31, 1)
    assert pair.client.epoll_wait(watch, 5, 0) == [(OUT, 1)]
    taken = pair.client.write(pair.here, bytes(10**7))
    while pair.client.epoll_wait(watch, 5, 1000):  # until the server's buffer is full, too
        taken += pair.client.write(pair.here, bytes(10**7))
    pair.world.spawn(drain, pair, fd, taken)
    assert pair.client.epoll_wait(watch, 5, -1) == [(OUT, 1)]


def test_lingering_waits_for_the_peer(pair: Pair) -> None:
    pair.connect()
    pair.client.setsockopt(pair.here, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 5))
    pair.client.write(pair.here, b"x")
    begun = pair.world.now
    pair.client.close(pair.here)
    assert begun + 2 * DELAY <= pair.world.now < begun + SECOND


def test_only_the_last_descriptor_closes(pair: Pair) -> None:
    fd = pair.connect()
    copy = pair.server.fcntl(fd, 0, 0)
    pair.server.close(fd)
    pair.server.write(copy, b"still here")
    assert pair.client.read(pair.here, 100) == b"still here"
    pair.server.close(copy)
    assert pair.client.read(pair.here, 100) == b""


def test_a_pipe_is_waited_for(pair: Pair) -> None:
    reader, writer = pair.client.pipe()
    pair.after(SECOND, pair.client.write, writer, b"x")
    assert pair.client.read(reader, 10) == b"x"
    assert pair.world.now == SECOND
    pair.after(SECOND, pair.client.read, reader, 70_000)
    assert pair.client.write(writer, bytes(70_000)) == 70_000
    assert pair.world.now == 2 * SECOND


def test_splice_waits_for_text(pair: Pair) -> None:
    fd = pair.connect()
    reader, writer = pair.server.pipe()
    pair.after(SECOND, pair.client.write, pair.here, b"text")
    assert pair.server.splice(fd, writer, 100, 0) == 4
    assert pair.server.splice(reader, fd, 100, 0) == 4
    assert pair.client.read(pair.here, 100) == b"text"


def test_numbers_are_the_lowest_that_are_free(pair: Pair) -> None:
    process = pair.client
    process.close(pair.here)
    numbers = [process.socket(INET, STREAM, 0) for _ in range(4)]
    assert numbers == [3, 4, 5, 6]
    process.close(4)
    process.close(3)
    assert process.pipe() == (3, 4)
    assert process.fcntl(5, 0, 5) == 7


def test_it_waits_in_real_time_too(runtime: object) -> None:
    process = Process(runtime)  # type: ignore[arg-type]
    reader, writer = process.pipe()
    reading = Background(process.read, reader, 10)
    process.write(writer, b"x")
    assert reading.result() == b"x"
    listener = process.socket(INET, STREAM, 0)
    process.bind(listener, Endpoint(0x7F000001, 0))
    process.listen(listener, 1)
    polling = Background(process.poll, [(listener, IN)], -1)
    client = process.socket(INET, STREAM, 0)
    process.connect(client, process.getsockname(listener))
    assert polling.result() == [IN]
    accepted, _ = process.accept(listener)
    waiting = Background(process.read, accepted, 10)
    process.write(client, b"text")
    assert waiting.result() == b"text"
    process.end()
