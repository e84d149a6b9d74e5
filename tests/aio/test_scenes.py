"""Scenes made up at random: over the kernel with asyncio's transports, and over ours, the same."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tapstack.event_loop import EventLoop
from tapstack.runtime.default import NO_DEVICE, Settings, bring_up
from tapstack.runtime.runtime import Runtime
from tests.aio.protocols import Notes, Server, turns
from tests.aio.test_transports import RESETS, Buffered
from tests.socket.nets import Net, until

CLIENTS = 3
SIZES = st.sampled_from([1, 7, 1500, 40_000])
STEPS = st.one_of(
    st.tuples(st.sampled_from(["send", "write"]), SIZES),
    st.tuples(
        st.sampled_from(
            "end reset pause_reading resume_reading write_eof close abort feed notes".split()
        ),
        st.none(),
    ),
)
SCENES = st.lists(st.tuples(st.integers(0, CLIENTS - 1), STEPS), max_size=15)


class Actor:
    """One connection: a client, and a protocol that does as it is told."""

    def __init__(self, client: Any, protocol: Any) -> None:
        self.client = client
        self.protocol, self.transport = protocol, protocol.transport
        self.told: list[Any] = []
        self.letters = iter(b"abcdefghijklmnopqrstuvwxyz")

    def text(self, size: int) -> bytes:
        return bytes([next(self.letters)]) * size

    def do(self, what: str, size: Any) -> None:
        client, transport = self.client, self.transport
        try:
            match what:
                case "send":
                    client.send(self.text(size))
                case "end":
                    client.shutdown(socket.SHUT_WR)
                case "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)
                    client.close()
                case "write":
                    transport.write(self.text(size))
                case "feed":
                    self.replace(Buffered(100))
                case "notes":
                    self.replace(KeepsOpen())
                case _:
                    getattr(transport, what)()
        except (OSError, RuntimeError) as error:
            self.told.append(type(error))

    def replace(self, protocol: Any) -> None:
        if not self.transport.is_closing():
            self.told.append(notes_of(self.protocol))
            self.protocol = protocol
            self.transport.set_protocol(protocol)

    def settle(self) -> None:
        """Wait until what has been sent has arrived at the other end, if there is one."""
        ends = (self.client, self.transport.get_extra_info("socket"))
        until(lambda: not any(unacknowledged(end) for end in ends if end.fileno() >= 0))

    def outcome(self) -> Any:
        """Tell all that both ends were told."""
        received: Any = b""
        try:
            self.client.settimeout(0)
            while piece := self.client.recv(65536):
                received += piece
            received += b"."
        except OSError as error:
            received = received, type(error)
        return [*self.told, notes_of(self.protocol), received]


class KeepsOpen(Notes):
    keeps_open = True


def notes_of(protocol: Any) -> Any:
    if isinstance(protocol, Buffered):
        return protocol.text, [note for note in protocol.notes if not isinstance(note, int)]
    return protocol.notes


def unacknowledged(end: Any) -> int:
    info = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    return int(struct.unpack_from("I", info, 24)[0])


async def play(net: Net, scene: list[Any]) -> list[Any]:
    async with Server(net) as server:
        actors = [Actor(*await server.connect()) for _ in range(CLIENTS)]
        for number, (what, size) in scene:
            actors[number].do(what, size)
            actors[number].settle()
            await turns(5)
        await turns(500)  # a small buffer takes its text in as many turns
        outcomes = [each.outcome() for each in actors]
        for each in actors:
            each.transport.abort()
            each.client.close()
        return outcomes


@pytest.fixture(scope="module")
def shared() -> Iterator[Runtime]:
    runtime = bring_up(Settings(dev=NO_DEVICE)).runtime
    yield runtime
    runtime.close()


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(scene=SCENES)
def test_a_scene_is_the_same_over_both(shared: Runtime, scene: list[Any]) -> None:
    outcomes = []
    for loop, net in (
        (asyncio.SelectorEventLoop(), Net(None)),
        (EventLoop(), Net(shared)),
    ):
        try:
            outcomes.append(loop.run_until_complete(play(net, scene)))
        finally:
            loop.close()
            net.close()
    assert outcomes[0] == outcomes[1]
