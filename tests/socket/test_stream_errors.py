"""What TCP sockets answer to what cannot be: the kernel's errno."""

import errno
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.socket.nets import LOOPBACK, Background, Net, receive_all, wait_readable

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def error_of(call: Callable[..., object], *arguments: Any) -> int | None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is the test's to see
        call(*arguments)
    return caught.value.errno


def test_refused(net: Net) -> None:
    client = net.socket()
    with pytest.raises(ConnectionRefusedError) as caught:
        client.connect((LOOPBACK, net.closed_port()))
    assert caught.value.errno == errno.ECONNREFUSED
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0  # told once
    assert error_of(client.recv, 1) == errno.ENOTCONN
    assert error_of(client.send, b"x") == errno.EPIPE
    assert error_of(client.getpeername) == errno.ENOTCONN


def test_connect_after_a_refusal(net: Net) -> None:
    client = net.socket()
    assert client.connect_ex((LOOPBACK, net.closed_port())) == errno.ECONNREFUSED
    listener = net.listener()
    client.connect(listener.getsockname())
    server = net.accept(listener)
    client.sendall(b"at last")
    assert server.recv(10) == b"at last"


def test_address_in_use(net: Net) -> None:
    listener, other = net.listener(), net.socket()
    assert error_of(other.bind, listener.getsockname()) == errno.EADDRINUSE
    assert error_of(other.bind, ("", listener.getsockname()[1])) == errno.EADDRINUSE
    listener.close()
    other.bind(("", 0))


def test_reuse_address_does_not_share_a_listener(net: Net) -> None:
    first, second = net.socket(), net.socket()
    for each in (first, second):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    first.bind((LOOPBACK, 0))
    second.bind(first.getsockname())
    first.listen()
    assert error_of(second.listen) == errno.EADDRINUSE


def test_time_wait_holds_the_port(net: Net) -> None:
    listener = net.listener()
    address = listener.getsockname()
    client = net.socket()
    client.connect(address)
    server = net.accept(listener)
    server.close()  # the active close: TIME-WAIT is here
    assert client.recv(1) == b""
    client.close()
    listener.close()
    assert error_of(net.socket().bind, address) == errno.EADDRINUSE


def test_a_server_restarts_at_once(net: Net) -> None:
    def serve(address: tuple[str, int]) -> Any:
        listener = net.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        return listener

    listener = serve((LOOPBACK, 0))
    address = listener.getsockname()
    client = net.socket()
    client.connect(address)
    server = net.accept(listener)
    server.close()
    assert client.recv(1) == b""
    client.close()
    listener.close()
    again = serve(address)
    client = net.socket()
    client.connect(address)
    net.accept(again).sendall(b"back")
    assert client.recv(9) == b"back"


def test_address_not_ours(net: Net) -> None:
    assert error_of(net.socket().bind, ("192.0.2.1", 0)) == errno.EADDRNOTAVAIL


def test_bind_twice(net: Net) -> None:
    bound = net.socket()
    bound.bind((LOOPBACK, 0))
    assert error_of(bound.bind, (LOOPBACK, 0)) == errno.EINVAL


def test_accept_without_listening(net: Net) -> None:
    assert error_of(net.socket().accept) == errno.EINVAL
    client, _ = net.pair()
    assert error_of(client.accept) == errno.EINVAL


def test_a_connection_cannot_listen(net: Net) -> None:
    client, _ = net.pair()
    assert error_of(client.listen) == errno.EINVAL


def test_a_listener_is_no_connection(net: Net) -> None:
    listener = net.listener()
    assert error_of(listener.recv, 1) == errno.ENOTCONN
    assert error_of(listener.send, b"x") == errno.EPIPE
    assert error_of(listener.getpeername) == errno.ENOTCONN
    assert error_of(listener.connect, listener.getsockname()) == errno.EISCONN


def test_not_connected(net: Net) -> None:
    fresh = net.socket()
    assert error_of(fresh.recv, 1) == errno.ENOTCONN
    assert error_of(fresh.send, b"x") == errno.EPIPE
    assert error_of(fresh.getpeername) == errno.ENOTCONN
    assert error_of(fresh.shutdown, socket.SHUT_RDWR) == errno.ENOTCONN
    assert fresh.getsockname() == ("0.0.0.0", 0)


def test_connected_already(net: Net) -> None:
    client, server = net.pair()
    assert error_of(client.connect, client.getpeername()) == errno.EISCONN
    assert server.connect_ex(server.getpeername()) == errno.EISCONN


def test_closed(net: Net) -> None:
    client, _ = net.pair()
    address = client.getpeername()
    client.close()
    client.close()
    assert client.fileno() == -1
    calls = [
        (client.recv, 1),
        (client.send, b"x"),
        (client.connect, address),
        (client.bind, address),
        (client.listen,),
        (client.accept,),
        (client.getsockname,),
        (client.getpeername,),
        (client.shutdown, socket.SHUT_RD),
        (client.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR),
        (client.setsockopt, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
    assert {error_of(*call) for call in calls} == {errno.EBADF}


def test_reset_by_peer(net: Net) -> None:
    client, server = net.pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    server.close()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert client.recv(1) == b""  # told once
    assert error_of(client.send, b"x") == errno.EPIPE
    assert error_of(client.getpeername) == errno.ENOTCONN


def test_a_reset_wakes_a_reader(net: Net) -> None:
    client, server = net.pair()
    reader = Background(client.recv, 1)
    reader.until_blocked()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    server.close()
    with pytest.raises(ConnectionResetError):
        reader.result()


def test_unread_text_resets_the_peer(net: Net) -> None:
    client, server = net.pair()
    client.sendall(b"nobody reads this")
    wait_readable(server)
    server.close()
    with pytest.raises(ConnectionResetError):
        receive_all(client)


def test_writing_to_who_has_gone(net: Net) -> None:
    client, server = net.pair()
    server.close()
    assert client.recv(1) == b""
    client.sendall(b"x")  # the reset that answers this is what tells
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.sendall(bytes(20_000_000))


@pytest.mark.parametrize("call", ["send", "sendall"])
def test_data_that_was_not_sent_may_be_changed_at_once(net: Net, call: str) -> None:
    """As asyncio does with its buffer, while it handles the error."""
    client, server = net.pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    server.close()
    wait_readable(client)
    buffer = bytearray(b"lost")
    try:
        getattr(client, call)(buffer)
    except ConnectionError:
        buffer.clear()
    assert not buffer


@pytest.mark.parametrize("call", ["send", "sendall"])
@pytest.mark.parametrize("timeout", [0, 0.01])
def test_data_that_found_no_room_may_be_changed_at_once(
    net: Net, call: str, timeout: float
) -> None:
    client, _ = net.pair(send_buffer=4096, receive_buffer=4096)
    client.settimeout(timeout)
    buffer = bytearray(10_000)
    with suppress(OSError):
        while client.send(buffer):
            pass
    try:
        getattr(client, call)(buffer)
    except (BlockingIOError, TimeoutError):
        buffer.clear()
    assert not buffer


def test_data_that_found_room_in_part_may_be_changed_at_once(net: Net) -> None:
    client, _ = net.pair(send_buffer=4096, receive_buffer=4096)
    client.settimeout(1e-6)  # over as soon as something was taken
    buffer = bytearray(10_000_000)
    try:
        client.sendall(buffer)
    except TimeoutError:
        buffer.clear()
    assert not buffer


def test_the_queue_of_errors_is_not_waited_for(net: Net) -> None:
    """The standard library asks the system about no octets, too, if it is for a message."""
    client, _ = net.pair()
    for size in (0, 1):
        assert error_of(client.recvmsg, size, 100, socket.MSG_ERRQUEUE) == errno.EAGAIN


def test_what_is_no_address(net: Net) -> None:
    fresh = net.socket()
    for bad in (
        None,
        "127.0.0.1:80",
        ["127.0.0.1", 80],
        ("127.0.0.1",),
        (3, 80),
        ("127.0.0.1", "80"),
    ):
        with pytest.raises(TypeError):
            fresh.connect(bad)
    for bad in ((LOOPBACK, -1), (LOOPBACK, 65536)):
        with pytest.raises(OverflowError):
            fresh.connect(bad)


def test_addresses_by_another_name(net: Net) -> None:
    bound = net.socket()
    bound.bind(("", 0))
    assert bound.getsockname()[0] == "0.0.0.0"
    listener = net.listener()
    client = net.socket()
    client.connect(("localhost", listener.getsockname()[1]))
    assert client.getpeername() == listener.getsockname()
    other = net.socket()
    other.connect(("0.0.0.0", listener.getsockname()[1]))  # this host
    assert other.getpeername() == listener.getsockname()


def test_bad_shutdown(net: Net) -> None:
    client, _ = net.pair()
    assert error_of(client.shutdown, 7) == errno.EINVAL


def test_options_that_are_none(net: Net) -> None:
    fresh = net.socket()
    assert error_of(fresh.getsockopt, socket.SOL_SOCKET, 9999) == errno.ENOPROTOOPT
    assert error_of(fresh.setsockopt, socket.SOL_SOCKET, 9999, 1) == errno.ENOPROTOOPT
    assert error_of(fresh.setsockopt, socket.SOL_SOCKET, socket.SO_LINGER, b"x") == errno.EINVAL
