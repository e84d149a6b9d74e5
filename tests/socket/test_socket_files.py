"""Files of a socket: text and binary, buffered and not, and when the socket closes."""

import io
import socket

import pytest

from tests.socket.nets import Background, Net, wait_readable


def test_lines_of_text(net: Net) -> None:
    client, server = net.pair()
    with client.makefile("w", encoding="utf-8", newline="\n") as writer:
        assert writer.mode == "w"
        writer.write("grüße\nzweite\n")
        writer.flush()
        with server.makefile("r", encoding="utf-8") as reader:
            assert reader.readline() == "grüße\n"
            assert reader.readline() == "zweite\n"
    client.close()
    server.close()


def test_binary_to_the_end(net: Net) -> None:
    client, server = net.pair()
    octets = bytes(range(256)) * 1000
    with client.makefile("wb") as writer, server.makefile("rb") as reader:
        reading = Background(reader.read)
        writer.write(octets)
        writer.flush()
        client.shutdown(socket.SHUT_WR)
        assert reading.result() == octets


def test_both_ways(net: Net) -> None:
    client, server = net.pair()
    with client.makefile("rw") as here, server.makefile("rwb") as there:
        here.write("question\n")
        here.flush()
        assert there.readline() == b"question\n"
        there.write(b"answer\n")
        there.flush()
        assert here.readline() == "answer\n"


def test_unbuffered(net: Net) -> None:
    client, server = net.pair()
    with client.makefile("wb", buffering=0) as writer, server.makefile("rb", 0) as reader:
        assert isinstance(writer, socket.SocketIO)
        assert writer.write(b"abc") == 3
        assert reader.read(2) == b"ab"
        assert reader.read(9) == b"c"


def test_a_file_of_one_that_does_not_block(net: Net) -> None:
    client, server = net.pair()
    server.setblocking(False)
    with server.makefile("rb", buffering=0) as reader:
        assert reader.read(1) is None
        client.send(b"x")
        wait_readable(server)
        assert reader.read(1) == b"x"


def test_a_timeout_spoils_a_file(net: Net) -> None:
    _, server = net.pair()
    server.settimeout(0.01)
    with server.makefile("rb") as reader:
        with pytest.raises(TimeoutError):
            reader.read(1)
        with pytest.raises(OSError, match="cannot read from timed out object"):
            reader.read(1)


@pytest.mark.parametrize(("mode", "buffering"), [("x", None), ("a", None), ("r", 0), ("w", 0)])
def test_modes_that_cannot_be(net: Net, mode: str, buffering: int | None) -> None:
    client, server = net.pair()
    with pytest.raises(ValueError, match=r"invalid mode|unbuffered streams must be binary"):
        client.makefile(mode, buffering)
    client.close()
    assert server.recv(1) == b""  # nothing holds it open


def test_files_keep_the_socket_open(net: Net) -> None:
    client, server = net.pair()
    writer, reader = client.makefile("wb"), client.makefile("rb")
    client.close()
    writer.write(b"still here")
    writer.close()
    assert server.recv(99) == b"still here"
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.recv(1)
    reader.close()
    server.setblocking(True)
    assert server.recv(1) == b""


def test_closing_a_file_leaves_the_socket_open(net: Net) -> None:
    client, server = net.pair()
    client.makefile("rb").close()
    client.sendall(b"x")
    assert server.recv(1) == b"x"


def test_an_encoding_that_there_is_not(net: Net) -> None:
    client, server = net.pair()
    with pytest.raises(LookupError):
        client.makefile("r", encoding="no such")
    kept = client.makefile("wb", buffering=0)
    client.close()
    kept.write(b"x")  # its failure is not counted against the files that are open
    assert server.recv(1) == b"x"
    kept.close()
    assert server.recv(1) == b""


def test_a_file_is_an_io_object(net: Net) -> None:
    client, _ = net.pair()
    with client.makefile("rw") as text, client.makefile("rwb") as binary:
        assert isinstance(text, io.TextIOWrapper)
        assert isinstance(binary, io.BufferedRWPair)
        assert text.readable()
        assert binary.writable()
