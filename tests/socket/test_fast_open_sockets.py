"""Fast Open through sockets: MSG_FASTOPEN and the options (tcp(7)); over the kernel's, too."""

import errno
import socket
from typing import Any

import pytest

from tests.socket.nets import LOOPBACK, Net
from tests.socket.test_stream_errors import error_of

TCP = socket.IPPROTO_TCP
FASTOPEN_CONNECT, FASTOPEN_KEY, FASTOPEN_NO_COOKIE = 30, 33, 34
FAST = socket.MSG_FASTOPEN
DONTWAIT = socket.MSG_DONTWAIT


def serving(net: Net) -> Any:
    """A listener that serves Fast Open, to a client that has been there before."""
    assert net.runtime is not None
    net.runtime.stack.tcp.config.tcp_fastopen = 3
    listener = net.socket()
    listener.setsockopt(TCP, socket.TCP_FASTOPEN, 5)
    listener.bind((LOOPBACK, 0))
    listener.listen(5)
    first = net.socket()
    first.sendto(b"for a cookie", FAST, listener.getsockname())
    net.accept(listener)
    return listener


# --- over the kernel too ------------------------------------------------------------------------


def test_sending_connects_and_waits_for_that(net: Net) -> None:
    listener, client = net.listener(), net.socket()
    assert client.sendto(b"hello", FAST, listener.getsockname()) == 5
    assert client.getpeername() == listener.getsockname()
    server = net.accept(listener)
    assert server.recv(5, socket.MSG_WAITALL) == b"hello"
    server.sendall(b"there")
    assert client.recv(5, socket.MSG_WAITALL) == b"there"


def test_who_may_not_wait_and_has_no_cookie_sends_nothing(net: Net) -> None:
    listener, client = net.listener(), net.socket()
    client.setblocking(False)
    error = error_of(client.sendto, b"hello", FAST, listener.getsockname())
    assert error == errno.EINPROGRESS
    server = net.accept(listener)
    client.setblocking(True)
    client.sendall(b"later")
    assert server.recv(5, socket.MSG_WAITALL) == b"later"


def test_what_is_connected_is_not_opened(net: Net) -> None:
    client, _ = net.pair()
    address = client.getpeername()
    assert error_of(client.sendto, b"x", FAST, address) == errno.EISCONN
    assert error_of(client.sendmsg, [b"x"], [], FAST) == errno.EISCONN


def test_a_listener_and_a_missing_address(net: Net) -> None:
    listener, client = net.listener(), net.socket()
    assert error_of(listener.sendto, b"x", FAST, listener.getsockname()) == errno.EISCONN
    assert error_of(client.send, b"x", FAST) == errno.EINVAL


@pytest.mark.parametrize("blocking", [True, False])
def test_nobody_listens(net: Net, blocking: bool) -> None:
    nobody, client = net.socket(), net.socket()
    nobody.bind((LOOPBACK, 0))
    client.setblocking(blocking)
    flags = FAST if blocking else FAST | DONTWAIT
    error = error_of(client.sendto, b"hello", flags, nobody.getsockname())
    assert error in {errno.ECONNREFUSED if blocking else errno.EINPROGRESS}


def test_connecting_with_the_option_but_without_a_cookie(net: Net) -> None:
    listener, client = net.listener(), net.socket()
    client.setsockopt(TCP, FASTOPEN_CONNECT, 1)
    client.connect(listener.getsockname())
    client.sendall(b"hello")
    assert net.accept(listener).recv(5, socket.MSG_WAITALL) == b"hello"


@pytest.mark.parametrize(
    ("option", "value", "kept"),
    [
        (socket.TCP_FASTOPEN, 5, 5),
        (socket.TCP_FASTOPEN, 0, 0),
        (socket.TCP_FASTOPEN, 100_000, 4096),
        (FASTOPEN_CONNECT, 1, 1),
        (FASTOPEN_NO_COOKIE, 1, 1),
    ],
)
def test_options_that_are_kept(net: Net, option: int, value: int, kept: int) -> None:
    fresh = net.socket()
    assert fresh.getsockopt(TCP, option) == 0
    fresh.setsockopt(TCP, option, value)
    assert fresh.getsockopt(TCP, option) == kept


@pytest.mark.parametrize(
    ("option", "value"),
    [(socket.TCP_FASTOPEN, -1), (FASTOPEN_CONNECT, 2), (FASTOPEN_CONNECT, -1),
     (FASTOPEN_NO_COOKIE, 2), (FASTOPEN_KEY, b"short"), (FASTOPEN_KEY, bytes(20))],
)  # fmt: skip
def test_options_that_cannot_be(net: Net, option: int, value: Any) -> None:
    assert error_of(net.socket().setsockopt, TCP, option, value) == errno.EINVAL


@pytest.mark.parametrize("option", [socket.TCP_FASTOPEN, FASTOPEN_CONNECT, FASTOPEN_NO_COOKIE])
def test_options_that_come_too_late(net: Net, option: int) -> None:
    client, _ = net.pair()
    assert error_of(client.setsockopt, TCP, option, 1) == errno.EINVAL


@pytest.mark.parametrize("length", [16, 32])
def test_keys(net: Net, length: int) -> None:
    listener = net.socket()
    key = bytes(range(length))
    listener.setsockopt(TCP, FASTOPEN_KEY, key)
    assert listener.getsockopt(TCP, FASTOPEN_KEY, 32) == key


# --- with a cookie ------------------------------------------------------------------------------


def test_text_goes_with_the_syn(ours: Net) -> None:
    listener = serving(ours)
    client = ours.socket()
    client.setblocking(False)
    assert client.sendto(b"hello", FAST, listener.getsockname()) == 5
    server = ours.accept(listener)
    server.setblocking(False)
    assert server.recv(10) == b"hello"


def test_who_may_wait_sends_everything(ours: Net) -> None:
    listener = serving(ours)
    client = ours.socket()
    assert client.sendto(b"x" * 100_000, FAST, listener.getsockname()) == 100_000
    assert ours.accept(listener).recv(100_000, socket.MSG_WAITALL) == b"x" * 100_000


def test_connecting_waits_for_the_first_text(ours: Net) -> None:
    listener = serving(ours)
    client = ours.socket()
    client.setsockopt(TCP, FASTOPEN_CONNECT, 1)
    client.connect(listener.getsockname())
    assert error_of(client.getpeername) == errno.ENOTCONN
    assert error_of(client.connect, listener.getsockname()) == errno.EISCONN
    assert client.send(b"hello") == 5
    server = ours.accept(listener)
    assert server.recv(5, socket.MSG_WAITALL) == b"hello"
    assert client.getpeername() == listener.getsockname()


def test_it_can_be_switched_off(ours: Net) -> None:
    listener = serving(ours)
    assert ours.runtime is not None
    ours.runtime.stack.tcp.config.tcp_fastopen = 0
    client = ours.socket()
    assert error_of(client.sendto, b"x", FAST, listener.getsockname()) == errno.EOPNOTSUPP
    assert error_of(client.setsockopt, TCP, FASTOPEN_CONNECT, 1) == errno.EOPNOTSUPP
