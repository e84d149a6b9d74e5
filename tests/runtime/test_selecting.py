"""Who waits by a selector drives the stack meanwhile, and gives way to others as any who waits."""

import asyncio
import os
import select
import selectors
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tapstack.base.units import MILLISECOND
from tapstack.event_loop import EventLoop
from tapstack.runtime.default import NO_DEVICE, Settings, bring_up
from tapstack.selectors import DefaultSelector
from tests.runtime.test_leading import Hosts, leader_of, until_it_leads, until_it_stands_by
from tests.runtime.test_runtime import HERE, THERE
from tests.socket.nets import PATIENCE, Background, Net, receive_all, until

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    hosts = Hosts()
    yield hosts
    hosts.close()


@pytest.fixture
def selector() -> Iterator[DefaultSelector]:
    with DefaultSelector() as selector:
        yield selector


def ready(selected: list[tuple[selectors.SelectorKey, int]]) -> dict[Any, int]:
    return {key.fileobj: events for key, events in selected}


def begin_to_drive(
    hosts: Hosts, selector: DefaultSelector
) -> Background[list[tuple[selectors.SelectorKey, int]]]:
    """Select in a thread, and wait until that drives the stack."""
    selecting = Background(selector.select)
    until_it_leads(hosts.here, selecting)
    return selecting


def test_who_selects_drives(hosts: Hosts, selector: DefaultSelector) -> None:
    client, server = hosts.connect()
    selector.register(client, READ)
    for _ in range(3):
        selecting = begin_to_drive(hosts, selector)
        server.sendall(b"x")
        assert ready(selecting.result()) == {client: READ}
        assert client.recv(1) == b"x"


def test_what_is_always_ready_does_not_keep_it_from_driving(
    hosts: Hosts, selector: DefaultSelector
) -> None:
    """Nor does who never waits: the thread that stands by is kept from doing it instead."""
    (writable, _), (client, server) = hosts.connect(), hosts.connect()
    reading, writing = os.pipe()
    for timeout, always in ((None, [writable]), (None, [writing]), (0, [])):
        selector.register(client, READ)
        for each in always:
            selector.register(each, WRITE)
        selector.select(0)
        hosts.here._leadership.tick = 1000 * PATIENCE * MILLISECOND
        server.sendall(b"x")
        while client not in ready(selector.select(timeout)):
            assert leader_of(hosts.here) in (None, hosts.here._leadership._reserve)
        assert client.recv(1) == b"x"
        for each in [client, *always]:
            selector.unregister(each)
    os.close(reading)
    os.close(writing)


def test_descriptors_end_the_wait_whoever_drives(hosts: Hosts, selector: DefaultSelector) -> None:
    (client, _), (idle, _) = hosts.connect(), hosts.connect()
    reading, writing = os.pipe()
    selector.register(client, READ)
    selector.register(reading, READ)
    selecting = begin_to_drive(hosts, selector)
    os.write(writing, b"x")
    assert ready(selecting.result()) == {reading: READ}
    os.read(reading, 1)
    waiting = Background(idle.recv, 1)
    until_it_leads(hosts.here, waiting)
    for _ in range(3):
        selecting = Background(selector.select)
        os.write(writing, b"x")
        assert ready(selecting.result()) == {reading: READ}
        os.read(reading, 1)
    idle.shutdown(socket.SHUT_RD)
    assert waiting.result() == b""
    os.close(reading)
    os.close(writing)


def test_beside_threads_that_wait_all_are_served(hosts: Hosts, selector: DefaultSelector) -> None:
    client, server = hosts.connect()
    selector.register(client, READ)

    def answer() -> None:
        for _ in range(300):
            assert ready(selector.select(PATIENCE)) == {client: READ}
            client.sendall(client.recv(1))

    def ask() -> None:
        for _ in range(300):
            server.sendall(b"x")
            assert server.recv(1) == b"x"

    def echo(here: Any, there: Any) -> None:
        for _ in range(300):
            there.sendall(b"x")
            assert here.recv(1) == b"x"

    calls = [Background(answer), Background(ask)]
    calls += [Background(echo, *hosts.connect()) for _ in range(3)]
    for each in calls:
        each.result()


def test_what_another_thread_does_ends_the_wait(hosts: Hosts, selector: DefaultSelector) -> None:
    client, _ = hosts.connect()
    selector.register(client, READ)
    selecting = begin_to_drive(hosts, selector)
    client.shutdown(socket.SHUT_RD)
    assert ready(selecting.result()) == {client: READ}


def test_one_that_is_registered_by_another_thread(hosts: Hosts, selector: DefaultSelector) -> None:
    (client, _), (other, _) = hosts.connect(), hosts.connect()
    selector.register(client, READ)
    selecting = begin_to_drive(hosts, selector)
    selector.register(other, WRITE)
    assert ready(selecting.result()) == {other: WRITE}


def test_between_its_waits_the_thread_that_stands_by_drives(
    hosts: Hosts, selector: DefaultSelector
) -> None:
    client, server = hosts.connect()
    selector.register(client, READ)
    assert selector.select(0.001) == []
    until_it_stands_by(hosts.here)
    server.sendall(b"x")
    assert ready(selector.select(PATIENCE)) == {client: READ}


@pytest.mark.slow
def test_one_thread_at_a_time(hosts: Hosts, selector: DefaultSelector) -> None:
    client, server = hosts.connect()
    selector.register(client, READ)
    selecting = begin_to_drive(hosts, selector)
    for timeout in (0, PATIENCE):
        with pytest.raises(RuntimeError, match="waits by this selector already"):
            selector.select(timeout)
    server.sendall(b"x")
    assert ready(selecting.result()) == {client: READ}


@pytest.mark.parametrize("has_descriptor", [True, False])
def test_a_stack_that_is_closed_meanwhile(
    hosts: Hosts, selector: DefaultSelector, has_descriptor: bool
) -> None:
    client, _ = hosts.connect()
    if not has_descriptor:
        client.use_mere_number()
    selector.register(client, READ)
    selecting = begin_to_drive(hosts, selector)
    hosts.here.close()
    assert ready(selecting.result()) == {client: READ}
    assert ready(selector.select()) == {client: READ}


@pytest.mark.slow
def test_a_device_that_is_gone(hosts: Hosts, selector: DefaultSelector) -> None:
    """Its descriptor's number may be another's then."""
    client, _ = hosts.connect()
    selector.register(client, READ)
    selector.select(0)
    hosts.there.close()
    assert ready(selector.select(PATIENCE)) == {client: READ}
    sender, devices = hosts.nets[0].socket(socket.SOCK_DGRAM), hosts.here.stack.interfaces

    def is_gone() -> bool:
        with suppress(OSError):
            sender.sendto(b"x", (THERE, 9))
        return devices["here"].device.fileno() < 0

    until(is_gone)
    pipes = [os.pipe() for _ in range(8)]
    for reading, writing in pipes:
        selector.register(reading, READ)
        os.write(writing, b"x")
    assert {reading for reading, _ in pipes} <= set(ready(selector.select(PATIENCE)))
    for each in pipes:
        for fd in each:
            os.close(fd)


@pytest.mark.slow
def test_what_a_signal_handler_raises(hosts: Hosts, selector: DefaultSelector) -> None:
    client, server = hosts.connect()
    selector.register(client, READ)

    def interrupt(*_: object) -> None:
        raise InterruptedError("by the handler")

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        main = threading.get_ident()

        def send() -> None:
            until_it_leads(hosts.here, threading.main_thread())
            signal.pthread_kill(main, signal.SIGUSR1)

        sending = Background(send)
        with pytest.raises(InterruptedError, match="by the handler"):
            selector.select(PATIENCE)
        sending.result()
    finally:
        signal.signal(signal.SIGUSR1, before)
    server.sendall(b"x")
    assert ready(selector.select(PATIENCE)) == {client: READ}


def test_an_event_loop(hosts: Hosts) -> None:
    """Servers, clients, long texts, timers and other threads."""
    loop = EventLoop()
    text = bytes(range(256)) * 10_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def ask(address: Any) -> bytes:
        with hosts.nets[1].socket() as client:
            client.settimeout(PATIENCE)
            client.connect(address)
            sending = Background(client.sendall, text)
            sending.result()
            client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(100_000), b""))

    async def run() -> list[bytes]:
        listener = hosts.nets[0].socket()
        listener.bind((HERE, 0))
        listener.listen()
        listener.setblocking(False)
        server = await asyncio.start_server(serve, sock=listener)
        async with server:
            asked = [asyncio.to_thread(ask, listener.getsockname()) for _ in range(4)]
            return await asyncio.wait_for(asyncio.gather(*asked), PATIENCE)

    try:
        assert loop.run_until_complete(run()) == [text] * 4
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def test_the_transports_of_an_event_loop_take_no_descriptors(hosts: Hosts) -> None:
    loop = EventLoop()

    async def run() -> None:
        writers, counts = [], []
        for _ in range(3):
            client, server = hosts.connect()
            reader, writer = await asyncio.open_connection(sock=client)
            server.sendall(b"x")
            assert await asyncio.wait_for(reader.read(9), PATIENCE) == b"x"
            writer.write(b"y")
            assert server.recv(9) == b"y"
            writers.append(writer)
            counts.append(len(os.listdir("/proc/self/fd")))
        assert counts == counts[:1] * 3
        for writer in writers:
            writer.close()
            await writer.wait_closed()

    try:
        loop.run_until_complete(run())
    finally:
        loop.close()


@pytest.mark.slow
def test_one_that_was_closed_while_it_was_ready(hosts: Hosts, selector: DefaultSelector) -> None:
    """It keeps nobody from sleeping."""
    (closed, its_peer), (client, server) = hosts.connect(), hosts.connect()
    selector.register(closed, READ)
    selector.register(client, READ)
    its_peer.sendall(b"x")
    assert ready(selector.select(PATIENCE)) == {closed: READ}
    closed.close()
    selecting = begin_to_drive(hosts, selector)
    server.sendall(b"x")
    assert ready(selecting.result()) == {client: READ}


def test_a_deadline_that_has_passed_before_the_sleep(
    hosts: Hosts, selector: DefaultSelector
) -> None:
    """To epoll_wait(2), less than no time is for ever."""
    client, _ = hosts.connect()
    selector.register(client, READ)
    assert selector._stack is not None
    sleeper = selector._stack[1]._sleeper
    Background(sleeper.follow, lambda sleep, *arguments: sleep(*arguments), -PATIENCE).result()


@pytest.mark.slow
def test_a_signal_handler_that_raises_amid_the_registering_of_devices(
    hosts: Hosts, selector: DefaultSelector
) -> None:
    client, server = hosts.connect()
    selector.register(client, READ)
    assert selector._stack is not None
    sleeper = selector._stack[1]._sleeper
    descriptors = sleeper._descriptors

    class Interrupted:
        poll = descriptors.poll

        def register(self, fd: int, events: int) -> None:
            descriptors.register(fd, events)
            sleeper._descriptors = descriptors
            raise KeyboardInterrupt

    stand_in: Any = Interrupted()
    sleeper._descriptors = stand_in
    with pytest.raises(KeyboardInterrupt):
        selector.select(PATIENCE)
    server.sendall(b"x")
    assert ready(selector.select(PATIENCE)) == {client: READ}


def test_a_child_that_closes_it_leaves_the_parent_s_devices_alone(
    hosts: Hosts, selector: DefaultSelector
) -> None:
    client, server = hosts.connect()
    selector.register(client, READ)
    selecting = begin_to_drive(hosts, selector)
    server.sendall(b"x")
    assert ready(selecting.result()) == {client: READ}
    assert client.recv(1) == b"x"
    child = os.fork()
    if not child:
        try:
            selector.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    selecting = begin_to_drive(hosts, selector)
    server.sendall(b"x")
    assert ready(selecting.result()) == {client: READ}


def is_shown(client: Any) -> bool:
    """Tell whether a descriptor shows that there is something to read."""
    return bool(select.select([client], [], [], 0)[0])


def test_one_that_nobody_has_closed_gives_everything_back(hosts: Hosts) -> None:
    client, server = hosts.connect()
    client.fileno()
    before = os.listdir("/proc/self/fd")
    selector = DefaultSelector()
    selector.register(client, READ)
    server.sendall(b"x")
    assert ready(selector.select(PATIENCE)) == {client: READ}
    assert not is_shown(client)
    del selector
    assert os.listdir("/proc/self/fd") == before
    assert is_shown(client)


def test_one_that_a_finalizer_closes_amid_a_call(hosts: Hosts) -> None:
    """The call gives back what there is to be given back, as soon as it is over."""
    (client, _), (other, peer) = hosts.connect(), hosts.connect()
    client.fileno(), other.fileno()
    before = os.listdir("/proc/self/fd")
    closed = DefaultSelector()
    closed.register(client, READ)
    closed.register(other, READ)
    peer.sendall(b"x")
    assert ready(closed.select(PATIENCE)) == {other: READ}

    def interrupted(*, now: int) -> None:
        closed.unregister(client)
        assert not is_shown(other)
        closed.close()

    hosts.here.call(interrupted)
    assert os.listdir("/proc/self/fd") == before
    assert is_shown(other)


async def begin_transport(net: Net) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Have a connection's end in a loop's transport hear of something."""
    client, server = net.pair()
    server.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=server)
    client.send(b"x")
    assert await asyncio.wait_for(reader.read(9), PATIENCE) == b"x"
    return reader, writer


def test_an_event_loop_with_sockets_of_two_stacks() -> None:
    runtimes = [bring_up(Settings(dev=NO_DEVICE)).runtime for _ in range(2)]
    nets = [Net(each) for each in runtimes]
    loop = EventLoop()

    async def run() -> None:
        for _, writer in [await begin_transport(each) for each in nets]:
            writer.close()
            await writer.wait_closed()

    try:
        loop.run_until_complete(run())
    finally:
        loop.close()
        for net, runtime in zip(nets, runtimes, strict=True):
            net.close()
            runtime.close()


def test_the_transports_of_a_stack_that_is_closed_hear_of_it() -> None:
    """By whatever: they have no descriptor that would hang up."""
    runtime = bring_up(Settings(dev=NO_DEVICE)).runtime
    net, loop = Net(runtime), EventLoop()

    async def run() -> None:
        reader, writer = await begin_transport(net)
        paused, other = await begin_transport(net)
        other.transport.pause_reading()
        runtime.close()
        other.transport.resume_reading()
        for each in (reader, paused):
            with pytest.raises(OSError, match="Network is down"):
                await asyncio.wait_for(each.read(9), PATIENCE)
        for end in (writer, other):
            end.close()
            with suppress(OSError):
                await end.wait_closed()

    try:
        loop.run_until_complete(run())
    finally:
        loop.close()
        net.close()


@pytest.mark.parametrize("kind", [EventLoop, asyncio.SelectorEventLoop])
def test_an_event_loop_sends_files(
    hosts: Hosts, tmp_path: Path, kind: type[asyncio.SelectorEventLoop]
) -> None:
    """By plain sends: to the system, a descriptor of a socket of the stack's is another thing."""
    text = bytes(range(256)) * 4000
    (tmp_path / "file").write_bytes(text)
    loop = kind()

    async def run() -> None:
        for by_transport in (False, True):
            client, server = hosts.connect()
            client.setblocking(False)
            reading = Background(receive_all, server)
            with (tmp_path / "file").open("rb") as file:
                if by_transport:
                    _, writer = await asyncio.open_connection(sock=client)
                    sent = await asyncio.wait_for(loop.sendfile(writer.transport, file), PATIENCE)
                    writer.close()
                else:
                    sent = await asyncio.wait_for(loop.sock_sendfile(client, file), PATIENCE)
                    client.close()
            assert sent == len(text)
            assert await asyncio.to_thread(reading.result) == text
        client, _ = hosts.connect()
        client.setblocking(False)
        with (
            (tmp_path / "file").open("rb") as file,
            pytest.raises(asyncio.SendfileNotAvailableError),
        ):
            await loop.sock_sendfile(client, file, fallback=False)

    try:
        loop.run_until_complete(run())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
