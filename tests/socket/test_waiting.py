"""Blocking, not blocking, and blocking for a while; connections that take their time."""

import errno
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.socket.nets import (
    LOOPBACK,
    PATIENCE,
    Background,
    Net,
    fill,
    stuck_listener,
    wait_readable,
)

SOON = 0.02
"""Seconds; a timeout that the test waits out."""


@pytest.fixture
def default_timeout() -> Iterator[None]:
    yield
    socket.setdefaulttimeout(None)


# --- timeouts ---


def test_timeouts_are_kept(net: Net) -> None:
    fresh = net.socket()
    assert (fresh.timeout, fresh.gettimeout(), fresh.getblocking()) == (None, None, True)
    fresh.settimeout(5)
    assert (fresh.timeout, fresh.getblocking()) == (5.0, True)
    fresh.settimeout(0)
    assert (fresh.timeout, fresh.getblocking()) == (0.0, False)
    fresh.setblocking(True)
    assert fresh.timeout is None
    fresh.setblocking(False)
    assert fresh.timeout == 0.0
    with pytest.raises(ValueError, match="out of range"):
        fresh.settimeout(-1)
    with pytest.raises(TypeError):
        fresh.settimeout("soon")


def test_who_is_said_to_have_nothing_to_read_would_wait(ours: Net) -> None:
    """A read that may wait is not tried then: it has to be so until something comes."""
    client, server = ours.pair()
    endpoint = server._open.endpoint
    assert endpoint.has_nothing_to_read()
    with pytest.raises(BlockingIOError):
        server.recv(1, socket.MSG_DONTWAIT)
    client.sendall(b"ab")
    wait_readable(server)
    assert not endpoint.has_nothing_to_read()
    assert server.recv(1) == b"a"
    assert not endpoint.has_nothing_to_read()
    assert server.recv(1) == b"b"
    assert endpoint.has_nothing_to_read()
    client.shutdown(socket.SHUT_WR)
    wait_readable(server)
    assert not endpoint.has_nothing_to_read()
    assert not ours.socket()._open.endpoint.has_nothing_to_read()
    assert not ours.listener()._open.endpoint.has_nothing_to_read()


def test_nobody_waits_at_a_listener_that_somebody_has_closed(ours: Net) -> None:
    """Neither by a queue that stays empty, nor without one."""
    listener = ours.listener()
    endpoint = listener._open.endpoint
    assert endpoint.accept_queue is not None
    listener._host.call(endpoint.close)
    with pytest.raises(OSError, match="Bad file descriptor"):
        listener.accept()
    with pytest.raises(OSError, match="Invalid argument"):
        ours.socket().accept()


def test_what_a_datagram_socket_has_to_read(ours: Net) -> None:
    here, there = ours.datagram(), ours.datagram()
    endpoint = there._open.endpoint
    assert endpoint.has_nothing_to_read()
    here.sendto(b"", there.getsockname())
    assert not endpoint.has_nothing_to_read()
    assert there.recv(1) == b""
    assert endpoint.has_nothing_to_read()
    here.connect((LOOPBACK, 9))
    here.send(b"to nobody")
    assert not here._open.endpoint.has_nothing_to_read()  # but ECONNREFUSED
    with pytest.raises(OSError, match="not connected"):
        there.shutdown(socket.SHUT_RD)
    assert not endpoint.has_nothing_to_read()


def test_what_takes_too_long(net: Net) -> None:
    client, server = net.pair(send_buffer=20_000, receive_buffer=20_000)
    listener, nobody, udp = net.listener(), net.socket(), net.datagram()
    stuck = stuck_listener(net)
    for each in (client, server, listener, nobody, udp):
        each.settimeout(SOON)
    calls = [
        (server.recv, 1),
        (server.recv_into, bytearray(1)),
        (listener.accept,),
        (udp.recvfrom, 1),
        (nobody.connect, stuck.getsockname()),
        (client.sendall, bytes(10_000_000)),
    ]
    for call, *arguments in calls:
        begun = time.monotonic()
        with pytest.raises(TimeoutError, match=r"^timed out$") as caught:
            call(*arguments)
        assert caught.value.errno is None
        assert time.monotonic() - begun >= SOON


def test_a_timeout_takes_nothing_away(net: Net) -> None:
    client, server = net.pair()
    server.settimeout(SOON)
    with pytest.raises(TimeoutError):
        server.recv(10)
    client.sendall(b"late")
    assert server.recv(10) == b"late"


def test_sendall_has_one_timeout_for_all(net: Net) -> None:
    """Each octet that is taken in time gives no more time to the rest."""
    client, server = net.pair(send_buffer=10_000, receive_buffer=10_000)
    client.settimeout(0.2)
    sender = Background(client.sendall, bytes(50_000_000))
    begun = time.monotonic()
    while sender.is_alive() and time.monotonic() - begun < PATIENCE:
        server.recv(10, socket.MSG_DONTWAIT) if readable(server) else None
    with pytest.raises(TimeoutError):
        sender.result()
    assert time.monotonic() - begun < 5


def readable(connection: Any) -> bool:
    try:
        return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False


def test_an_accepted_socket_has_the_default_timeout(net: Net, default_timeout: None) -> None:
    listener = net.listener()
    clients = [net.socket() for _ in range(3)]
    for client in clients:
        client.connect(listener.getsockname())
    listener.settimeout(5)
    assert net.accept(listener).timeout is None
    listener.setblocking(False)
    assert net.accept(listener).timeout is None
    socket.setdefaulttimeout(7)
    assert net.accept(listener).timeout == 7.0


def test_the_type_may_say_nonblocking(net: Net) -> None:
    made = net.socket(socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    assert made.type == socket.SOCK_DGRAM
    assert made.timeout == 0.0
    made.bind((LOOPBACK, 0))
    with pytest.raises(BlockingIOError):
        made.recv(1)


# --- not blocking ---


def test_what_would_block(net: Net) -> None:
    client, server = net.pair()
    listener, udp = net.listener(), net.datagram()
    for each in (client, server, listener, udp):
        each.setblocking(False)
    for call in (lambda: server.recv(1), listener.accept, lambda: udp.recv(1)):
        with pytest.raises(BlockingIOError) as caught:
            call()
        assert caught.value.errno == errno.EAGAIN
    fill(client, bytes(20_000_000))
    with pytest.raises(BlockingIOError):
        client.send(b"x")
    with pytest.raises(BlockingIOError):
        client.sendall(b"x")


def test_connect_in_the_background(net: Net) -> None:
    stuck = stuck_listener(net)
    client = net.socket()
    client.setblocking(False)
    with pytest.raises(BlockingIOError) as caught:
        client.connect(stuck.getsockname())
    assert caught.value.errno == errno.EINPROGRESS
    assert client.connect_ex(stuck.getsockname()) == errno.EALREADY
    with pytest.raises(BlockingIOError):
        client.recv(1)
    with pytest.raises(BlockingIOError):
        client.send(b"x")
    with pytest.raises(OSError, match=r"Errno 107"):
        client.getpeername()


def test_connect_tells_success_once(net: Net) -> None:
    listener, client = net.listener(), net.socket()
    client.setblocking(False)
    assert client.connect_ex(listener.getsockname()) in (errno.EINPROGRESS, 0)
    net.accept(listener)
    assert client.connect_ex(listener.getsockname()) == 0
    assert client.connect_ex(listener.getsockname()) == errno.EISCONN


def test_connect_tells_failure_once(net: Net) -> None:
    client, listener = net.socket(), net.listener()
    client.setblocking(False)
    nobody = (LOOPBACK, net.closed_port())
    assert client.connect_ex(nobody) == errno.EINPROGRESS
    wait_readable(client)
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert client.connect_ex(listener.getsockname()) == errno.ECONNABORTED
    assert client.connect_ex(listener.getsockname()) == errno.EINPROGRESS
    net.accept(listener)


def test_a_connect_that_timed_out_goes_on(net: Net) -> None:
    stuck = stuck_listener(net)
    client = net.socket()
    client.settimeout(SOON)
    assert client.connect_ex(stuck.getsockname()) == errno.EAGAIN
    assert client.connect_ex(stuck.getsockname()) == errno.EALREADY
    net.accept(stuck)  # now there is room: the next SYN is answered
    client.settimeout(None)
    client.connect(stuck.getsockname())  # waits for the one that was begun
    server = net.accept(stuck)
    client.sendall(b"at last")
    assert server.recv(10) == b"at last"


# --- other threads ---


def test_shutdown_wakes_a_reader(net: Net) -> None:
    client, _ = net.pair()
    reader = Background(client.recv, 1)
    reader.until_blocked()
    client.shutdown(socket.SHUT_RD)
    assert reader.result() == b""


def test_shutdown_wakes_a_writer(net: Net) -> None:
    client, _ = net.pair()
    writer = Background(client.sendall, bytes(20_000_000))
    writer.until_blocked()
    client.shutdown(socket.SHUT_WR)
    with pytest.raises(BrokenPipeError):
        writer.result()


def test_shutdown_wakes_who_accepts(net: Net) -> None:
    listener = net.listener()
    waiting = Background(listener.accept)
    waiting.until_blocked()
    listener.shutdown(socket.SHUT_RDWR)
    with pytest.raises(OSError, match="Invalid argument"):
        waiting.result()
    assert net.socket().connect_ex(listener.getsockname()) == errno.ECONNREFUSED


def test_shutdown_wakes_a_reader_of_datagrams(net: Net) -> None:
    udp = net.datagram()
    reader = Background(udp.recvfrom, 1)
    reader.until_blocked()
    with pytest.raises(OSError, match="not connected"):
        udp.shutdown(socket.SHUT_RDWR)
    assert reader.result()[0] == b""


def test_two_threads_accept(net: Net) -> None:
    listener = net.listener()
    accepting = [Background(net.accept, listener) for _ in range(2)]
    for each in accepting:
        each.until_blocked()
    clients = [net.socket() for _ in range(2)]
    for client in clients:
        client.connect(listener.getsockname())
    peers = {each.result().getpeername() for each in accepting}
    assert peers == {client.getsockname() for client in clients}


@pytest.mark.parametrize("name", ["recv", "accept", "connect", "sendall", "datagram"])
def test_closing_wakes_who_waits(ours: Net, name: str) -> None:
    """The kernel would let it wait; here a socket that is closed is of no more use to anyone."""
    client, _ = ours.pair()
    listener, fresh, udp = ours.listener(), ours.socket(), ours.datagram()
    stuck = stuck_listener(ours).getsockname()
    target, waiting = {
        "recv": lambda: (client, Background(client.recv, 1)),
        "accept": lambda: (listener, Background(listener.accept)),
        "connect": lambda: (fresh, Background(fresh.connect, stuck)),
        "sendall": lambda: (client, Background(client.sendall, bytes(20_000_000))),
        "datagram": lambda: (udp, Background(udp.recv, 1)),
    }[name]()
    waiting.until_blocked()
    target.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        waiting.result()


WAITS_FOR_EVER = """
import os, sys
from tapstack import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
accepted, _ = server.accept()
calls = {"accept": server.accept, "recv": lambda: client.recv(1)}
calls["sendall"] = lambda: client.sendall(bytes(50_000_000))
try:
    print("ready", flush=True)
    calls[sys.argv[1]]()
except KeyboardInterrupt:
    print("interrupted")
for each in (client, accepted, server):
    each.close()
"""


@pytest.mark.parametrize("call", ["accept", "recv", "sendall"])
def test_an_interrupt_ends_the_wait(call: str) -> None:
    argv = [sys.executable, "-Werror", "-c", WAITS_FOR_EVER, call]
    environment = {"TAPSTACK_DEV": "none", "PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        # Interrupted before the call is interrupted, too: there is nothing to wait for.
        process.send_signal(signal.SIGINT)
        try:
            assert process.communicate(timeout=PATIENCE)[0] == "interrupted\n"
        finally:
            process.kill()
    assert process.returncode == 0
