"""`tapstack.selectors.DefaultSelector`: what it tells of a socket is what the socket would do.

Over the kernel's sockets, too, of which it is told by their descriptors.
"""

import os
import selectors
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

import tapstack.socket
from tapstack.runtime.default import NO_DEVICE, Settings, bring_up
from tapstack.selectors import DefaultSelector
from tests.socket.nets import LOOPBACK, PATIENCE, Net, fill, wait_readable

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@pytest.fixture
def selector() -> Iterator[DefaultSelector]:
    with DefaultSelector() as selector:
        yield selector


def now(selector: selectors.BaseSelector) -> dict[Any, int]:
    """Tell what is ready, without waiting."""
    return {key.fileobj: events for key, events in selector.select(0)}


def wait(selector: selectors.BaseSelector) -> dict[Any, int]:
    return {key.fileobj: events for key, events in selector.select(PATIENCE)}


def reset(connection: Any) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_text_is_told_until_it_is_read(net: Net, selector: DefaultSelector) -> None:
    client, server = net.pair()
    selector.register(server, READ)
    assert now(selector) == {}
    client.send(b"ab")
    assert wait(selector) == {server: READ}
    server.recv(1)
    assert now(selector) == {server: READ}
    server.recv(1)
    assert now(selector) == {}
    client.send(b"c")
    assert wait(selector) == {server: READ}


def test_text_from_before_it_was_registered(net: Net, selector: DefaultSelector) -> None:
    client, server = net.pair()
    client.send(b"x")
    wait_readable(server)
    selector.register(server, READ)
    assert now(selector) == {server: READ}


def test_room_is_told_until_there_is_none(net: Net, selector: DefaultSelector) -> None:
    client, server = net.pair(send_buffer=20_000, receive_buffer=20_000)
    selector.register(client, READ | WRITE)
    assert now(selector) == {client: WRITE}
    sent = fill(client, bytes(20_000_000))
    assert now(selector) == {}
    while sent:
        sent -= len(server.recv(100_000))
    assert wait(selector) == {client: WRITE}


def test_a_connection_to_accept(net: Net, selector: DefaultSelector) -> None:
    listener = net.listener()
    selector.register(listener, READ)
    assert now(selector) == {}
    net.socket().connect(listener.getsockname())
    assert wait(selector) == {listener: READ}
    net.accept(listener)
    assert now(selector) == {}


def test_one_that_is_registered_before_it_listens(net: Net, selector: DefaultSelector) -> None:
    listener = net.socket()
    listener.bind((LOOPBACK, 0))
    listener.listen()
    selector.register(listener, READ)
    net.socket().connect(listener.getsockname())
    assert wait(selector) == {listener: READ}


def test_one_that_is_registered_before_it_connects(net: Net, selector: DefaultSelector) -> None:
    listener, client = net.listener(), net.socket()
    client.setblocking(False)
    selector.register(client, READ | WRITE)
    assert now(selector) == {client: READ | WRITE}  # EPOLLHUP
    client.connect_ex(listener.getsockname())
    while wait(selector) != {client: WRITE}:
        pass
    net.accept(listener).send(b"x")
    while wait(selector) != {client: READ | WRITE}:
        pass
    assert client.recv(2) == b"x"


def test_a_connection_that_is_refused(net: Net, selector: DefaultSelector) -> None:
    client = net.socket()
    client.setblocking(False)
    client.connect_ex((LOOPBACK, net.closed_port()))
    selector.register(client, WRITE)
    assert wait(selector) == {client: WRITE}
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def test_the_end_and_a_reset(net: Net, selector: DefaultSelector) -> None:
    client, server = net.pair()
    selector.register(client, READ)
    server.shutdown(socket.SHUT_WR)
    assert wait(selector) == {client: READ}
    assert client.recv(1) == b""
    assert now(selector) == {client: READ}
    selector.modify(client, WRITE)
    reset(server)
    assert now(selector) == {client: WRITE}


def test_shutting_down_oneself(net: Net, selector: DefaultSelector) -> None:
    client, _ = net.pair()
    selector.register(client, READ)
    client.shutdown(socket.SHUT_RD)
    assert now(selector) == {client: READ}


def test_a_low_water_mark_that_is_lowered(net: Net, selector: DefaultSelector) -> None:
    client, server = net.pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 3)
    selector.register(server, READ)
    client.send(b"ab")
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert selector.select(0.01) == []
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 2)
    assert wait(selector) == {server: READ}


def test_datagrams(net: Net, selector: DefaultSelector) -> None:
    here, there = net.datagram(), net.datagram()
    selector.register(here, READ | WRITE)
    assert now(selector) == {here: WRITE}
    there.sendto(b"x", here.getsockname())
    there.sendto(b"y", here.getsockname())
    assert wait(selector) == {here: READ | WRITE}
    here.recv(1)
    assert now(selector) == {here: READ | WRITE}
    here.recv(1)
    assert now(selector) == {here: WRITE}


def test_other_events_and_data(net: Net, selector: DefaultSelector) -> None:
    client, server = net.pair()
    selector.register(server, READ, "reads")
    client.send(b"x")
    wait(selector)
    assert selector.modify(server, WRITE, "writes") == selector.get_key(server)
    [(key, events)] = selector.select(0)
    assert (key.data, events) == ("writes", WRITE)
    selector.modify(server, READ, "reads again")
    assert [key.data for key, _ in selector.select(0)] == ["reads again"]
    assert selector.unregister(server).data == "reads again"
    assert now(selector) == {}


def test_sockets_and_pipes_in_one_wait(net: Net, selector: DefaultSelector) -> None:
    client, server = net.pair()
    reading, writing = os.pipe()
    try:
        selector.register(server, READ)
        selector.register(reading, READ)
        os.write(writing, b"x")
        assert wait(selector) == {reading: READ}
        client.send(b"x")
        wait_readable(net.keep(server.dup()))
        assert now(selector) == {server: READ, reading: READ}
        os.read(reading, 1)
        assert now(selector) == {server: READ}
        selector.unregister(reading)
        os.write(writing, b"x")
        assert now(selector) == {server: READ}
    finally:
        os.close(reading)
        os.close(writing)


def test_a_wait_in_vain(net: Net, selector: DefaultSelector) -> None:
    _, server = net.pair()
    selector.register(server, READ)
    assert selector.select(0.01) == []
    assert selector.select(-1) == []


def test_once_unregistered_others_are_told(net: Net, selector: DefaultSelector) -> None:
    client, server = net.pair()
    selector.register(server, READ)
    client.send(b"x")
    wait(selector)
    selector.unregister(server)
    wait_readable(server)
    server.recv(1)
    with selectors.DefaultSelector() as other:
        other.register(server, READ)
        assert now(other) == {}


def test_two_selectors_wait_for_one_socket(net: Net, selector: DefaultSelector) -> None:
    client, server = net.pair()
    selector.register(server, READ)
    with DefaultSelector() as other:
        other.register(server, READ)
        client.send(b"x")
        assert wait(other) == wait(selector) == {server: READ}
        server.recv(1)
        assert now(other) == now(selector) == {}


def test_a_copy_has_a_descriptor_that_tells(net: Net, selector: DefaultSelector) -> None:
    client, server = net.pair()
    selector.register(server, READ)
    copy = net.keep(server.dup())
    selector.register(copy, READ)
    client.send(b"x")
    wait_readable(copy)
    assert now(selector) == {server: READ, copy: READ}


def test_one_that_was_closed_tells_nothing(net: Net, selector: DefaultSelector) -> None:
    client, server = net.pair()
    selector.register(server, READ)
    client.send(b"x")
    wait(selector)
    server.close()
    assert now(selector) == {}
    assert selector.unregister(server).fileobj is server
    assert not selector.get_map()


def test_what_is_registered(net: Net, selector: DefaultSelector) -> None:
    client, server = net.pair()
    key = selector.register(server, READ, "data")
    assert key == (server, server.fileno(), READ, "data")
    assert selector.get_key(server) == selector.get_key(server.fileno()) == key
    assert list(selector.get_map()) == [server.fileno()]
    assert selector.get_map()[server] == key
    for ask in (selector.get_key, selector.unregister, selector.get_map().__getitem__):
        with pytest.raises(KeyError, match="is not registered"):
            ask(client)
    with pytest.raises(KeyError, match="is not registered"):
        selector.modify(client, READ)
    with pytest.raises(KeyError, match="is already registered"):
        selector.register(server.fileno(), READ)


@pytest.mark.parametrize("events", [0, 4, -1])
def test_events_that_are_none(selector: DefaultSelector, events: int) -> None:
    with pytest.raises(ValueError, match="Invalid events"):
        selector.register(0, events)
    with pytest.raises(ValueError, match="Invalid events"):
        selector.modify(0, events)


@pytest.mark.parametrize("nothing", ["abc", None, -1])
def test_objects_that_have_no_descriptor(selector: DefaultSelector, nothing: Any) -> None:
    with pytest.raises(ValueError, match="Invalid file"):
        selector.register(nothing, READ)


def test_once_closed_it_is_of_no_use(net: Net) -> None:
    client, server = net.pair()
    selector = DefaultSelector()
    selector.register(server, READ)
    selector.close()
    with pytest.raises(RuntimeError, match="Selector is closed"):
        selector.get_key(server)
    client.send(b"x")
    wait_readable(server)  # its descriptor tells again


def test_a_stack_that_is_closed_leaves_its_sockets_ended(selector: DefaultSelector) -> None:
    runtime = bring_up(Settings(dev=NO_DEVICE)).runtime
    net = Net(runtime)
    _, server = net.pair()
    reading, writing = os.pipe()
    selector.register(server, READ)
    selector.register(reading, READ)
    assert now(selector) == {}
    runtime.close()
    assert wait(selector) == {server: READ}
    os.write(writing, b"x")
    assert now(selector) == {server: READ, reading: READ}
    selector.unregister(server)
    assert now(selector) == {reading: READ}
    net.close()
    os.close(reading)
    os.close(writing)


def test_sockets_of_another_stack_are_told_of_by_their_descriptors(
    selector: DefaultSelector,
) -> None:
    runtimes = [bring_up(Settings(dev=NO_DEVICE)).runtime for _ in range(2)]
    nets = [Net(each) for each in runtimes]
    pairs = [each.pair() for each in nets]
    for _, server in pairs:
        selector.register(server, READ)
    for client, server in reversed(pairs):
        client.send(b"x")
        assert wait(selector) == {server: READ}
        server.recv(1)
    for net, runtime in zip(nets, runtimes, strict=True):
        net.close()
        runtime.close()


def test_a_mere_number_is_known_to_these_selectors_alone(
    ours: Net, selector: DefaultSelector
) -> None:
    client, server = ours.pair()
    server.use_mere_number()
    key = selector.register(server.fileno(), READ)
    assert key.fd == server.fileno()
    client.send(b"x")
    assert wait(selector) == {server.fileno(): READ}
    with selectors.DefaultSelector() as other, pytest.raises(OSError, match="Bad file descriptor"):
        other.register(server, READ)
    selector.unregister(server)
    with DefaultSelector() as other:
        other.register(server, READ)
        assert now(other) == {server: READ}
    server.close()
    assert server.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        server.use_mere_number()


def test_a_copy_of_one_with_a_mere_number_has_a_descriptor(
    ours: Net, selector: DefaultSelector
) -> None:
    client, server = ours.pair()
    server.use_mere_number()
    selector.register(server, READ)
    copy = ours.keep(server.dup())
    client.send(b"x")
    wait_readable(copy)
    assert now(selector) == {server: READ}
    copy.recv(1)
    assert now(selector) == {}


def test_a_socket_with_a_mere_number_is_detached_with_a_descriptor(ours: Net) -> None:
    client, server = ours.pair()
    server.use_mere_number()
    mere_number = server.fileno()
    number = server.detach()
    assert os.fstat(number), "anybody can wait on it"
    again = ours.keep(tapstack.socket.socket(fileno=number))
    client.send(b"x")
    wait_readable(again)
    assert again.recv(9) == b"x"
    again.close()
    for closed in (number, mere_number):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(closed)
    assert client.recv(9) == b""


def test_a_descriptor_that_was_given_out_stays(ours: Net) -> None:
    client, server = ours.pair()
    fd = server.fileno()
    server.use_mere_number()
    assert server.fileno() == fd
    client.send(b"x")
    wait_readable(server)
