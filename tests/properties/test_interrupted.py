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

from tapstack.express_out import NeighbourLane
from tapstack.sim import MILLISECOND, Host, Socket, Way, World


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
def connected() -> Iterator[tuple[Host, Socket, Socket, Socket]]:
    """Connect two hosts, which have spoken then; give the client's, and the three sockets."""
    with World() as world:
        here, there = world.host("here"), world.host("there")
        world.link(here, there, Way(delay=MILLISECOND))
        with there.socket() as listener, here.socket() as client:
            listener.bind(("", 7000))
            listener.listen()
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
