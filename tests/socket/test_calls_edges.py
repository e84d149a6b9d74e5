"""Calls at the wrong time, and in odd orders: what the kernel answers, a stack answers."""

import os
import socket
import struct
from collections.abc import Callable

import pytest

from tapstack.base.address import IPV4_LOOPBACK, Endpoint
from tests.socket.both_calls import Recorder, compare

INET, STREAM, DGRAM = socket.AF_INET, socket.SOCK_STREAM, socket.SOCK_DGRAM
NOWHERE, ANY = Endpoint(IPV4_LOOPBACK, 1), Endpoint(0, 0)
IN, OUT, ERR, HUP, RDHUP, ALL = 1, 4, 8, 0x10, 0x2000, 0x2FFF
SO_ERROR = (socket.SOL_SOCKET, socket.SO_ERROR, 4)
DONTWAIT, FASTOPEN, OOB, PEEK, WAITALL = 0x40, 0x20000000, 1, 2, 0x100


def look(do: Recorder, *fds: int) -> None:
    do.poll([(fd, ALL) for fd in fds], 0)


def shutting_down_what_is_new(do: Recorder) -> None:
    for how in (0, 1, 2, 3, -1):
        fd = do.socket(INET, STREAM, 0)
        do.shutdown(fd, how)
        look(do, fd)
        do.recv(fd, 1, 0)
        do.send(fd, b"x", 0)
        udp = do.socket(INET, DGRAM, 0)
        do.shutdown(udp, how)
        look(do, udp)
        do.recv(udp, 1, DONTWAIT)


def shutting_down_a_listener(do: Recorder) -> None:
    for how in (1, 0, 2):
        fd = do.listener()
        do.shutdown(fd, how)
        look(do, fd)
        do.getsockopt(fd, socket.SOL_SOCKET, socket.SO_ACCEPTCONN, 4)
        do.fcntl(fd, 4, os.O_NONBLOCK)
        do.accept(fd)
        do.close(fd)


def shutting_down_a_connection(do: Recorder) -> None:
    for how in (0, 1, 2):
        client, server = do.pair()
        do.shutdown(client, how)
        if how:
            do.arrived(server, events=RDHUP)
        look(do, client, server)
        do.write(client, b"x")
        do.recv(client, 1, DONTWAIT)
        do.write(server, b"x")
        if how == 2:  # who cannot read it resets
            do.ended(client)
            do.ended(server)
        do.shutdown(client, how)
        do.getpeername(client)
        do.shutdown(server, 2)
        if how == 1:
            do.ended(server)
        do.getpeername(server)
        do.recv(server, 10, DONTWAIT)


def both_have_said_all(do: Recorder) -> None:
    client, server = do.pair()
    do.shutdown(client, 1)
    do.arrived(server)
    do.shutdown(server, 1)
    do.arrived(client, events=RDHUP)
    look(do, client, server)
    do.read(client, 1)
    do.read(server, 1)
    do.write(client, b"x")
    do.getpeername(client)
    do.getpeername(server)
    do.shutdown(client, 0)
    do.shutdown(server, 2)
    do.connect(server, NOWHERE)


def dissolving(do: Recorder) -> None:
    client, server = do.pair()
    do.connect(client, None)
    do.arrived(server, events=HUP)
    look(do, client, server)
    do.read(server, 1)
    do.read(server, 1)
    do.getpeername(client)
    do.getsockopt(client, *SO_ERROR)
    look(do, client)
    do.recv(client, 1, 0)
    listener = do.listener()
    do.connect(client, do.getsockname(listener))
    do.getpeername(client)
    do.connect(listener, None)
    look(do, listener)
    do.accept(listener)
    fresh = do.socket(INET, STREAM, 0)
    do.connect(fresh, None)


def dissolving_keeps_what_was_bound(do: Recorder) -> None:
    listener, fd = do.listener(), do.socket(INET, STREAM, 0)
    do.bind(fd, Endpoint(IPV4_LOOPBACK, 0))
    bound = do.getsockname(fd)
    do.connect(fd, do.getsockname(listener))
    do.connect(fd, None)
    do.getsockname(fd)
    do.note(do._calls.getsockname(fd).address == bound.address)
    fixed, chosen = do.socket(INET, STREAM, 0), do.free_port()
    do.bind(fixed, Endpoint(IPV4_LOOPBACK, chosen))
    do.connect(fixed, do.getsockname(listener))
    do.connect(fixed, None)
    do.note(do._calls.getsockname(fixed) == Endpoint(IPV4_LOOPBACK, chosen))


def connecting_again(do: Recorder) -> None:
    client, server = do.pair()
    do.connect(client, NOWHERE)
    do.connect(server, NOWHERE)
    listener = do.listener()
    do.connect(listener, NOWHERE)
    do.listen(client, 1)
    do.listen(listener, 7)
    do.bind(client, ANY)
    do.bind(listener, ANY)
    do.accept(client)


def binding(do: Recorder) -> None:
    listener = do.listener()
    taken = do._calls.getsockname(listener)
    for kind in (STREAM, DGRAM):
        fd = do.socket(INET, kind, 0)
        do.bind(fd, Endpoint(0x08080808, 0))
        do.bind(fd, taken)
        do.bind(fd, Endpoint(0, taken.port))
        do.bind(fd, Endpoint(0x7F000002, taken.port))
        do.bind(fd, ANY)


def a_listener_says_no(do: Recorder) -> None:
    fd = do.listener()
    do.recv(fd, 1, 0)
    do.recv(fd, 1, OOB)
    do.recv(fd, 1, DONTWAIT)
    do.send(fd, b"x", 0)
    do.getpeername(fd)
    for request in (0x541B, 0x5411, 0x894B, 0x8905, 0x1234):
        do.ioctl(fd, request)
    do.poll([(fd, ALL)], 0)


def requests(do: Recorder) -> None:
    client, server = do.pair()
    udp, other = do.datagrams()
    null = do.open("/dev/null", os.O_RDWR)
    do.write(client, b"abc")
    do.send(udp, b"abcd", 0)
    do.arrived(server, other)
    for request in (0x541B, 0x5411, 0x894B, 0x8905, 0x1234):
        for fd in (client, server, udp, other, null):
            do.ioctl(fd, request)


def datagrams(do: Recorder) -> None:
    one, other = do.datagrams()
    third = do.socket(INET, DGRAM, 0)
    look(do, one, third)
    do.send(third, b"x", 0)
    do.write(third, b"x")
    do.recv(third, 1, DONTWAIT)
    do.getpeername(third)
    do.listen(third, 1)
    do.accept(third)
    do.sendto(third, b"x", 0, Endpoint(IPV4_LOOPBACK, 0))
    do.sendto(third, bytes(65_508), 0, NOWHERE)
    do.send(one, b"x", OOB)
    do.send(one, b"abc", FASTOPEN)
    do.arrived(other)
    do.recv(other, 1, OOB | DONTWAIT)
    do.recv(other, 9, DONTWAIT)
    do.writev(one, [b"ab", b"cd"])
    do.arrived(other)
    look(do, other)
    do.readv(other, [1, 2])
    do.sendto(one, b"elsewhere", 0, do.getsockname(other))
    do.arrived(other)
    do.recvfrom(other, 4, PEEK)
    do.recvfrom(other, 4, 0)
    do.connect(one, None)
    do.getpeername(one)
    do.send(one, b"x", 0)
    do.shutdown(one, 1)
    do.shutdown(other, 0)
    do.recv(other, 1, 0)
    look(do, one, other)
    do.send(other, b"x", 0)


def fast_open(do: Recorder) -> None:
    listener = do.listener()
    address = do._calls.getsockname(listener)
    fd = do.socket(INET, STREAM, 0)
    do.send(fd, b"x", FASTOPEN)
    do.sendto(fd, b"hello", FASTOPEN, address)
    do.getpeername(fd)
    accepted, _ = do.accept(listener)
    do.arrived(accepted)
    do.read(accepted, 10)
    do.sendto(fd, b"hello", FASTOPEN, address)
    do.sendto(fd, b"more", 0, NOWHERE)
    do.arrived(accepted)
    do.read(accepted, 10)
    refused = do.socket(INET, STREAM, 0)
    do.sendto(refused, b"hello", FASTOPEN, NOWHERE)
    do.getsockopt(refused, *SO_ERROR)
    early = do.socket(INET, STREAM | socket.SOCK_NONBLOCK, 0)
    do.sendto(early, b"hello", FASTOPEN, address)
    do.arrived(early, events=OUT)
    do.write(early, b"hello")
    later = do.socket(INET, STREAM, 0)
    do.setsockopt(later, 6, 30, struct.pack("i", 1))
    do.connect(later, address)
    look(do, later)
    do.write(later, b"text")
    do.getpeername(later)
    do.sendto(listener, b"x", FASTOPEN, address)


def urgent(do: Recorder) -> None:
    client, server = do.pair()
    do.recv(server, 1, OOB)
    do.send(client, b"ab!", OOB)
    do.arrived(server, events=2)
    look(do, server)
    do.ioctl(server, 0x8905)
    do.recv(server, 10, 0)
    do.ioctl(server, 0x8905)
    do.recv(server, 1, OOB | PEEK)
    do.recv(server, 1, OOB)
    do.recv(server, 1, OOB)
    look(do, server)
    do.recv(server, 1, DONTWAIT)
    do.send(client, b"cd", 0)
    do.arrived(server)
    do.recv(server, 10, WAITALL | DONTWAIT)


def vectors(do: Recorder) -> None:
    client, server = do.pair()
    do.writev(client, [])
    do.writev(client, [b""])
    do.writev(client, [b"x"] * 1025)
    do.sendmsg(client, [b"ab", b"c"], [], 0, None)
    do.arrived(server)
    do.readv(server, [])
    do.readv(server, [0])
    do.readv(server, [2, 2])
    do.write(client, b"")
    do.send(client, b"", 0)
    do.sendmsg(client, [], [], 0, None)
    do.sendmsg(client, [b"x"], [(socket.SOL_SOCKET, 99, b"1234")], 0, None)
    do.sendmsg(client, [b"x"], [(0, 99, b"1234")], 0, None)
    one, other = do.datagrams()
    do.sendmsg(one, [b"x"], [(0, 99, b"1234")], 0, None)
    do.sendmsg(one, [b"x"], [(socket.SOL_SOCKET, 99, b"1234")], 0, None)
    do.setsockopt(other, 0, 13, struct.pack("i", 1))
    do.setsockopt(other, 0, 12, struct.pack("i", 1))
    for item in ((0, 1, struct.pack("i", 0x28)), (0, 2, struct.pack("i", 5)), (0, 1, b"\x08")):
        do.sendmsg(one, [b"x"], [item], 0, None)
        do.arrived(other)
        do.recvmsg(other, 9, 200, DONTWAIT)
    for item in ((0, 1, struct.pack("i", 256)), (0, 2, struct.pack("i", 0)), (0, 2, b"\x08")):
        do.sendmsg(one, [b"x"], [item], 0, None)


def a_reset_that_was_not_read(do: Recorder) -> None:
    client, server = do.pair()
    do.write(client, b"abc")
    do.arrived(server)
    do.setsockopt(client, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    do.close(client)
    do.arrived(server, events=HUP)
    look(do, server)
    do.read(server, 10)
    do.getsockopt(server, *SO_ERROR)
    do.read(server, 10)
    look(do, server)
    do.write(server, b"x")
    do.shutdown(server, 1)
    do.getpeername(server)


def wrong_kinds(do: Recorder) -> None:
    reader, writer = do.pipe()
    null = do.open("/dev/null", os.O_RDWR)
    for fd in (reader, writer, null):
        do.bind(fd, ANY)
        do.listen(fd, 1)
        do.accept(fd)
        do.connect(fd, NOWHERE)
        do.shutdown(fd, 1)
        do.send(fd, b"x", 0)
        do.getsockname(fd)
        do.getsockopt(fd, 1, 3, 4)
        do.setsockopt(fd, 1, 2, bytes(4))


@pytest.mark.parametrize(
    "scenario",
    [
        shutting_down_what_is_new,
        shutting_down_a_listener,
        shutting_down_a_connection,
        both_have_said_all,
        dissolving,
        dissolving_keeps_what_was_bound,
        connecting_again,
        binding,
        a_listener_says_no,
        requests,
        datagrams,
        fast_open,
        urgent,
        vectors,
        a_reset_that_was_not_read,
        wrong_kinds,
    ],
)
def test_it_is_as_over_the_kernel(scenario: Callable[[Recorder], None]) -> None:
    compare(scenario)
