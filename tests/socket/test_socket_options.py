"""Options: what is set is read back, as the kernel has it."""

import errno
import os
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.socket.nets import LOOPBACK, Background, Net, receive_all, until

SO, TCP, IP = socket.SOL_SOCKET, socket.IPPROTO_TCP, socket.IPPROTO_IP
STREAM_DEFAULTS = {
    "SO_REUSEADDR": (SO, socket.SO_REUSEADDR, 0),
    "SO_REUSEPORT": (SO, socket.SO_REUSEPORT, 0),
    "SO_KEEPALIVE": (SO, socket.SO_KEEPALIVE, 0),
    "SO_ERROR": (SO, socket.SO_ERROR, 0),
    "SO_ACCEPTCONN": (SO, socket.SO_ACCEPTCONN, 0),
    "SO_TYPE": (SO, socket.SO_TYPE, socket.SOCK_STREAM),
    "SO_PROTOCOL": (SO, socket.SO_PROTOCOL, socket.IPPROTO_TCP),
    "SO_DOMAIN": (SO, socket.SO_DOMAIN, socket.AF_INET),
    "SO_LINGER": (SO, socket.SO_LINGER, 0),
    "TCP_NODELAY": (TCP, socket.TCP_NODELAY, 0),
    "TCP_CORK": (TCP, socket.TCP_CORK, 0),
    "TCP_QUICKACK": (TCP, socket.TCP_QUICKACK, 1),
    "TCP_KEEPIDLE": (TCP, socket.TCP_KEEPIDLE, 7200),
    "TCP_KEEPINTVL": (TCP, socket.TCP_KEEPINTVL, 75),
    "TCP_KEEPCNT": (TCP, socket.TCP_KEEPCNT, 9),
    "TCP_SYNCNT": (TCP, socket.TCP_SYNCNT, 6),
    "TCP_LINGER2": (TCP, socket.TCP_LINGER2, 60),
    "TCP_DEFER_ACCEPT": (TCP, socket.TCP_DEFER_ACCEPT, 0),
    "TCP_USER_TIMEOUT": (TCP, socket.TCP_USER_TIMEOUT, 0),
    "TCP_MAXSEG": (TCP, socket.TCP_MAXSEG, 536),
    "IP_TTL": (IP, socket.IP_TTL, 64),
    "IP_TOS": (IP, socket.IP_TOS, 0),
}
SETTABLE = [
    ("SO_REUSEADDR", 1, 1),
    ("SO_REUSEPORT", 7, 1),
    ("SO_KEEPALIVE", 1, 1),
    ("TCP_NODELAY", 1, 1),
    ("TCP_CORK", 1, 1),
    ("TCP_QUICKACK", 0, 0),
    ("TCP_KEEPIDLE", 60, 60),
    ("TCP_KEEPINTVL", 5, 5),
    ("TCP_KEEPCNT", 3, 3),
    ("TCP_SYNCNT", 2, 2),
    ("TCP_LINGER2", 7, 7),
    ("TCP_LINGER2", 0, 60),
    ("TCP_LINGER2", -7, -1),
    ("TCP_LINGER2", 1000, 120),
    ("TCP_DEFER_ACCEPT", 1, 1),
    ("TCP_DEFER_ACCEPT", 2, 3),
    ("TCP_DEFER_ACCEPT", 5, 7),
    ("TCP_DEFER_ACCEPT", 130, 247),
    ("TCP_DEFER_ACCEPT", -1, 0),
    ("TCP_USER_TIMEOUT", 3000, 3000),
    ("IP_TTL", 7, 7),
    ("IP_TOS", 0x10, 0x10),
]
INVALID = [
    ("TCP_KEEPIDLE", 0),
    ("TCP_KEEPIDLE", 32768),
    ("TCP_KEEPINTVL", 0),
    ("TCP_KEEPCNT", 128),
    ("TCP_SYNCNT", 0),
    ("TCP_SYNCNT", 128),
    ("TCP_USER_TIMEOUT", -1),
    ("TCP_MAXSEG", 87),
    ("TCP_MAXSEG", 32768),
    ("IP_TTL", 0),
    ("IP_TTL", 256),
]


@pytest.mark.parametrize("name", STREAM_DEFAULTS)
def test_what_a_fresh_socket_says(net: Net, name: str) -> None:
    level, option, value = STREAM_DEFAULTS[name]
    fresh = net.socket()
    assert fresh.getsockopt(level, option) == value
    if name != "SO_LINGER":
        assert fresh.getsockopt(level, option, 4) == value.to_bytes(4, "little")


@pytest.mark.parametrize(("name", "value", "kept"), SETTABLE)
def test_what_is_set_is_kept(net: Net, name: str, value: int, kept: int) -> None:
    level, option, _ = STREAM_DEFAULTS[name]
    for given in (value, struct.pack("i", value)):
        fresh = net.socket()
        fresh.setsockopt(level, option, given)
        assert fresh.getsockopt(level, option) == kept


@pytest.mark.parametrize(("name", "value"), INVALID)
def test_what_cannot_be_set(net: Net, name: str, value: int) -> None:
    level, option, before = STREAM_DEFAULTS[name]
    fresh = net.socket()
    with pytest.raises(OSError, match="Invalid argument"):
        fresh.setsockopt(level, option, value)
    assert fresh.getsockopt(level, option) == before


@pytest.mark.parametrize("option", [socket.SO_ERROR, socket.SO_TYPE, socket.SO_ACCEPTCONN])
def test_what_only_tells(net: Net, option: int) -> None:
    for fresh in (net.socket(), net.socket(socket.SOCK_DGRAM)):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is what is asserted
            fresh.setsockopt(SO, option, 1)
        assert caught.value.errno == errno.ENOPROTOOPT


def test_what_a_fresh_datagram_socket_says(net: Net) -> None:
    fresh = net.socket(socket.SOCK_DGRAM)
    assert fresh.getsockopt(SO, socket.SO_TYPE) == socket.SOCK_DGRAM
    assert fresh.getsockopt(SO, socket.SO_PROTOCOL) == socket.IPPROTO_UDP
    assert fresh.getsockopt(SO, socket.SO_BROADCAST) == 0
    assert fresh.getsockopt(IP, socket.IP_MULTICAST_TTL) == 1
    fresh.setsockopt(SO, socket.SO_BROADCAST, 1)
    assert fresh.getsockopt(SO, socket.SO_BROADCAST) == 1
    fresh.setsockopt(IP, socket.IP_MULTICAST_TTL, 9)
    assert fresh.getsockopt(IP, socket.IP_MULTICAST_TTL) == 9


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize("option", [socket.SO_RCVBUF, socket.SO_SNDBUF])
def test_buffers_are_kept_twice_as_large(net: Net, kind: int, option: int) -> None:
    fresh = net.socket(kind)
    fresh.setsockopt(SO, option, 30_000)
    assert fresh.getsockopt(SO, option) == 60_000
    fresh.setsockopt(SO, option, 1)
    assert 2048 <= fresh.getsockopt(SO, option) < 10_000
    fresh.setsockopt(SO, option, 2**30)
    assert fresh.getsockopt(SO, option) < 2**30


def test_linger_is_two_numbers(net: Net) -> None:
    fresh = net.socket()
    assert fresh.getsockopt(SO, socket.SO_LINGER, 8) == struct.pack("ii", 0, 0)
    fresh.setsockopt(SO, socket.SO_LINGER, struct.pack("ii", 1, 30))
    assert fresh.getsockopt(SO, socket.SO_LINGER, 8) == struct.pack("ii", 1, 30)
    assert fresh.getsockopt(SO, socket.SO_LINGER) == 1
    fresh.setsockopt(SO, socket.SO_LINGER, struct.pack("ii", 0, 0))
    assert fresh.getsockopt(SO, socket.SO_LINGER) == 0


def test_the_ecn_field_of_a_tcp_connection_is_not_the_user_s(net: Net) -> None:
    fresh = net.socket()
    fresh.setsockopt(IP, socket.IP_TOS, 0xB8 | 3)
    assert fresh.getsockopt(IP, socket.IP_TOS) == 0xB8


def congestion_of(sock: Any) -> bytes:
    return bytes(sock.getsockopt(TCP, socket.TCP_CONGESTION, 16)).rstrip(b"\0")


def test_congestion_control_is_cubic_until_somebody_says_otherwise(net: Net) -> None:
    default = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_bytes().strip()
    assert congestion_of(net.socket()) == (b"cubic" if net.runtime else default)


def test_congestion_control_of_a_connection_can_be_changed(net: Net) -> None:
    if not net.runtime and os.geteuid():
        pytest.skip("the kernel lets only root choose what is not allowed to all")
    listener = net.socket()
    listener.setsockopt(TCP, socket.TCP_CONGESTION, b"reno")
    listener.bind((LOOPBACK, 0))
    listener.listen()
    client = net.socket()
    client.setsockopt(TCP, socket.TCP_CONGESTION, b"cubic")
    client.connect(listener.getsockname())
    accepted = net.accept(listener)
    assert (congestion_of(client), congestion_of(accepted)) == (b"cubic", b"reno")
    accepted.setsockopt(TCP, socket.TCP_CONGESTION, b"cubic")
    assert congestion_of(accepted) == b"cubic"
    accepted.sendall(b"still there")
    assert client.recv(100) == b"still there"


def test_congestion_control_by_name(net: Net) -> None:
    fresh = net.socket()
    fresh.setsockopt(TCP, socket.TCP_CONGESTION, b"reno")
    assert fresh.getsockopt(TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0") == b"reno"
    with pytest.raises(FileNotFoundError):
        fresh.setsockopt(TCP, socket.TCP_CONGESTION, b"hope")


def test_an_accepted_connection_inherits(net: Net) -> None:
    listener = net.socket()
    for name in ("SO_KEEPALIVE", "TCP_NODELAY", "TCP_KEEPIDLE", "IP_TTL"):
        level, option, _ = STREAM_DEFAULTS[name]
        listener.setsockopt(level, option, 1)
    listener.bind((LOOPBACK, 0))
    listener.listen()
    assert listener.getsockopt(SO, socket.SO_ACCEPTCONN) == 1
    net.socket().connect(listener.getsockname())
    server = net.accept(listener)
    for name in ("SO_KEEPALIVE", "TCP_NODELAY", "TCP_KEEPIDLE", "IP_TTL"):
        level, option, _ = STREAM_DEFAULTS[name]
        assert server.getsockopt(level, option) == 1


def test_options_of_a_live_connection(net: Net) -> None:
    client, server = net.pair()
    for option in (socket.TCP_NODELAY, socket.TCP_CORK):
        client.setsockopt(TCP, option, 1)
    client.send(b"corked")
    client.setsockopt(TCP, socket.TCP_CORK, 0)
    assert server.recv(10) == b"corked"


def linger(connection: Any, seconds: int) -> None:
    connection.setsockopt(SO, socket.SO_LINGER, struct.pack("ii", 1, seconds))


def test_close_lingers_until_all_has_arrived(net: Net) -> None:
    client, server = net.pair(send_buffer=100_000, receive_buffer=5_000)
    linger(client, 20)
    client.settimeout(0)
    sent = client.send(bytes(60_000))
    closing = Background(client.close)
    closing.until_blocked()
    received = receive_all(server)
    closing.result()
    assert len(received) == sent > 10_000


def test_close_lingers_no_longer_than_allowed(net: Net) -> None:
    client, _ = net.pair(send_buffer=100_000, receive_buffer=5_000)
    linger(client, 1)
    client.setblocking(False)
    client.send(bytes(60_000))
    Background(client.close).result()
    assert client.fileno() == -1


def test_a_maximum_segment_size_is_taken_back_by_zero(net: Net) -> None:
    fresh = net.socket()
    fresh.setsockopt(TCP, socket.TCP_MAXSEG, 700)
    assert fresh.getsockopt(TCP, socket.TCP_MAXSEG) == 700
    fresh.setsockopt(TCP, socket.TCP_MAXSEG, 0)
    assert fresh.getsockopt(TCP, socket.TCP_MAXSEG) == 536


def test_a_connection_tells_what_it_has_negotiated(net: Net) -> None:
    client, server = net.pair()
    sizes = {each.getsockopt(TCP, socket.TCP_MAXSEG) for each in (client, server)}
    assert min(sizes) > 1000
    client.setsockopt(TCP, socket.TCP_MAXSEG, 700)
    assert client.getsockopt(TCP, socket.TCP_MAXSEG) in sizes, "too late"


def test_a_maximum_segment_size_set_before_counts(net: Net) -> None:
    listener, client = net.listener(), net.socket()
    client.setsockopt(TCP, socket.TCP_MAXSEG, 1000)
    client.connect(listener.getsockname())
    server = net.accept(listener)
    assert server.getsockopt(TCP, socket.TCP_MAXSEG) == 988  # less the timestamps
    client.sendall(bytes(100_000))
    received = 0
    while received < 100_000:
        received += len(server.recv(100_000))


def test_buffers_that_are_too_small_or_negative(net: Net) -> None:
    fresh = net.socket()
    for option, least in ((socket.SO_RCVBUF, 2304), (socket.SO_SNDBUF, 4608)):
        fresh.setsockopt(SO, option, 0)
        assert fresh.getsockopt(SO, option) == least
        fresh.setsockopt(SO, option, -1)
        assert fresh.getsockopt(SO, option) > 200_000


def test_a_connection_keeps_the_buffers_that_were_set(net: Net) -> None:
    client, server = net.pair(send_buffer=20_000, receive_buffer=30_000)
    assert client.getsockopt(SO, socket.SO_SNDBUF) == 40_000
    assert server.getsockopt(SO, socket.SO_RCVBUF) == 60_000
    client.setsockopt(SO, socket.SO_SNDBUF, 50_000)
    server.setsockopt(SO, socket.SO_RCVBUF, 60_000)
    assert client.getsockopt(SO, socket.SO_SNDBUF) == 100_000
    assert server.getsockopt(SO, socket.SO_RCVBUF) == 120_000
    assert client.getsockopt(SO, socket.SO_RCVBUF) == 131_072


def test_the_window_clamp(net: Net) -> None:
    fresh, (client, _) = net.socket(), net.pair()
    clamp = socket.TCP_WINDOW_CLAMP
    assert fresh.getsockopt(TCP, clamp) == 0
    assert client.getsockopt(TCP, clamp) > 10_000
    for each in (fresh, client):
        each.setsockopt(TCP, clamp, 100_000)
        assert each.getsockopt(TCP, clamp) == 100_000
        each.setsockopt(TCP, clamp, 1)
        assert each.getsockopt(TCP, clamp) == 1152
    fresh.setsockopt(TCP, clamp, 0)
    assert fresh.getsockopt(TCP, clamp) == 0
    with pytest.raises(OSError, match="Invalid argument"):
        client.setsockopt(TCP, clamp, 0)


def test_low_water_marks(net: Net) -> None:
    fresh = net.socket()
    assert fresh.getsockopt(SO, socket.SO_RCVLOWAT) == fresh.getsockopt(SO, socket.SO_SNDLOWAT) == 1
    for wanted, kept in ((1000, 1000), (0, 1), (1, 1)):
        fresh.setsockopt(SO, socket.SO_RCVLOWAT, wanted)
        assert fresh.getsockopt(SO, socket.SO_RCVLOWAT) == kept
    fresh.setsockopt(SO, socket.SO_RCVLOWAT, -1)
    assert 1_000_000 < fresh.getsockopt(SO, socket.SO_RCVLOWAT) < 2**31
    fresh.setsockopt(SO, socket.SO_RCVBUF, 50_000)
    fresh.setsockopt(SO, socket.SO_RCVLOWAT, 70_000)
    assert fresh.getsockopt(SO, socket.SO_RCVLOWAT) == 50_000
    with pytest.raises(OSError, match="Protocol not available"):
        fresh.setsockopt(SO, socket.SO_SNDLOWAT, 2)
    for wanted in (0, 1, 100_000, 2**31 - 1, -1):
        fresh.setsockopt(TCP, socket.TCP_NOTSENT_LOWAT, wanted)
        assert fresh.getsockopt(TCP, socket.TCP_NOTSENT_LOWAT) == wanted


def test_quick_acks_are_the_connections_own(net: Net) -> None:
    client, server = net.pair()
    assert client.getsockopt(TCP, socket.TCP_QUICKACK) == 1
    client.setsockopt(TCP, socket.TCP_QUICKACK, 0)
    assert client.getsockopt(TCP, socket.TCP_QUICKACK) == 0
    client.setsockopt(TCP, socket.TCP_NODELAY, 1)
    assert client.getsockopt(TCP, socket.TCP_QUICKACK) == 0
    client.setsockopt(TCP, socket.TCP_QUICKACK, 1)
    assert client.getsockopt(TCP, socket.TCP_QUICKACK) == 1

    def converse() -> int:
        client.sendall(b"question")
        server.recv(100)
        server.sendall(b"answer")
        client.recv(100)
        return int(server.getsockopt(TCP, socket.TCP_QUICKACK))

    # Who answers what he has just received is in a conversation: his ACKs ride on his answers.
    # An answer that takes longer than a delayed ACK is none of those.
    until(lambda: converse() == 0)


def test_nodelay_pushes_what_a_cork_holds_back(net: Net) -> None:
    client, server = net.pair()
    client.setsockopt(TCP, socket.TCP_CORK, 1)
    client.send(b"first")
    client.setsockopt(TCP, socket.TCP_NODELAY, 1)
    assert server.recv(100) == b"first"
    client.send(b"second")
    client.setsockopt(TCP, socket.TCP_CORK, 0)
    assert server.recv(100) == b"second"
