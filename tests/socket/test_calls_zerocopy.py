"""MSG_ZEROCOPY by system calls, and by socket objects: who is told that his data may be changed."""

import errno
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings, strategies as st

from tapstack.sim import MILLISECOND, SECOND, RandomLoss, Socket, Way, World
from tests.socket.both_calls import Recorder, compare

SO, ZEROCOPY, ERRQUEUE = socket.SOL_SOCKET, 60, socket.MSG_ERRQUEUE
HELD = 0x4000000  # MSG_ZEROCOPY
ON = struct.pack("i", 1)
ERR, ORIGIN, COPIED = 8, 5, 1


def drain(do: Recorder, fd: int) -> None:
    do.arrived(fd, events=ERR)
    do.recvmsg(fd, 10, 400, ERRQUEUE)
    do.recvmsg(fd, 10, 400, ERRQUEUE)


# --- as over the kernel -------------------------------------------------------------------------


def of_a_stream(do: Recorder) -> None:
    client, _ = do.pair()
    do.setsockopt(client, SO, ZEROCOPY, ON)
    for size in (1000, 1, 20_000):
        do.send(client, bytes(size), HELD)
        drain(do, client)


def not_asked_for(do: Recorder) -> None:
    client, server = do.pair()
    do.send(client, b"abc", HELD)
    do.arrived(server)
    do.recvmsg(client, 10, 400, ERRQUEUE)


def by_message(do: Recorder) -> None:
    client, _ = do.pair()
    do.setsockopt(client, SO, ZEROCOPY, ON)
    do.sendmsg(client, [b"abc", b"", b"def"], [], HELD, None)
    drain(do, client)
    do.sendto(client, b"abc", HELD, None)
    drain(do, client)
    do.send(client, b"", HELD)
    do.recvmsg(client, 10, 400, ERRQUEUE)


def of_datagrams(do: Recorder) -> None:
    one, _ = do.datagrams()
    do.send(one, b"hello", HELD)
    do.recvmsg(one, 10, 400, ERRQUEUE)
    do.setsockopt(one, SO, ZEROCOPY, ON)
    for size in (5, 0, 60_000):
        do.send(one, bytes(size), HELD)
    drain(do, one)
    do.send(one, bytes(70_000), HELD)
    do.send(one, b"hello", HELD)
    drain(do, one)


def never_connected(do: Recorder) -> None:
    fd, listener = do.socket(2, 1, 0), do.listener()
    for each in (fd, listener):
        do.setsockopt(each, SO, ZEROCOPY, ON)
        do.send(each, b"abc", HELD)
        do.recvmsg(each, 10, 400, ERRQUEUE)


@pytest.mark.parametrize(
    "scenario", [of_a_stream, not_asked_for, by_message, of_datagrams, never_connected]
)
def test_it_is_as_over_the_kernel(scenario: Callable[[Recorder], None]) -> None:
    compare(scenario)


# --- by socket objects --------------------------------------------------------------------------


def told(holder: Socket) -> list[tuple[int, int]]:
    """Take what is queued: the first and the last number of each entry."""
    ranges = []
    while True:
        try:
            data, control, flags, source = holder.recvmsg(1, 200, ERRQUEUE | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return ranges
        ((_, _, error),) = control
        number, origin, _, code, first, last = struct.unpack_from("=IBBBxII", error)
        assert (data, flags, source) == (b"", ERRQUEUE, None)
        assert (number, origin, code) == (0, ORIGIN, COPIED)
        ranges.append((first, last))


def test_a_call_is_told_of_when_all_of_it_has_arrived() -> None:
    with World() as world:
        client, server = world.host("client"), world.host("server")
        world.link(client, server, Way(delay=10 * MILLISECOND))
        with (
            server.create_server(("", 7000)),
            client.create_connection((server.address, 7000)) as s,
        ):
            s.setsockopt(SO, ZEROCOPY, 1)
            assert s.getsockopt(SO, ZEROCOPY) == 1
            s.send(bytes(1000), HELD)
            s.send(bytes(1000), HELD)
            world.run_for(15 * MILLISECOND)
            assert told(s) == []
            world.run_for(SECOND)
            assert told(s) == [(0, 1)]


@contextmanager
def sender_to_a_reader() -> Iterator[tuple[World, Socket]]:
    """Give a socket that has asked for MSG_ZEROCOPY, to a peer who reads all."""
    with World() as world:
        client, server = world.host("client"), world.host("server")
        world.link(client, server, Way(delay=10 * MILLISECOND))
        with server.create_server(("", 7000)) as listener:
            s = client.create_connection((server.address, 7000))
            world.spawn(_read_all, listener)
            s.setsockopt(SO, ZEROCOPY, 1)
            yield world, s


def test_all_of_one_call_has_one_number() -> None:
    with sender_to_a_reader() as (world, s):
        s.sendall(bytes(2_000_000), HELD)
        s.send(bytes(10), HELD)
        world.run_for(SECOND)
        assert told(s) == [(0, 1)]
        s.close()
        world.run_for(SECOND)


@pytest.mark.parametrize("call", ["send", "sendall"])
def test_a_call_that_waits_is_told_of_once_all_of_it_is_queued(call: str) -> None:
    """Though all that it had queued has arrived before it finds more room."""
    with sender_to_a_reader() as (world, s):
        s.setsockopt(SO, socket.SO_SNDBUF, 2048)
        world.spawn(getattr(s, call), bytes(1_000_000), HELD)
        world.run_for(100 * MILLISECOND)
        assert told(s) == []
        world.run_for(10 * SECOND)
        assert told(s) == [(0, 0)]
        s.close()
        world.run_for(SECOND)


def test_who_is_told_too_much_may_not_send() -> None:
    with World() as world:
        client, server = world.host("client"), world.host("server")
        client.stack.tcp.config.optmem_max = 832 + 576
        world.link(client, server, Way(delay=10 * MILLISECOND))
        with (
            server.create_server(("", 7000)),
            client.create_connection((server.address, 7000)) as s,
        ):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.setsockopt(SO, ZEROCOPY, 1)
            s.send(bytes(1000), HELD)
            s.send(bytes(1000), HELD)
            with pytest.raises(OSError, match="No buffer space") as refused:
                s.send(bytes(1000), HELD)
            assert refused.value.errno == errno.ENOBUFS
            world.run_for(SECOND)
            assert told(s) == [(0, 1)]
            s.send(bytes(1000), HELD)


def _read_all(listener: Socket) -> None:
    _drain(listener.accept()[0])


def _drain(connection: Socket) -> None:
    while connection.recv(100_000):
        pass
    connection.close()


SENDS = st.lists(
    st.tuples(st.sampled_from([1, 99, 1460, 3000, 40_000]), st.sampled_from([0, socket.MSG_MORE])),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(sends=SENDS, held=st.lists(st.booleans(), min_size=12, max_size=12), lost=st.booleans())
def test_each_number_is_told_once(
    sends: list[tuple[int, int]], held: list[bool], lost: bool
) -> None:
    with World(seed=len(sends)) as world:
        client, server = world.host("client"), world.host("server")
        link = world.link(client, server, Way(delay=10 * MILLISECOND))
        with server.create_server(("", 7000)) as listener:
            s = client.create_connection((server.address, 7000))
            world.spawn(_read_all, listener)
            s.setsockopt(SO, ZEROCOPY, 1)
            if lost:
                link.there.impairments.append(RandomLoss(0.1))
            numbers = []
            for (size, more), is_held in zip(sends, held, strict=False):
                s.send(bytes(size), more | HELD * is_held)
                numbers += [n for first, last in told(s) for n in range(first, last + 1)]
            s.shutdown(socket.SHUT_WR)
            world.run_for(60 * SECOND)
            numbers += [n for first, last in told(s) for n in range(first, last + 1)]
            assert numbers == list(range(sum(held[: len(sends)])))
            s.close()
            world.run_for(SECOND)
