"""Plays the same system calls over the kernel and over a stack, and compares what they gave."""

import errno
import socket
from collections.abc import Callable
from typing import Any

from tapstack.base.address import IPV4_LOOPBACK, Endpoint
from tapstack.sim import World
from tapstack.socket.calls.process import Process
from tests.socket.kernel_calls import KernelCalls

Scenario = Callable[["Recorder"], None]

_CLOSED, _UNACKED = 7, 24
"""In <linux/tcp.h>, of `struct tcp_info`: a state, and the offset of tcpi_unacked."""
_GIVES_NUMBERS = {"socket", "open", "epoll_create", "pipe"}
SOON = 20_000
"""ms for anything that should take moments."""


class Recorder:
    """Calls with the same names, of which each is noted down with what it gave."""

    def __init__(self, calls: Any) -> None:
        self._calls = calls
        self.log: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            try:
                result = getattr(self._calls, name)(*arguments)
            except OSError as error:
                self.log.append((name, errno.errorcode[error.errno or 0]))
                return None
            self.log.append((name, _comparable(name, result)))
            return result

        return call

    def note(self, what: Any) -> None:
        """Note down something else that has to be the same."""
        self.log.append(("note", what))

    # --- usual beginnings, which are not noted down ---

    def listener(self, backlog: int = 5) -> int:
        fd = self._calls.socket(2, 1, 0)
        self._calls.bind(fd, Endpoint(IPV4_LOOPBACK, 0))
        self._calls.listen(fd, backlog)
        return int(fd)

    def pair(self) -> tuple[int, int]:
        """Connect two sockets: who connected, who accepted."""
        listener = self.listener()
        client = self._calls.socket(2, 1, 0)
        self._calls.connect(client, self._calls.getsockname(listener))
        accepted, _ = self._calls.accept(listener)
        self._calls.close(listener)
        return client, accepted

    def datagrams(self) -> tuple[int, int]:
        """Make two UDP sockets that are connected to each other."""
        ends = [self._calls.socket(2, 2, 0) for _ in range(2)]
        for fd in ends:
            self._calls.bind(fd, Endpoint(IPV4_LOOPBACK, 0))
        for fd, other in (ends, ends[::-1]):
            self._calls.connect(fd, self._calls.getsockname(other))
        return ends[0], ends[1]

    def free_port(self) -> int:
        """Find a TCP port that nobody has."""
        fd = self._calls.socket(2, 1, 0)
        self._calls.bind(fd, Endpoint(IPV4_LOOPBACK, 0))
        port = self._calls.getsockname(fd).port
        self._calls.close(fd)
        return int(port)

    def arrived(self, *fds: int, events: int = 1) -> None:
        """Wait until something is there."""
        for fd in fds:
            assert self._calls.poll([(fd, events)], SOON) != [0]

    def acknowledged(self, fd: int) -> None:
        """Wait until the peer has taken all that was sent."""
        self._until(lambda: not any(self._tcp_info(fd)[_UNACKED : _UNACKED + 4]))

    def ended(self, fd: int) -> None:
        """Wait until nothing is left of a connection."""
        self._until(lambda: self._tcp_info(fd)[0] == _CLOSED)

    def _tcp_info(self, fd: int) -> bytes:
        return bytes(self._calls.getsockopt(fd, socket.IPPROTO_TCP, socket.TCP_INFO, 28))

    def _until(self, condition: Callable[[], bool]) -> None:
        """Ask again and again, for what `poll` does not tell."""
        for _ in range(SOON):
            if condition():
                return
            self._calls.poll([], 1)
        raise AssertionError(condition)


def _comparable(name: str, result: Any) -> Any:
    """Leave out what may differ: the numbers of descriptors, and ports that were chosen."""
    if name in _GIVES_NUMBERS:
        return "a descriptor"
    if name == "accept":
        return result[1].address
    if isinstance(result, Endpoint):
        return result.address, result.port != 0
    if isinstance(result, tuple):
        return tuple(_comparable("", each) for each in result)
    return result


def over_the_kernel(scenario: Scenario) -> list[tuple[str, Any]]:
    calls = KernelCalls()
    recorder = Recorder(calls)
    try:
        scenario(recorder)
    finally:
        calls.end()
    return recorder.log


def over_a_stack(scenario: Scenario) -> list[tuple[str, Any]]:
    with World() as world:
        process = Process(world.host("here"))
        recorder = Recorder(process)
        scenario(recorder)
        process.end()
        return recorder.log


def compare(scenario: Scenario) -> None:
    """See that both give the same."""
    kernel, ours = over_the_kernel(scenario), over_a_stack(scenario)
    lines = [
        f"{index}: {mine[0]} gave {mine[1]!r}, and the kernel's {theirs[1]!r}"
        for index, (mine, theirs) in enumerate(zip(ours, kernel, strict=True))
        if mine != theirs
    ]
    assert not lines, "\n".join(["", *lines[:9]])
