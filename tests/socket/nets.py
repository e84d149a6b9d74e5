"""What the socket tests share: the kernel's loopback and the stack's, behind one face, and threads.

A test that takes a `Net` runs over both: that it passes over the kernel makes it a true statement
about sockets, and that it passes over the stack makes the stack a drop-in.
"""

import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from tapstack.runtime.runtime import Runtime
from tapstack.socket.facade import Socket

T = TypeVar("T")

LOOPBACK = "127.0.0.1"
PATIENCE = 20.0
"""Seconds for anything that should take moments."""


class Net:
    """Makes sockets of one stack, and closes what a test leaves open."""

    def __init__(self, runtime: Runtime | None) -> None:
        self.runtime = runtime
        self._sockets: list[Any] = []

    def socket(self, kind: int = socket.SOCK_STREAM, proto: int = 0) -> Any:
        made: Any
        if self.runtime is None:
            made = socket.socket(socket.AF_INET, kind, proto)
        else:
            made = Socket(self.runtime, kind, proto)
        return self.keep(made)

    def keep(self, made: Any) -> Any:
        """Close this one, too, at the end of the test."""
        self._sockets.append(made)
        return made

    def listener(self, backlog: int = 128, receive_buffer: int = 0) -> Any:
        listener = self.socket()
        if receive_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        listener.bind((LOOPBACK, 0))
        listener.listen(backlog)
        return listener

    def accept(self, listener: Any) -> Any:
        return self.keep(listener.accept()[0])

    def pair(self, *, send_buffer: int = 0, receive_buffer: int = 0) -> tuple[Any, Any]:
        """Give both ends of a connection: the client, who has the send buffer, and the server."""
        listener, client = self.listener(receive_buffer=receive_buffer), self.socket()
        if send_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        client.connect(listener.getsockname())
        server = self.accept(listener)
        listener.close()
        return client, server

    def datagram(self) -> Any:
        """Give a UDP socket with a port."""
        made = self.socket(socket.SOCK_DGRAM)
        made.bind((LOOPBACK, 0))
        return made

    def closed_port(self) -> int:
        """Give a port that nobody has."""
        with self.socket() as probe:
            probe.bind((LOOPBACK, 0))
            return int(probe.getsockname()[1])

    def close(self) -> None:
        for each in self._sockets:
            each.close()


class Background(threading.Thread, Generic[T]):
    """A call in a thread of its own."""

    def __init__(self, call: Callable[..., T], *arguments: Any) -> None:
        super().__init__(daemon=True)
        self._call, self._arguments = call, arguments
        self._value: T
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._value = self._call(*self._arguments)
        except BaseException as error:  # noqa: BLE001 - for who asks for the result
            self._error = error

    def result(self) -> T:
        """Give what the call gave, or raise what it raised, soon."""
        self.join(PATIENCE)
        if self.is_alive():
            raise AssertionError(f"{self._call} did not come back")
        if self._error is not None:
            raise self._error
        return self._value

    def until_blocked(self) -> None:
        """Wait until it waits: for a bell or on the devices, or in a call of the kernel's."""

        def waits() -> bool:
            frame = sys._current_frames().get(self.ident or 0)
            file = frame.f_code.co_filename if frame else ""
            ours = file.endswith(("/tapstack/runtime/waiters.py", "/tapstack/runtime/lock.py"))
            return ours or file == socket.__file__ or bool(frame and frame.f_code is RUN)

        until(waits)

    def until_in_a_call_of(self, fd: int) -> None:
        """Wait until it is in a call of the kernel's whose first argument is a descriptor."""
        called = Path(f"/proc/self/task/{self.native_id}/syscall")  # proc(5)

        def is_in() -> bool:
            _, first, *_ = [*called.read_text().split(), "-1"]
            return int(first, 16) == fd

        until(is_in)


RUN = Background.run.__code__


def until(condition: Callable[[], object]) -> None:
    """Ask again and again, for what nobody will tell us."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, condition
        os.sched_yield()


def wait_readable(connection: Any) -> None:
    """Wait until there is something to read, or an error to take."""
    assert select.select([connection], [], [], PATIENCE)[0] == [connection]


def receive_all(source: Any, size: int = 65536) -> bytes:
    """Read to the end of the stream."""
    parts = []
    while part := source.recv(size):
        parts.append(part)
    return b"".join(parts)


def echo(connection: Any) -> None:
    """Send back what comes, to the end."""
    while part := connection.recv(65536):
        connection.sendall(part)
    connection.shutdown(socket.SHUT_WR)


def fill(connection: Any, octets: bytes) -> int:
    """Send until nothing more finds room, and nothing is left that could still make some."""
    sent = send_some(connection, octets)
    while True:
        until(lambda: is_stuck(connection))
        if not (more := send_some(connection, octets[sent:])):
            return sent
        sent += more


def send_some(connection: Any, octets: bytes) -> int:
    """Send until nothing more finds room, without waiting; tell how many octets did."""
    sent = 0
    try:
        while sent < len(octets):
            sent += connection.send(octets[sent : sent + 10_000], socket.MSG_DONTWAIT)
    except BlockingIOError:
        return sent
    raise AssertionError("everything found room")


def is_stuck(connection: Any) -> bool:
    """Tell whether nothing waits to be acknowledged, and the peer's window is closed."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
    (unacked,), (window,) = struct.unpack_from("I", info, 24), struct.unpack_from("I", info, 228)
    return not unacked and not window


def stuck_listener(net: Net) -> Any:
    """Give a listener that answers nobody: its accept queue is full."""
    listener = net.listener(backlog=0)
    net.socket().connect(listener.getsockname())
    return listener
