"""Datagrams by the unit (UDP_SEGMENT, UDP_GRO): a stack does as the kernel, over the loopback."""

import struct

import pytest

from tests.socket.both_calls import Recorder, compare

UDP, SEGMENT, GRO = 17, 103, 104


def number(value: int) -> bytes:
    return struct.pack("i", value)


def receive_all(do: Recorder, fd: int, count: int) -> None:
    """Take so many datagrams, and see that there are no more."""
    for _ in range(count):
        do.arrived(fd)
        do.recvmsg(fd, 70_000, 100, 0)
    do.recvmsg(fd, 70_000, 100, 0x40)


@pytest.mark.parametrize("length", [0, 1, 999, 1000, 1001, 3000, 3001])
@pytest.mark.parametrize("together", [False, True])
def test_a_send_becomes_datagrams_of_a_size(length: int, together: bool) -> None:
    def send(do: Recorder) -> None:
        here, there = do.datagrams()
        do.setsockopt(there, UDP, GRO, number(together))
        do.setsockopt(here, UDP, SEGMENT, number(1000))
        do.send(here, bytes(range(256)) * 12 + b"x" * length if length > 3000 else bytes(length), 0)
        whole = together or length <= 1000
        parts = -(-(3072 + length if length > 3000 else length) // 1000)
        receive_all(do, there, 1 if whole else parts)

    compare(send)


@pytest.mark.parametrize("size", [0, 10, 1000, 5000])
def test_the_size_is_of_one_message(size: int) -> None:
    def send(do: Recorder) -> None:
        here, there = do.datagrams()
        do.setsockopt(here, UDP, SEGMENT, number(2000))
        do.sendmsg(here, [bytes(1200)], [(UDP, SEGMENT, struct.pack("H", size))], 0, None)
        receive_all(do, there, -(-1200 // size) if size else 1)

    compare(send)


@pytest.mark.parametrize(
    ("size", "length"),
    [(1, 128), (1, 129), (500, 64_000), (500, 64_001), (1000, 65_000), (65_507, 65_507)],
)
def test_how_many_and_how_long_they_may_be(size: int, length: int) -> None:
    def send(do: Recorder) -> None:
        here, there = do.datagrams()
        do.setsockopt(there, UDP, GRO, number(1))
        do.setsockopt(here, UDP, SEGMENT, number(size))
        do.send(here, bytes(length), 0)
        do.send(here, b"behind", 0)
        do.arrived(there)
        do.recvmsg(there, 10, 100, 0)

    compare(send)


@pytest.mark.parametrize("item", [(UDP, 105, b"\1\0"), (UDP, SEGMENT, b"\1"), (UDP, 0, b"\1\0")])
def test_other_control_data_of_its_level_are_refused(item: tuple[int, int, bytes]) -> None:
    def send(do: Recorder) -> None:
        here, _ = do.datagrams()
        do.sendmsg(here, [b"x"], [item], 0, None)

    compare(send)
