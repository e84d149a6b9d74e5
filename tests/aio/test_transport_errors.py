"""What transports do when something fails is what asyncio's do, over the kernel and over ours."""

import asyncio
import contextlib
import gc
import logging
import socket
import struct
from typing import Any

import pytest

from tapstack.aio.crowd import Crowd
from tapstack.event_loop import EventLoop
from tapstack.socket.stream import StreamEndpoint
from tapstack.stack import Stack
from tests.aio.protocols import LOST, Notes, Server, elsewhere, turns, until
from tests.aio.test_transports import Buffered, adopt
from tests.socket.nets import Net, receive_all

RESETS = struct.pack("ii", 1, 0)


class FailureError(Exception):
    """What a protocol raises."""


def fail(*_: object) -> None:
    """Stand for a method of a protocol, or for what makes one."""
    raise FailureError


class Handler:
    """Keeps what a loop's exception handler is told."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.told: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self.told.append(context))

    def take(self) -> tuple[str, Any, set[str]]:
        """Take the one thing that was told."""
        [context] = self.told
        self.told.clear()
        message, error = context.pop("message"), context.pop("exception")
        return message, error, set(context)


def reset(client: Any) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)
    client.close()


def test_a_connection_that_is_reset(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    async def run() -> None:
        handler = Handler(loop)
        async with Server(net) as server:
            client, protocol = await server.connect(b"x")
            await protocol.until(b"x")
            reset(client)
            await protocol.until(("lost", ConnectionResetError))
            assert protocol.notes == ["made", b"x", ("lost", ConnectionResetError)]
        assert not handler.told

    loop.run_until_complete(run())


def test_one_that_is_reset_before_it_is_taken(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    async def run() -> None:
        async with Server(net) as server:
            client = net.socket()
            client.connect(server.address)
            client.sendall(b"x")
            address = client.getsockname()
            reset(client)
            await until(lambda: server.protocols)
            [protocol] = server.protocols
            await until(lambda: protocol.notes[-1:] == [("lost", ConnectionResetError)])
            assert protocol.notes[0] == "made"
            assert protocol.transport.get_extra_info("peername") == address

    loop.run_until_complete(run())


def test_one_that_is_reset_while_text_waits(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    """Whether it is read or not."""

    async def run() -> None:
        for pauses in (False, True):
            client, transport = await adopt(net, protocol := Notes())
            if pauses:
                transport.pause_reading()
            transport.write(bytes(20_000_000))
            reset(client)
            await protocol.until(("lost", ConnectionResetError))
            assert protocol.notes == ["made", "pause", ("lost", ConnectionResetError)]

    loop.run_until_complete(run())


@pytest.mark.parametrize("call", ["pause_reading", "close"])
def test_one_that_is_reset_and_stopped_by_another_in_the_same_turn(
    net: Net, loop: asyncio.AbstractEventLoop, call: str
) -> None:
    """What waits can no longer be sent, and so its protocol is told of the end."""

    class Stops(Notes):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            getattr(stopped.transport, call)()

    stopped = Notes()

    async def run() -> None:
        first, transport = await adopt(net, protocol := Stops())
        second, _ = await adopt(net, stopped)
        stopped.transport.write(bytes(20_000_000))
        first.sendall(b"x")
        reset(second)
        await stopped.until(("lost", ConnectionResetError))
        assert protocol.notes == ["made", b"x"]
        transport.abort()
        await turns()

    loop.run_until_complete(run())


def test_what_is_written_to_one_that_was_reset(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    async def run() -> None:
        client, transport = await adopt(net, protocol := Notes())
        transport.pause_reading()
        reset(client)
        transport.write(b"x")
        await protocol.until(("lost", ConnectionResetError))

    loop.run_until_complete(run())


def test_what_is_written_after_the_end(
    net: Net, loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    """It is forgotten, and a warning is logged from the fifth time on."""

    async def run() -> None:
        _, transport = await adopt(net, protocol := Notes())
        transport.abort()
        transport.abort()
        for _ in range(6):
            transport.write(b"x")
        assert caplog.messages == ["socket.send() raised exception."] * 2
        await protocol.until(LOST)
        transport.write(b"x")
        transport.close()
        transport.abort()
        await turns()
        assert protocol.notes == ["made", LOST]

    with caplog.at_level(logging.WARNING, "asyncio"):
        loop.run_until_complete(run())


@pytest.mark.parametrize("method", ["data_received", "eof_received"])
def test_a_protocol_that_raises_is_told_so(
    net: Net, loop: asyncio.AbstractEventLoop, method: str
) -> None:
    class Raises(Notes):
        pass

    async def run() -> None:
        handler = Handler(loop)
        async with Server(net, Raises) as server:
            client, other = await server.connect()
            setattr(Raises, method, fail)
            client, protocol = await server.connect(b"x" * (method == "data_received"))
            client.shutdown(socket.SHUT_WR)
            await protocol.until(("lost", FailureError))
            message, error, also = handler.take()
            assert message == f"Fatal error: protocol.{method}() call failed."
            assert isinstance(error, FailureError)
            assert also == {"transport", "protocol"}
            assert other.notes == ["made"]

    loop.run_until_complete(run())


@pytest.mark.parametrize("method", ["get_buffer", "buffer_updated"])
def test_a_protocol_with_buffers_that_raises(
    net: Net, loop: asyncio.AbstractEventLoop, method: str
) -> None:
    async def run() -> None:
        handler = Handler(loop)
        client, _ = await adopt(net, protocol := Buffered())
        setattr(protocol, method, fail)
        client.sendall(b"x")
        await until(lambda: ("lost", FailureError) in protocol.notes)
        message, error, _ = handler.take()
        assert message == f"Fatal error: protocol.{method}() call failed."
        assert isinstance(error, FailureError)

    loop.run_until_complete(run())


@pytest.mark.parametrize(
    ("buffer", "raised", "message"),
    [
        (bytearray(), RuntimeError, "Fatal error: protocol.get_buffer() call failed."),
        (b"read-only", TypeError, "Fatal read error on socket transport"),
    ],
)
def test_a_protocol_that_gives_a_bad_buffer(
    net: Net, loop: asyncio.AbstractEventLoop, buffer: Any, raised: Any, message: str
) -> None:
    async def run() -> None:
        handler = Handler(loop)
        client, _ = await adopt(net, protocol := Buffered())
        protocol.buffer = buffer
        client.sendall(b"x")
        await until(lambda: ("lost", raised) in protocol.notes)
        assert handler.take()[0] == message

    loop.run_until_complete(run())


def test_a_protocol_that_raises_when_it_is_connected(
    net: Net, loop: asyncio.AbstractEventLoop
) -> None:
    """The loop is told, and goes on."""

    class Raises(Notes):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            raise FailureError

    async def run() -> None:
        handler = Handler(loop)
        async with Server(net, Raises) as server:
            client, protocol = await server.connect(b"x")
            await protocol.until(b"x")
            message, error, _ = handler.take()
            assert message.startswith("Exception in callback ")
            assert isinstance(error, FailureError)
            client.close()
            await protocol.until(LOST)
        _, transport = await adopt(net, protocol := Raises())
        assert handler.take()[0].startswith("Exception in callback ")
        assert protocol.notes == ["made"]
        transport.abort()
        await turns()

    loop.run_until_complete(run())


def test_a_protocol_that_raises_when_it_is_lost(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    """Its socket is closed all the same, by whomever."""

    class Raises(Notes):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            raise FailureError

    async def run() -> None:
        handler = Handler(loop)
        async with Server(net, Raises) as server:
            for by_us in (True, False):
                client, protocol = await server.connect()
                if by_us:
                    protocol.transport.close()
                else:
                    client.shutdown(socket.SHUT_WR)
                await protocol.until(LOST)
                await turns()
                assert client.recv(1) == b""
                message, error, _ = handler.take()
                assert message.startswith("Exception in callback ")
                assert isinstance(error, FailureError)
            assert server.server._active_count == 0

    if hasattr(asyncio.base_events.Server, "close_clients"):
        pytest.skip("from Python 3.13 on, the server's count is a set")
    loop.run_until_complete(run())


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("text", [b"", b"is heard by nobody"])
def test_a_protocol_that_is_not_made(
    net: Net, loop: asyncio.AbstractEventLoop, debug: bool, text: bytes
) -> None:
    """The connection is closed, of which one hears in debug mode."""

    async def run() -> None:
        handler = Handler(loop)
        loop.set_debug(debug)
        async with Server(net, fail) as server:
            client = net.socket()
            client.connect(server.address)
            client.sendall(text)
            await turns()
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
            messages = [each["message"] for each in handler.told]
            known = "Error on transport creation for incoming connection"
            assert messages == ([known] if debug else [])
            assert isinstance(handler.told[0]["exception"], FailureError) if debug else True

    if net.runtime is None:
        pytest.skip("older versions of asyncio leave the socket to be collected, with a warning")
    loop.run_until_complete(run())


@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_flow_control_that_raises_is_told_to_the_loop(
    net: Net, loop: asyncio.AbstractEventLoop, method: str
) -> None:
    async def run() -> None:
        handler = Handler(loop)
        client, transport = await adopt(net, protocol := Notes())
        setattr(protocol, method, fail)
        transport.write(bytes(20_000_000))
        client.settimeout(0)
        received = 0
        while not (handler.told and transport.get_write_buffer_size() <= 16384):
            with contextlib.suppress(BlockingIOError):
                received += len(client.recv(1_000_000))
            await asyncio.sleep(0)
        assert handler.take()[0] == f"protocol.{method}() failed"
        transport.abort()
        await turns()

    loop.run_until_complete(run())


@pytest.mark.parametrize("leave", [KeyboardInterrupt, SystemExit])
def test_who_ends_the_loop_amid_a_turn_keeps_nobody_from_what_is_his(
    net: Net, loop: asyncio.AbstractEventLoop, leave: type[BaseException]
) -> None:
    """When the loop is run again."""

    class Leaves(Notes):
        def leave_once(self, when: str) -> None:
            if armed == [when]:
                armed.clear()
                raise leave

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.leave_once("made")

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.leave_once("data")

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self.leave_once("lost")

    armed: list[str] = []
    server = Server(net, Leaves)
    loop.run_until_complete(server.__aenter__())
    clients = [net.socket() for _ in range(5)]
    for when, do in (
        ("made", lambda each: each.connect(server.address)),
        ("data", lambda each: each.sendall(b"x")),
        ("lost", lambda each: each.shutdown(socket.SHUT_WR)),
    ):
        for each in clients:
            do(each)
        armed.append(when)
        with pytest.raises(leave):
            loop.run_until_complete(turns())
        loop.run_until_complete(turns())
    assert [each.notes for each in server.protocols] == [["made", b"x", "eof", LOST]] * 5
    loop.run_until_complete(server.__aexit__())
    gc.collect()  # of the run that was left


@pytest.mark.filterwarnings("always", "ignore:unclosed <socket")
def test_one_that_nobody_has_closed(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    """A warning says so; the peer hears of the end."""

    async def run(taken: bool) -> Any:
        if not taken:
            client, transport = await adopt(net, Notes())
            transport.pause_reading()  # so that the loop has no hold of it
            return client
        async with Server(net) as server:
            client, protocol = await server.connect()
            protocol.transport.pause_reading()
            server.protocols.clear()
            return client

    def collected_after(running: Any) -> Any:
        client = loop.run_until_complete(running)
        gc.collect()
        return client

    for taken in (False, True):
        with pytest.warns(ResourceWarning, match="unclosed transport <"):
            client = collected_after(run(taken))
        client.settimeout(5)
        assert client.recv(1) == b""


@pytest.mark.filterwarnings("always")
def test_those_that_a_loop_leaves_when_it_is_closed(net: Net) -> None:
    loop = asyncio.SelectorEventLoop() if net.runtime is None else EventLoop()
    clients, transports = [], []

    async def run() -> None:
        for _ in range(2):
            client, transport = await adopt(net, Notes())
            clients.append(client)
            transports.append(transport)

    loop.run_until_complete(run())
    loop.close()
    clients[0].sendall(b"is heard by nobody")

    def forget() -> None:
        transports.clear()
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed transport <"):
        forget()
    for client in clients:
        client.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


@pytest.mark.filterwarnings("ignore:unclosed transport <")
def test_one_that_is_paused_when_its_loop_is_closed(net: Net) -> None:
    """That asks for nothing any more, and whoever has a socket of it may close that."""
    loop = asyncio.SelectorEventLoop() if net.runtime is None else EventLoop()
    client, transport = loop.run_until_complete(adopt(net, Notes()))
    loop.close()
    transport.pause_reading()
    assert not transport.is_reading()
    del transport
    gc.collect()
    client.settimeout(5)
    assert client.recv(1) == b""


def test_debug_mode_tells_what_happens(
    net: Net, loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        loop.set_debug(True)
        async with Server(net) as server:
            client, protocol = await server.connect(b"x")
            await protocol.until(b"x")
            protocol.transport.pause_reading()
            protocol.transport.resume_reading()
            client.shutdown(socket.SHUT_WR)
            await protocol.until(LOST)
            client, protocol = await server.connect()
            reset(client)
            await protocol.until(("lost", ConnectionResetError))

    with caplog.at_level(logging.DEBUG, "asyncio"):
        loop.run_until_complete(run())
    told = [
        message
        for part in ("got a new connection from", "pauses", "resumes", "received EOF", "Fatal read")
        for message in caplog.messages
        if part in message
    ]
    assert len(told) == 6


def test_how_it_shows_itself(ours: Net) -> None:
    loop = EventLoop()

    async def run() -> None:
        _, transport = await adopt(ours, protocol := Notes())
        addresses = "127.0.0.1:{} > 127.0.0.1:{}".format(
            transport.get_extra_info("sockname")[1], transport.get_extra_info("peername")[1]
        )
        shown = f"<StreamTransport {addresses} read=polling write=<idle, bufsize=0>>"
        assert repr(transport) == shown
        transport.pause_reading()
        transport.write(bytes(20_000_000))
        size = transport.get_write_buffer_size()
        shown = f"<StreamTransport {addresses} read=idle write=<polling, bufsize={size}>>"
        assert repr(transport) == shown
        transport.abort()
        assert "StreamTransport closing 127" in repr(transport)
        await protocol.until(LOST)
        await turns()
        assert repr(transport) == f"<StreamTransport closed {addresses}>"

    loop.run_until_complete(run())
    loop.close()


@pytest.mark.parametrize("when", ["called", "reading", "read"])
def test_a_signal_handler_that_raises_amid_a_turn(
    ours: Net, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """What was read by then, or is still to be, is given when the loop is run again."""
    loop = EventLoop()
    protocols = [Notes() for _ in range(3)]

    async def run() -> list[Any]:
        return [(await adopt(ours, each))[0] for each in protocols]

    clients = loop.run_until_complete(run())
    for each in clients:
        each.sendall(b"x")
    second, take_text = protocols[1].transport.open.endpoint, StreamEndpoint.take_text

    def interrupted(*_: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    def interrupted_at_second(self: StreamEndpoint, size: int, now: int) -> bytes | None:
        if self is second:
            if when == "reading":
                interrupted()
            monkeypatch.setattr(Stack, "flush", interrupted)
            self._stack.tcp.context.is_due = True
        return take_text(self, size, now)

    if when == "called":
        monkeypatch.setattr(Crowd, "_serve", interrupted)
    else:
        monkeypatch.setattr(StreamEndpoint, "take_text", interrupted_at_second)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(turns())
    loop.run_until_complete(turns())
    assert [each.notes for each in protocols] == [["made", b"x"]] * 3
    for each in protocols:
        each.transport.abort()
    loop.run_until_complete(turns())
    loop.close()
    gc.collect()


def test_a_signal_handler_that_raises_amid_a_write(
    ours: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was to be written then is written, with no hole in it."""
    text = bytes(range(250)) * 80_000
    loop = EventLoop()

    def interrupted(*_: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    async def run() -> None:
        client, transport = await adopt(ours, Notes())
        monkeypatch.setattr(Stack, "flush", interrupted)
        with pytest.raises(KeyboardInterrupt):
            transport.write(text)
        transport.write(b"!")
        transport.close()
        assert await elsewhere(receive_all, client) == text + b"!"

    loop.run_until_complete(run())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
