"""Timestamps by system calls: of what arrives, and of what is sent (SO_TIMESTAMPING)."""

import errno
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from tapstack.base.address import Endpoint, parse_ipv4
from tapstack.sim import MILLISECOND, SECOND, Host, Way, World
from tapstack.socket.calls.process import Process
from tests.socket.both_calls import Recorder, compare

SO, IP, TIMESTAMP, TIMESTAMPNS, TIMESTAMPING, RECVERR = socket.SOL_SOCKET, 0, 29, 35, 37, 11
TX_SOFTWARE, RX_SOFTWARE, SOFTWARE, OPT_ID, TX_SCHED = 1 << 1, 1 << 3, 1 << 4, 1 << 7, 1 << 8
TX_ACK, OPT_TSONLY, OPT_ID_TCP = 1 << 9, 1 << 11, 1 << 16
EVERYTHING = TX_SOFTWARE | TX_SCHED | TX_ACK | SOFTWARE | OPT_ID | OPT_TSONLY
SENT, SCHEDULED, ACKNOWLEDGED = 0, 1, 2
ERRQUEUE, MORE, ERR = socket.MSG_ERRQUEUE, socket.MSG_MORE, 8
DELAY = 10 * MILLISECOND


def flags(number: int) -> bytes:
    return struct.pack("i", number)


def drain(do: Recorder, fd: int, count: int, size: int = 0) -> None:
    """Note down so many entries of the queue, without the times."""
    for _ in range(count):
        do.arrived(fd, events=ERR)
        data, name, control, told = do._calls.recvmsg(fd, size, 400, ERRQUEUE)
        kinds = [(level, kind, data if kind == RECVERR else b"") for level, kind, data in control]
        do.note((len(data), name, kinds, told))
    do.recvmsg(fd, size, 400, ERRQUEUE)


# --- as over the kernel -------------------------------------------------------------------------


def of_a_stream(do: Recorder) -> None:
    client, _ = do.pair()
    do.setsockopt(client, SO, TIMESTAMPING, flags(EVERYTHING))
    for size in (1000, 100):
        do.write(client, bytes(size))
        drain(do, client, 3)


def not_counted(do: Recorder) -> None:
    client, _ = do.pair()
    do.setsockopt(client, SO, TIMESTAMPING, flags(EVERYTHING & ~OPT_ID))
    for _ in range(2):
        do.write(client, b"abc")
        drain(do, client, 3)


def not_the_times(do: Recorder) -> None:
    client, _ = do.pair()
    do.setsockopt(client, SO, TIMESTAMPING, flags(EVERYTHING & ~SOFTWARE))
    do.write(client, b"abc")
    drain(do, client, 3)


def with_a_copy(do: Recorder) -> None:
    client, _ = do.pair()
    do.setsockopt(client, SO, TIMESTAMPING, flags(TX_SOFTWARE | TX_ACK | SOFTWARE))
    do.write(client, bytes(100))
    drain(do, client, 2, 100 - 60)


def of_one_message(do: Recorder) -> None:
    client, _ = do.pair()
    do.setsockopt(client, SO, TIMESTAMPING, flags(SOFTWARE | OPT_ID | OPT_TSONLY))
    do.sendmsg(client, [b"abc"], [(SO, TIMESTAMPING, flags(TX_SOFTWARE | TX_ACK))], 0, None)
    drain(do, client, 2)
    do.write(client, b"abc")
    drain(do, client, 0)
    do.sendmsg(client, [b"abc"], [(SO, TIMESTAMPING, flags(SOFTWARE))], 0, None)
    do.sendmsg(client, [b"abc"], [(SO, TIMESTAMPING, b"\1")], 0, None)


def counted_from_the_next(do: Recorder) -> None:
    client, server = do.pair()
    do.write(client, b"xyz")
    do.arrived(server)
    wanted = OPT_ID | OPT_ID_TCP | TX_SOFTWARE | OPT_TSONLY
    do.setsockopt(client, SO, TIMESTAMPING, flags(wanted))
    do.write(client, b"abc")
    drain(do, client, 1)
    do.getsockopt(client, SO, TIMESTAMPING, 8)


def joined(do: Recorder) -> None:
    client, _ = do.pair()
    do.setsockopt(client, SO, TIMESTAMPING, flags(EVERYTHING))
    do.send(client, b"abc", MORE)
    do.send(client, b"def", 0)
    drain(do, client, 3)


def of_datagrams(do: Recorder) -> None:
    one, _ = do.datagrams()
    do.setsockopt(one, SO, TIMESTAMPING, flags(EVERYTHING))
    for _ in range(3):
        do.send(one, b"hello", 0)
    drain(do, one, 6)
    do.setsockopt(one, SO, TIMESTAMPING, flags(0))
    do.send(one, b"hello", 0)
    do.setsockopt(one, SO, TIMESTAMPING, flags(EVERYTHING))
    do.send(one, b"hello", 0)
    drain(do, one, 2)


def what_cannot_be(do: Recorder) -> None:
    fresh, listener = do.socket(2, 1, 0), do.listener()
    udp = do.socket(2, 2, 0)
    for fd in (fresh, listener, udp):
        for wanted in (SOFTWARE, OPT_ID, OPT_ID_TCP, 1 << 12, 1 << 25, SOFTWARE | TX_ACK):
            do.setsockopt(fd, SO, TIMESTAMPING, flags(wanted))
            do.getsockopt(fd, SO, TIMESTAMPING, 8)


@pytest.mark.parametrize(
    "scenario",
    [
        of_a_stream,
        not_counted,
        not_the_times,
        with_a_copy,
        of_one_message,
        counted_from_the_next,
        joined,
        of_datagrams,
        what_cannot_be,
    ],
)
def test_it_is_as_over_the_kernel(scenario: Callable[[Recorder], None]) -> None:
    compare(scenario)


# --- to the microsecond -------------------------------------------------------------------------


class Ends:
    """A process on each of two hosts that are 10 ms apart."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hosts: list[Host] = [world.host("client"), world.host("server")]
        world.link(self.hosts[0], self.hosts[1], Way(delay=DELAY))
        self.client, self.server = (Process(host) for host in self.hosts)
        self.address = Endpoint(parse_ipv4(self.hosts[1].address), 7000)

    def connect(self) -> tuple[int, int]:
        listener = self.server.socket(2, 1, 0)
        self.server.bind(listener, Endpoint(0, 7000))
        self.server.listen(listener, 1)
        fd = self.client.socket(2, 1, 0)
        self.client.connect(fd, self.address)
        return fd, self.server.accept(listener)[0]

    def told(self, fd: int) -> list[tuple[int, int, int]]:
        """Take what is queued: moment, number, µs."""
        taken = []
        while True:
            try:
                received = self.client.recvmsg(fd, 0, 400, ERRQUEUE)
            except BlockingIOError:
                return taken
            (_, _, stamp), (_, _, error) = received.control
            number, origin, _, _, moment, data = struct.unpack("=IBBBxII", error[:16])
            assert (number, origin) == (errno.ENOMSG, 4)
            taken.append((moment, data, microseconds(stamp)))


def microseconds(stamp: bytes) -> int:
    seconds, nanoseconds = struct.unpack_from("ll", stamp)
    return int(seconds) * SECOND + int(nanoseconds) // 1000


@pytest.fixture
def ends() -> Iterator[Ends]:
    with World() as world:
        yield Ends(world)


def test_what_is_sent_is_acknowledged_a_round_trip_later(ends: Ends) -> None:
    fd, _ = ends.connect()
    ends.client.setsockopt(fd, SO, TIMESTAMPING, flags(EVERYTHING))
    now = ends.world.now
    ends.client.write(fd, bytes(1000))
    ends.world.run_for(SECOND)
    told = ends.told(fd)
    assert told[:2] == [(SCHEDULED, 999, now), (SENT, 999, now)]
    moment, number, at = told[2]
    assert (moment, number) == (ACKNOWLEDGED, 999)
    assert at >= now + 2 * DELAY


def test_each_write_is_told_of_by_its_last_octet(ends: Ends) -> None:
    fd, _ = ends.connect()
    ends.client.setsockopt(fd, SO, TIMESTAMPING, flags(EVERYTHING))
    for size in (10, 20, 30):
        ends.client.write(fd, bytes(size))
        ends.world.run_for(SECOND)
    numbers = [number for moment, number, _ in ends.told(fd) if moment == ACKNOWLEDGED]
    assert numbers == [9, 29, 59]


def test_what_waits_for_the_window_is_told_of_when_it_leaves(ends: Ends) -> None:
    fd, accepted = ends.connect()
    ends.client.setsockopt(fd, SO, TIMESTAMPING, flags(EVERYTHING & ~TX_ACK))
    ends.client.fcntl(fd, 4, 0o4000)
    begun = ends.world.now
    taken = ends.client.write(fd, bytes(200_000))
    assert ends.told(fd) == []
    ends.world.run_for(SECOND)
    ends.server.recv(accepted, taken, 0x100)
    ends.world.run_for(SECOND)
    moments = [(moment, number) for moment, number, at in ends.told(fd) if at > begun]
    assert moments[:2] == [(SCHEDULED, taken - 1), (SENT, taken - 1)]


def test_the_end_of_a_long_text_is_told_of_though_it_may_leave_at_once(ends: Ends) -> None:
    fd, accepted = ends.connect()
    for _ in range(10):  # until the congestion window takes all of it
        ends.client.write(fd, bytes(200_000))
        ends.server.recv(accepted, 200_000, socket.MSG_WAITALL)
    ends.world.run_for(4 * DELAY)
    wish = SO, TIMESTAMPING, flags(TX_SOFTWARE)
    ends.client.setsockopt(fd, SO, TIMESTAMPING, flags(SOFTWARE | OPT_TSONLY))
    now = ends.world.now
    ends.client.sendmsg(fd, [bytes(200_000)], [wish], 0, None)
    assert ends.told(fd) == [(SENT, 0, now)]


def test_when_a_datagram_came(ends: Ends) -> None:
    there = ends.server.socket(2, 2, 0)
    ends.server.bind(there, ends.address)
    here = ends.client.socket(2, 2, 0)
    ends.hosts[1].stack.epoch = 1_000_000 * SECOND
    for option, unit in ((TIMESTAMP, 1), (TIMESTAMPNS, 1000)):
        ends.server.setsockopt(there, SO, option, flags(1))
        ends.client.sendto(here, b"x", 0, ends.address)
        sent = ends.world.now
        ends.world.run_for(SECOND)
        ((level, kind, stamp),) = ends.server.recvmsg(there, 10, 100, 0).control
        seconds, rest = struct.unpack("ll", stamp)
        assert (level, kind) == (SO, option)
        assert seconds * SECOND + rest // unit == 1_000_000 * SECOND + sent + DELAY


def test_when_text_came(ends: Ends) -> None:
    fd, accepted = ends.connect()
    ends.server.setsockopt(accepted, SO, TIMESTAMPING, flags(RX_SOFTWARE | SOFTWARE))
    sent = ends.world.now
    ends.client.write(fd, b"text")
    ends.world.run_for(SECOND)
    ((level, kind, stamp),) = ends.server.recvmsg(accepted, 10, 100, 0).control
    assert (level, kind, len(stamp)) == (SO, TIMESTAMPING, 48)
    assert microseconds(stamp) == sent + DELAY
