"""The little that the commands ask of sockets: `tapstack.socket` has it, and so has `socket`.

Constants are the standard library's: they are the same numbers for both.

Not done here: anything.
"""

from collections.abc import Callable
from typing import Any, Protocol

from tapstack.base.address import Endpoint, format_ipv4


class Socket(Protocol):
    """A socket of either stack."""

    def fileno(self) -> int:
        """Give a descriptor that poll can wait for."""

    def bind(self, address: Any, /) -> None:
        """Take a local address."""

    def listen(self, backlog: int, /) -> None:
        """Take connections."""

    def accept(self) -> tuple["Socket", Any]:
        """Wait for a connection."""

    def connect(self, address: Any, /) -> None:
        """Set the other end."""

    def connect_ex(self, address: Any, /) -> int:
        """Set the other end; give an errno."""

    def getsockname(self) -> Any:
        """Give the local address."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Wait for octets."""

    def recvfrom(self, size: int, flags: int = 0, /) -> tuple[bytes, Any]:
        """Wait for a datagram."""

    def send(self, data: bytes, flags: int = 0, /) -> int:
        """Send what finds room."""

    def sendall(self, data: bytes, flags: int = 0, /) -> None:
        """Send all."""

    def sendto(self, data: bytes, address: Any, /) -> int:
        """Send a datagram."""

    def setblocking(self, flag: bool, /) -> None:
        """Choose to wait or not."""

    def getsockopt(self, level: int, option: int, /) -> Any:
        """Read an option."""

    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None:
        """Set an option."""

    def shutdown(self, how: int, /) -> None:
        """End one direction or both."""

    def close(self) -> None:
        """Give it back."""


OpenSocket = Callable[[int, int, int], Socket]
"""Opens a socket of a family, a type and a protocol."""


def name_of(endpoint: Endpoint) -> tuple[str, int]:
    """Give an endpoint as sockets have it."""
    return format_ipv4(endpoint.address), endpoint.port
