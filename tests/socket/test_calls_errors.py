"""The queue of errors, and what else recvmsg(2) tells: as over the kernel."""

import errno
import socket
import struct
from collections.abc import Callable

import pytest

from tapstack.base.address import IPV4_LOOPBACK, Endpoint, parse_ipv4
from tapstack.sim import World
from tapstack.socket.calls.process import Process
from tests.socket.both_calls import Recorder, compare

SO, IP, TCP = socket.SOL_SOCKET, socket.IPPROTO_IP, socket.IPPROTO_TCP
ON, OFF = struct.pack("i", 1), struct.pack("i", 0)
PKTINFO, MTU_DISCOVER, RECVERR, RECVTTL, RECVTOS = 8, 10, 11, 12, 13
NOBODY = Endpoint(IPV4_LOOPBACK, 1)
ERR = 8


def a_port_that_nobody_has(do: Recorder) -> None:
    fd = do.socket(2, 2, 0)
    do.recvmsg(fd, 10, 100, socket.MSG_ERRQUEUE)
    do.setsockopt(fd, IP, RECVERR, ON)
    do.recvmsg(fd, 10, 100, socket.MSG_ERRQUEUE)
    do.sendto(fd, b"hello, world", 0, NOBODY)
    do.arrived(fd, events=ERR)
    do.poll([(fd, 0xFFF)], 0)
    do.recvmsg(fd, 5, 100, socket.MSG_ERRQUEUE)
    do.poll([(fd, 0xFFF)], 0)
    do.recvmsg(fd, 5, 100, socket.MSG_ERRQUEUE)
    do.getsockopt(fd, SO, socket.SO_ERROR, 4)
    do.sendto(fd, b"again", 0, NOBODY)
    do.arrived(fd, events=ERR)
    do.getsockopt(fd, SO, socket.SO_ERROR, 4)
    do.poll([(fd, 0xFFF)], 0)
    do.recvmsg(fd, 100, 30, socket.MSG_ERRQUEUE)
    do.recvmsg(fd, 100, 100, 0x40)


def several_errors(do: Recorder) -> None:
    fd = do.socket(2, 2, 0)
    do.setsockopt(fd, IP, RECVERR, ON)
    do.sendto(fd, b"one", 0, NOBODY)
    do.arrived(fd, events=ERR)
    do.sendto(fd, b"two", 0, NOBODY)
    do.getsockopt(fd, SO, socket.SO_ERROR, 4)
    do.sendto(fd, b"two", 0, NOBODY)
    do.recvmsg(fd, 100, 100, socket.MSG_ERRQUEUE)
    do.getsockopt(fd, SO, socket.SO_ERROR, 4)
    do.getsockopt(fd, SO, socket.SO_ERROR, 4)
    do.recvmsg(fd, 100, 100, socket.MSG_ERRQUEUE)
    do.setsockopt(fd, IP, RECVERR, OFF)
    do.recvmsg(fd, 100, 100, socket.MSG_ERRQUEUE)


def connected(do: Recorder) -> None:
    fd = do.socket(2, 2, 0)
    do.connect(fd, NOBODY)
    do.send(fd, b"x", 0)
    do.arrived(fd, events=ERR)
    do.poll([(fd, 0xFFF)], 0)
    do.recv(fd, 1, 0)
    do.poll([(fd, 0xFFF)], 0)
    do.recvmsg(fd, 1, 100, socket.MSG_ERRQUEUE)


def too_large(do: Recorder) -> None:
    one, _ = do.datagrams()
    do.setsockopt(one, IP, MTU_DISCOVER, struct.pack("i", 2))
    do.setsockopt(one, IP, RECVERR, ON)
    do.send(one, bytes(70_000), 0)
    do.recvmsg(one, 1, 100, socket.MSG_ERRQUEUE)


def what_comes_with_datagrams(do: Recorder) -> None:
    one, other = do.datagrams()
    do.setsockopt(one, IP, socket.IP_TOS, struct.pack("i", 0x28))
    do.setsockopt(one, IP, socket.IP_TTL, struct.pack("i", 33))
    for option in (RECVTOS, PKTINFO, RECVTTL):
        do.setsockopt(other, IP, option, ON)
    do.send(one, b"hello", 0)
    do.arrived(other)
    do.recvmsg(other, 100, 100, socket.MSG_PEEK)
    do.recvmsg(other, 2, 40, 0)
    do.send(one, b"", 0)
    do.arrived(other)
    do.recvmsg(other, 2, 0, 0)
    do.setsockopt(other, IP, PKTINFO, OFF)
    do.send(one, b"x", 0)
    do.arrived(other)
    do.recvmsg(other, 2, 100, 0)


def how_much_is_left(do: Recorder) -> None:
    client, server = do.pair()
    do.setsockopt(server, TCP, 36, ON)
    do.write(client, b"hello, world")
    do.arrived(server)
    do.recvmsg(server, 5, 100, 0)
    do.recvmsg(server, 5, 100, socket.MSG_PEEK)
    do.recvmsg(server, 100, 100, 0)
    do.write(client, b"abc")
    do.arrived(server)
    do.shutdown(client, 1)
    do.arrived(server, events=0x2000)
    do.recvmsg(server, 1, 100, 0)
    do.recvmsg(server, 100, 100, 0)
    do.recvmsg(server, 100, 100, 0)
    do.recvmsg(server, 100, 100, socket.MSG_ERRQUEUE)
    do.recvmsg(server, 100, 10, 0)


def flags_of_messages(do: Recorder) -> None:
    one, other = do.datagrams()
    for _ in range(4):
        do.send(one, b"0123456789", 0)
    do.arrived(other)
    do.recvmsg(other, 4, 0, 0)
    do.recv(other, 4, socket.MSG_TRUNC)
    do.recv(other, 4, socket.MSG_WAITALL)
    do.recv(other, 0, 0)
    do.send(one, b"", 0)
    do.arrived(other)
    do.recvfrom(other, 4, 0)
    client, server = do.pair()
    do.write(client, b"0123456789")
    do.arrived(server)
    do.recv(server, 4, socket.MSG_TRUNC)
    do.recv(server, 0, 0)
    do.read(server, 0)
    do.recv(server, 100, 0)
    do.recv(server, 0, socket.MSG_DONTWAIT)
    do.read(server, 0)
    do.send(client, b"!", socket.MSG_OOB)
    do.arrived(server, events=2)
    do.recvmsg(server, 4, 0, socket.MSG_OOB)
    do.recvmsg(server, 4, 0, socket.MSG_OOB)


def test_why_no_connection_could_be_made_is_queued() -> None:
    with World() as world:
        client, router, server = world.host("client"), world.router("router"), world.host("server")
        world.link(client, router)
        world.link(router, server, arp=True)
        client.add_route("default", router.address)
        process = Process(client)
        fd = process.socket(2, 1, 0)
        nobody = Endpoint(parse_ipv4(server.address) + 50, 80)
        with pytest.raises(OSError, match="No route to host"):
            process.connect(fd, nobody)
        assert process.poll([(fd, 0xFFF)], 0)[0] & ERR
        _, name, ((level, kind, told),), flags = process.recvmsg(fd, 0, 100, socket.MSG_ERRQUEUE)
        assert (level, kind, name) == (IP, RECVERR, nobody)
        assert flags == socket.MSG_ERRQUEUE | socket.MSG_TRUNC
        offender = socket.inet_ntoa(told[20:24])
        assert struct.unpack("=IBBB", told[:7]) == (errno.EHOSTUNREACH, 2, 3, 1)
        assert offender == router.address
        assert not process.poll([(fd, 0xFFF)], 0)[0] & ERR


@pytest.mark.parametrize(
    "scenario",
    [
        a_port_that_nobody_has,
        several_errors,
        connected,
        too_large,
        what_comes_with_datagrams,
        how_much_is_left,
        flags_of_messages,
    ],
)
def test_it_is_as_over_the_kernel(scenario: Callable[[Recorder], None]) -> None:
    compare(scenario)
