"""epoll by system calls: what the kernel tells, in which order, a stack tells."""

import os
import socket
from collections.abc import Callable
from itertools import pairwise

import pytest

from tapstack.base.address import IPV4_LOOPBACK, Endpoint
from tests.socket.both_calls import SOON, Recorder, compare

ADD, DEL, MOD = 1, 2, 3
IN, PRI, OUT, ERR, HUP, RDHUP = 1, 2, 4, 8, 0x10, 0x2000
ET, ONESHOT, EXCLUSIVE = 1 << 31, 1 << 30, 1 << 28
NOW = 0


def level(do: Recorder) -> None:
    client, server = do.pair()
    watch = do.epoll_create(1)
    do.epoll_ctl(watch, ADD, server, IN, 7)
    do.epoll_wait(watch, 10, NOW)
    do.write(client, b"abc")
    do.epoll_wait(watch, 10, SOON)
    do.epoll_wait(watch, 10, NOW)
    do.read(server, 2)
    do.epoll_wait(watch, 10, NOW)
    do.read(server, 2)
    do.epoll_wait(watch, 10, NOW)
    do.epoll_ctl(watch, MOD, server, IN | OUT, 1 << 63)
    do.epoll_wait(watch, 10, NOW)
    do.epoll_wait(watch, 10, NOW)
    do.epoll_ctl(watch, DEL, server, 0, 0)
    do.epoll_wait(watch, 10, NOW)


def edge(do: Recorder) -> None:
    client, server = do.pair()
    watch = do.epoll_create(1)
    do.epoll_ctl(watch, ADD, server, IN | OUT | RDHUP | ET, 7)
    do.epoll_wait(watch, 10, NOW)
    do.epoll_wait(watch, 10, NOW)
    for _ in range(2):  # each arrival is an edge, though nobody read
        do.write(client, b"abc")
        do.epoll_wait(watch, 10, SOON)
        do.epoll_wait(watch, 10, NOW)
    do.read(server, 3)
    do.epoll_wait(watch, 10, NOW)
    do.shutdown(client, socket.SHUT_WR)
    do.epoll_wait(watch, 10, SOON)
    do.epoll_wait(watch, 10, NOW)
    do.shutdown(server, socket.SHUT_WR)
    do.ended(server)
    do.epoll_wait(watch, 10, SOON)
    do.epoll_ctl(watch, MOD, server, IN | OUT | RDHUP | ET, 8)
    do.epoll_wait(watch, 10, NOW)
    do.epoll_wait(watch, 10, NOW)


def what_an_edge_is_of(do: Recorder) -> None:
    """Text that arrives is no edge for who waits for room; the peer's FIN is one."""
    client, server = do.pair()
    watch = do.epoll_create(1)
    do.epoll_ctl(watch, ADD, server, OUT | ET, 7)
    do.epoll_wait(watch, 10, NOW)
    do.write(client, b"abc")
    do.arrived(server)
    do.epoll_wait(watch, 10, NOW)
    do.shutdown(client, socket.SHUT_WR)
    do.arrived(server, events=RDHUP)
    do.epoll_wait(watch, 10, NOW)
    do.epoll_wait(watch, 10, NOW)


def one_shot(do: Recorder) -> None:
    client, server = do.pair()
    watch = do.epoll_create(1)
    do.epoll_ctl(watch, ADD, server, IN | ONESHOT, 7)
    do.write(client, b"abc")
    do.epoll_wait(watch, 10, SOON)
    do.write(client, b"abc")
    do.arrived(server)
    do.epoll_wait(watch, 10, NOW)
    do.epoll_ctl(watch, MOD, server, IN | ONESHOT, 9)
    do.epoll_wait(watch, 10, NOW)
    do.epoll_wait(watch, 10, NOW)


def first_come_first_served(do: Recorder) -> None:
    watch = do.epoll_create(1)
    pairs = [do.pair() for _ in range(4)]
    for number, (_, server) in enumerate(pairs):
        do.epoll_ctl(watch, ADD, server, IN, number)
    for number in (2, 0, 3, 1):
        do.write(pairs[number][0], b"x")
        do.arrived(pairs[number][1])
    do.epoll_wait(watch, 10, NOW)
    do.epoll_wait(watch, 3, NOW)  # who was told goes behind who was not
    do.epoll_wait(watch, 3, NOW)
    do.epoll_wait(watch, 1, NOW)
    do.read(pairs[0][1], 1)
    do.epoll_wait(watch, 10, NOW)


def connecting(do: Recorder) -> None:
    watch = do.epoll_create(1)
    fd = do.socket(2, 1 | socket.SOCK_NONBLOCK, 0)
    do.epoll_ctl(watch, ADD, fd, IN | OUT | ET, 1)
    do.epoll_wait(watch, 10, NOW)
    listener = do.listener()
    do.epoll_ctl(watch, ADD, listener, IN | ET, 2)
    do.connect(fd, do.getsockname(listener))
    do.arrived(listener)
    found = do._calls.epoll_wait(watch, 10, NOW)
    do.note(sorted(found))
    do.accept(listener)
    do.epoll_wait(watch, 10, NOW)


def each_connection_is_an_edge(do: Recorder) -> None:
    listener, watch = do.listener(), do.epoll_create(1)
    do.epoll_ctl(watch, ADD, listener, IN | ET, 1)
    for _ in range(3):
        do.connect(do.socket(2, 1, 0), do._calls.getsockname(listener))
        do.epoll_wait(watch, 10, SOON)
        do.epoll_wait(watch, 10, NOW)
    do.accept(listener)
    do.epoll_wait(watch, 10, NOW)


def an_error_is_an_edge(do: Recorder) -> None:
    watch, udp = do.epoll_create(1), do.socket(2, 2, 0)
    do.setsockopt(udp, 0, 11, b"\1\0\0\0")
    do.epoll_ctl(watch, ADD, udp, IN | ET, 1)
    for _ in range(2):
        do.sendto(udp, b"x", 0, Endpoint(IPV4_LOOPBACK, 1))
        do.epoll_wait(watch, 10, SOON)
        do.epoll_wait(watch, 10, NOW)
        do.getsockopt(udp, socket.SOL_SOCKET, socket.SO_ERROR, 4)


def urgent_text_is_an_edge(do: Recorder) -> None:
    client, server = do.pair()
    watch = do.epoll_create(1)
    do.epoll_ctl(watch, ADD, server, PRI | ET, 1)
    do.send(client, b"!", socket.MSG_OOB)
    do.acknowledged(client)
    do.epoll_wait(watch, 10, SOON)
    do.epoll_wait(watch, 10, NOW)


def a_reset_is_an_edge(do: Recorder) -> None:
    client, server = do.pair()
    watch = do.epoll_create(1)
    do.epoll_ctl(watch, ADD, server, OUT | ET, 1)
    do.epoll_wait(watch, 10, NOW)
    do.setsockopt(client, socket.SOL_SOCKET, socket.SO_LINGER, b"\1" + bytes(7))
    do.close(client)
    do.epoll_wait(watch, 10, SOON)
    do.epoll_wait(watch, 10, NOW)


def refused(do: Recorder) -> None:
    watch = do.epoll_create(1)
    fd = do.socket(2, 1 | socket.SOCK_NONBLOCK, 0)
    do.connect(fd, Endpoint(IPV4_LOOPBACK, 1))
    do.epoll_ctl(watch, ADD, fd, OUT, 5)
    do.epoll_wait(watch, 10, SOON)
    do.getsockopt(fd, socket.SOL_SOCKET, socket.SO_ERROR, 4)
    do.epoll_wait(watch, 10, SOON)


def what_cannot_be(do: Recorder) -> None:
    watch, fd = do.epoll_create(1), do.socket(2, 1, 0)
    null = do.open("/dev/null", os.O_RDWR)
    plain = do.open(__file__, os.O_RDONLY)
    do.epoll_create(0)
    do.epoll_ctl(watch, DEL, fd, 0, 0)
    do.epoll_ctl(watch, MOD, fd, IN, 0)
    do.epoll_ctl(watch, ADD, fd, IN, 0)
    do.epoll_ctl(watch, ADD, fd, IN, 0)
    do.epoll_ctl(watch, 4, fd, IN, 0)
    do.epoll_ctl(watch, 0, fd, IN, 0)
    do.epoll_ctl(watch, ADD, 999, IN, 0)
    do.epoll_ctl(999, ADD, fd, IN, 0)
    do.epoll_ctl(fd, ADD, watch, IN, 0)
    do.epoll_ctl(fd, ADD, fd, IN, 0)
    do.epoll_ctl(watch, ADD, watch, IN, 0)
    do.epoll_ctl(watch, ADD, null, IN, 0)
    do.epoll_ctl(watch, ADD, plain, IN, 0)
    do.epoll_wait(watch, 0, NOW)
    do.epoll_wait(watch, -1, NOW)
    do.epoll_wait(fd, 1, NOW)
    do.epoll_wait(999, 1, NOW)
    do.read(watch, 1)
    do.write(watch, b"x")
    do.fcntl(watch, 3, 0)
    do.recv(watch, 1, 0)


def exclusive(do: Recorder) -> None:
    client, server = do.pair()
    watch, inner = do.epoll_create(1), do.epoll_create(1)
    do.epoll_ctl(watch, ADD, server, IN | RDHUP | EXCLUSIVE, 0)
    do.epoll_ctl(watch, ADD, inner, IN | EXCLUSIVE, 0)
    do.epoll_ctl(watch, ADD, server, IN | EXCLUSIVE, 3)
    do.epoll_ctl(watch, MOD, server, IN | EXCLUSIVE, 4)
    do.epoll_ctl(watch, MOD, server, IN, 4)
    do.write(client, b"x")
    do.epoll_wait(watch, 10, SOON)


def nested(do: Recorder) -> None:
    client, server = do.pair()
    chain = [do.epoll_create(1) for _ in range(7)]
    do.epoll_ctl(chain[0], ADD, server, IN, 1)
    for inner, outer in pairwise(chain):
        do.epoll_ctl(outer, ADD, inner, IN, 2)
    do.epoll_ctl(chain[0], ADD, chain[2], IN, 2)
    do.write(client, b"x")
    do.epoll_wait(chain[2], 10, SOON)
    do.poll([(chain[1], IN)], NOW)
    do.read(server, 1)
    do.poll([(chain[1], IN)], NOW)
    do.epoll_wait(chain[2], 10, NOW)


def closing(do: Recorder) -> None:
    """Only a file's last descriptor takes it out of what is watched."""
    client, server = do.pair()
    watch = do.epoll_create(1)
    copy = do._calls.fcntl(server, 0, 0)
    do.epoll_ctl(watch, ADD, server, IN, 1)
    do.epoll_ctl(watch, ADD, copy, IN | ET, 2)
    do.write(client, b"x")
    do.epoll_wait(watch, 10, SOON)
    do.close(server)
    do.epoll_wait(watch, 10, NOW)
    do.close(copy)
    do.epoll_wait(watch, 10, NOW)


def pipes_too(do: Recorder) -> None:
    watch = do.epoll_create(1)
    reader, writer = do.pipe()
    do.epoll_ctl(watch, ADD, reader, IN | ET, 1)
    do.epoll_ctl(watch, ADD, writer, OUT | ET, 2)
    do.epoll_wait(watch, 10, NOW)
    do.write(writer, b"x")
    do.epoll_wait(watch, 10, NOW)
    do.close(writer)
    do.epoll_wait(watch, 10, NOW)


@pytest.mark.parametrize(
    "scenario",
    [
        level,
        edge,
        what_an_edge_is_of,
        one_shot,
        first_come_first_served,
        connecting,
        each_connection_is_an_edge,
        an_error_is_an_edge,
        urgent_text_is_an_edge,
        a_reset_is_an_edge,
        refused,
        what_cannot_be,
        exclusive,
        nested,
        closing,
        pipes_too,
    ],
)
def test_it_is_as_over_the_kernel(scenario: Callable[[Recorder], None]) -> None:
    compare(scenario)
