"""Options by system calls, as octets: whatever is set, a stack answers as the kernel does."""

import os
import socket
import struct

import pytest

from tests.socket.both_calls import Recorder, compare, over_a_stack

SO, IP, TCP = socket.SOL_SOCKET, socket.IPPROTO_IP, socket.IPPROTO_TCP
NUMBERS = (
    -(2**31),
    -1,
    0,
    1,
    2,
    3,
    5,
    7,
    60,
    87,
    88,
    255,
    256,
    1000,
    32767,
    32768,
    40_000,
    2**31 - 1,
)
SHORT = (b"", b"\1", b"\1\0", b"\1\0\0")
VALUES = (*(struct.pack("i", number) for number in NUMBERS), *SHORT, struct.pack("ii", 1, 2))
OF_ALL = {
    SO: {
        "DEBUG": 1,
        "REUSEADDR": 2,
        "TYPE": 3,
        "ERROR": 4,
        "DONTROUTE": 5,
        "BROADCAST": 6,
        "RCVBUF": 8,
        "KEEPALIVE": 9,
        "OOBINLINE": 10,
        "NO_CHECK": 11,
        "PRIORITY": 12,
        "LINGER": 13,
        "BSDCOMPAT": 14,
        "REUSEPORT": 15,
        "SNDLOWAT": 19,
        "RCVTIMEO": 20,
        "SNDTIMEO": 21,
        "TIMESTAMP": 29,
        "ACCEPTCONN": 30,
        "TIMESTAMPNS": 35,
        "MARK": 36,
        "PROTOCOL": 38,
        "DOMAIN": 39,
        "RXQ_OVFL": 40,
        "WIFI_STATUS": 41,
        "NOFCS": 43,
        "SELECT_ERR_QUEUE": 45,
        "BUSY_POLL": 46,
        "INCOMING_CPU": 49,
        "RCVMARK": 75,
        "RCVPRIORITY": 82,
        "not there": 99,
    },
    IP: {
        "TOS": 1,
        "TTL": 2,
        "PKTINFO": 8,
        "MTU_DISCOVER": 10,
        "RECVERR": 11,
        "RECVTTL": 12,
        "RECVTOS": 13,
        "MTU": 14,
        "not there": 60,
    },
}
OF_STREAMS = {
    TCP: {
        "NODELAY": 1,
        "MAXSEG": 2,
        "CORK": 3,
        "KEEPIDLE": 4,
        "KEEPINTVL": 5,
        "KEEPCNT": 6,
        "SYNCNT": 7,
        "LINGER2": 8,
        "DEFER_ACCEPT": 9,
        "WINDOW_CLAMP": 10,
        "QUICKACK": 12,
        "THIN_LINEAR_TIMEOUTS": 16,
        "THIN_DUPACK": 17,
        "USER_TIMEOUT": 18,
        "FASTOPEN": 23,
        "NOTSENT_LOWAT": 25,
        "FASTOPEN_CONNECT": 30,
        "FASTOPEN_NO_COOKIE": 34,
        "INQ": 36,
        "RTO_MAX_MS": 44,
        "RTO_MIN_US": 45,
        "DELACK_MAX_US": 46,
        "not there": 99,
    },
}
OF_DATAGRAMS = {socket.IPPROTO_UDP: {"SEGMENT": 103, "GRO": 104, "not there": 99}}
privileged = pytest.mark.skipif(os.geteuid() != 0, reason="the kernel lets only root do that")
_PRIVILEGED = {(SO, "DEBUG"), (SO, "PRIORITY"), (SO, "MARK")}
CASES = [
    pytest.param(
        kind,
        level,
        number,
        id=f"{kind} {level} {name}",
        marks=[privileged] if (level, name) in _PRIVILEGED else [],
    )
    for kind, tables in (
        ("datagram", [OF_ALL, OF_DATAGRAMS]),
        ("fresh", [OF_ALL, OF_STREAMS]),
        ("listener", [OF_ALL, OF_STREAMS]),
    )
    for table in tables
    for level, names in table.items()
    for name, number in names.items()
]


def make(do: Recorder, kind: str) -> int:
    if kind == "listener":
        return do.listener()
    fd = do._calls.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "datagram" else 1, 0)
    return int(fd)


@pytest.mark.parametrize(("kind", "level", "name"), CASES)
def test_what_is_set_and_read(kind: str, level: int, name: int) -> None:
    def set_each(do: Recorder) -> None:
        for value in VALUES:
            fd = make(do, kind)
            do.note(value)
            do.setsockopt(fd, level, name, value)
            for size in (0, 1, 4, 40):
                do.getsockopt(fd, level, name, size)
            do.close(fd)

    compare(set_each)


@pytest.mark.parametrize("kind", ["datagram", "fresh", "listener"])
def test_rates(kind: str) -> None:
    def rates(do: Recorder) -> None:
        fd = make(do, kind)
        for value in (b"", struct.pack("i", 7), struct.pack("i", -1), struct.pack("Q", 2**40)):
            do.setsockopt(fd, SO, 47, value)
            do.getsockopt(fd, SO, 47, 8)

    compare(rates)


@privileged
def test_congestion_control() -> None:
    def choose(do: Recorder) -> None:
        fd = make(do, "fresh")
        for name in (b"cubic", b"cubic\0", b"cubic\0reno", b"nonesuch", b"", b"c", bytes(20)):
            do.setsockopt(fd, TCP, socket.TCP_CONGESTION, b"cubic")
            do.setsockopt(fd, TCP, socket.TCP_CONGESTION, name)
            for size in (1, 4, 16, 40):
                do.getsockopt(fd, TCP, socket.TCP_CONGESTION, size)

    compare(choose)


def test_timeouts_are_rounded() -> None:
    def times(do: Recorder) -> None:
        for value in ((0, 1), (0, 4001), (1, 999_999), (-1, 0), (0, -1), (0, 10**6), (0, 0)):
            for name in (20, 21, 66, 67):
                fd = make(do, "fresh")
                do.setsockopt(fd, SO, name, struct.pack("ll", *value))
                do.getsockopt(fd, SO, name, 16)
                do.getsockopt(fd, SO, name, 5)

    compare(times)


def test_lingering() -> None:
    def linger(do: Recorder) -> None:
        for value in ((1, 5), (0, 0), (3, 0), (1, 100_000)):
            fd = make(do, "fresh")
            do.setsockopt(fd, SO, socket.SO_LINGER, struct.pack("ii", *value))
            do.getsockopt(fd, SO, socket.SO_LINGER, 8)
            do.getsockopt(fd, SO, socket.SO_LINGER, 4)

    compare(linger)


def test_what_a_connection_says() -> None:
    def ask(do: Recorder) -> None:
        client, server = do.pair()
        for fd in (client, server):
            do.setsockopt(fd, TCP, 30, struct.pack("i", 1))
            do.setsockopt(fd, TCP, socket.TCP_WINDOW_CLAMP, struct.pack("i", 0))
            do.setsockopt(fd, TCP, socket.TCP_FASTOPEN, struct.pack("i", 5))
            do.getsockopt(fd, SO, socket.SO_ACCEPTCONN, 4)
            do.getsockopt(fd, IP, 14, 4)
            do.getsockopt(fd, TCP, socket.TCP_CORK, 4)

    compare(ask)


@privileged
def test_accepted_sockets_have_what_their_listener_was_told() -> None:
    def inherit(do: Recorder) -> None:
        listener = do.listener()
        do.setsockopt(listener, SO, 20, struct.pack("ll", 3, 0))
        do.setsockopt(listener, SO, socket.SO_MARK, struct.pack("i", 9))
        do.setsockopt(listener, TCP, socket.TCP_NODELAY, struct.pack("i", 1))
        do.setsockopt(listener, TCP, socket.TCP_KEEPIDLE, struct.pack("i", 77))
        client = do.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
        do.connect(client, do._calls.getsockname(listener))
        fd, _ = do.accept(listener)
        do.getsockopt(fd, SO, 20, 16)
        do.getsockopt(fd, SO, socket.SO_MARK, 4)
        do.getsockopt(fd, TCP, socket.TCP_NODELAY, 4)
        do.getsockopt(fd, TCP, socket.TCP_KEEPIDLE, 4)

    compare(inherit)


@pytest.mark.parametrize(
    ("level", "name"),
    [(TCP, 14), (TCP, 19), (TCP, 31), (TCP, 38)],
    ids=["TCP_MD5SIG", "TCP_REPAIR", "TCP_ULP", "TCP_MD5SIG_EXT"],
)
def test_what_is_not_there(level: int, name: int) -> None:
    def ask(do: Recorder) -> None:
        fd = make(do, "fresh")
        do.setsockopt(fd, level, name, struct.pack("i", 1))
        do.getsockopt(fd, level, name, 4)

    assert over_a_stack(ask) == [("setsockopt", "ENOPROTOOPT"), ("getsockopt", "ENOPROTOOPT")]


def test_there_is_no_mptcp() -> None:
    log = over_a_stack(lambda do: do.socket(socket.AF_INET, socket.SOCK_STREAM, 262))
    assert log == [("socket", "EPROTONOSUPPORT")]


def test_a_negative_size_is_refused() -> None:
    def ask(do: Recorder) -> None:
        do.getsockopt(make(do, "fresh"), SO, socket.SO_TYPE, -1)

    compare(ask)
