"""Pipes, files, splice and sendfile by system calls: as over the kernel."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.socket.both_calls import Recorder, compare

F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
SPLICE_F_NONBLOCK = 2
FIONREAD = 0x541B


def through(do: Recorder) -> None:
    reader, writer = do.pipe()
    do.poll([(reader, 0xFF), (writer, 0xFF)], 0)
    do.write(writer, b"hello")
    do.writev(writer, [b", ", b"world"])
    do.ioctl(reader, FIONREAD)
    do.poll([(reader, 0xFF), (writer, 0xFF)], 0)
    do.read(reader, 5)
    do.readv(reader, [1, 100])
    do.write(reader, b"x")
    do.read(writer, 1)
    do.recv(reader, 1, 0)
    do.fcntl(reader, fcntl.F_GETFL, 0)
    do.fcntl(writer, fcntl.F_GETFL, 0)
    do.write(writer, b"last")
    do.close(writer)
    do.poll([(reader, 0xFF)], 0)
    do.read(reader, 100)
    do.read(reader, 100)
    do.poll([(reader, 0xFF)], 0)


def nobody_reads(do: Recorder) -> None:
    reader, writer = do.pipe()
    do.close(reader)
    do.poll([(writer, 0xFF)], 0)
    do.write(writer, b"x")


def full(do: Recorder) -> None:
    reader, writer = do.pipe()
    for fd in (reader, writer):
        do.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
    do.read(reader, 1)
    do.write(writer, bytes(100_000))
    do.write(writer, b"x")
    do.poll([(writer, 0xFF)], 0)
    do.read(reader, 4000)
    do.poll([(writer, 0xFF)], 0)
    do.write(writer, b"x")
    do.read(reader, 96)
    do.poll([(writer, 0xFF)], 0)
    do.write(writer, bytes(3000))
    do.write(writer, bytes(3000))
    do.write(writer, bytes(1000))
    do.ioctl(writer, FIONREAD)


def sizes(do: Recorder) -> None:
    reader, writer = do.pipe()
    do.fcntl(reader, F_GETPIPE_SZ, 0)
    for size in (1, 4096, 4097, 100_000, 1 << 20, 0):
        do.fcntl(writer, F_SETPIPE_SZ, size)
    do.fcntl(writer, F_SETPIPE_SZ, 65536)
    do.write(writer, bytes(20_000))
    do.fcntl(writer, F_SETPIPE_SZ, 4096)
    do.fcntl(writer, F_SETPIPE_SZ, 32768)
    do.fcntl(reader, F_GETPIPE_SZ, 0)
    null = do.open("/dev/null", os.O_RDWR)
    do.fcntl(null, F_GETPIPE_SZ, 0)


def splicing(do: Recorder) -> None:
    client, server = do.pair()
    reader, writer = do.pipe()
    do.write(client, b"hello, world")
    do.arrived(server)
    do.splice(server, writer, 5, 0)
    do.splice(server, writer, 100, 0)
    do.read(reader, 100)
    do.write(writer, b"back")
    do.splice(reader, server, 100, 0)
    do.arrived(client)
    do.read(client, 100)
    do.splice(client, server, 100, 0)
    do.splice(client, reader, 100, 0)
    do.splice(reader, client, 100, SPLICE_F_NONBLOCK)
    do.splice(reader, client, 0, 0)
    do.splice(reader, client, 1, 99)
    do.splice(reader, writer, 1, 0)
    do.close(writer)
    do.splice(reader, client, 100, 0)
    do.splice(999, client, 100, 0)


def sending_a_file(do: Recorder) -> None:
    client, server = do.pair()
    source = do.open(str(SOURCE), os.O_RDONLY)
    do.sendfile(client, source, None, 10)
    do.sendfile(client, source, 2, 5)
    do.sendfile(client, source, None, 10**6)
    do.sendfile(client, source, None, 1)
    do.arrived(server)
    do.recv(server, 17, 0x100)
    do.read(source, 10)
    do.sendfile(client, server, None, 10)
    do.sendfile(source, source, None, 10)
    do.sendfile(999, source, None, 10)
    do.sendfile(client, source, 10**9, 10)
    do.recv(source, 1, 0)


def devices(do: Recorder) -> None:
    null, zero = do.open("/dev/null", os.O_RDWR), do.open("/dev/zero", os.O_RDONLY)
    do.read(null, 10)
    do.write(null, b"abc")
    do.read(zero, 10)
    do.write(zero, b"abc")
    do.poll([(null, 0xFFF), (zero, 0xFFF)], 0)
    do.open("/nowhere/at/all", os.O_RDONLY)


SOURCE = Path(__file__).with_name("nets.py")


@pytest.mark.parametrize(
    "scenario",
    [through, nobody_reads, full, sizes, splicing, sending_a_file, devices],
)
def test_it_is_as_over_the_kernel(scenario: Callable[[Recorder], None]) -> None:
    compare(scenario)
