"""`from tapstack import socket`: the standard library's names, and a stack that comes by itself."""

import socket as stdlib
import subprocess
import sys
from typing import Any

import pytest

import tapstack
import tapstack.socket
from tapstack.socket.addresses import getaddrinfo
from tests.socket.nets import PATIENCE


def run(program: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, whose default stack is a loopback."""
    return subprocess.run(
        [sys.executable, *options, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={"TAPSTACK_DEV": "none", "PYTHONPATH": ":".join(sys.path), **environment},
    )


def assert_runs(program: str, **environment: str) -> None:
    ended = run(program, "-X", "dev", "-Werror", **environment)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr


def test_a_program_leaves_nothing_behind() -> None:
    assert_runs("""
import os, threading
from tapstack import socket
from tapstack.runtime.default import default_stack
before = sorted(os.listdir("/proc/self/fd"))
with socket.create_server(("127.0.0.1", 0)) as server:
    assert threading.active_count() == 2
    assert type(server) is socket.socket is socket.SocketType
    with socket.create_connection(server.getsockname(), timeout=5) as client:
        connection, address = server.accept()
        assert address == client.getsockname()
        assert isinstance(connection, socket.socket)
        assert (client.gettimeout(), connection.gettimeout()) == (5.0, None)
        client.sendall(b"hello")
        assert connection.recv(9) == b"hello"
        client.fileno()
        connection.close()
default_stack.close()
default_stack.close()
assert threading.enumerate() == [threading.main_thread()]
assert sorted(os.listdir("/proc/self/fd")) == before
with socket.socket(type=socket.SOCK_DGRAM) as again:  # a new stack
    again.bind(("", 0))
assert threading.active_count() == 2  # closed at exit
""")


def test_open_sockets_at_exit_are_no_trouble() -> None:
    ended = run("""
from tapstack import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
server.fileno()
import threading
threading.Thread(target=server.accept, daemon=True).start()
threading.Thread(target=client.recv, args=(1,), daemon=True).start()
""")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_threads_amid_calls_vanish_at_exit_as_they_do_in_the_kernel() -> None:
    """None of them sees an error; what runs at exit itself is told that the stack is down."""
    ended = run("""
import atexit, errno, select, sys, threading
from itertools import repeat

def daemon(work):
    def forever():
        for _ in repeat(None):
            work()
    threading.Thread(target=forever, daemon=True).start()

def late():
    for use in (lambda: client.send(b"x"), socket.socket):
        try:
            use()
        except OSError as error:
            assert error.errno == errno.ENETDOWN
        else:
            raise AssertionError
    client.close()
    print("late")

atexit.register(late)
from tapstack import socket
sys.setswitchinterval(1e-5)
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
accepted, _ = server.accept()
datagrams = socket.socket(type=socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 0))
daemon(lambda: client.send(b"x" * 1000))
daemon(lambda: accepted.recv(1000))
daemon(lambda: datagrams.recv(1))
daemon(lambda: select.select([datagrams], [], []))
daemon(lambda: server.accept())
daemon(lambda: socket.create_connection(server.getsockname()))
daemon(lambda: socket.socket().close())
""")
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", "late\n")


def test_configure() -> None:
    assert_runs(
        """
import tapstack
from tapstack import socket
def refused(error, **settings):
    try:
        tapstack.configure(**settings)
    except error as told:
        return str(told)
    raise AssertionError(settings)
assert "colour" in refused(TypeError, colour="red")
assert "cannot both be" in refused(ValueError, host_addr="10.0.0.1/24")
tapstack.configure(dev="none")
with socket.socket() as first:
    first.bind(("127.0.0.1", 0))
    assert "is up already" in refused(RuntimeError, dev="none")
""",
        TAPSTACK_DEV="never0",
    )


def test_create_connection() -> None:
    assert_runs("""
import errno
import socket as stdlib
from tapstack import socket
with socket.create_server(("127.0.0.1", 0), backlog=5, reuse_port=True) as server:
    with socket.create_connection(server.getsockname(), 3, ("127.0.0.2", 0)) as client:
        assert client.getsockname()[0] == "127.0.0.2"
        assert server.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 1
    stdlib.setdefaulttimeout(9)
    with socket.create_connection(server.getsockname(), stdlib._GLOBAL_DEFAULT_TIMEOUT) as client:
        assert client.gettimeout() == 9.0
    address = server.getsockname()
try:
    socket.create_connection(address)
except ConnectionRefusedError as error:
    assert error.errno == errno.ECONNREFUSED
else:
    raise AssertionError
try:
    socket.create_server(("192.0.2.1", 0))
except OSError as error:
    assert error.errno == errno.EADDRNOTAVAIL
else:
    raise AssertionError
""")


def test_no_ipv6_and_no_descriptors_of_others() -> None:
    with pytest.raises(OSError, match="Address family not supported"):
        tapstack.socket.socket(stdlib.AF_INET6)
    with pytest.raises(OSError, match="Bad file descriptor"):
        tapstack.socket.socket(fileno=0)
    with pytest.raises(TypeError, match="integer"):
        tapstack.socket.socket(fileno="0")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dualstack"):
        tapstack.socket.create_server(("", 0), dualstack_ipv6=True)
    assert not tapstack.socket.has_dualstack_ipv6()


def test_names_are_the_standard_librarys() -> None:
    ours: Any = tapstack.socket
    shared = [name for name in vars(ours) if name.isupper()]
    assert len(shared) > 100
    assert all(getattr(ours, name) == getattr(stdlib, name) for name in shared)
    assert ours.error is OSError
    assert ours.timeout is TimeoutError
    assert ours.gaierror is stdlib.gaierror
    assert ours.inet_aton("10.0.0.1") == b"\n\0\0\1"


ADDRESSES = [
    ("127.0.0.1", 80),
    ("127.0.0.1", "80"),
    ("10.1.2.3", 0),
    ("127.0.0.1", None),
    (None, 80),
    ("localhost", 80),
]


@pytest.mark.parametrize(("host", "port"), ADDRESSES)
@pytest.mark.parametrize("kind", [0, stdlib.SOCK_STREAM, stdlib.SOCK_DGRAM])
@pytest.mark.parametrize("flags", [0, stdlib.AI_PASSIVE])
def test_addresses_as_the_system_lists_them(
    host: str | None, port: int | str | None, kind: int, flags: int
) -> None:
    expected = stdlib.getaddrinfo(host, port, stdlib.AF_INET, kind, 0, flags)
    assert getaddrinfo(host, port, stdlib.AF_INET, kind, 0, flags) == expected
    assert getaddrinfo(host, port, 0, kind, 0, flags) == expected


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (("no.such.name", 80), stdlib.EAI_NONAME),
        (("127.0.0.1", "http?"), stdlib.EAI_SERVICE),
        (("127.0.0.1", 80, stdlib.AF_INET6), stdlib.EAI_FAMILY),
    ],
)
def test_addresses_that_are_none(arguments: Any, number: int) -> None:
    with pytest.raises(stdlib.gaierror) as caught:
        getaddrinfo(*arguments)
    assert caught.value.errno == number
