"""Datagrams by system calls, at the edges: what the kernel gives, a stack gives."""

import socket
import struct
from collections.abc import Callable

import pytest

from tapstack.base.address import IPV4_LOOPBACK, Endpoint
from tests.socket.both_calls import SOON, Recorder, compare

INET, DGRAM, RAW = socket.AF_INET, socket.SOCK_DGRAM, socket.SOCK_RAW
SO, SNDBUF, RCVBUF, PEEK_OFF = socket.SOL_SOCKET, 7, 8, 42
UDP, CORK = 17, 1
PEEK, TRUNC, DONTWAIT, MORE = 2, 0x20, 0x40, 0x8000
IN, OUT, ET, ADD, NOW = 1, 4, 1 << 31, 1, 0
PORT_0 = Endpoint(IPV4_LOOPBACK, 0)


def number(value: int) -> bytes:
    return struct.pack("i", value)


# --- looking from where the last look ended (SO_PEEK_OFF) ---------------------------------------


def look(do: Recorder, fd: int, size: int, flags: int = PEEK) -> None:
    do.recvmsg(fd, size, 100, flags | DONTWAIT)
    do.getsockopt(fd, SO, PEEK_OFF, 4)


def looking_goes_on_through_all_that_waits(do: Recorder) -> None:
    here, there = do.datagrams()
    do.getsockopt(there, SO, PEEK_OFF, 4)
    do.setsockopt(there, SO, PEEK_OFF, number(0))
    for data in (b"abcdef", b"ghi", b"jklmn"):
        do.send(here, data, 0)
    do.arrived(there)
    for size in (2, 2, 2, 5, 1, 4, 4):
        look(do, there, size)


def what_is_taken_moves_the_next_look_back(do: Recorder) -> None:
    here, there = do.datagrams()
    for data in (b"abcdef", b"ghi", b"jklmn"):
        do.send(here, data, 0)
    do.arrived(there)
    do.setsockopt(there, SO, PEEK_OFF, number(7))
    look(do, there, 10)
    look(do, there, 3, 0)  # cut short: by what was given of it
    look(do, there, 10)
    do.setsockopt(there, SO, PEEK_OFF, number(1))
    for flags in (PEEK | TRUNC, TRUNC):  # by how long it was
        do.recv(there, 1, flags | DONTWAIT)
        do.getsockopt(there, SO, PEEK_OFF, 4)
    do.setsockopt(there, SO, PEEK_OFF, number(-1))
    look(do, there, 10)
    look(do, there, 10, 0)


def an_empty_datagram_is_looked_at_once(do: Recorder) -> None:
    here, there = do.datagrams()
    do.setsockopt(there, SO, PEEK_OFF, number(0))
    for data in (b"", b"xyz"):
        do.send(here, data, 0)
    do.arrived(there)
    for _ in range(4):
        look(do, there, 2)
    look(do, there, 2, 0)
    look(do, there, 2, 0)


def any_number_will_do(do: Recorder) -> None:
    for kind, protocol in ((DGRAM, 0), (RAW, 253)):
        fd = do.socket(INET, kind, protocol)
        for value in (number(3), number(-5), b"\1"):
            do.setsockopt(fd, SO, PEEK_OFF, value)
            do.getsockopt(fd, SO, PEEK_OFF, 4)


# --- port 0 -------------------------------------------------------------------------------------


def nothing_is_sent_to_port_0(do: Recorder) -> None:
    for flags in (0, MORE):
        fd = do.socket(INET, DGRAM, 0)
        for data in (b"abc", b"", bytes(70_000)):
            do.sendmsg(fd, [data], [], flags, PORT_0)
        do.getsockname(fd)  # it has a port since


def what_is_gathered_goes_where_its_beginning_goes(do: Recorder) -> None:
    here, there = do.datagrams()
    do.send(here, b"abc", MORE)
    do.sendmsg(here, [b"def"], [], 0, PORT_0)
    do.arrived(there)
    do.recv(there, 10, 0)


def one_may_be_connected_to_port_0(do: Recorder) -> None:
    for to in (PORT_0, Endpoint(0, 0)):
        fd = do.socket(INET, DGRAM, 0)
        do.connect(fd, to)
        do.getsockname(fd)
        do.getpeername(fd)
        do.send(fd, b"abc", 0)
        do.arrived(fd, events=IN)
        do.send(fd, b"abc", 0)


# --- edges of epoll -----------------------------------------------------------------------------


def watched(do: Recorder, fd: int, events: int) -> int:
    watch = int(do._calls.epoll_create(1))
    do.epoll_ctl(watch, ADD, fd, events | ET, 1)
    do.epoll_wait(watch, 5, NOW)
    return watch


def each_datagram_that_leaves_makes_room(do: Recorder) -> None:
    here, _ = do.datagrams()
    raw = do.socket(INET, RAW, 253)
    do.connect(raw, PORT_0)
    for fd in (here, raw):
        watch = watched(do, fd, OUT)
        for size in (1, 0, 3000, 70_000):
            do.send(fd, bytes(size), 0)
            do.epoll_wait(watch, 5, NOW)
            do.epoll_wait(watch, 5, NOW)


def what_is_gathered_makes_room_when_it_leaves(do: Recorder) -> None:
    here, _ = do.datagrams()
    watch = watched(do, here, OUT)
    for flags in (MORE, 0):
        do.send(here, b"abc", flags)
        do.epoll_wait(watch, 5, NOW)
    do.setsockopt(here, UDP, CORK, number(1))
    do.epoll_wait(watch, 5, NOW)
    do.send(here, b"abc", 0)
    do.epoll_wait(watch, 5, NOW)
    do.setsockopt(here, UDP, CORK, number(0))
    do.epoll_wait(watch, 5, NOW)


def a_buffer_that_is_set_makes_room(do: Recorder) -> None:
    here, _ = do.datagrams()
    watch = watched(do, here, OUT)
    for name in (SNDBUF, RCVBUF):
        do.setsockopt(here, SO, name, number(5000))
        do.epoll_wait(watch, 5, NOW)


def a_raw_one_names_ports(do: Recorder) -> None:
    raw = do.socket(INET, RAW, 253)
    do.getsockname(raw)  # the protocol is its port
    do.connect(raw, Endpoint(IPV4_LOOPBACK, 99))
    do.getsockname(raw)
    do.getpeername(raw)


def the_sender_hears_first(do: Recorder) -> None:
    here, there = do.datagrams()
    watch = watched(do, there, IN)
    do.epoll_ctl(watch, ADD, here, IN | OUT | ET, 2)
    do.epoll_wait(watch, 5, NOW)
    do.send(here, b"abc", 0)
    do.arrived(there)
    do.epoll_wait(watch, 5, SOON)


@pytest.mark.parametrize(
    "scenario",
    [
        looking_goes_on_through_all_that_waits,
        what_is_taken_moves_the_next_look_back,
        an_empty_datagram_is_looked_at_once,
        any_number_will_do,
        nothing_is_sent_to_port_0,
        what_is_gathered_goes_where_its_beginning_goes,
        one_may_be_connected_to_port_0,
        each_datagram_that_leaves_makes_room,
        what_is_gathered_makes_room_when_it_leaves,
        a_buffer_that_is_set_makes_room,
        a_raw_one_names_ports,
        the_sender_hears_first,
    ],
)
def test_it_is_as_over_the_kernel(scenario: Callable[[Recorder], None]) -> None:
    compare(scenario)
