"""What the tests of transports share: protocols that note what they are told, and whoever waits."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.socket.nets import PATIENCE, Net

TURNS = 20
"""Of a loop, in which whatever has come by now is told, if it ever is."""


class Notes(asyncio.Protocol):
    """Notes its calls in their order; text that comes in several pieces is one note."""

    keeps_open = False

    def __init__(self) -> None:
        self.notes: list[Any] = []
        self.transport: Any = None
        self._noted = asyncio.Event()

    def note(self, what: Any) -> None:
        self.notes.append(what)
        self._noted.set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("made")

    def data_received(self, data: bytes) -> None:
        if self.notes and isinstance(self.notes[-1], bytes):
            data = self.notes.pop() + data
        self.note(data)

    def eof_received(self) -> bool:
        self.note("eof")
        return self.keeps_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.note(("lost", type(exc)))

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")

    async def until(self, what: Any) -> None:
        """Wait until something was noted."""

        async def is_noted() -> None:
            while what not in self.notes:
                self._noted.clear()
                await self._noted.wait()

        await asyncio.wait_for(is_noted(), PATIENCE)


LOST = "lost", type(None)


class Server:
    """A server with protocols of some kind, and clients that are plain sockets."""

    def __init__(self, net: Net, make: Callable[[], Any] = Notes, **how: Any) -> None:
        self.net = net
        self.protocols: list[Any] = []
        self._make, self._how = make, how

    def _protocol(self) -> Any:
        self.protocols.append(self._make())
        return self.protocols[-1]

    async def __aenter__(self) -> "Server":
        self.listener = self.net.listener()
        self.listener.setblocking(False)
        self.address = self.listener.getsockname()
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(self._protocol, sock=self.listener, **self._how)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for each in self.protocols:
            if each.transport is not None:
                each.transport.abort()
        await turns()

    async def connect(self, text: bytes = b"") -> tuple[Any, Any]:
        """Give a client, who has sent some text already, and its protocol."""
        count = len(self.protocols)
        client = self.net.socket()
        client.settimeout(PATIENCE)
        client.connect(self.address)
        if text:
            client.sendall(text)
        await until(lambda: len(self.protocols) > count and self.protocols[-1].transport)
        return client, self.protocols[-1]


async def turns(count: int = TURNS) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    async def holds() -> None:
        while not condition():
            await asyncio.sleep(0)

    await asyncio.wait_for(holds(), PATIENCE)


async def elsewhere(call: Callable[..., Any], *arguments: Any) -> Any:
    """Do what may wait in a thread."""
    return await asyncio.wait_for(asyncio.to_thread(call, *arguments), PATIENCE)
