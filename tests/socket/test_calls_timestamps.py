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
TX_ACK, OPT_TSONLY, OPT_STATS, OPT_ID_TCP = 1 << 9, 1 << 11, 1 << 12, 1 << 16
TIMESTAMP_NEW, TIMESTAMPNS_NEW, TIMESTAMPING_NEW = 63, 64, 65
STATISTICS, TS_OPT_ID, OPT_CMSG, PKTINFO, RECVTTL = 54, 81, 1 << 10, 8, 12
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


def by_number(do: Recorder) -> None:
    one, _ = do.datagrams()
    number = SO, TS_OPT_ID, struct.pack("I", 0xFFFFFFF0)
    do.sendmsg(one, [b"abc"], [number], 0, None)
    do.setsockopt(one, SO, TIMESTAMPING, flags(TX_SOFTWARE | OPT_TSONLY | OPT_ID))
    for control in ([number], [], [(SO, TS_OPT_ID, b"\1")]):
        do.sendmsg(one, [b"abc"], control, 0, None)
    drain(do, one, 2)
    client, _ = do.pair()
    do.setsockopt(client, SO, TIMESTAMPING, flags(TX_SOFTWARE | OPT_TSONLY | OPT_ID))
    do.sendmsg(client, [b"abc"], [number], 0, None)


def new_names(do: Recorder) -> None:
    names = TIMESTAMP, TIMESTAMPNS, TIMESTAMP_NEW, TIMESTAMPNS_NEW
    both = TIMESTAMPING, TIMESTAMPING_NEW
    for kind in (1, 2):
        fd = do.socket(2, kind, 0)
        settings = [(name, on) for name in names for on in (1, 0)]
        settings += [(name, 1) for name in names[::-1]] + [(name, 0) for name in names]
        settings += [(name, SOFTWARE | RX_SOFTWARE) for name in (*both, *both[:1])]
        for name, value in settings:
            do.setsockopt(fd, SO, name, flags(value))
            for each in (*names, *both):
                do.getsockopt(fd, SO, each, 8)


def told_by_new_names(do: Recorder) -> None:
    for name in (TIMESTAMP, TIMESTAMP_NEW, TIMESTAMPNS, TIMESTAMPNS_NEW):
        for flags_name in (TIMESTAMPING, TIMESTAMPING_NEW):
            one, other = do.datagrams()
            do.setsockopt(other, SO, name, flags(1))
            do.setsockopt(other, SO, flags_name, flags(RX_SOFTWARE | SOFTWARE | TX_SOFTWARE))
            do.send(one, b"abc", 0)
            do.arrived(other)
            received = do._calls.recvmsg(other, 3, 400, 0)
            do.note([(level, kind, len(data)) for level, kind, data in received[2]])
            do.send(other, b"", 0)
            do.arrived(other, events=ERR)
            received = do._calls.recvmsg(other, 0, 400, ERRQUEUE)
            do.note([(level, kind, len(data)) for level, kind, data in received[2]])


DEPEND_ON_TIME = {1, 2, 3, 6, 7, 8, 10, 22, 25}
"""TCP_NLA_BUSY, _RWND_LIMITED, _SNDBUF_LIMITED, _PACING_RATE, _DELIVERY_RATE, _SND_CWND, ..."""
DEPEND_ON_THE_PAST = {9, 15}
"""TCP_NLA_REORDERING and _SND_SSTHRESH: what the kernel knows of a host (ip-tcp_metrics(8))."""
NOT_COMPARED = DEPEND_ON_TIME | DEPEND_ON_THE_PAST


def statistics(octets: bytes) -> list[tuple[int, int, int]]:
    """Read netlink attributes: the number, the length and the value of each."""
    read = []
    while octets:
        length, number = struct.unpack_from("HH", octets)
        read.append((number, length, int.from_bytes(octets[4:length], "little")))
        octets = octets[(length + 3) & ~3 :]
    return read


def with_statistics(do: Recorder) -> None:
    client, server = do.pair()
    do.setsockopt(client, SO, TIMESTAMPING, flags(EVERYTHING | OPT_STATS))
    for size in (1000, 100):
        do.write(client, bytes(size))
        do.arrived(server)
        do.read(server, size)
        do.acknowledged(client)
    for _ in range(6):
        data, name, control, told = do._calls.recvmsg(client, 400, 800, ERRQUEUE)
        do.note((name, told, [(level, kind, len(data)) for level, kind, data in control]))
        (octets,) = (each for _, kind, each in control if kind == STATISTICS)
        assert bytes(data) == octets
        for number, length, value in statistics(octets):
            do.note((number, length, None if number in NOT_COMPARED else value))
    one, _ = do.datagrams()
    do.setsockopt(one, SO, TIMESTAMPING, flags(EVERYTHING | OPT_STATS))
    do.send(one, b"abc", 0)
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
        by_number,
        new_names,
        told_by_new_names,
        with_statistics,
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


def test_how_the_connection_stands_is_told_with_each_time(ends: Ends) -> None:
    fd, _ = ends.connect()
    ends.world.run_for(DELAY)
    ends.client.setsockopt(fd, SO, TIMESTAMPING, flags(EVERYTHING | OPT_STATS))
    now = ends.world.now
    ends.client.write(fd, bytes(1000))
    ends.world.run_for(SECOND)
    told = []
    for _ in (SCHEDULED, SENT, ACKNOWLEDGED):
        octets = ends.client.recvmsg(fd, 0, 400, ERRQUEUE).control[1][2]
        told.append({number: value for number, _, value in statistics(octets)})
    scheduled, sent, acknowledged = told
    busy, min_rtt, queued, delivered, srtt, unsent, departure, ttl = 1, 10, 13, 16, 22, 24, 25, 26
    assert scheduled == sent
    assert (sent[busy], sent[queued], sent[unsent], sent[delivered]) == (0, 1000, 1000, 1)
    assert sent[min_rtt] == sent[srtt] == 2 * DELAY
    assert sent[departure] == acknowledged[departure] == now * 1000
    assert acknowledged[busy] >= 2 * DELAY
    assert (acknowledged[queued], acknowledged[unsent], acknowledged[delivered]) == (0, 0, 2)
    assert ttl not in sent
    assert acknowledged[ttl] == 64


def error_message(ends: Ends, fd: int) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Take one: the data, and what is told of the header and the error, by their kinds."""
    message = ends.client.recvmsg(fd, 4000, 400, ERRQUEUE)
    return bytes(message.data), [(kind, data) for level, kind, data in message.control if not level]


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_copy_of_what_was_sent_has_its_headers(ends: Ends, kind: int) -> None:
    if kind == socket.SOCK_STREAM:
        fd, _ = ends.connect()
    else:
        fd = ends.client.socket(2, kind, 0)
        ends.client.connect(fd, ends.address)
    ends.client.setsockopt(fd, SO, TIMESTAMPING, flags(TX_SCHED | TX_SOFTWARE | TX_ACK | OPT_CMSG))
    ends.client.setsockopt(fd, IP, PKTINFO, flags(1))
    ends.client.setsockopt(fd, IP, socket.IP_TTL, flags(33))
    ends.client.setsockopt(fd, IP, RECVTTL, flags(1))
    here, there = (socket.inet_aton(host.address) for host in ends.hosts)
    port = ends.client.getsockname(fd).port
    ends.client.write(fd, b"some text")
    ends.world.run_for(SECOND)
    for _ in (SCHEDULED, SENT):
        data, told = error_message(ends, fd)
        assert (data[0], data[8], data[12:16], data[16:20]) == (0x45, 33, here, there)
        assert struct.unpack_from("!HH", data, 20) == (port, 7000)
        assert len(data) == struct.unpack_from("!H", data, 2)[0]
        assert data.endswith(b"some text")
        (first, info), (second, ttl), (third, error) = told
        assert (first, info[4:8], info[8:]) == (PKTINFO, here, there)
        assert (second, ttl) == (socket.IP_TTL, flags(33))
        assert (third, error[16:]) == (RECVERR, struct.pack("H", 2) + bytes(2) + here + bytes(8))
    if kind == socket.SOCK_STREAM:
        data, ((only, error),) = error_message(ends, fd)
        assert (data, only, error[16:]) == (b"some text", RECVERR, bytes(16))


def test_who_declines_the_copy_is_told_of_no_header(ends: Ends) -> None:
    fd = ends.client.socket(2, socket.SOCK_DGRAM, 0)
    ends.client.connect(fd, ends.address)
    wanted = TX_SOFTWARE | OPT_TSONLY | OPT_CMSG
    ends.client.setsockopt(fd, SO, TIMESTAMPING, flags(wanted))
    ends.client.setsockopt(fd, IP, PKTINFO, flags(1))
    ends.client.write(fd, b"some text")
    data, ((only, error),) = error_message(ends, fd)
    assert (data, only, error[16:]) == (b"", RECVERR, bytes(16))


def test_of_what_is_cut_the_first_fragment_is_copied(ends: Ends) -> None:
    fd = ends.client.socket(2, socket.SOCK_DGRAM, 0)
    ends.client.connect(fd, ends.address)
    ends.client.setsockopt(fd, SO, TIMESTAMPING, flags(TX_SOFTWARE))
    ends.client.write(fd, bytes(4000))
    data, _ = error_message(ends, fd)
    assert (len(data), data[6] & 0x20) == (1500, 0x20)


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
