"""`fileno()`: select, poll, epoll and selectors see what the socket would do."""

import errno
import os
import select
import selectors
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.socket.nets import (
    LOOPBACK,
    PATIENCE,
    Background,
    Net,
    fill,
    stuck_listener,
    until,
    wait_readable,
)

EVENTS = select.POLLIN | select.POLLOUT


def ready(*sockets: Any) -> tuple[list[Any], list[Any]]:
    """Tell which are readable and which are writable, now."""
    readable, writable, _ = select.select(sockets, sockets, [], 0)
    return readable, writable


def wait_writable(connection: Any) -> None:
    assert select.select([], [connection], [], PATIENCE)[1] == [connection]


def test_readable_and_not(net: Net) -> None:
    client, server = net.pair()
    assert ready(client, server) == ([], [client, server])
    client.send(b"ab")
    wait_readable(server)
    server.recv(1)
    assert ready(server)[0] == [server]
    server.recv(1)
    assert ready(server)[0] == []
    client.send(b"c")
    wait_readable(server)


def test_text_that_came_before_the_descriptor(net: Net) -> None:
    client, server = net.pair()
    client.send(b"x")
    wait_readable(server)


def test_writable_and_not(net: Net) -> None:
    client, server = net.pair(send_buffer=20_000, receive_buffer=20_000)
    assert ready(client)[1] == [client]
    sent = fill(client, bytes(20_000_000))
    assert ready(client)[1] == []
    while sent:
        sent -= len(server.recv(100_000))
    wait_writable(client)
    client.send(b"x")


def test_a_full_one_before_the_descriptor(net: Net) -> None:
    client, _ = net.pair(send_buffer=20_000, receive_buffer=20_000)
    fill(client, bytes(20_000_000))
    assert ready(client) == ([], [])


def test_a_connection_to_accept(net: Net) -> None:
    listener = net.listener()
    assert ready(listener) == ([], [])
    net.socket().connect(listener.getsockname())
    wait_readable(listener)
    net.accept(listener)
    assert ready(listener) == ([], [])


def test_a_descriptor_from_before_listening(net: Net) -> None:
    listener = net.socket()
    fd = listener.fileno()
    listener.bind((LOOPBACK, 0))
    listener.listen()
    assert ready(listener) == ([], [])
    assert listener.fileno() == fd
    net.socket().connect(listener.getsockname())
    wait_readable(listener)


def test_the_end_is_readable(net: Net) -> None:
    client, server = net.pair()
    client.fileno()
    server.shutdown(socket.SHUT_WR)
    wait_readable(client)
    assert client.recv(1) == b""
    assert ready(client)[0] == [client]  # and stays so


def test_a_reset_is_readable(net: Net) -> None:
    client, server = net.pair()
    client.fileno()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    wait_readable(client)
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_connect_that_succeeds_is_writable(net: Net) -> None:
    listener, client = net.listener(), net.socket()
    client.setblocking(False)
    client.connect_ex(listener.getsockname())
    wait_writable(client)
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    net.accept(listener).send(b"x")
    wait_readable(client)


def test_a_connect_that_fails_is_both(net: Net) -> None:
    client = net.socket()
    client.setblocking(False)
    client.connect_ex((LOOPBACK, net.closed_port()))
    wait_writable(client)
    assert ready(client) == ([client], [client])
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_a_connect_on_its_way_is_neither(net: Net) -> None:
    stuck, client = stuck_listener(net), net.socket()
    client.fileno()
    client.setblocking(False)
    client.connect_ex(stuck.getsockname())
    assert ready(client) == ([], [])


def test_datagrams(net: Net) -> None:
    here, there = net.datagram(), net.datagram()
    assert ready(here, there) == ([], [here, there])
    for _ in range(2):
        here.sendto(b"x", there.getsockname())
    wait_readable(there)
    there.recv(9)
    assert ready(there)[0] == [there]
    there.recv(9)
    assert ready(there)[0] == []


def test_poll_and_epoll_by_level(net: Net) -> None:
    client, server = net.pair()
    poller: Any
    for poller in (select.poll(), select.epoll()):
        poller.register(server, EVENTS)
        assert poller.poll(0) == [(server.fileno(), select.POLLOUT)]
        client.send(b"x")
        wait_readable(server)
        for _ in range(2):
            assert poller.poll(0) == [(server.fileno(), EVENTS)]
        server.recv(1)
        assert poller.poll(0) == [(server.fileno(), select.POLLOUT)]
        poller.unregister(server)


def test_epoll_by_edge(net: Net) -> None:
    client, server = net.pair(send_buffer=20_000, receive_buffer=20_000)
    with select.epoll() as poller:
        poller.register(server, select.EPOLLIN | select.EPOLLET)
        assert poller.poll(0) == []
        for _ in range(3):
            client.send(b"x")
            assert poller.poll(PATIENCE) == [(server.fileno(), select.EPOLLIN)]
            assert poller.poll(0) == []
            assert server.recv(9) == b"x"
        poller.unregister(server)
        poller.register(client, select.EPOLLOUT | select.EPOLLET)
        for _ in range(3):
            assert poller.poll(PATIENCE) == [(client.fileno(), select.EPOLLOUT)]
            sent = fill(client, bytes(20_000_000))
            assert poller.poll(0) == []
            while sent:
                sent -= len(server.recv(100_000))


def test_epoll_by_edge_tells_of_more_of_the_same(net: Net) -> None:
    """Who has not taken what there was hears of what is added, and of that alone."""
    listener, (client, server) = net.listener(), net.pair()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    edge = select.EPOLLIN | select.EPOLLET
    with select.epoll() as poller:
        poller.register(server, edge)
        for _ in range(200):
            client.send(b"x")
            assert poller.poll(PATIENCE) == [(server.fileno(), select.EPOLLIN)]
            assert poller.poll(0) == []
        assert server.recv(100) == b"x" * 100
        assert ready(server)[0] == [server]
        assert poller.poll(0) == []
        assert server.recv(200) == b"x" * 100
        assert ready(server)[0] == []
        assert poller.poll(0) == []
        client.send(b"x")
        assert poller.poll(PATIENCE) == [(server.fileno(), select.EPOLLIN)]
        poller.register(listener, edge)
        for _ in range(3):
            net.socket().connect(listener.getsockname())
            assert poller.poll(PATIENCE) == [(listener.fileno(), select.EPOLLIN)]
            assert poller.poll(0) == []


def test_epoll_by_edge_tells_of_the_end(net: Net) -> None:
    client, server = net.pair()
    wish = select.EPOLLIN | select.EPOLLRDHUP
    with select.epoll() as poller:
        poller.register(server, wish | select.EPOLLET)
        for end in (lambda: client.send(b"x"), lambda: client.shutdown(socket.SHUT_WR)):
            end()
            ((_, told),) = poller.poll(PATIENCE)
            assert poller.poll(0) == []
        assert told == wish
        assert (server.recv(9), server.recv(9)) == (b"x", b"")
        assert poller.poll(0) == []


def test_a_selector_serves_everybody(net: Net) -> None:
    listener = net.listener()
    listener.setblocking(False)
    clients = [net.socket() for _ in range(5)]
    for client in clients:
        client.connect(listener.getsockname())
        client.send(b"hello")
        client.shutdown(socket.SHUT_WR)
    heard = []
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while len(heard) < len(clients):
            for key, _ in selector.select(PATIENCE):
                if key.fileobj is listener:
                    accepted = net.accept(listener)
                    accepted.setblocking(False)
                    selector.register(accepted, selectors.EVENT_READ, bytearray())
                elif part := key.fileobj.recv(100):  # type: ignore[union-attr]
                    key.data.extend(part)
                else:
                    heard.append(bytes(key.data))
                    selector.unregister(key.fileobj)
    assert heard == [b"hello"] * 5


def test_another_thread_waits_for_the_descriptor(net: Net) -> None:
    client, server = net.pair()
    waiting = Background(select.select, [server], [], [], PATIENCE)
    waiting.until_blocked()
    client.send(b"x")
    assert waiting.result()[0] == [server]


def test_nobody_to_accept(net: Net) -> None:
    listener = net.listener()
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()
    client = net.socket()
    client.connect(listener.getsockname())
    wait_readable(listener)
    net.accept(listener)
    with pytest.raises(BlockingIOError):
        listener.accept()
    listener.shutdown(socket.SHUT_RD)
    with pytest.raises(OSError, match="Invalid argument"):
        listener.accept()


# --- of ours alone ---


def test_no_descriptor_before_it_is_asked_for(ours: Net) -> None:
    before = os.listdir("/proc/self/fd")
    client, server = ours.pair()
    assert "fd" not in repr(client)
    assert "family=" in repr(client)
    client.sendall(b"x")
    server.recv(1)
    assert os.listdir("/proc/self/fd") == before
    fd = client.fileno()
    assert client.fileno() == fd
    client.close()
    assert "[closed]" in repr(client)
    assert os.listdir("/proc/self/fd") == before


def test_threads_ask_for_one_descriptor(ours: Net) -> None:
    client, _ = ours.pair()
    before = len(os.listdir("/proc/self/fd"))
    asking = [Background(client.fileno) for _ in range(20)]
    assert len({each.result() for each in asking}) == 1
    assert len(os.listdir("/proc/self/fd")) == before + 2


def test_a_program_that_reads_its_descriptor_harms_nobody(ours: Net) -> None:
    client, server = ours.pair()
    client.send(b"x")
    assert os.read(server.fileno(), 100)
    assert server.recv(9) == b"x"
    client.send(b"y")
    wait_readable(server)
    assert server.recv(9) == b"y"


def test_the_system_sends_no_file_by_a_descriptor(ours: Net) -> None:
    """It says so, and the program can send it by itself."""
    client, server = ours.pair()
    reading, writing = os.pipe()
    with open(__file__, "rb") as file, pytest.raises(OSError, match="Invalid argument"):
        os.sendfile(client.fileno(), file.fileno(), 0, 100)
    os.write(writing, b"x")
    with pytest.raises(OSError, match="Invalid argument"):
        os.splice(reading, client.fileno(), 1)
    for end in (reading, writing):
        os.close(end)
    with open(__file__, "rb") as file:
        assert client.sendfile(file, 0, 100) == 100
    assert server.recv(200) == Path(__file__).read_bytes()[:100]


ALL = select.POLLIN | select.POLLPRI | select.POLLOUT | select.POLLRDHUP
NAMES = ("POLLIN", "POLLPRI", "POLLOUT", "POLLERR", "POLLHUP", "POLLRDHUP")


def polled(connection: Any) -> set[str]:
    """Name what poll tells, now."""
    poller = select.poll()
    poller.register(connection, ALL)
    bits = dict(poller.poll(0)).get(connection.fileno(), 0)
    return {name.removeprefix("POLL") for name in NAMES if bits & getattr(select, name)}


def reset(connection: Any) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_poll_tells_of_each_end(net: Net) -> None:
    client, server = net.pair()
    assert polled(client) == polled(server) == {"OUT"}
    client.shutdown(socket.SHUT_WR)
    until(lambda: polled(server) == {"IN", "OUT", "RDHUP"})
    assert server.recv(1) == b""
    assert polled(server) == {"IN", "OUT", "RDHUP"}
    assert polled(client) == {"OUT"}
    server.shutdown(socket.SHUT_WR)
    until(lambda: polled(client) == {"IN", "OUT", "HUP", "RDHUP"})
    assert polled(server) == {"IN", "OUT", "HUP", "RDHUP"}


def test_poll_tells_of_what_we_shut_down(net: Net) -> None:
    _, server = net.pair()
    server.shutdown(socket.SHUT_RD)
    assert polled(server) == {"IN", "OUT", "RDHUP"}
    server.shutdown(socket.SHUT_WR)
    assert polled(server) == {"IN", "OUT", "HUP", "RDHUP"}


def test_poll_tells_of_a_reset_until_its_error_is_taken(net: Net) -> None:
    client, server = net.pair(send_buffer=20_000, receive_buffer=20_000)
    fill(client, bytes(20_000_000))
    client.fileno()
    reset(server)
    until(lambda: polled(client) == {"IN", "OUT", "ERR", "HUP", "RDHUP"})
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
    assert polled(client) == {"IN", "OUT", "HUP", "RDHUP"}


def test_poll_tells_of_a_refusal(net: Net) -> None:
    client = net.socket()
    client.setblocking(False)
    client.connect_ex((LOOPBACK, net.closed_port()))
    until(lambda: polled(client) == {"IN", "OUT", "ERR", "HUP", "RDHUP"})
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    assert polled(client) == {"IN", "OUT", "HUP", "RDHUP"}


def test_a_descriptor_that_hung_up_serves_the_next_connection(net: Net) -> None:
    client, listener = net.socket(), net.listener()
    client.setblocking(False)
    client.connect_ex((LOOPBACK, net.closed_port()))
    fd = client.fileno()
    until(lambda: "HUP" in polled(client))
    client.setblocking(True)
    assert client.connect_ex(listener.getsockname()) == errno.ECONNREFUSED  # of the one before
    client.connect(listener.getsockname())
    assert client.fileno() == fd
    assert polled(client) == {"OUT"}
    net.accept(listener).send(b"x")
    wait_readable(client)
