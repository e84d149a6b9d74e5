"""TCP_SAVE_SYN: who accepts can read the headers of the peer's SYN, once."""

import socket

from tests.socket.nets import LOOPBACK, Net

_SAVE_SYN, _SAVED_SYN = 27, 28


def test_the_headers_of_a_syn_are_kept_for_who_asked(net: Net) -> None:
    listener, client = net.listener(), net.socket()
    listener.setsockopt(socket.IPPROTO_TCP, _SAVE_SYN, 1)
    client.connect(listener.getsockname())
    server = net.accept(listener)
    saved = server.getsockopt(socket.IPPROTO_TCP, _SAVED_SYN, 500)
    assert saved[9] == socket.IPPROTO_TCP
    assert saved[12:20] == 2 * socket.inet_aton(LOOPBACK)
    ports = [int.from_bytes(saved[at : at + 2], "big") for at in (20, 22)]
    assert ports == [client.getsockname()[1], listener.getsockname()[1]]
    assert len(saved) == 20 + (saved[32] >> 4) * 4
    assert saved[33] & 0x3F == 0x02
    assert server.getsockopt(socket.IPPROTO_TCP, _SAVED_SYN, 500) == b""


def test_nobody_else_has_them(net: Net) -> None:
    client, server = net.pair()
    for each in (client, server):
        assert each.getsockopt(socket.IPPROTO_TCP, _SAVED_SYN, 500) == b""
