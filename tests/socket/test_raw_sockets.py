"""Raw sockets on our loopback: ICMP as ping sends it."""

import socket

import pytest

from tapstack.base.checksum import checksum
from tests.socket.nets import LOOPBACK, PATIENCE, Net

ECHO_REQUEST, ECHO_REPLY = 8, 0


def echo_request(identifier: int, text: bytes) -> bytes:
    rest = identifier.to_bytes(2, "big") + b"\0\1" + text
    total = checksum(bytes([ECHO_REQUEST, 0, 0, 0]) + rest)
    return bytes([ECHO_REQUEST, 0]) + total.to_bytes(2, "big") + rest


def test_ping_ourselves(ours: Net) -> None:
    raw = ours.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.settimeout(PATIENCE)
    request = echo_request(0x1234, b"hello")
    assert raw.sendto(request, (LOOPBACK, 0)) == len(request)
    heard = [raw.recvfrom(2000) for _ in range(2)]  # the request is heard, too
    assert [source for _, source in heard] == [(LOOPBACK, 0)] * 2
    assert [datagram[0] >> 4 for datagram, _ in heard] == [4, 4]
    assert [datagram[20] for datagram, _ in heard] == [ECHO_REQUEST, ECHO_REPLY]
    assert heard[1][0][24:] == request[4:]


def test_a_connected_one(ours: Net) -> None:
    raw = ours.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.settimeout(PATIENCE)
    with pytest.raises(OSError, match="not connected"):
        raw.getpeername()
    raw.connect(("127.0.0.2", 7))
    assert raw.getpeername() == ("127.0.0.2", 7)
    raw.send(echo_request(1, b"x"))
    assert raw.recvfrom(2000)[1] == ("127.0.0.2", 0)


def test_a_bound_one_hears_its_address_alone(ours: Net) -> None:
    bound, other = (ours.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP) for _ in range(2))
    bound.bind(("127.0.0.3", 0))
    assert bound.getsockname() == ("127.0.0.3", socket.IPPROTO_ICMP)
    other.sendto(echo_request(1, b"x"), (LOOPBACK, 0))
    with pytest.raises(BlockingIOError):
        bound.recv(2000, socket.MSG_DONTWAIT)
    other.sendto(echo_request(1, b"y"), ("127.0.0.3", 0))
    assert bound.recv(2000)[16:20] == bytes([127, 0, 0, 3])


def test_a_header_of_ones_own(ours: Net) -> None:
    raw = ours.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
    message = echo_request(7, b"")
    header = b"\x45\0\0\0\0\0\0\0\x21\1\0\0" + socket.inet_aton(LOOPBACK) * 2
    assert raw.sendto(header + message, (LOOPBACK, 0)) == 28
    request, reply = raw.recv(2000), raw.recv(2000)
    assert request[8] == 0x21
    assert reply[20] == ECHO_REPLY


@pytest.mark.parametrize(
    ("kind", "proto", "number"),
    [
        (socket.SOCK_RAW, 0, "Protocol not supported"),
        (socket.SOCK_STREAM, socket.IPPROTO_UDP, "Protocol not supported"),
        (socket.SOCK_DGRAM, socket.IPPROTO_TCP, "Protocol not supported"),
        (socket.SOCK_SEQPACKET, 0, "Socket type not supported"),
    ],
)
def test_sockets_that_there_are_not(net: Net, kind: int, proto: int, number: str) -> None:
    with pytest.raises(OSError, match=number):
        net.socket(kind, proto)
