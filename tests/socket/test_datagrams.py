"""UDP sockets: whole datagrams, to and from anybody or one peer."""

import array
import errno
import select
import socket

import pytest

from tests.socket.nets import LOOPBACK, PATIENCE, Background, Net


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
    assert here.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    here.send(b"x")
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
    assert select.select([here], [], [], PATIENCE) == ([here], [], [])
    with pytest.raises(ConnectionRefusedError):
        here.recv(1)
    assert select.select([here], [], [], 0) == ([], [], [])
