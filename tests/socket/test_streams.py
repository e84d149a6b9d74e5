"""Text over TCP sockets: that all of it arrives, in order, however it is asked for."""

import array
import select
import socket
import struct
from random import Random
from typing import Any

import pytest

from tests.socket.nets import LOOPBACK, PATIENCE, Background, Net, echo, fill, receive_all, until

OCTETS = Random(793).randbytes(3_000_000)


def test_what_is_sent_comes_back(net: Net) -> None:
    listener, client = net.listener(), net.socket()
    client.connect(listener.getsockname())
    server, address = listener.accept()
    net.keep(server)
    assert address == client.getsockname() == server.getpeername()
    assert client.getpeername() == listener.getsockname() == server.getsockname()
    client.sendall(b"hello")
    assert server.recv(100) == b"hello"
    server.sendall(b"goodbye")
    assert client.recv(4) == b"good"
    assert client.recv(100) == b"bye"


def test_twenty_connections_at_once(net: Net) -> None:
    listener = net.listener()
    texts = [Random(number).randbytes(100_000 + number) for number in range(20)]

    def converse(text: bytes) -> bytes:
        with net.socket() as client:
            client.connect(listener.getsockname())
            sender = Background(client.sendall, text)
            received = b""
            while len(received) < len(text):
                received += client.recv(65536)
            sender.result()
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
            return received

    clients = [Background(converse, text) for text in texts]
    servers = [Background(echo, net.accept(listener)) for _ in texts]
    assert [client.result() for client in clients] == texts
    for server in servers:
        server.result()


def test_a_slow_reader_holds_the_sender_back(net: Net) -> None:
    client, server = net.pair(send_buffer=20_000, receive_buffer=20_000)
    queued = fill(client, OCTETS)
    sender = Background(client.sendall, memoryview(OCTETS)[queued:])
    received = bytearray()
    while len(received) < len(OCTETS):
        received += server.recv(3001)
    sender.result()
    assert received == OCTETS


def test_a_blocking_send_sends_everything(net: Net) -> None:
    client, server = net.pair(send_buffer=20_000, receive_buffer=20_000)
    sender = Background(client.send, OCTETS)
    assert server.recv(len(OCTETS), socket.MSG_WAITALL) == OCTETS
    assert sender.result() == len(OCTETS)
    client.settimeout(10)
    assert 0 < client.send(OCTETS) < len(OCTETS)


def test_a_send_that_is_cut_off_tells_how_far_it_came(net: Net) -> None:
    client, server = net.pair(send_buffer=20_000, receive_buffer=20_000)
    sender = Background(client.send, OCTETS)
    sender.until_blocked()
    assert server.recv(1)  # so that the call has begun to send
    _reset(server)
    assert 0 < sender.result() < len(OCTETS)
    with pytest.raises(ConnectionResetError):
        client.send(b"x")
    with pytest.raises(BrokenPipeError):
        client.send(b"x")


def test_sending_everything_tells_once_why_it_is_cut_off(net: Net) -> None:
    client, server = net.pair(send_buffer=20_000, receive_buffer=20_000)
    sender = Background(client.sendall, OCTETS)
    sender.until_blocked()
    assert server.recv(1)
    _reset(server)
    with pytest.raises(ConnectionResetError):
        sender.result()
    with pytest.raises(BrokenPipeError):
        client.sendall(b"x")


def _reset(connection: Any) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_half_close(net: Net) -> None:
    client, server = net.pair()
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    assert receive_all(server) == b"question"
    assert server.recv(1) == b""  # and again
    server.sendall(b"answer")
    server.close()
    assert receive_all(client) == b"answer"
    with pytest.raises(BrokenPipeError):
        client.send(b"more")


def test_text_before_a_close_can_be_read_after_it(net: Net) -> None:
    client, server = net.pair()
    client.sendall(b"last words")
    client.close()
    assert receive_all(server) == b"last words"


def test_buffers_of_any_kind(net: Net) -> None:
    client, server = net.pair()
    numbers = array.array("i", range(100))
    client.sendall(numbers)
    assert server.recv(4000, socket.MSG_PEEK) == numbers.tobytes()
    copy = array.array("i", bytes(400))
    assert server.recv_into(copy) == 400
    assert copy == numbers
    client.sendall(bytearray(b"one"))
    client.sendall(memoryview(b"t w o ")[::2].tobytes())
    client.sendall(b"")
    assert client.send(b"") == 0
    client.shutdown(socket.SHUT_WR)
    assert receive_all(server) == b"onetwo"


def test_what_is_no_buffer(net: Net) -> None:
    client, _ = net.pair()
    for bad in ("text", None, 3):
        with pytest.raises(TypeError):
            client.send(bad)
        with pytest.raises(TypeError):
            client.sendall(bad)


def test_receive_into_a_part_of_a_buffer(net: Net) -> None:
    client, server = net.pair()
    client.sendall(b"abcdefgh")
    buffer = bytearray(b"........")
    assert server.recv_into(buffer, 3) == 3
    assert buffer == b"abc....."
    assert server.recv_into(memoryview(buffer)[4:]) == 4
    assert buffer == b"abc.defg"
    assert server.recvfrom_into(buffer, 1) == (1, None)
    assert buffer == b"hbc.defg"


def test_receive_into_what_cannot_take_it(net: Net) -> None:
    client, server = net.pair()
    client.sendall(b"abc")
    with pytest.raises(ValueError, match="buffer too small"):
        server.recv_into(bytearray(2), 3)
    with pytest.raises(ValueError, match="negative buffersize"):
        server.recv_into(bytearray(2), -1)
    with pytest.raises(ValueError, match="negative buffersize"):
        server.recv(-1)
    with pytest.raises(TypeError):
        server.recv_into(b"constant")
    assert server.recv(3) == b"abc"  # nothing was lost


def test_peek_leaves_the_text(net: Net) -> None:
    client, server = net.pair()
    client.sendall(b"abc")
    assert server.recv(2, socket.MSG_PEEK) == b"ab"
    assert server.recv(10, socket.MSG_PEEK) == b"abc"
    assert server.recv(10) == b"abc"


def test_dontwait(net: Net) -> None:
    client, server = net.pair()
    with pytest.raises(BlockingIOError):
        server.recv(1, socket.MSG_DONTWAIT)
    client.sendall(b"x")
    assert server.recv(5) == b"x"
    assert fill(client, OCTETS * 10) > 0


def test_waitall_waits_for_all(net: Net) -> None:
    client, server = net.pair()
    client.sendall(OCTETS[:1000])
    reader = Background(server.recv, 500_000, socket.MSG_WAITALL)
    reader.until_blocked()
    client.sendall(OCTETS[1000:500_000])
    assert reader.result() == OCTETS[:500_000]
    client.sendall(b"end")
    client.shutdown(socket.SHUT_WR)
    assert server.recv(100, socket.MSG_WAITALL) == b"end"


def test_waitall_with_a_timeout_gives_what_there_is(net: Net) -> None:
    client, server = net.pair()
    server.settimeout(10)
    client.sendall(b"some")
    assert server.recv(100, socket.MSG_WAITALL) == b"some"


def test_receive_nothing(net: Net) -> None:
    _, server = net.pair()
    assert server.recv(0) == b""


def test_recvfrom_a_stream_has_no_address(net: Net) -> None:
    client, server = net.pair()
    client.sendall(b"x")
    assert server.recvfrom(5) == (b"x", None)


def test_send_to_an_address_of_a_connection(net: Net) -> None:
    client, server = net.pair()
    assert client.sendto(b"x", 0, (LOOPBACK, 9)) == 1
    assert server.recv(5) == b"x"


def test_many_connections_one_after_the_other(net: Net) -> None:
    listener = net.listener()
    for number in range(50):
        with net.socket() as client:
            client.connect(listener.getsockname())
            server = net.accept(listener)
            client.sendall(bytes([number]))
            assert server.recv(9) == bytes([number])
            server.close()
            assert client.recv(1) == b""


def test_two_threads_write_and_two_read(net: Net) -> None:
    client, server = net.pair()
    halves = OCTETS[:500_000], OCTETS[500_000:1_000_000]
    readers = [Background(receive_all, each) for each in (client, server)]
    writers = [
        Background(each.sendall, half) for each, half in zip((server, client), halves, strict=True)
    ]
    for writer in writers:
        writer.result()
    for each in (client, server):
        each.shutdown(socket.SHUT_WR)
    assert tuple(reader.result() for reader in readers) == halves


def test_more_is_joined_to_what_follows(net: Net) -> None:
    client, server = net.pair()
    client.send(b"head", socket.MSG_MORE)
    client.send(b"er", socket.MSG_MORE)
    client.send(b" body")
    assert server.recv(100) == b"header body"


def test_what_is_truncated_is_gone(net: Net) -> None:
    client, server = net.pair()
    client.sendall(b"abcdef")
    assert server.recv(3, socket.MSG_PEEK) == b"abc"
    assert len(server.recv(3, socket.MSG_TRUNC)) == 3
    assert server.recv(100) == b"def"


def waiting(connection: Any) -> bytes:
    """Look at what has come."""
    try:
        return bytes(connection.recv(100, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return b""


def test_a_blocking_read_waits_for_the_low_water_mark(net: Net) -> None:
    client, server = net.pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 10)
    reader = Background(server.recv, 100)
    if net.runtime is None:  # the kernel does not wake who has begun to take too little
        reader.until_in_a_call_of(server.fileno())
    client.sendall(b"12345")
    reader.until_blocked()
    client.sendall(b"67890")
    assert reader.result() == b"1234567890"
    client.sendall(b"123")
    until(lambda: waiting(server) == b"123")  # the kernel does not wake who waits for it
    assert server.recv(3) == b"123", "no more was asked for"
    client.sendall(b"456")
    until(lambda: waiting(server) == b"456")
    client.close()
    assert server.recv(100) == b"456"
    assert server.recv(100) == b""


def test_a_mark_that_is_not_reached_does_not_wake_a_poller(net: Net) -> None:
    client, server = net.pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 10)
    client.sendall(b"12345")
    assert select.select([server], [], [], 0.05)[0] == []
    client.sendall(b"67890")
    assert select.select([server], [], [], PATIENCE)[0] == [server]
    server.setblocking(False)
    assert server.recv(3) == b"123"
    assert select.select([server], [], [], 0)[0] == []
    assert server.recv(100) == b"4567890"


def test_little_waits_unsent_where_the_user_wants_that(net: Net) -> None:
    client, server = net.pair(receive_buffer=5_000)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 1)
    sent = fill(client, OCTETS)
    assert sent < 400_000
    assert select.select([], [client], [], 0)[1] == []
    received = 0
    while received < sent:
        received += len(server.recv(sent))
    assert select.select([], [client], [], PATIENCE)[1] == [client]


def test_a_socket_can_connect_to_itself(net: Net) -> None:
    alone = net.socket()
    alone.bind((LOOPBACK, 0))
    alone.connect(alone.getsockname())
    assert alone.getpeername() == alone.getsockname()
    alone.sendall(b"anybody there?")
    assert alone.recv(100) == b"anybody there?"
    alone.shutdown(socket.SHUT_WR)
    assert alone.recv(100) == b""
