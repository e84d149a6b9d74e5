"""A TCP connection by system calls: what the kernel answers, a stack answers."""

import fcntl
import os
import socket
from collections.abc import Callable

import pytest

from tapstack.base.address import IPV4_LOOPBACK, Endpoint
from tests.socket.both_calls import Recorder, compare

INET, STREAM, DGRAM = socket.AF_INET, socket.SOCK_STREAM, socket.SOCK_DGRAM
NOWHERE = Endpoint(IPV4_LOOPBACK, 1)
"""A port that nobody listens on."""


def talk(do: Recorder) -> None:
    client, server = do.pair()
    do.write(client, b"hello, world")
    do.arrived(server)
    do.recv(server, 5, socket.MSG_PEEK)
    do.read(server, 5)
    do.recvfrom(server, 100, 0)
    do.recv(server, 1, socket.MSG_DONTWAIT)
    do.writev(server, [b"ab", b"", b"cd"])
    do.arrived(client)
    do.readv(client, [1, 2, 100])
    do.getpeername(client)
    do.getsockname(server)
    do.shutdown(client, socket.SHUT_WR)
    do.arrived(server)
    do.read(server, 1)
    do.read(server, 1)
    do.write(server, b"last")
    do.close(server)
    do.arrived(client)
    do.read(client, 100)
    do.read(client, 100)
    do.close(client)


def wrong_numbers(do: Recorder) -> None:
    fd = do.socket(INET, STREAM, 0)
    for bad in (-1, 999):
        do.read(bad, 1)
        do.write(bad, b"x")
        do.close(bad)
        do.bind(bad, NOWHERE)
        do.getsockopt(bad, socket.SOL_SOCKET, socket.SO_TYPE, 4)
        do.fcntl(bad, fcntl.F_GETFL, 0)
    do.close(fd)
    do.close(fd)


def not_connected(do: Recorder) -> None:
    fd = do.socket(INET, STREAM, 0)
    do.recv(fd, 1, 0)
    do.send(fd, b"x", 0)
    do.getpeername(fd)
    do.getsockname(fd)
    do.accept(fd)
    do.poll([(fd, 0xFFF)], 0)
    do.ioctl(fd, 0x541B)
    do.shutdown(fd, 0)


def never_waits(do: Recorder) -> None:
    fd = do.socket(INET, STREAM | socket.SOCK_NONBLOCK, 0)
    do.bind(fd, Endpoint(IPV4_LOOPBACK, 0))
    do.listen(fd, 1)
    do.accept(fd)
    do.fcntl(fd, fcntl.F_GETFL, 0)
    client, server = do.pair()
    do.recv(server, 1, socket.MSG_DONTWAIT)
    do.fcntl(server, fcntl.F_SETFL, os.O_NONBLOCK)
    do.fcntl(server, fcntl.F_GETFL, 0)
    do.read(server, 1)
    do.fcntl(server, fcntl.F_SETFL, 0)
    do.fcntl(server, fcntl.F_GETFL, 0)
    do.write(client, b"x")
    do.read(server, 2)


def connects_without_waiting(do: Recorder) -> None:
    listener = do.listener()
    fd = do.socket(INET, STREAM | socket.SOCK_NONBLOCK, 0)
    do.connect(fd, do.getsockname(listener))
    do.arrived(fd, events=4)
    do.getsockopt(fd, socket.SOL_SOCKET, socket.SO_ERROR, 4)
    do.connect(fd, do.getsockname(listener))
    do.connect(fd, do.getsockname(listener))


def refused(do: Recorder) -> None:
    fd = do.socket(INET, STREAM, 0)
    do.connect(fd, NOWHERE)
    do.getsockopt(fd, socket.SOL_SOCKET, socket.SO_ERROR, 4)
    do.poll([(fd, 0xFFF)], 0)
    other = do.socket(INET, STREAM | socket.SOCK_NONBLOCK, 0)
    do.connect(other, NOWHERE)
    do.arrived(other, events=4)
    do.poll([(other, 0xFFF)], 0)
    do.getsockopt(other, socket.SOL_SOCKET, socket.SO_ERROR, 4)
    do.getsockopt(other, socket.SOL_SOCKET, socket.SO_ERROR, 4)
    do.poll([(other, 0xFFF)], 0)
    do.connect(other, NOWHERE)


def gives_up_after_a_while(do: Recorder) -> None:
    client, server = do.pair()
    listener = do.listener()
    for fd in (server, listener):
        do.setsockopt(fd, socket.SOL_SOCKET, socket.SO_RCVTIMEO, bytes(8) + b"\x10\x27" + bytes(6))
    do.read(server, 10)
    do.accept(listener)
    do.write(client, b"abc")
    do.recv(server, 10, socket.MSG_WAITALL)
    do.recv(server, 10, socket.MSG_WAITALL)


def a_reset(do: Recorder) -> None:
    client, server = do.pair()
    do.write(client, b"unread")
    do.arrived(server)
    do.close(server)
    do.arrived(client)
    do.poll([(client, 0xFFFF)], 0)
    do.write(client, b"x")
    do.write(client, b"x")
    do.read(client, 1)
    do.poll([(client, 0xFFFF)], 0)


def flags_of_descriptors(do: Recorder) -> None:
    fd = do.socket(INET, STREAM | socket.SOCK_CLOEXEC, 0)
    do.fcntl(fd, fcntl.F_GETFD, 0)
    do.fcntl(fd, fcntl.F_SETFD, 0)
    do.fcntl(fd, fcntl.F_GETFD, 0)
    copy = do._calls.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200)
    do.note(copy >= 200)
    do.fcntl(copy, fcntl.F_GETFD, 0)
    do.fcntl(copy, fcntl.F_SETFL, os.O_NONBLOCK)
    do.fcntl(fd, fcntl.F_GETFL, 0)
    do.close(fd)
    do.getsockopt(copy, socket.SOL_SOCKET, socket.SO_TYPE, 4)
    do.fcntl(copy, 9999, 0)


def what_there_is(do: Recorder) -> None:
    for kind in (*range(8), 10, 11, 12, 17, 1 | 0x10000, 1 | socket.SOCK_NONBLOCK):
        for protocol in (0, 6, 17, 132, 263, -1):
            if kind & 15 not in (3, 10) and (kind, protocol) != (5, 132):
                do.socket(INET, kind, protocol)
    for domain in (-1, 99):
        do.socket(domain, STREAM, 0)


@pytest.mark.parametrize(
    "scenario",
    [
        talk,
        wrong_numbers,
        not_connected,
        never_waits,
        connects_without_waiting,
        refused,
        gives_up_after_a_while,
        a_reset,
        flags_of_descriptors,
        what_there_is,
    ],
)
def test_it_is_as_over_the_kernel(scenario: Callable[[Recorder], None]) -> None:
    compare(scenario)
