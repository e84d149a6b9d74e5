"""UDP sockets: whole datagrams, to and from anybody or one peer."""

import array
import errno
import select
import socket

import pytest

import tapstack.socket
from tests.socket.nets import LOOPBACK, PATIENCE, Background, Net, wait_readable


def test_datagrams_there_and_back(net: Net) -> None:
    here, there = net.datagram(), net.datagram()
    for data in (b"", b"x", bytes(1473), bytes(range(256)) * 200):
        assert here.sendto(data, there.getsockname()) == len(data)
        received, source = there.recvfrom(65536)
        assert (received, source) == (data, here.getsockname())
        there.sendto(received[::-1], 0, source)
        assert here.recv(65536) == data[::-1]


def test_a_connected_pair(net: Net) -> None:
    here, there, stranger = net.datagram(), net.datagram(), net.datagram()
    here.connect(there.getsockname())
    assert here.getpeername() == there.getsockname()
    stranger.sendto(b"unheard", here.getsockname())
    there.sendto(b"heard", here.getsockname())
    assert here.recv(100) == b"heard"
    assert here.send(b"to you") == 6
    assert there.recvfrom(100) == (b"to you", here.getsockname())
    here.sendto(b"to somebody else", stranger.getsockname())
    assert stranger.recv(100) == b"to somebody else"
    here.connect(stranger.getsockname())
    here.sendall(b"changed")
    assert stranger.recv(100) == b"changed"


def test_sending_takes_a_port(net: Net) -> None:
    there, fresh = net.datagram(), net.socket(socket.SOCK_DGRAM)
    fresh.sendto(b"x", there.getsockname())
    assert fresh.getsockname()[0] == "0.0.0.0"
    _, source = there.recvfrom(1)
    assert source == (LOOPBACK, fresh.getsockname()[1])


def test_connecting_takes_an_address(net: Net) -> None:
    there, fresh = net.datagram(), net.socket(socket.SOCK_DGRAM)
    fresh.connect(there.getsockname())
    assert fresh.getsockname()[0] == LOOPBACK


def test_nobody_there(net: Net) -> None:
    here = net.datagram()
    here.settimeout(PATIENCE)
    here.connect((LOOPBACK, net_closed_udp_port(net)))
    here.send(b"x")
    with pytest.raises(ConnectionRefusedError):
        here.recv(1)
    here.setblocking(False)
    with pytest.raises(BlockingIOError):  # told once
        here.recv(1)
    here.send(b"x")
    wait_readable(here)
    assert here.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    here.send(b"x")
    wait_readable(here)
    with pytest.raises(ConnectionRefusedError):
        here.send(b"y")


def net_closed_udp_port(net: Net) -> int:
    with net.datagram() as probe:
        return int(probe.getsockname()[1])


def test_nobody_is_told_of_an_unconnected_send(net: Net) -> None:
    here = net.datagram()
    here.sendto(b"x", (LOOPBACK, net_closed_udp_port(net)))
    here.setblocking(False)
    with pytest.raises(BlockingIOError):
        here.recv(1)


def test_what_does_not_fit_is_cut_off(net: Net) -> None:
    here, there = net.datagram(), net.datagram()
    here.sendto(b"abcdefgh", there.getsockname())
    here.sendto(b"next", there.getsockname())
    assert there.recv(3) == b"abc"
    buffer = bytearray(2)
    assert there.recvfrom_into(buffer) == (2, here.getsockname())
    assert buffer == b"ne"


def test_peek_leaves_the_datagram(net: Net) -> None:
    here, there = net.datagram(), net.datagram()
    here.sendto(b"abc", there.getsockname())
    assert there.recvfrom(2, socket.MSG_PEEK) == (b"ab", here.getsockname())
    assert there.recv(9, socket.MSG_DONTWAIT) == b"abc"
    with pytest.raises(BlockingIOError):
        there.recv(9, socket.MSG_DONTWAIT)


def test_an_empty_datagram_is_one(net: Net) -> None:
    here, there = net.datagram(), net.datagram()
    here.sendto(b"", there.getsockname())
    here.sendto(b"x", there.getsockname())
    assert there.recv(9) == b""
    assert there.recv(9) == b"x"


def test_numbers_are_octets(net: Net) -> None:
    here, there = net.datagram(), net.datagram()
    numbers = array.array("h", range(9))
    assert here.sendto(numbers, there.getsockname()) == 18
    assert there.recv(99) == numbers.tobytes()


@pytest.mark.parametrize(
    ("address", "number"),
    [("255.255.255.255", errno.EACCES), (LOOPBACK, errno.EMSGSIZE)],
    ids=["broadcast", "too long"],
)
def test_what_may_not_be_sent(net: Net, address: str, number: int) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is parametrized
        net.datagram().sendto(bytes(65508 if address == LOOPBACK else 1), (address, 9))
    assert caught.value.errno == number


def test_nowhere_to_send(net: Net) -> None:
    with pytest.raises(OSError, match="Destination address required"):
        net.datagram().send(b"x")
    with pytest.raises(TypeError):
        net.datagram().sendto(b"x")
    with pytest.raises(TypeError):
        net.datagram().sendto(b"x", 0, (LOOPBACK, 9), 0)


def test_there_are_no_connections(net: Net) -> None:
    udp = net.datagram()
    for call in (udp.listen, udp.accept):
        with pytest.raises(OSError, match="Operation not supported"):
            call()


def test_a_port_has_one_owner_unless_shared(net: Net) -> None:
    owner = net.datagram()
    with pytest.raises(OSError, match="Address already in use"):
        net.socket(socket.SOCK_DGRAM).bind(owner.getsockname())
    shared = [net.socket(socket.SOCK_DGRAM) for _ in range(2)]
    for each in shared:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    shared[0].bind((LOOPBACK, 0))
    shared[1].bind(shared[0].getsockname())


def test_shutdown_of_a_connected_one(net: Net) -> None:
    here, there = net.datagram(), net.datagram()
    here.connect(there.getsockname())
    here.shutdown(socket.SHUT_RDWR)
    assert here.recvfrom(1) == (b"", None)
    with pytest.raises(BrokenPipeError):
        here.send(b"x")


def test_what_waits_survives_a_shutdown(net: Net) -> None:
    here, there = net.datagram(), net.datagram()
    here.connect(there.getsockname())
    there.sendto(b"before", here.getsockname())
    wait_readable(here)
    here.shutdown(socket.SHUT_RD)
    assert here.recv(9) == b"before"
    assert here.recv(9) == b""


def test_a_datagram_wakes_a_reader(net: Net) -> None:
    here, there = net.datagram(), net.datagram()
    reader = Background(there.recvfrom, 9)
    reader.until_blocked()
    here.sendto(b"wake", there.getsockname())
    assert reader.result() == (b"wake", here.getsockname())


def test_a_descriptor_shows_an_error(net: Net) -> None:
    here = net.datagram()
    here.connect((LOOPBACK, net_closed_udp_port(net)))
    assert select.select([here], [here], [], 0) == ([], [here], [])
    here.send(b"x")
    wait_readable(here)
    with pytest.raises(ConnectionRefusedError):
        here.recv(1)
    assert select.select([here], [], [], 0) == ([], [], [])


def test_an_error_is_told_before_what_came_earlier(net: Net) -> None:
    here, there = net.datagram(), net.datagram()
    here.connect(there.getsockname())
    there.sendto(b"before", here.getsockname())
    there.close()
    here.send(b"x")
    if net.runtime is None:  # ours is here already, and its descriptor does not tell it apart
        poller = select.poll()
        poller.register(here, 0)
        assert poller.poll(PATIENCE * 1000) == [(here.fileno(), select.POLLERR)]
    with pytest.raises(ConnectionRefusedError):
        here.recvfrom(100)
    assert here.recv(100) == b"before"


@pytest.mark.parametrize("end", ["close", "detach"])
def test_a_holder_that_has_let_go_reads_nothing(net: Net, end: str) -> None:
    here, there = net.datagram(), net.datagram()
    other = net.keep(there.dup())
    here.sendto(b"for the other", there.getsockname())
    number = getattr(there, end)()
    with pytest.raises(OSError, match="Bad file descriptor"):
        there.recv(100)
    if number is not None:
        net.keep(type(there)(fileno=number) if net.runtime is None else attached(number))
    assert other.recvfrom(100) == (b"for the other", here.getsockname())


def attached(number: int) -> tapstack.socket.socket:
    return tapstack.socket.socket(fileno=number)


def test_a_descriptor_shows_whether_more_is_to_be_read(net: Net) -> None:
    here, there = net.datagram(), net.datagram()
    assert there.fileno() >= 0
    for data in (b"one", b"two"):
        here.sendto(data, there.getsockname())
    for data in (b"one", b"two"):
        assert select.select([there], [], [], PATIENCE)[0] == [there]
        assert there.recv(100) == data
    assert select.select([there], [], [], 0)[0] == []


def test_many_readers_get_each_datagram_once(net: Net) -> None:
    here, there = net.datagram(), net.datagram()

    def read() -> list[bytes]:
        return list(iter(lambda: there.recv(100), b""))

    readers = [Background(read) for _ in range(3)]
    sent = [str(number).encode() for number in range(100)]
    for data in sent:
        here.sendto(data, there.getsockname())
    for _ in readers:
        here.sendto(b"", there.getsockname())
    got = [reader.result() for reader in readers]
    assert sorted(data for mine in got for data in mine) == sorted(sent)
    assert all(mine == sorted(mine, key=int) for mine in got)
