"""Urgent text: out of band, inline, and the mark in the stream, as the kernel has them."""

import errno
import fcntl
import select
import socket
import struct
from typing import Any

import pytest

from tapstack.socket.ioctl import SIOCATMARK, SIOCINQ, SIOCOUTQ, SIOCOUTQNSD
from tests.socket.nets import PATIENCE, Background, Net, until
from tests.socket.test_stream_errors import error_of

OOB, PEEK, NOW = socket.MSG_OOB, socket.MSG_PEEK, socket.MSG_DONTWAIT


def ask(net: Net, connection: Any, request: int) -> int:
    if net.runtime is not None:
        return int(connection.ioctl(request))
    return int(struct.unpack("i", fcntl.ioctl(connection.fileno(), request, bytes(4)))[0])


def wait_urgent(connection: Any) -> None:
    assert select.select([], [], [connection], PATIENCE)[2] == [connection]


def test_the_octet_is_lifted_out_of_the_stream(net: Net) -> None:
    client, server = net.pair()
    client.send(b"ab")
    client.send(b"c!", OOB)
    client.send(b"de")
    wait_urgent(server)
    until(lambda: server.recv(9, PEEK) == b"abc")
    assert server.recv(9) == b"abc"
    assert server.recv(1, OOB | PEEK) == b"!"
    assert server.recv(9, OOB) == b"!"
    assert error_of(server.recv, 1, OOB) == errno.EINVAL
    assert server.recv(9, PEEK) == b"de"
    assert server.recv(9) == b"de"


def test_reading_past_the_mark_loses_it(net: Net) -> None:
    client, server = net.pair()
    client.send(b"ab!", OOB)
    wait_urgent(server)
    assert server.recv(9) == b"ab"
    assert error_of(server.recv, 9, NOW) == errno.EAGAIN
    assert error_of(server.recv, 1, OOB) == errno.EINVAL
    client.send(b"c")
    assert server.recv(9) == b"c"


def test_inline_it_is_common_text_behind_a_mark(net: Net) -> None:
    client, server = net.pair()
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE) == 0
    server.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    client.send(b"ab!", OOB)
    client.send(b"xy")
    until(lambda: ask(net, server, SIOCINQ) == 5)
    assert server.recv(9) == b"ab"
    assert ask(net, server, SIOCATMARK) == 1
    assert error_of(server.recv, 1, OOB) == errno.EINVAL
    assert server.recv(9) == b"!xy"
    assert ask(net, server, SIOCATMARK) == 0


def test_the_mark_is_told(net: Net) -> None:
    client, server = net.pair()
    client.send(b"ab!cd", OOB)
    client.send(b"e")
    wait_urgent(server)
    until(lambda: ask(net, server, SIOCINQ) == 4)
    assert ask(net, server, SIOCATMARK) == 0
    assert server.recv(4) == b"ab!c"
    assert ask(net, server, SIOCATMARK) == 1
    assert ask(net, server, SIOCINQ) == 0
    assert server.recv(4) == b"e"
    assert ask(net, server, SIOCATMARK) == 0


def test_a_second_one_takes_the_place_of_the_first(net: Net) -> None:
    client, server = net.pair()
    client.send(b"a", OOB)
    wait_urgent(server)
    client.send(b"b", OOB)
    client.send(b"c")
    assert select.select([server], [], [], PATIENCE)[0] == [server]
    until(lambda: server.recv(9, PEEK) == b"c")
    assert server.recv(1, OOB) == b"b"
    assert server.recv(9) == b"c"


def test_there_is_none(net: Net) -> None:
    client, server = net.pair()
    for each in (client, net.socket()):
        assert error_of(each.recv, 1, OOB) == errno.EINVAL
    assert error_of(net.listener().recv, 1, OOB) == errno.ENOTCONN
    assert client.send(b"", OOB) == 0
    client.send(b"x")
    assert server.recv(9) == b"x"
    assert error_of(server.recv, 1, OOB) == errno.EINVAL


def test_it_survives_the_end_of_the_stream(net: Net) -> None:
    client, server = net.pair()
    client.send(b"ab!", OOB)
    client.close()
    assert server.recv(9) == b"ab"
    assert server.recv(1, OOB) == b"!"
    assert server.recv(9) == b""


def test_waiting_for_all_stops_at_the_mark(net: Net) -> None:
    client, server = net.pair()
    client.send(b"abc!", OOB)
    wait_urgent(server)
    assert server.recv(9, socket.MSG_WAITALL) == b"abc"


def test_a_blocking_read_skips_it(net: Net) -> None:
    client, server = net.pair()
    reading = Background(server.recv, 9)
    reading.until_blocked()
    client.send(b"!", OOB)
    client.send(b"x")
    assert reading.result() == b"x"


def test_what_waits_is_counted(net: Net) -> None:
    client, server = net.pair(send_buffer=100_000, receive_buffer=5_000)
    for request in (SIOCINQ, SIOCOUTQ, SIOCOUTQNSD, SIOCATMARK):
        assert ask(net, net.socket(), request) == ask(net, client, request) == 0
    client.setblocking(False)
    sent = client.send(bytes(60_000))
    until(lambda: 0 < ask(net, client, SIOCOUTQNSD) == ask(net, client, SIOCOUTQ))
    assert ask(net, server, SIOCINQ) == sent - ask(net, client, SIOCOUTQ)
    listener = net.listener()
    assert error_of(ask, net, listener, SIOCINQ) == errno.EINVAL
    assert ask(net, listener, SIOCATMARK) == 0
    assert error_of(ask, net, client, 0x5499) in (errno.ENOTTY, errno.EINVAL)
    here = net.datagram()
    here.sendto(b"seven..", here.getsockname())
    until(lambda: ask(net, here, SIOCINQ) == 7)


@pytest.mark.parametrize("inline", [0, 1])
def test_a_poller_is_told(net: Net, inline: int) -> None:
    client, server = net.pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, inline)
    poller = select.poll()
    poller.register(server, select.POLLPRI)
    assert poller.poll(0) == []
    client.send(b"ab!", OOB)
    assert poller.poll(PATIENCE * 1000) == [(server.fileno(), select.POLLPRI)]
    assert server.recv(9) == b"ab"
    assert poller.poll(0) == [(server.fileno(), select.POLLPRI)]
    assert server.recv(1, 0 if inline else OOB) == b"!"
    assert poller.poll(0) == []
    client.send(b"x")
    poller.modify(server, select.POLLIN)
    assert poller.poll(PATIENCE * 1000) == [(server.fileno(), select.POLLIN)]
    assert server.recv(9) == b"x"
    assert poller.poll(0) == []
