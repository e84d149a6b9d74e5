"""The object that a program holds: closing it, forgetting it, and what a dead stack does to it."""

import copy
import gc
import os
import pickle
import re
import socket
import struct
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tapstack.runtime.default import Settings, bring_up
from tapstack.socket.facade import Socket
from tests.socket.nets import LOOPBACK, Background, Net, wait_readable


@pytest.fixture
def by_hand() -> Iterator[None]:
    """Let garbage be collected only when the test says so."""
    gc.disable()
    yield
    gc.enable()


def test_a_block_closes(net: Net) -> None:
    client, server = net.pair()
    with client as entered:
        assert entered is client
        assert client.fileno() >= 0
    assert client.fileno() == -1
    assert server.recv(1) == b""


def test_what_it_is(net: Net) -> None:
    client, _ = net.pair()
    assert (client.family, client.type, client.proto) == (socket.AF_INET, socket.SOCK_STREAM, 0)
    assert isinstance(client.type, socket.SocketKind)
    assert net.socket(socket.SOCK_DGRAM, socket.IPPROTO_UDP).proto == socket.IPPROTO_UDP


def shown(what: Any) -> str:
    """Give what a socket shows, but for whose it is, and a descriptor: ours comes on demand."""
    return re.sub(r" fd=-?\d+,", "", repr(what)).replace("<tapstack.", "<")


def test_what_a_socket_shows(net: Net) -> None:
    kind = f"family={socket.AF_INET!s}, type={{!s}}, proto={{}}"
    stream, datagram = kind.format(socket.SOCK_STREAM, 0), kind.format(socket.SOCK_DGRAM, 17)
    fresh = net.socket()
    assert shown(fresh) == f"<socket.socket {stream}, laddr=('0.0.0.0', 0)>"
    udp = net.socket(socket.SOCK_DGRAM, socket.IPPROTO_UDP)
    udp.bind((LOOPBACK, 0))
    assert shown(udp) == f"<socket.socket {datagram}, laddr={udp.getsockname()}>"
    udp.connect((LOOPBACK, 9))
    assert (
        shown(udp)
        == f"<socket.socket {datagram}, laddr={udp.getsockname()}, raddr=('{LOOPBACK}', 9)>"
    )
    udp.close()
    assert shown(udp) == f"<socket.socket [closed] {datagram}>"
    listener = net.listener()
    assert shown(listener) == f"<socket.socket {stream}, laddr={listener.getsockname()}>"


def test_what_the_ends_of_a_connection_show(net: Net) -> None:
    client, server = net.pair()
    ours, theirs = client.getsockname(), server.getsockname()
    assert shown(client).endswith(f", laddr={ours}, raddr={theirs}>")
    assert shown(server).endswith(f", laddr={theirs}, raddr={ours}>")
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()  # by a reset
    wait_readable(client)
    assert shown(client).endswith(f", proto=0, laddr={ours}>")
    client.detach()
    assert "[closed]" in shown(client)


def test_a_socket_shows_itself_whoever_has_the_stack(ours: Net) -> None:
    """So it may be asked by a finalizer, and by a debugger that has stopped everything else."""
    runtime = ours.runtime
    assert runtime
    client, _ = ours.pair()
    before = repr(client)
    assert ", raddr=" in before

    def within(*, now: int) -> tuple[str, str]:
        return repr(client), Background(repr, client).result()

    assert runtime.call(within) == (before, before)


def test_a_socket_shows_itself_without_a_stack() -> None:
    runtime = bring_up(Settings(dev="none")).runtime
    client = Socket(runtime)
    runtime.close()
    assert repr(client).startswith("<tapstack.socket.socket family=")
    client.close()
    assert repr(client).startswith("<tapstack.socket.socket [closed] family=")
    with pytest.raises(OSError, match="Network is down"):
        Socket(runtime)
    unborn = Socket.__new__(Socket)  # as one that could not be opened
    assert repr(unborn).startswith("<tapstack.socket.socket [closed] family=")


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_socket_is_neither_copied_nor_pickled(net: Net, duplicate: Callable[[Any], Any]) -> None:
    client, server = net.pair()
    with pytest.raises(TypeError, match=r"^cannot pickle '[sS]ocket' object$"):
        duplicate(client)
    gc.collect()  # what was begun of a copy, and would close the original
    client.sendall(b"x")
    assert server.recv(1) == b"x"


def test_a_socket_is_not_inherited(net: Net) -> None:
    client, _ = net.pair()
    client.set_inheritable(False)
    assert not client.get_inheritable()
    client.close()
    for ask in (client.get_inheritable, lambda: client.set_inheritable(False)):
        with pytest.raises(OSError, match="Bad file descriptor"):
            ask()


def test_a_socket_stays_in_its_process(ours: Net) -> None:
    client, _ = ours.pair()
    with pytest.raises(OSError, match="a socket of the stack stays in its process"):
        client.set_inheritable(True)
    assert not client.get_inheritable()


@pytest.mark.parametrize("backlog", ["5", 2.5, None])
def test_a_backlog_is_a_whole_number(net: Net, backlog: Any) -> None:
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        net.socket().listen(backlog)


def test_an_accepted_socket_is_a_plain_one(ours: Net) -> None:
    class Counting(Socket):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.count = 0

    assert ours.runtime
    listener = ours.keep(Counting(ours.runtime))
    listener.bind((LOOPBACK, 0))
    listener.listen()
    ours.socket().connect(listener.getsockname())
    assert type(ours.accept(listener)) is Socket


def test_who_forgets_a_socket_is_warned(ours: Net) -> None:
    assert ours.runtime
    listener, client = ours.listener(), Socket(ours.runtime)
    client.connect(listener.getsockname())
    server = ours.accept(listener)
    with pytest.warns(ResourceWarning, match=r"unclosed <tapstack\.socket\.socket"):
        del client
    assert server.recv(1) == b""  # and it was closed


def test_a_warning_that_is_an_error_closes_too(ours: Net, monkeypatch: Any) -> None:
    assert ours.runtime
    listener, client = ours.listener(), Socket(ours.runtime)
    client.connect(listener.getsockname())
    server = ours.accept(listener)
    ignored: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda what: ignored.append(what.exc_type))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del client
    assert ignored == [ResourceWarning]
    assert server.recv(1) == b""


def test_a_socket_that_is_collected_within_the_stack(ours: Net, by_hand: None) -> None:
    """The collector runs where it wants, also in a thread that holds the stack's lock."""
    runtime = ours.runtime
    assert runtime
    listener, client = ours.listener(), Socket(runtime)
    client.connect(listener.getsockname())
    server = ours.accept(listener)
    client.fileno()
    cycle: list[Any] = [client]
    cycle.append(cycle)
    gone = weakref.ref(client)
    before = len(os.listdir("/proc/self/fd"))
    del client, cycle

    def collect(*, now: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()

    Background(runtime.call, collect).result()
    assert gone() is None
    assert server.recv(1) == b""
    assert len(os.listdir("/proc/self/fd")) == before - 2


def test_sockets_outlive_their_stack() -> None:
    runtime = bring_up(Settings(dev="none")).runtime
    net = Net(runtime)
    client, server = net.pair()
    forgotten = net.datagram()
    before = len(os.listdir("/proc/self/fd"))
    client.fileno()
    runtime.close()
    with pytest.raises(OSError, match="Network is down"):
        client.recv(1)
    with pytest.raises(OSError, match="Network is down"):
        Socket(runtime)
    client.close()  # quietly
    assert client.fileno() == -1
    server.close()
    net.close()
    del forgotten
    assert len(os.listdir("/proc/self/fd")) < before  # the runtime's own is gone as well


def test_a_forgotten_socket_outlives_its_stack() -> None:
    runtime = bring_up(Settings(dev="none")).runtime
    forgotten = Socket(runtime, socket.SOCK_DGRAM)
    forgotten.bind((LOOPBACK, 0))
    forgotten.fileno()
    runtime.close()
    with pytest.warns(ResourceWarning):
        del forgotten
