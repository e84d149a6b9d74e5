"""Servers over the stack's own transports: what they count, contexts, TLS, and other ways in."""

import asyncio
import contextvars
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tapstack.aio.transport import StreamTransport
from tapstack.event_loop import EventLoop
from tapstack.sim import Socket, World
from tests.aio.protocols import LOST, Notes, Server, elsewhere, turns, until
from tests.aio.test_transports import adopt
from tests.socket.nets import PATIENCE, Net, receive_all

WHERE: contextvars.ContextVar[str] = contextvars.ContextVar("WHERE")


def test_a_server_waits_for_its_connections(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    """For those that we end, as for those that their peers do."""

    async def run() -> None:
        async with Server(net) as server:
            (first, one), (_, other) = await server.connect(), await server.connect()
            waiting = asyncio.ensure_future(server.server.wait_closed())
            await turns()
            server.server.close()
            await turns()
            assert not waiting.done()
            first.close()
            await one.until(LOST)
            await turns()
            assert not waiting.done()
            other.transport.close()
            await asyncio.wait_for(waiting, PATIENCE)
            assert other.notes == ["made", LOST]

    loop.run_until_complete(run())


def test_a_server_takes_no_more_than_its_backlog_a_turn(ours: Net) -> None:
    """So that others have their turns, too."""
    loop = EventLoop()

    async def run() -> None:
        async with Server(ours, backlog=3) as server:
            clients = [ours.socket() for _ in range(4)]
            for each in clients:
                each.connect(server.address)
            taken = []
            while not taken or taken[-1] < len(clients):
                taken.append(len(server.protocols))
                await asyncio.sleep(0)
            assert {3, 4} <= set(taken) <= {0, 3, 4}

    loop.run_until_complete(run())
    loop.close()


def test_a_server_that_its_first_connection_closes(
    net: Net, loop: asyncio.AbstractEventLoop
) -> None:
    """Those that were taken together with that one go on."""

    class Closes(Notes):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            servers[0].server.close()

    servers: list[Server] = []

    async def run() -> None:
        async with Server(net, Closes) as server:
            servers.append(server)
            clients = [net.socket() for _ in range(3)]
            for each in clients:
                each.connect(server.address)
                each.sendall(b"x")
                each.shutdown(socket.SHUT_WR)
            await asyncio.wait_for(server.server.wait_closed(), PATIENCE)
            await until(lambda: len(server.protocols) == 3)
            for protocol in server.protocols:
                await protocol.until(LOST)
            assert [each.notes for each in server.protocols] == [["made", b"x", "eof", LOST]] * 3

    loop.run_until_complete(run())


def test_each_connection_has_a_context_of_its_own(
    net: Net, loop: asyncio.AbstractEventLoop
) -> None:
    """What it sets there lasts, is no other's, and begins with what there was for the server."""

    class Sets(Notes):
        def __init__(self) -> None:
            super().__init__()
            self.note(WHERE.get())
            WHERE.set(f"connection {next(numbers)}")

        def note(self, what: Any) -> None:
            super().note((what, WHERE.get()) if what in ("made", "eof", LOST) else what)

    numbers = iter(range(9))

    async def run() -> None:
        WHERE.set("server")
        async with Server(net, Sets) as server:
            WHERE.set("elsewhere")
            for number in range(2):
                client, protocol = await server.connect()
                client.close()
                where = f"connection {number}"
                await protocol.until((LOST, where))
                assert protocol.notes == ["server", ("made", where), ("eof", where), (LOST, where)]

    loop.run_until_complete(run())


def certificate(directory: Path) -> tuple[Path, Path]:
    """Make a certificate of one's own for `localhost`, and its key."""
    key, made = directory / "key.pem", directory / "certificate.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    subprocess.run([*new, "-keyout", key, "-out", made, *subject], check=True, capture_output=True)
    return made, key


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Give what a server and a client need to speak TLS."""
    made, key = certificate(tmp_path_factory.mktemp("tls"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made, key)
    return server, ssl.create_default_context(cafile=made)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readexactly(500_000))
    await writer.drain()
    writer.close()


def test_tls(
    net: Net, loop: asyncio.AbstractEventLoop, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    text = bytes(range(250)) * 2000

    async def run() -> None:
        listener, client = net.listener(), net.socket()
        listener.setblocking(False)
        client.setblocking(False)
        server = await asyncio.start_server(echo, sock=listener, ssl=contexts[0])
        async with server:
            await asyncio.get_running_loop().sock_connect(client, listener.getsockname())
            reader, writer = await asyncio.open_connection(
                sock=client, ssl=contexts[1], server_hostname="localhost"
            )
            assert writer.get_extra_info("peername") == listener.getsockname()
            assert writer.get_extra_info("cipher")
            below: Any = writer.transport
            kind = type(below._ssl_protocol._transport)
            assert net.runtime is None or kind is StreamTransport
            writer.write(text)
            assert await asyncio.wait_for(reader.read(), PATIENCE) == text
            writer.close()
            await writer.wait_closed()
            await turns()

    loop.run_until_complete(run())


def test_tls_that_begins_later(
    net: Net, loop: asyncio.AbstractEventLoop, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A plain transport becomes the one below TLS, in the midst of its connection."""
    text = bytes(range(250)) * 2000

    class Upgrades(Notes):
        """Answers a word in plain, and says the rest by TLS."""

        def data_received(self, data: bytes) -> None:
            self.transport.write(b"go")
            self.task = asyncio.ensure_future(self.upgrade())

        async def upgrade(self) -> None:
            loop = asyncio.get_running_loop()
            secure = asyncio.StreamReaderProtocol(asyncio.StreamReader(), echo)
            made = await loop.start_tls(self.transport, secure, contexts[0], server_side=True)
            secure.connection_made(made)

    async def run() -> None:
        async with Server(net, Upgrades) as server:
            plain = net.socket()
            plain.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(plain, server.address)
            client, notes = await loop.create_connection(Notes, sock=plain)
            client.write(b"tls?")
            await notes.until(b"go")
            made = await loop.start_tls(client, notes, contexts[1], server_hostname="localhost")
            made.write(text)
            await notes.until(b"go" + text)
            made.close()
            await turns()

    loop.run_until_complete(run())


def test_the_transports_of_a_stack_are_its_own(ours: Net) -> None:
    """But for sockets without a connection yet, or any more, whose transports are asyncio's."""
    loop = EventLoop()

    async def run() -> None:
        async with Server(ours) as server:
            _, protocol = await server.connect()
            assert isinstance(protocol.transport, StreamTransport)
            _, adopted = await adopt(ours, Notes())
            assert isinstance(adopted, StreamTransport)
            adopted.close()
            connecting = ours.socket()
            connecting.setblocking(False)
            with pytest.raises(BlockingIOError):
                connecting.connect(server.address)
            other, notes = await loop.create_connection(Notes, sock=connecting)
            other.write(b"x")
            await until(lambda: len(server.protocols) == 2)
            await server.protocols[1].until(b"x")
            other.close()
            await notes.until(LOST)

    loop.run_until_complete(run())
    loop.close()


def test_one_that_has_a_descriptor_already(ours: Net) -> None:
    """Which is left as it is: to show what happens costs system calls, and nobody looks."""
    loop = EventLoop()

    async def run() -> None:
        client, server = ours.pair()
        assert server.fileno() < 1 << 20
        server.setblocking(False)
        transport, protocol = await loop.create_connection(Notes, sock=server)
        readiness = server.opened.readiness
        assert readiness is not None
        client.sendall(b"x")
        await protocol.until(b"x")
        transport.pause_reading()
        before = readiness._descriptor.bits
        client.sendall(b"y")
        await turns()
        assert readiness._descriptor.bits == before
        transport.write(b"x")
        assert client.recv(1) == b"x"
        transport.abort()
        await turns()

    loop.run_until_complete(run())
    loop.close()


def test_who_holds_a_copy_is_told_all_the_same(ours: Net) -> None:
    """And keeps the connection, as a copy of any socket does."""
    loop = EventLoop()

    async def run() -> None:
        client, server = ours.pair()
        server.setblocking(False)
        transport, protocol = await loop.create_connection(Notes, sock=server)
        copy = ours.keep(transport.get_extra_info("socket").dup())
        transport.pause_reading()
        client.sendall(b"x")
        await asyncio.wait_for(loop.sock_recv(copy, 1), PATIENCE)
        transport.close()
        await protocol.until(LOST)
        await turns()
        copy.send(b"still open")
        assert client.recv(99) == b"still open"

    loop.run_until_complete(run())
    loop.close()


def test_several_stop_and_go(net: Net, loop: asyncio.AbstractEventLoop) -> None:
    """Each of many that talk at once gets its own, in order, and its end."""
    count, texts = 40, [bytes([i]) * 3000 + b"!" for i in range(40)]

    class Talks(Notes):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()
            self.transport.write(data)
            asyncio.get_running_loop().call_soon(self.transport.resume_reading)

    def ask(address: Any, text: bytes) -> bytes:
        with net.socket() as client:
            client.settimeout(PATIENCE)
            client.connect(address)
            client.sendall(text)
            client.shutdown(1)
            return receive_all(client)

    async def run() -> None:
        async with Server(net, Talks) as server:
            asked = [elsewhere(ask, server.address, text) for text in texts]
            assert await asyncio.gather(*asked) == texts
            for each in server.protocols:
                await each.until(LOST)
            said = sorted(each.notes[1] for each in server.protocols)
            assert said == texts
            assert len(server.protocols) == count

    loop.run_until_complete(run())
    loop.run_until_complete(loop.shutdown_default_executor())


def test_a_simulated_world_is_refused() -> None:
    """Its time never passes while a loop waits for it."""
    loop = EventLoop()
    with World(seed=1) as world, Socket(world.host("host")) as sock:
        sock.listen()
        for call in (
            loop.create_connection(Notes, sock=sock),
            loop.create_server(Notes, sock=sock),
            loop.sock_accept(sock),
        ):
            with pytest.raises(ValueError, match="never passes in a simulated world"):
                loop.run_until_complete(call)
    loop.close()
