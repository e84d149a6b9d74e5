"""A read of plain text, and the sending of a short one, take a way of their own, as nearly all do.

What is not so plain goes the long way from there, and comes to the same.
"""

import errno
import os
import select
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from tapstack.socket.stream import StreamEndpoint
from tests.runtime.test_leading import (
    Hosts,
    echo,
    hosts as hosts,  # a fixture
    leader_of,
    until_it_leads,
)
from tests.socket.nets import Background, until

SOON = 0.05
"""Seconds; a timeout that the test waits out."""


def ask(client: Any, server: Any, times: int) -> None:
    for _ in range(times):
        client.sendall(b"question")
        assert server.recv(9) == b"question"
        assert server.send(b"answer") == 6
        assert client.recv(9) == b"answer"


class LongWay:
    """The calls that go the long way: a few do where the machine stands still amid a trip."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        for name in ("send", "receive"):
            monkeypatch.setattr(StreamEndpoint, name, self._counted(getattr(StreamEndpoint, name)))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            return call(*arguments, **named)

        return counted


def test_questions_and_answers_take_it(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = hosts.connect()
    ask(client, server, 2)

    long_way = LongWay(monkeypatch)
    ask(client, server, 20)
    reader = Background(client.recv, 9)
    until_it_leads(hosts.here, reader)
    client.sendall(b"the last")
    assert server.recv(9) == b"the last"
    server.sendall(b"more")
    assert reader.result() == b"more"
    assert long_way.calls < 20


@pytest.mark.parametrize("is_shown", [False, True])
def test_who_never_waits_takes_it_too(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch, is_shown: bool
) -> None:
    client, server = hosts.connect()
    ask(client, server, 2)
    client.setblocking(False)
    if is_shown:
        client.fileno()
    with monkeypatch.context() as patch:
        long_way = LongWay(patch)
        for _ in range(10):
            assert client.send(b"question") == 8
            assert server.recv(9) == b"question"
            server.sendall(b"answer")
            until(lambda: not client._open.endpoint.has_nothing_to_read())
            assert client.recv(9) == b"answer"
        assert long_way.calls < 10
    if is_shown:
        assert select.select([client], [client], [], 0) == ([], [client], [])
    with pytest.raises(BlockingIOError):
        client.recv(9)


def test_who_leads_hears_of_a_close_by_another_thread(hosts: Hosts) -> None:
    client, _ = hosts.connect()
    reader = Background(client.recv, 9)
    until_it_leads(hosts.here, reader)
    client.shutdown(socket.SHUT_RD)
    assert reader.result() == b""
    client, _ = hosts.connect()
    reader = Background(client.recv, 9)
    until_it_leads(hosts.here, reader)
    client.close()
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        reader.result()


def test_who_leads_hears_of_the_end_of_the_stack(hosts: Hosts) -> None:
    client, _ = hosts.connect()
    reader = Background(client.recv, 9)
    until_it_leads(hosts.here, reader)
    hosts.here.close()
    with pytest.raises(OSError, match=os.strerror(errno.ENETDOWN)):
        reader.result()


def test_a_timeout_is_for_the_whole_wait(hosts: Hosts) -> None:
    """Also where what comes first is too little to be read (SO_RCVLOWAT)."""
    client, server = hosts.connect()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 9)
    client.settimeout(SOON)
    for text in (b"", b"crumb"):
        server.sendall(text)
        before = time.monotonic()
        with pytest.raises(TimeoutError, match="timed out"):
            client.recv(9)
        assert SOON <= time.monotonic() - before < 2 * SOON
    assert leader_of(hosts.here) is None or leader_of(hosts.here).events == 0
    server.sendall(b"more")
    assert client.recv(9) == b"crumbmore"


def test_less_than_all_of_the_text_is_taken_the_long_way(hosts: Hosts) -> None:
    client, server = hosts.connect()
    echo(client, server, 2)
    server.sendall(b"abc")
    assert [client.recv(1) for _ in range(3)] == [b"a", b"b", b"c"]


def test_where_the_next_peek_begins_comes_nearer(hosts: Hosts) -> None:
    client, server = hosts.connect()
    client.setsockopt(socket.SOL_SOCKET, 42, 2)  # SO_PEEK_OFF
    server.sendall(b"abcd")
    assert client.recv(9) == b"abcd"
    assert client.getsockopt(socket.SOL_SOCKET, 42) == 0


def test_a_descriptor_that_is_made_amid_a_wait_shows_what_is_left(hosts: Hosts) -> None:
    client, server = hosts.connect()
    reader = Background(client.recv, 9)
    until_it_leads(hosts.here, reader)
    client.fileno()
    server.sendall(b"x")
    assert reader.result() == b"x"
    assert client._open.readiness._descriptor.bits & 1 == 0


def test_text_that_is_to_be_told_of_is_sent_the_long_way(hosts: Hosts) -> None:
    client, server = hosts.connect()
    ask(client, server, 2)
    endpoint = client._open.endpoint
    assert endpoint.may_send_at_once()
    client.setsockopt(socket.SOL_SOCKET, 37, 1 << 9 | 1 << 1)  # SO_TIMESTAMPING, when it is sent
    assert not hosts.here.enter(endpoint.send_text, b"x")
    client.sendall(b"x")
    assert server.recv(9) == b"x"
    assert not hosts.nets[0].datagram()._open.endpoint.may_send_at_once()


def test_what_the_lane_sends_is_known_to_have_left(hosts: Hosts) -> None:
    """Who drives goes by that: something may be answered by now."""
    client, server = hosts.connect()
    ask(client, server, 2)
    driver = hosts.here._driver

    def send_and_look(*, now: int) -> tuple[bool, bool]:
        driver.has_written(0)
        return client._open.endpoint.send_text(b"x", now), driver.has_written(0)

    assert hosts.here.call(send_and_look) == (True, True)
