"""sendmsg, recvmsg, sendfile, dup and detach: as the standard library's sockets have them."""

import array
import io
import os
import select
import socket
from pathlib import Path
from random import Random

import pytest

from tests.socket.nets import PATIENCE, Background, Net, receive_all
from tests.socket.test_default_sockets import assert_runs

OCTETS = Random(768).randbytes(300_000)


# --- many buffers -----------------------------------------------------------------------------


def test_buffers_are_joined(net: Net) -> None:
    client, server = net.pair()
    numbers = array.array("H", [0x4142, 0x4344])
    assert client.sendmsg([b"one ", bytearray(b"two "), memoryview(numbers)]) == 12
    assert server.recvmsg(100)[0] == b"one two " + numbers.tobytes()
    assert client.sendmsg([b"last"], [], 0) == 4
    assert server.recvmsg(2) == (b"la", [], 0, None)
    assert server.recvmsg(9, 1000) == (b"st", [], 0, None)


def test_what_comes_is_scattered(net: Net) -> None:
    client, server = net.pair()
    client.sendall(b"abcdefg")
    first, second, third = bytearray(3), bytearray(2), bytearray(b"......")
    count, ancillary, flags, address = server.recvmsg_into([first, memoryview(second), third])
    assert (count, ancillary, flags, address) == (7, [], 0, None)
    assert (first, second, third) == (b"abc", b"de", b"fg....")
    client.close()
    assert server.recvmsg(9) == (b"", [], 0, None)


def test_datagrams_have_their_source_and_may_be_cut(net: Net) -> None:
    here, there = net.datagram(), net.datagram()
    assert here.sendmsg([b"seven", b".."], [], 0, there.getsockname()) == 7
    assert there.recvmsg(100) == (b"seven..", [], 0, here.getsockname())
    here.sendto(b"seven..", there.getsockname())
    assert there.recvmsg(5) == (b"seven", [], socket.MSG_TRUNC, here.getsockname())
    here.sendto(b"seven..", there.getsockname())
    data, _, flags, _ = there.recvmsg(5, 0, socket.MSG_PEEK | socket.MSG_TRUNC)
    assert (data[:5], flags) == (b"seven", socket.MSG_TRUNC)
    buffer = bytearray(5)
    assert there.recv_into(buffer, 5, socket.MSG_TRUNC) == 7
    assert buffer == b"seven"
    here.connect(there.getsockname())
    assert here.sendmsg([]) == 0
    assert there.recvmsg(5)[0] == b""


def test_an_urgent_octet_is_told_as_such(net: Net) -> None:
    client, server = net.pair()
    client.sendmsg([b"ab", b"!"], [], socket.MSG_OOB)
    assert select.select([], [], [server], PATIENCE)[2] == [server]
    assert server.recvmsg(9, 0, socket.MSG_OOB) == (b"!", [], socket.MSG_OOB, None)
    assert server.recvmsg(9) == (b"ab", [], 0, None)


def test_arguments_of_sendmsg(net: Net) -> None:
    client, _ = net.pair()
    nothing = object()
    for bad in (
        (),
        (b"not many",),
        (nothing,),
        ([nothing],),
        ([b"x", nothing],),
        ([b"x"], nothing),
        ([b"x"], [], nothing),
        ([b"x"], [], 0, nothing),
        ([b"x"], [nothing]),
        ([b"x"], [(nothing, 0, b"data")]),
        ([b"x"], [(0, nothing, b"data")]),
        ([b"x"], [(0, 0, nothing)]),
        ([b"x"], [(0, 0)]),
        ([b"x"], [(0, 0, b"data", 42)]),
        ([b"x"], [(0, 0, b"data"), 42]),
    ):
        with pytest.raises(TypeError):
            client.sendmsg(*bad)
    with pytest.raises(OSError, match="Invalid argument"):
        client.sendmsg([b"x"], [(socket.SOL_SOCKET, 0x7777, b"data")])


def test_arguments_of_recvmsg(net: Net) -> None:
    client, server = net.pair()
    client.sendall(b"x")
    for bad in ((), (object(),), (9, object()), (9, 0, object())):
        with pytest.raises(TypeError):
            server.recvmsg(*bad)
    for sizes in ((-1,), (9, -1)):
        with pytest.raises(ValueError, match="buffer"):
            server.recvmsg(*sizes)
    for buffers in (bytearray(9), [b"constant"], [object()], 9):
        with pytest.raises(TypeError):
            server.recvmsg_into(buffers)
    assert server.recv(9) == b"x"


# --- files ------------------------------------------------------------------------------------


def test_a_file_is_sent(net: Net, tmp_path: Path) -> None:
    path = tmp_path / "octets"
    path.write_bytes(OCTETS)
    client, server = net.pair()
    reading = Background(receive_all, server)
    with path.open("rb") as file:
        assert client.sendfile(file) == len(OCTETS)
        assert file.tell() == len(OCTETS)
        assert client.sendfile(file, 100, 1000) == 1000
        assert file.tell() == 1100
        assert client.sendfile(file, 299_000, 5000) == 1000
        assert client.sendfile(file, 400_000) == 0
    assert client.sendfile(io.BytesIO(b"in memory"), 3) == 6
    client.close()
    assert reading.result() == OCTETS + OCTETS[100:1100] + OCTETS[299_000:] + b"memory"


def test_what_cannot_be_sent_as_a_file(net: Net, tmp_path: Path) -> None:
    client, _ = net.pair()
    file = io.BytesIO(b"x")
    (tmp_path / "text").write_text("x")
    with (tmp_path / "text").open() as text, pytest.raises(ValueError, match="binary"):
        client.sendfile(text)
    for count in (0, -1):
        with pytest.raises(ValueError, match="positive"):
            client.sendfile(file, 0, count)
    with pytest.raises(TypeError):
        client.sendfile(file, 0, 1.5)
    with pytest.raises(ValueError, match="SOCK_STREAM"):
        net.datagram().sendfile(file)
    client.setblocking(False)
    with pytest.raises(ValueError, match="non-blocking"):
        client.sendfile(file)


# --- more than one object ---------------------------------------------------------------------


def test_a_duplicate_keeps_the_socket_open(net: Net) -> None:
    client, server = net.pair()
    client.settimeout(7)
    twin = net.keep(client.dup())
    assert twin.fileno() not in (-1, client.fileno(), server.fileno())
    assert twin.gettimeout() == 7
    assert (twin.family, twin.type, twin.proto) == (client.family, client.type, client.proto)
    client.send(b"one ")
    client.close()
    twin.send(b"two")
    server.send(b"answer")
    assert select.select([twin], [], [], PATIENCE)[0] == [twin]
    assert twin.recv(9) == b"answer"
    assert select.select([twin], [], [], 0)[0] == []
    twin.close()
    assert receive_all(server) == b"one two"


def test_both_see_what_either_reads(net: Net) -> None:
    client, server = net.pair()
    twin = net.keep(client.dup())
    server.send(b"x")
    for each in (client, twin):
        assert select.select([each], [], [], PATIENCE)[0] == [each]
    assert twin.recv(9) == b"x"
    assert select.select([client, twin], [], [], 0)[0] == []


def test_a_closed_socket_has_no_duplicate(net: Net) -> None:
    client, _ = net.pair()
    client.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        client.dup()
    with pytest.raises(OSError, match="Bad file descriptor"):
        client.sendfile(io.BytesIO(b"x"))


def test_a_duplicate_that_nobody_closed_is_warned_of(ours: Net) -> None:
    before = os.listdir("/proc/self/fd")
    client, server = ours.pair()
    with pytest.warns(ResourceWarning, match="unclosed"):
        client.dup()
    client.send(b"still here")
    assert server.recv(99) == b"still here"
    client.close()
    assert os.listdir("/proc/self/fd") == before


def test_wrap_socket_is_refused_and_changes_nothing() -> None:
    assert_runs("""
import errno, select, ssl, warnings
from tapstack import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname()) as client, server.accept()[0] as accepted:
        select.select([client], [], [], 0)  # it has a descriptor
        for end, side in ((client, ssl.PROTOCOL_TLS_CLIENT), (accepted, ssl.PROTOCOL_TLS_SERVER)):
            context = ssl.SSLContext(side)
            context.check_hostname = False
            try:
                context.wrap_socket(end, server_side=end is accepted)
            except OSError as refused:
                assert refused.errno == errno.EOPNOTSUPP
                assert "SSLContext.wrap_bio with ssl.MemoryBIO" in refused.strerror
            else:
                raise AssertionError
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
        client.sendall(b"in plain text")
        assert accepted.recv(99) == b"in plain text"
""")


def test_a_number_stands_for_a_detached_socket() -> None:
    assert_runs("""
import os
from tapstack import socket
from tapstack.runtime.default import default_stack
before = sorted(os.listdir("/proc/self/fd"))
with socket.create_server(("127.0.0.1", 0)) as server:
    client = socket.create_connection(server.getsockname())
    twin = client.dup()
    numbers = client.detach(), twin.detach()
    assert len(set(numbers)) == 2
    assert client.fileno() == twin.fileno() == -1
    client.close()
    connection, _ = server.accept()
    again, other = (socket.socket(fileno=number) for number in numbers)
    assert (again.fileno(), other.fileno()) == numbers
    assert again.getpeername() == server.getsockname()
    again.send(b"one ")
    again.close()
    other.send(b"two")
    other.close()
    with connection:
        assert connection.recv(7, socket.MSG_WAITALL) == b"one two"
    try:
        socket.socket(fileno=numbers[0])
    except OSError:
        pass
    else:
        raise AssertionError("it was closed")
default_stack.close()
assert sorted(os.listdir("/proc/self/fd")) == before
""")
