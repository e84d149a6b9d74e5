"""What leaves by a short way that writes first counts as sent, though a signal handler raises then.

It may come out of the very write, and the peer has what has left: so it has to be noted, or what is
said next would be said by the same numbers. What has not left after all is as good as lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from socket import MSG_WAITALL
from typing import Any

import pytest

from tapstack.base.contracts import Frame
from tapstack.base.units import SECOND, Instant
from tapstack.express_out import NeighbourLane
from tapstack.sim import MILLISECOND, Host, Socket, Way, World
from tapstack.sim.port import Port


class InterruptionError(Exception):
    """What a signal handler raises."""


@pytest.fixture(params=["before", "after"])
def interrupt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give what has a method of the lane raise the next time, before or after it has written."""

    def interrupt_once(name: str) -> None:
        send = getattr(NeighbourLane, name)

        def interrupted(*arguments: object) -> None:
            monkeypatch.setattr(NeighbourLane, name, send)
            if request.param == "after":
                send(*arguments)
            raise InterruptionError

        monkeypatch.setattr(NeighbourLane, name, interrupted)

    return interrupt_once


@contextmanager
def about_to_connect() -> Iterator[tuple[World, Host, Host, Socket, Socket]]:
    """Give two hosts in a world, the second one's listener, and the socket that is to connect."""
    with World() as world:
        here, there = world.host("here"), world.host("there")
        world.link(here, there, Way(delay=MILLISECOND))
        with there.socket() as listener, here.socket() as client:
            listener.bind(("", 7000))
            listener.listen()
            yield world, here, there, listener, client


@contextmanager
def connected() -> Iterator[tuple[Host, Socket, Socket, Socket]]:
    """Connect two hosts, which have spoken then; give the client's, and the three sockets."""
    with about_to_connect() as (world, here, there, listener, client):
        client.connect((there.address, 7000))
        accepted, _ = listener.accept()
        with accepted:
            client.send(b"hello")
            assert accepted.recv(100) == b"hello"
            world.run_for(100 * MILLISECOND)
            yield here, listener, client, accepted


def test_a_text_whose_sender_is_interrupted_is_on_its_way(interrupt: Any) -> None:
    with connected() as (_, _, client, accepted):
        interrupt("send")
        with pytest.raises(InterruptionError):
            client.send(b"one")
        client.send(b"two")
        client.close()
        assert b"".join(iter(partial(accepted.recv, 100), b"")) == b"onetwo"


@pytest.mark.parametrize(("name", "length"), [("send", 2000), ("send_train", 200_000)])
def test_what_is_interrupted_arrives_though_no_more_is_said(
    interrupt: Any, name: str, length: int
) -> None:
    with connected() as (_, _, client, accepted):
        for _ in range(20):  # until the windows let a train leave
            client.send(bytes(100_000))
            assert accepted.recv(100_000, MSG_WAITALL) == bytes(100_000)
        accepted.send(b"acknowledged")
        assert client.recv(100) == b"acknowledged"
        interrupt(name)
        with pytest.raises(InterruptionError):
            client.send(b"x" * length)
        accepted.settimeout(5)
        assert accepted.recv(100) == b"x" * 100


def test_a_connection_whose_syn_ack_is_interrupted_opens(interrupt: Any) -> None:
    with connected() as (here, listener, first, _), here.socket() as client:
        interrupt("send_syn_ack")
        with pytest.raises(InterruptionError):  # by whoever has the world go on
            client.connect(first.getpeername())
        client.connect(first.getpeername())
        accepted, _ = listener.accept()
        with accepted:
            client.send(b"one")
            assert accepted.recv(100) == b"one"


@pytest.mark.parametrize("segments", [0, 1])
def test_what_a_handler_raises_amid_a_write_is_not_taken_for_the_want_of_a_way(
    monkeypatch: pytest.MonkeyPatch, segments: int
) -> None:
    """Though it is an OSError, and comes from a SYN, or behind that from the reset in reply."""
    write, left = Port.write, [True] * segments

    def interrupted(self: Port, frame: Frame, now: Instant) -> None:
        if not left:
            monkeypatch.setattr(Port, "write", write)
            raise TimeoutError("alarm")
        left.pop()
        write(self, frame, now)

    with connected() as (here, _, first, _), here.socket() as client:
        nobodys = first.getpeername()[0], 9
        monkeypatch.setattr(Port, "write", interrupted)
        with pytest.raises(TimeoutError, match="alarm"):
            client.connect(nobodys)
        with pytest.raises(ConnectionRefusedError):
            client.connect(nobodys)


def test_a_tail_loss_probe_that_is_interrupted_is_followed_by_a_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, left = Port.write, [True]

    def lost_then_interrupted(self: Port, frame: Frame, now: Instant) -> None:
        if not left:
            monkeypatch.setattr(Port, "write", write)
            raise InterruptionError
        left.pop()

    with connected() as (_, _, client, accepted):
        monkeypatch.setattr(Port, "write", lost_then_interrupted)
        client.send(b"one")
        with pytest.raises(InterruptionError):
            accepted.recv(100)
        assert accepted.recv(100) == b"one"


def test_the_first_syn_ack_of_a_listener_is_sent_again_if_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, ports = Port.write, list[Port]()

    def all_but_the_first_lost(self: Port, frame: Frame, now: Instant) -> None:
        ports.append(self)
        if len(ports) == 1:
            write(self, frame, now)
        if len(ports) == 2:
            raise InterruptionError

    with about_to_connect() as (world, _, there, _, client):
        client.connect_ex((there.address, 9))  # they know of each other, then
        monkeypatch.setattr(Port, "write", all_but_the_first_lost)
        with pytest.raises(InterruptionError):
            client.connect((there.address, 7000))
        world.run_for(5 * SECOND)
        assert ports.count(ports[1]) > 1
