"""What holds for sockets of every kind, on the kernel and on a stack of ours alike."""

import errno
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tapstack.runtime.default import Settings, bring_up
from tapstack.socket.facade import Socket

OpenSocket = Callable[[int], Any]
HERE = "127.0.0.1"
PATIENCE = 20.0
KINDS = [socket.SOCK_STREAM, socket.SOCK_DGRAM]


@pytest.fixture(params=["kernel", "ours"])
def opened(request: pytest.FixtureRequest) -> Iterator[OpenSocket]:
    """Give what opens a socket of a kind, and closes all of them at the end."""
    runtime = None if request.param == "kernel" else bring_up(Settings(dev="none")).runtime
    sockets: list[Any] = []

    def open_socket(kind: int) -> Any:
        made = Socket(runtime, kind) if runtime else socket.socket(socket.AF_INET, kind)
        made.settimeout(PATIENCE)
        sockets.append(made)
        return made

    yield open_socket
    for each in sockets:
        each.close()
    if runtime:
        runtime.close()


@pytest.fixture
def ends(opened: OpenSocket) -> Iterator[tuple[Any, Any]]:
    """Give both ends of a connection."""
    listener, client = opened(socket.SOCK_STREAM), opened(socket.SOCK_STREAM)
    listener.bind((HERE, 0))
    listener.listen()
    client.connect(listener.getsockname())
    server, _ = listener.accept()
    yield client, server
    server.close()


# --- options ---


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["SO_BROADCAST", "SO_KEEPALIVE", "SO_REUSEADDR", "SO_REUSEPORT"])
def test_a_flag_is_kept_by_every_kind(opened: OpenSocket, kind: int, name: str) -> None:
    made, option = opened(kind), getattr(socket, name)
    assert made.getsockopt(socket.SOL_SOCKET, option) == 0
    made.setsockopt(socket.SOL_SOCKET, option, 1)
    assert made.getsockopt(socket.SOL_SOCKET, option) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["SO_SNDBUF", "SO_RCVBUF"])
def test_a_buffer_is_twice_what_was_asked_for(opened: OpenSocket, kind: int, name: str) -> None:
    made, option = opened(kind), getattr(socket, name)
    assert made.getsockopt(socket.SOL_SOCKET, option) > 0
    made.setsockopt(socket.SOL_SOCKET, option, 50_000)
    assert made.getsockopt(socket.SOL_SOCKET, option) == 100_000


@pytest.mark.parametrize("kind", KINDS)
def test_lingering_is_kept_by_every_kind(opened: OpenSocket, kind: int) -> None:
    made = opened(kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 7))
    linger = made.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
    assert struct.unpack("ii", linger) == (1, 7)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
    assert made.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_option_that_nobody_knows(opened: OpenSocket, kind: int) -> None:
    made = opened(kind)
    with pytest.raises(OSError, match="Protocol not available") as refusal:
        made.getsockopt(socket.SOL_SOCKET, 9999)
    assert refusal.value.errno == errno.ENOPROTOOPT


# --- all of it, or nothing ---


def test_what_came_before_a_reset_is_given_before_it_is_told(ends: tuple[Any, Any]) -> None:
    client, server = ends
    server.settimeout(None)
    client.sendall(b"abc")
    assert server.recv(3, socket.MSG_PEEK) == b"abc"
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert server.recv(6, socket.MSG_WAITALL) == b"abc"
    with pytest.raises(ConnectionResetError):
        server.recv(6, socket.MSG_WAITALL)


def test_waiting_for_all_ends_with_the_stream(ends: tuple[Any, Any]) -> None:
    client, server = ends
    server.settimeout(None)
    client.sendall(b"abc")
    client.shutdown(socket.SHUT_WR)
    assert server.recv(6, socket.MSG_WAITALL) == b"abc"


def test_sending_all_of_nothing_is_an_empty_datagram(opened: OpenSocket) -> None:
    receiver, sender = opened(socket.SOCK_DGRAM), opened(socket.SOCK_DGRAM)
    receiver.bind((HERE, 0))
    sender.connect(receiver.getsockname())
    sender.sendall(b"")
    assert receiver.recv(9) == b""


# --- timeouts ---


@pytest.mark.parametrize("wrong", [-1, float("inf"), float("nan"), "soon"])
def test_what_is_no_time_is_refused(opened: OpenSocket, wrong: Any) -> None:
    made = opened(socket.SOCK_STREAM)
    with pytest.raises((ValueError, OverflowError, TypeError)):
        made.settimeout(wrong)
    assert made.gettimeout() == PATIENCE


def test_a_closed_socket_takes_no_timeout(opened: OpenSocket) -> None:
    made = opened(socket.SOCK_STREAM)
    made.close()
    with pytest.raises(OSError, match="Bad file descriptor") as refusal:
        made.settimeout(1)
    assert refusal.value.errno == errno.EBADF
