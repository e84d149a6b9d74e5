"""Transports of the stack's own do what asyncio's do over the kernel's sockets.

Each test runs over both: that it passes over the kernel makes it a true statement about asyncio.
"""

import asyncio
import socket
import struct
from typing import Any

import pytest

from tests.aio.protocols import LOST, Notes, Server, elsewhere, turns, until
from tests.socket.nets import PATIENCE, Net, receive_all

RESETS = struct.pack("ii", 1, 0)


class KeepsOpen(Notes):
    keeps_open = True


class Buffered(asyncio.BufferedProtocol):
    """Notes what it is given, a few octets at a time."""

    def __init__(self, size: int = 4) -> None:
        self.notes: list[Any] = []
        self.text = b""
        self.transport: Any = None
        self.buffer = bytearray(size)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.notes.append("made")

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.text += self.buffer[:nbytes]
        self.notes.append(nbytes)

    def eof_received(self) -> None:
        self.notes.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.notes.append(("lost", type(exc)))


async def adopt(net: Net, protocol: Any) -> tuple[Any, Any]:
    """Give a client, and the transport that the other end is given to."""
    client, server = net.pair()
    client.settimeout(PATIENCE)
    server.setblocking(False)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: protocol, sock=server)
    return client, transport


def test_calls_come_in_their_order(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    async def run() -> None:
        async with Server(net) as server:
            client, protocol = await server.connect()
            await turns()
            assert protocol.notes == ["made"]
            client.sendall(b"one")
            await protocol.until(b"one")
            protocol.transport.write(b"two")
            assert client.recv(9) == b"two"
            client.sendall(b", three")
            client.shutdown(socket.SHUT_WR)
            await protocol.until(LOST)
            assert protocol.notes == ["made", b"one, three", "eof", LOST]
            assert client.recv(9) == b""

    loop.run_until_complete(run())


def test_a_connection_that_comes_with_text_and_its_end(
    net: Net, loop: asyncio.AbstractEventLoop
) -> None:
    async def run() -> None:
        async with Server(net) as server:
            client = net.socket()
            client.connect(server.address)
            client.sendall(b"x")
            client.close()
            await until(lambda: server.protocols)
            await server.protocols[0].until(LOST)
            assert server.protocols[0].notes == ["made", b"x", "eof", LOST]

    loop.run_until_complete(run())


def test_what_a_protocol_leaves_to_the_loop_comes_in_turn(
    net: Net, loop: asyncio.AbstractEventLoop
) -> None:
    """After `connection_made`, before text that was there; before or after `close`, as it was."""

    class Leaves(Notes):
        def leave(self, what: str) -> None:
            asyncio.get_running_loop().call_soon(self.note, what)

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.leave("when made")

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.leave("before")
            if data == b"close":
                self.transport.close()
                self.leave("after")

        def eof_received(self) -> bool:
            self.leave("at eof")
            return super().eof_received()

    async def run() -> None:
        async with Server(net, Leaves) as server:
            client, protocol = await server.connect(b"close")
            await protocol.until(LOST)
            await turns()
            assert protocol.notes == ["made", "when made", b"close", "before", LOST, "after"]
            client, protocol = await server.connect(b"text")
            client.shutdown(socket.SHUT_WR)
            await protocol.until(LOST)
            texts = ["made", "when made", b"text", "before"]
            assert protocol.notes == [*texts, "eof", "at eof", LOST]

    loop.run_until_complete(run())


def test_a_protocol_may_keep_its_direction_open(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    async def run() -> None:
        client, transport = await adopt(net, protocol := KeepsOpen())
        client.shutdown(socket.SHUT_WR)
        await protocol.until("eof")
        await turns()
        assert not transport.is_closing()
        transport.write(b"still here")
        assert client.recv(99) == b"still here"
        transport.close()
        await protocol.until(LOST)
        assert protocol.notes == ["made", "eof", LOST]

    loop.run_until_complete(run())


def test_nothing_is_given_while_reading_is_paused(
    net: Net, loop: asyncio.AbstractEventLoop
) -> None:
    async def run() -> None:
        client, transport = await adopt(net, protocol := Notes())
        assert transport.is_reading()
        for _ in range(2):  # it does not count
            transport.pause_reading()
            assert not transport.is_reading()
        client.sendall(b"x")
        await turns()
        assert protocol.notes == ["made"]
        for _ in range(2):
            transport.resume_reading()
            assert transport.is_reading()
        await protocol.until(b"x")
        transport.pause_reading()
        client.shutdown(socket.SHUT_WR)
        await turns()
        assert protocol.notes == ["made", b"x"]
        transport.close()
        transport.resume_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        await protocol.until(LOST)
        assert protocol.notes == ["made", b"x", LOST]

    loop.run_until_complete(run())


def test_text_waits_for_as_much_as_its_user_wants(
    net: Net, loop: asyncio.AbstractEventLoop
) -> None:
    """SO_RCVLOWAT, which the end of the stream is not held back by."""

    async def run() -> None:
        client, transport = await adopt(net, protocol := Notes())
        told = transport.get_extra_info("socket")
        told.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 3)
        for _ in range(2):
            client.sendall(b"x")
            await turns()
            assert protocol.notes == ["made"]
        client.sendall(b"x")
        await protocol.until(b"xxx")
        client.sendall(b"y")
        await turns()
        assert protocol.notes == ["made", b"xxx"]
        client.close()
        await protocol.until(LOST)
        assert protocol.notes == ["made", b"xxxy", "eof", LOST]

    loop.run_until_complete(run())


def test_a_protocol_that_pauses_from_the_first(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    class Pauses(Notes):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.pause_reading()

    async def run() -> None:
        async with Server(net, Pauses) as server:
            _, protocol = await server.connect(b"x")
            await turns()
            # Older versions of asyncio begin to read all the same.
            assert net.runtime is None or protocol.notes == ["made"]
            protocol.transport.resume_reading()
            await protocol.until(b"x")

    loop.run_until_complete(run())


@pytest.mark.parametrize("call", ["pause_reading", "close", "abort"])
def test_one_that_another_stops_in_the_same_turn_gets_nothing(
    net: Net, loop: asyncio.AbstractEventLoop, call: str
) -> None:
    class Rivals(Notes):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            for each in rivals:
                if each is not self:
                    getattr(each.transport, call)()

    rivals: list[Rivals] = []

    async def run() -> None:
        first, second = Rivals(), Rivals()
        rivals.extend((first, second))
        clients = [(await adopt(net, each))[0] for each in (first, second)]
        for each in clients:
            each.sendall(b"x")
        await turns()
        heard, stopped = sorted((first, second), key=lambda each: b"x" in each.notes)[::-1]
        assert heard.notes == ["made", b"x"]
        if call == "pause_reading":
            assert stopped.notes == ["made"]
            heard.transport.close()
            stopped.transport.resume_reading()
            await stopped.until(b"x")
            stopped.transport.close()
        else:
            assert stopped.notes == ["made", LOST]
            client = clients[rivals.index(stopped)]
            with pytest.raises(ConnectionResetError):  # what it has sent, nobody has read
                client.recv(1)
            heard.transport.close()
        await turns()

    loop.run_until_complete(run())


def test_writing_is_paused_at_the_high_water_mark(
    net: Net, loop: asyncio.AbstractEventLoop
) -> None:
    text = bytes(range(256)) * 40_000

    async def run() -> None:
        client, transport = await adopt(net, protocol := Notes())
        assert transport.get_write_buffer_limits() == (16384, 65536)
        transport.write(text)
        assert "pause" in protocol.notes
        waiting = transport.get_write_buffer_size()
        assert 65536 < waiting < len(text)
        transport.writelines([b"and ", b"more"])
        assert transport.get_write_buffer_size() == waiting + 8
        transport.write_eof()
        assert transport.can_write_eof()
        reading = asyncio.ensure_future(elsewhere(receive_all, client))
        await protocol.until("resume")
        assert transport.get_write_buffer_size() <= 16384
        assert await reading == text + b"and more"
        client.close()
        await protocol.until(LOST)
        assert protocol.notes == ["made", "pause", "resume", "eof", LOST]

    loop.run_until_complete(run())
    loop.run_until_complete(loop.shutdown_default_executor())


def test_marks_of_ones_own(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    async def run() -> None:
        client, transport = await adopt(net, protocol := Notes())
        transport.pause_reading()
        transport.write(bytes(20_000_000))
        size = transport.get_write_buffer_size()
        transport.set_write_buffer_limits(high=size + 1)
        assert transport.get_write_buffer_limits() == ((size + 1) // 4, size + 1)
        assert protocol.notes == ["made", "pause"]
        with pytest.raises(ValueError, match="must be >="):
            transport.set_write_buffer_limits(high=1, low=2)
        transport.abort()
        await protocol.until(LOST)
        assert transport.get_write_buffer_size() == 0
        client.close()

    loop.run_until_complete(run())


def test_what_waits_leaves_before_it_closes(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    text = bytes(range(256)) * 40_000

    async def run() -> None:
        client, transport = await adopt(net, protocol := Notes())
        transport.write(text)
        transport.close()
        assert transport.is_closing()
        transport.write(b"!")
        await turns()
        assert LOST not in protocol.notes
        assert await elsewhere(receive_all, client) == text + b"!"
        await protocol.until(LOST)
        assert protocol.notes == ["made", "pause", "resume", LOST]

    loop.run_until_complete(run())
    loop.run_until_complete(loop.shutdown_default_executor())


def test_after_the_end_of_writing(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    async def run() -> None:
        client, transport = await adopt(net, protocol := Notes())
        transport.write_eof()
        transport.write_eof()
        assert client.recv(1) == b""
        with pytest.raises(RuntimeError, match=r"^Cannot call write\(\) after write_eof\(\)$"):
            transport.write(b"x")
        client.sendall(b"heard")
        await protocol.until(b"heard")
        transport.close()
        transport.write_eof()
        await protocol.until(LOST)

    loop.run_until_complete(run())


def test_what_may_be_written(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    async def run() -> None:
        client, transport = await adopt(net, Notes())
        transport.write(bytearray(b"one "))
        transport.write(memoryview(b"two ")[1:])
        transport.write(b"")
        transport.writelines(iter([b"three"]))
        assert client.recv(99, socket.MSG_WAITALL if net.runtime is None else 0)
        for wrong in ("text", 1, None):
            with pytest.raises(TypeError, match="data argument must be a bytes-like object, not"):
                transport.write(wrong)
        transport.abort()
        await turns()

    loop.run_until_complete(run())


@pytest.mark.parametrize("size", [1, 4, 100])
def test_protocols_with_buffers_of_their_own(
    net: Net, loop: asyncio.AbstractEventLoop, size: int
) -> None:
    async def run() -> None:
        client, _ = await adopt(net, protocol := Buffered(size))
        client.sendall(b"0123456789")
        client.shutdown(socket.SHUT_WR)
        await until(lambda: LOST in protocol.notes)
        assert protocol.text == b"0123456789"
        pieces = [size] * (10 // size) + ([10 % size] if 10 % size else [])
        assert protocol.notes == ["made", *pieces, "eof", LOST]

    loop.run_until_complete(run())


def test_a_protocol_with_buffers_pauses_between_them(
    net: Net, loop: asyncio.AbstractEventLoop
) -> None:
    class Pauses(Buffered):
        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            self.transport.pause_reading()

    async def run() -> None:
        client, transport = await adopt(net, protocol := Pauses())
        client.sendall(b"0123456789")
        for notes in ([4], [4, 4], [4, 4, 2]):
            await turns()
            assert protocol.notes == ["made", *notes]
            transport.resume_reading()
        transport.close()
        await turns()

    loop.run_until_complete(run())


def test_another_protocol_takes_over(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    class TakesOver(Notes):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.set_protocol(second)

    async def run() -> None:
        client, transport = await adopt(net, first := TakesOver())
        client.sendall(b"x")
        await first.until(b"x")
        assert transport.get_protocol() is second
        client.sendall(b"0123456789")
        await until(lambda: second.text == b"0123456789")
        transport.set_protocol(third := Notes())
        client.close()
        await third.until(LOST)
        assert first.notes == ["made", b"x"]
        assert second.notes == [4, 4, 2]
        assert third.notes == ["eof", LOST]

    second = Buffered()
    loop.run_until_complete(run())


def test_what_it_tells_of_its_socket(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    async def run() -> None:
        async with Server(net) as server:
            client, protocol = await server.connect()
            transports = [protocol.transport]
            adopted, _ = await asyncio.get_running_loop().create_connection(
                Notes, sock=(second := net.pair()[0])
            )
            for ours, local, remote in (
                (transports[0], server.address, client.getsockname()),
                (adopted, second.getsockname(), second.getpeername()),
            ):
                tell = ours.get_extra_info
                assert tell("nothing of the kind", 1) == 1
                for _ in range(2):
                    assert (tell("sockname"), tell("peername")) == (local, remote)
                    told = tell("socket")
                    assert (told.family, told.type) == (socket.AF_INET, socket.SOCK_STREAM)
                    assert told.getsockname() == local
                    assert told.getpeername() == remote
                    assert told.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
                for call in (loop.add_reader, loop.add_writer):
                    with pytest.raises(RuntimeError, match="is used by transport"):
                        call(told.fileno(), print)
                ours.close()
                await turns()
                assert (tell("sockname"), tell("peername")) == (local, remote)
                assert tell("socket") is told
                assert told.fileno() == -1

    loop.run_until_complete(run())


def test_a_socket_that_is_asked_for_when_it_is_closed(
    net: Net, loop: asyncio.AbstractEventLoop
) -> None:
    async def run() -> None:
        async with Server(net) as server:
            client, protocol = await server.connect()
            client.close()
            await protocol.until(LOST)
            await turns()
            assert protocol.transport.get_extra_info("socket").fileno() == -1
            assert protocol.transport.get_extra_info("sockname") == server.address

    loop.run_until_complete(run())


@pytest.mark.parametrize("proto", [0, socket.IPPROTO_TCP])
def test_nagle_s_algorithm_is_switched_off_as_by_asyncio(
    net: Net, loop: asyncio.AbstractEventLoop, proto: int
) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        listener = net.socket(proto=proto)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        made: list[Notes] = []

        def make() -> Notes:
            made.append(Notes())
            return made[-1]

        server = await loop.create_server(make, sock=listener)
        client = net.socket(proto=proto)
        client.connect(listener.getsockname())
        await loop.create_connection(make, sock=client)
        await until(lambda: len(made) == 2 and all(each.transport for each in made))
        for each in made:
            told = each.transport.get_extra_info("socket")
            assert bool(told.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) == bool(proto)
            each.transport.abort()
        server.close()
        await turns()

    loop.run_until_complete(run())


def test_streams_of_asyncio_s(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    """Their readers pause the transport, and their writers wait for it."""
    text = bytes(range(256)) * 20_000

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(10_000):
            writer.write(piece)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def run() -> None:
        listener = net.listener()
        listener.setblocking(False)
        server = await asyncio.start_server(echo, sock=listener, limit=20_000)
        async with server:
            client = net.socket()
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, listener.getsockname())
            reader, writer = await asyncio.open_connection(sock=client, limit=20_000)
            writer.write(text)
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), PATIENCE) == text
            writer.close()
            await writer.wait_closed()

    loop.run_until_complete(run())
