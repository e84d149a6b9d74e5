"""snc carries octets between its descriptors and a peer: over the kernel's sockets, which it cannot
tell from ours, and over our own.
"""

import errno
import fcntl
import os
import random
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tapstack import socket as tapstack_socket
from tapstack.runtime.runtime import Runtime
from tapstack.shell.interrupt import Interrupt
from tapstack.shell.snc_core import Snc
from tapstack.shell.snc_options import parse_plan

MEGABYTES = random.Random(793).randbytes(5_000_000)
LOCAL = "127.0.0.1"
PATIENCE = 20.0


class Peer:
    """snc in a thread, and its three ends."""

    def __init__(self, pool: ThreadPoolExecutor, module: object, folder: Path) -> None:
        self._pool = pool
        self._module = module
        self.output = folder / "output"
        self.messages: list[str] = []
        self.told = threading.Condition()
        self.interrupt = Interrupt()
        self._files: list[IO[bytes]] = []

    def start(
        self, line: str, stdin: bytes | int = b"", stdout: int | None = None
    ) -> "Future[int]":
        if isinstance(stdin, bytes):
            source = self.output.with_name("input")
            source.write_bytes(stdin)
            self._files.append(source.open("rb"))
            stdin = self._files[-1].fileno()
        if stdout is None:
            self._files.append(self.output.open("wb"))
            stdout = self._files[-1].fileno()
        open_socket: Callable[..., socket.socket] = self._module.socket  # type: ignore[attr-defined]
        snc = Snc(parse_plan(line.split()), open_socket, stdin, stdout, self.tell, self.interrupt)
        return self._pool.submit(snc.run)

    def tell(self, text: str) -> None:
        with self.told:
            self.messages.append(text)
            self.told.notify_all()

    def wait_told(self, beginning: str) -> str:
        def found() -> str | None:
            return next((each for each in self.messages if each.startswith(beginning)), None)

        with self.told:
            assert self.told.wait_for(found, PATIENCE), self.messages
        message = found()
        assert message
        return message

    def wait_listening(self) -> tuple[str, int]:
        *_, address, port = self.wait_told("Listening on").split()
        return address, int(port)

    def close(self) -> None:
        self.interrupt.request(signal.SIGINT)
        self._pool.shutdown(wait=True)
        self.interrupt.close()
        for file in self._files:
            file.close()


@pytest.fixture(params=["kernel", "tapstack"])
def sockets(request: pytest.FixtureRequest, runtime: Runtime) -> object:
    """The module whose sockets both ends use."""
    return socket if request.param == "kernel" else tapstack_socket


@pytest.fixture
def snc(sockets: object, tmp_path: Path) -> Iterator[Peer]:
    peer = Peer(ThreadPoolExecutor(), sockets, tmp_path)
    yield peer
    peer.close()


@pytest.fixture
def listener(sockets) -> Iterator[socket.socket]:
    with sockets.create_server((LOCAL, 0)) as listener:
        listener.settimeout(PATIENCE)
        yield listener


def address_of(listener: socket.socket) -> str:
    return "{}:{}".format(*listener.getsockname())


def receive_all(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(1 << 18):
        pieces.append(piece)
    return b"".join(pieces)


def read_exactly(fd: int, size: int) -> bytes:
    """Read from a pipe as it comes; what has not come in time is missing."""
    read = b""
    while len(read) < size and select.select([fd], [], [], PATIENCE)[0]:
        read += os.read(fd, size - len(read))
    return read


# --- what arrives ---


def test_listening_it_writes_what_a_peer_sends_and_ends_with_the_peer(snc: Peer, sockets) -> None:
    ended = snc.start(f"-v -b {LOCAL}:0")
    with sockets.create_connection(snc.wait_listening()) as client:
        client.sendall(MEGABYTES)
    assert ended.result(PATIENCE) == 0
    assert snc.output.read_bytes() == MEGABYTES
    assert snc.messages[1] == "Connection received on {} {}".format(*snc.messages[1].split()[-2:])


def test_connecting_it_sends_its_input_and_tells_the_end_of_it(snc: Peer, listener) -> None:
    ended = snc.start(f"-N -c {address_of(listener)}", MEGABYTES)
    connection, _ = listener.accept()
    with connection:
        assert receive_all(connection) == MEGABYTES
    assert ended.result(PATIENCE) == 0


def test_both_directions_carry_at_once(snc: Peer, listener) -> None:
    ended = snc.start(f"-N -c {address_of(listener)}", MEGABYTES)
    connection, _ = listener.accept()
    answer = MEGABYTES[::-1]
    with connection, ThreadPoolExecutor() as pool:
        sent = pool.submit(connection.sendall, answer)
        assert receive_all(connection) == MEGABYTES
        sent.result(PATIENCE)
    assert ended.result(PATIENCE) == 0
    assert snc.output.read_bytes() == answer


def test_a_peer_that_only_listens_gets_all_input_though_it_ended_its_half(
    snc: Peer, sockets
) -> None:
    ended = snc.start(f"-v -b {LOCAL}:0", MEGABYTES)
    with sockets.create_connection(snc.wait_listening()) as client:
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == MEGABYTES
    assert ended.result(PATIENCE) == 0


def test_an_output_that_would_not_wait_loses_nothing(snc: Peer, listener) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    ended = snc.start(f"-c {address_of(listener)}", stdout=writing)
    connection, _ = listener.accept()
    with ThreadPoolExecutor() as pool, connection:
        sent = pool.submit(connection.sendall, MEGABYTES)
        assert read_exactly(reading, len(MEGABYTES)) == MEGABYTES
        sent.result(PATIENCE)
    assert ended.result(PATIENCE) == 0
    os.close(reading)
    os.close(writing)


def test_datagrams_are_not_lost_either_where_the_output_would_not_wait(snc: Peer, sockets) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    snc.start(f"-u -k -v -l {LOCAL} 0", stdout=writing)
    port = int(snc.wait_told("Bound on").split()[-1])
    size, count = 16_000, 9  # more than the pipe's 64 KB, less than the socket's buffer
    with datagram_socket(sockets) as peer:
        for number in range(count):
            peer.sendto(bytes([number]) * size, (LOCAL, port))
        wanted = b"".join(bytes([number]) * size for number in range(count))
        assert read_exactly(reading, len(wanted)) == wanted
    snc.interrupt.request(signal.SIGINT)
    os.close(reading)
    os.close(writing)


@contextmanager
def promising_file() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A non-blocking file that poll calls ready though there is nothing to read, and its writer.

    An error in a UDP socket's queue of errors makes it so (ip(7), IP_RECVERR).
    """
    with datagram_socket(socket) as file, datagram_socket(socket) as writer:
        writer.bind((LOCAL, 0))
        address = writer.getsockname()
        writer.close()
        file.connect(address)
        file.setblocking(False)
        file.setsockopt(socket.IPPROTO_IP, 11, 1)
        file.send(b"to nobody")
        assert select.select([file], [], [], PATIENCE)[0]
        assert file.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
        with datagram_socket(socket) as writer:
            writer.bind(address)
            writer.connect(file.getsockname())
            yield file, writer


def test_an_input_that_would_not_wait_is_waited_for(snc: Peer, listener) -> None:
    with promising_file() as (file, writer):
        ended = snc.start(f"-N -c {address_of(listener)}", file.fileno())
        connection, _ = listener.accept()
        with connection:
            writer.send(b"at last")
            assert connection.recv(100) == b"at last"
            writer.send(b"")  # read as the end
        assert ended.result(PATIENCE) == 0


# --- how it ends ---


def test_the_end_of_input_alone_ends_nothing(snc: Peer, listener) -> None:
    ended = snc.start(f"-c {address_of(listener)}", b"question")
    connection, _ = listener.accept()
    with connection:
        assert connection.recv(100) == b"question"
        connection.sendall(b"answer")
    assert ended.result(PATIENCE) == 0
    assert snc.output.read_bytes() == b"answer"


def test_the_peers_end_ends_it_though_its_input_stays_open(snc: Peer, listener) -> None:
    reading, writing = os.pipe()
    try:
        ended = snc.start(f"-c {address_of(listener)}", reading)
        connection, _ = listener.accept()
        connection.close()
        assert ended.result(PATIENCE) == 0
    finally:
        os.close(writing)
        os.close(reading)


def test_told_to_send_all_it_outlives_the_peers_end_until_its_input_ends(
    snc: Peer, listener
) -> None:
    reading, writing = os.pipe()
    ended = snc.start(f"-N -c {address_of(listener)}", reading)
    connection, _ = listener.accept()
    with connection:
        connection.shutdown(socket.SHUT_WR)
        os.write(writing, b"late")
        assert connection.recv(100) == b"late"
        assert not ended.done()
        os.close(writing)
        assert connection.recv(100) == b""
    assert ended.result(PATIENCE) == 0
    os.close(reading)


def test_nobody_reading_its_output_is_a_clean_end(snc: Peer, listener) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = snc.start(f"-c {address_of(listener)}", stdout=writing)
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"to nobody")
        assert ended.result(PATIENCE) == 0
    os.close(writing)
    assert snc.messages == []


def test_a_reset_is_told(snc: Peer, listener) -> None:
    reading, writing = os.pipe()
    ended = snc.start(f"-c {address_of(listener)}", reading)
    connection, _ = listener.accept()
    os.write(writing, b"here I am")
    assert connection.recv(100) == b"here I am"
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    assert ended.result(PATIENCE) == 1
    assert snc.messages == ["snc: Connection reset by peer"]
    os.close(writing)
    os.close(reading)


def test_silence_ends_it_where_a_limit_is_set(snc: Peer, listener) -> None:
    reading, writing = os.pipe()
    ended = snc.start(f"-w 0.1 -c {address_of(listener)}", reading)
    connection, _ = listener.accept()
    with connection:
        assert ended.result(PATIENCE) == 0
    os.close(writing)
    os.close(reading)


@pytest.mark.parametrize("line", ["-c {}", "-N -c {}"])
def test_an_interrupt_ends_it_wherever_it_waits(snc: Peer, listener, line: str) -> None:
    ended = snc.start(line.format(address_of(listener)), MEGABYTES * 4)
    connection, _ = listener.accept()
    with connection:
        connection.recv(1)  # and no more: it waits for room
        snc.interrupt.request(signal.SIGINT)
        assert ended.result(PATIENCE) == 130


@pytest.mark.slow
def test_an_interrupt_ends_it_though_nobody_takes_its_output(snc: Peer, listener) -> None:
    reading, writing = os.pipe()
    ended = snc.start(f"-c {address_of(listener)}", stdout=writing)
    connection, _ = listener.accept()
    with connection:
        connection.sendall(MEGABYTES[:200_000])
        assert os.read(reading, 1)  # and no more: the pipe is full
        snc.interrupt.request(signal.SIGINT)
        assert ended.result(PATIENCE) == 130
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("line", ["-v -u -l {} 0", "-k -v -u -l {} 0"])
def test_an_interrupt_ends_an_exchange_though_nobody_takes_its_output(
    snc: Peer, sockets, line: str, blocking: bool
) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, select.PIPE_BUF)
    os.set_blocking(writing, blocking)
    ended = snc.start(line.format(LOCAL), stdout=writing)
    port = int(snc.wait_told("Bound on").split()[-1])
    try:
        with datagram_socket(sockets) as peer:
            peer.sendto(bytes(10_000), (LOCAL, port))
            assert read_exactly(reading, 1)  # and no more: the pipe is full
            snc.interrupt.request(signal.SIGINT)
            assert ended.result(PATIENCE) == 130
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("line", ["-v -l 0", "-v -u -l 0", "-k -v -u -l 0"])
def test_an_interrupt_ends_listening(snc: Peer, line: str) -> None:
    ended = snc.start(line)
    snc.wait_told("Bound on 0.0.0.0" if "-u" in line else "Listening on 0.0.0.0")
    snc.interrupt.request(signal.SIGINT)
    assert ended.result(PATIENCE) == 130


# --- before a connection ---


def free_port(sockets) -> int:
    with sockets.socket() as unused:
        unused.bind((LOCAL, 0))
        return int(unused.getsockname()[1])


def test_a_refusal_is_told_as_netcat_tells_it(snc: Peer, sockets) -> None:
    port = free_port(sockets)
    assert snc.start(f"{LOCAL} {port}").result(PATIENCE) == 1
    assert snc.messages == [f"snc: connect to {LOCAL} port {port} (tcp) failed: Connection refused"]


def test_scanning_tells_who_answers_and_sends_nothing(snc: Peer, listener) -> None:
    port = listener.getsockname()[1]
    assert snc.start(f"-zv {LOCAL} {port}", b"not sent").result(PATIENCE) == 0
    assert snc.messages == [f"Connection to {LOCAL} {port} port [tcp/*] succeeded!"]
    connection, _ = listener.accept()
    with connection:
        assert connection.recv(1) == b""


def test_a_quiet_scan_only_has_a_status(snc: Peer, sockets) -> None:
    assert snc.start(f"-z {LOCAL} {free_port(sockets)}").result(PATIENCE) == 1
    assert snc.messages == []


def test_one_answer_is_enough_for_a_scan(snc: Peer, listener) -> None:
    port = listener.getsockname()[1]
    for ports in (f"{port - 3}-{port}", f"{port}-{min(port + 3, 65535)}"):
        assert snc.start(f"-z {LOCAL} {ports}").result(PATIENCE) == 0


def test_an_interrupt_ends_a_scan_at_once(snc: Peer, sockets) -> None:
    snc.interrupt.request(signal.SIGINT)
    with sockets.create_server((LOCAL, 0)) as listener:
        port = listener.getsockname()[1]
        assert snc.start(f"-zv {LOCAL} {port}-65535").result(PATIENCE) == 130
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_an_address_that_is_not_ours_cannot_be_listened_on(snc: Peer) -> None:
    assert snc.start("-b 192.0.2.1:80").result(PATIENCE) == 2
    assert snc.messages == ["snc: cannot listen on 192.0.2.1:80: Cannot assign requested address"]


def test_it_calls_from_where_it_is_told(snc: Peer, sockets, listener) -> None:
    port = free_port(sockets)
    ended = snc.start(f"-s {LOCAL} -p {port} {LOCAL} {listener.getsockname()[1]}")
    connection, peer = listener.accept()
    connection.close()
    assert peer == (LOCAL, port)
    assert ended.result(PATIENCE) == 0


def test_it_listens_again_where_asked_to(snc: Peer, sockets) -> None:
    ended = snc.start(f"-kv -l {LOCAL} 0")
    where = snc.wait_listening()
    for word in (b"one ", b"two ", b"three"):
        with sockets.create_connection(where) as client:
            client.sendall(word)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
    snc.interrupt.request(signal.SIGINT)
    assert ended.result(PATIENCE) == 130
    assert snc.output.read_bytes() == b"one two three"


# --- datagrams ---


def datagram_socket(sockets):
    opened = sockets.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(PATIENCE)
    return opened


def test_datagrams_cross_both_ways(snc: Peer, sockets) -> None:
    reading, writing = os.pipe()
    shown, output = os.pipe()
    ended = snc.start(f"-u -v -b {LOCAL}:0", reading, output)
    port = int(snc.wait_told("Bound on").split()[-1])
    with datagram_socket(sockets) as peer:
        peer.connect((LOCAL, port))
        peer.send(b"hello\n")
        assert os.read(shown, 100) == b"hello\n"
        os.write(writing, b"hello yourself\n")
        assert peer.recv(100) == b"hello yourself\n"
        peer.send(b"bye\n")
        assert os.read(shown, 100) == b"bye\n"
        snc.interrupt.request(signal.SIGINT)
        assert ended.result(PATIENCE) == 130
    for fd in (reading, writing, shown, output):
        os.close(fd)


def test_a_refused_datagram_is_told(snc: Peer, sockets) -> None:
    port = free_port(sockets)
    assert snc.start(f"-u {LOCAL} {port}", b"anybody?").result(PATIENCE) == 1
    assert snc.messages == ["snc: Connection refused"]


def test_scanning_datagrams_hears_only_refusals(snc: Peer, sockets) -> None:
    port = free_port(sockets)
    assert snc.start(f"-uzv {LOCAL} {port}").result(PATIENCE) == 1
    assert snc.messages == [f"snc: connect to {LOCAL} port {port} (udp) failed: Connection refused"]


def test_silence_ends_an_exchange_where_a_limit_is_set(snc: Peer, sockets) -> None:
    with datagram_socket(sockets) as peer:
        peer.bind((LOCAL, 0))
        ended = snc.start(f"-u -w 0.1 {LOCAL} {peer.getsockname()[1]}", b"once")
        assert peer.recv(100) == b"once"
        assert ended.result(PATIENCE) == 0


def test_heard_by_all_no_input_is_sent(snc: Peer, sockets) -> None:
    shown, output = os.pipe()
    ended = snc.start(f"-u -k -v -l {LOCAL} 0", b"to nobody", output)
    port = int(snc.wait_told("Bound on").split()[-1])
    for word in (b"one", b"two"):
        with datagram_socket(sockets) as peer:
            peer.sendto(word, (LOCAL, port))
            assert os.read(shown, 100) == word
    snc.interrupt.request(signal.SIGINT)
    assert ended.result(PATIENCE) == 130
    os.close(shown)
    os.close(output)
