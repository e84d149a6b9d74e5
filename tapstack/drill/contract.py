"""What a script is played on: a host with a wire, a clock and system calls.

Two implement it: a stack in virtual time, and a Linux kernel behind a TAP in real
time. The player of scripts cannot tell them apart.

Not done here: any behaviour.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from tapstack.base.address import Endpoint, Ipv4Address, Network
from tapstack.base.units import Instant
from tapstack.socket.calls.received import Received as Received

DEVICE = "tun0"
"""What the tool calls the host's device, and scripts too."""
_REMOTE_PREFIX_LENGTH = 24
"""As the tool has it of the network that the remote host is in."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Addresses(NamedTuple):
    """Who is who on the wire."""

    local: Ipv4Address
    """The host that the script is played on."""
    remote: Ipv4Address
    """Whom the script plays."""
    gateway: Ipv4Address
    prefix_length: int
    """Of the local network."""

    @property
    def local_network(self) -> Network:
        """The host's address, with the length of its prefix."""
        return Network(self.local, self.prefix_length)

    @property
    def remote_network(self) -> Network:
        """What lies behind the gateway, the remote host with it."""
        remote = Network(self.remote, _REMOTE_PREFIX_LENGTH)
        return Network(remote.prefix, remote.prefix_length)

    @property
    def is_remote_beside(self) -> bool:
        """Tell whether that is the local network: there is a way to it already."""
        local = self.local_network
        return self.remote_network == Network(local.prefix, local.prefix_length)


class Captured(NamedTuple):
    """A datagram that the host sent."""

    time: Instant
    """µs since the script began."""
    octets: bytes
    """From the IP header on; as on the wire, no longer than the MTU, checksums complete."""
    why: str
    """Why it was sent, where the host tells: `new text`, `retransmission (RACK)`; or ''."""


class Calls(Protocol):
    """The system calls of one process: every one of them blocks as the system's does.

    All raise OSError. Addresses are endpoints; descriptors are the host's own numbers.
    """

    def socket(self, domain: int, kind: int, protocol: int) -> int:
        """As socket(2)."""

    def bind(self, fd: int, local: Endpoint) -> None:
        """As bind(2)."""

    def listen(self, fd: int, backlog: int) -> None:
        """As listen(2)."""

    def accept(self, fd: int) -> tuple[int, Endpoint]:
        """As accept(2)."""

    def connect(self, fd: int, remote: Endpoint | None) -> None:
        """As connect(2)."""

    def shutdown(self, fd: int, how: int) -> None:
        """As shutdown(2)."""

    def close(self, fd: int) -> None:
        """As close(2)."""

    def read(self, fd: int, size: int) -> bytes:
        """As read(2)."""

    def readv(self, fd: int, sizes: Sequence[int]) -> bytes:
        """As readv(2)."""

    def recv(self, fd: int, size: int, flags: int) -> bytes:
        """As recv(2)."""

    def recvfrom(self, fd: int, size: int, flags: int) -> tuple[bytes, Endpoint | None]:
        """As recvfrom(2)."""

    def recvmsg(self, fd: int, size: int, control_size: int, flags: int) -> Received:
        """As recvmsg(2)."""

    def write(self, fd: int, data: bytes) -> int:
        """As write(2)."""

    def writev(self, fd: int, parts: Sequence[bytes]) -> int:
        """As writev(2)."""

    def send(self, fd: int, data: bytes, flags: int) -> int:
        """As send(2)."""

    def sendto(self, fd: int, data: bytes, flags: int, to: Endpoint | None) -> int:
        """As sendto(2)."""

    def sendmsg(
        self,
        fd: int,
        parts: Sequence[bytes],
        control: Sequence[tuple[int, int, bytes]],
        flags: int,
        to: Endpoint | None,
    ) -> int:
        """As sendmsg(2)."""

    def getsockopt(self, fd: int, level: int, name: int, size: int) -> bytes:
        """As getsockopt(2)."""

    def setsockopt(self, fd: int, level: int, name: int, value: bytes) -> None:
        """As setsockopt(2)."""

    def getsockname(self, fd: int) -> Endpoint:
        """As getsockname(2)."""

    def getpeername(self, fd: int) -> Endpoint:
        """As getpeername(2)."""

    def fcntl(self, fd: int, command: int, argument: int) -> int:
        """As fcntl(2)."""

    def ioctl(self, fd: int, request: int) -> int:
        """Give what the request writes: SIOCINQ (FIONREAD), SIOCOUTQ, SIOCOUTQNSD, SIOCATMARK."""

    def poll(self, watched: Sequence[tuple[int, int]], timeout: int) -> list[int]:
        """Give `revents` of each; a timeout is in ms, negative: for ever."""

    def epoll_create(self, size: int) -> int:
        """As epoll_create(2)."""

    def epoll_ctl(self, epoll: int, operation: int, fd: int, events: int, data: int) -> None:
        """Raise OSError; `data` is the 64 bits of epoll_data."""

    def epoll_wait(self, epoll: int, most: int, timeout: int) -> list[tuple[int, int]]:
        """Give events and data of each that is ready; a timeout is in ms, negative: for ever."""

    def open(self, path: str, flags: int) -> int:
        """As open(2)."""

    def pipe(self) -> tuple[int, int]:
        """As pipe(2)."""

    def splice(self, source: int, target: int, size: int, flags: int) -> int:
        """As splice(2)."""

    def sendfile(self, target: int, source: int, offset: int | None, size: int) -> int:
        """As sendfile(2)."""


class Pending(Protocol, Generic[T_co]):
    """A system call that was begun."""

    def ended(self) -> Instant | None:
        """Tell when it returned, µs since the script began; None while it blocks."""

    def result(self) -> T_co:
        """Give what it returned. Raises: what it raised; only once it has ended."""


class Shell(NamedTuple):
    """How a command in backticks came out."""

    status: int
    output: str
    """Standard output and standard error, as they came."""


class TestedHost(Protocol):
    """The host that a script is played on. Instants are µs since the script began."""

    addresses: Addresses
    epoch: Instant
    """What its real-time clock shows at instant 0, µs since 1970."""
    lacking: frozenset[str]
    """Words of a script that ask for what it does not have; a host that has none has everything
    that Linux has."""
    captured: deque[Captured]
    """What it sent and the player has not taken yet, in order."""

    def now(self) -> Instant:
        """Tell the time."""

    def run(self, until: Instant | None, ended: Callable[[], bool]) -> bool:
        """Let time pass until `ended()` holds, at most until an instant; tell whether it holds.

        `ended` is asked first, and after everything that happens. What happens at the instant
        still happens. Without an instant it may give up when nothing more can ever happen.
        """

    def inject(self, datagram: bytes) -> None:
        """Have a datagram arrive now."""

    def begin(self, call: Callable[[Calls], T]) -> Pending[T]:
        """Begin system calls in the script's one process, which has none that blocks."""

    def shell(self, command: str) -> Shell:
        """Run what stands in backticks, with `sh`, in the script's directory."""

    def describe(self) -> str:
        """Show the state of the connections, for a report; '' where the host does not tell."""

    def remarks(self) -> list[str]:
        """Tell what a user may want to know of how it was used, each in one line."""

    def close(self) -> None:
        """Give everything back. A second call does nothing."""
