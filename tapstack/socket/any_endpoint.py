"""What the attempts of every socket have in common, of whatever kind (socket(7)).

Not done here: the attempts (`stream.py`, `messages.py`).
"""

from __future__ import annotations

from collections.abc import Sized
from errno import EBADF

from tapstack.base.datagram_socket import DatagramSocket
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.socket.ip_options import priority_of
from tapstack.socket.kept_options import PRIORITY, Kept
from tapstack.stack import Stack


class AnyEndpoint:
    """A socket: open or closed, with what it was asked to remember."""

    __slots__ = ("_closed", "_stack", "kept")

    inbox: DatagramSocket | None = None
    """As `SocketEndpoint` has it."""
    held_sends: int = 0
    """The number of the next call of `send` whose data are held (MSG_ZEROCOPY)."""

    accept_queue: Sized | None = None
    """As `SocketEndpoint` has it."""

    def __init__(self, stack: Stack, kept: Kept) -> None:
        self._stack = stack
        self.kept = kept
        self._closed = False

    def _check_open(self) -> None:
        if self._closed:
            raise os_error(EBADF)

    def take_text(self, size: int, now: Instant) -> bytes | None:  # noqa: ARG002
        """Take none: what is received is a message."""
        return None

    def may_send_at_once(self) -> bool:
        """Tell that it is no stream."""
        return False

    def send_text(self, text: bytes, now: Instant) -> bool:  # noqa: ARG002
        """Send none: what is sent is a message."""
        return False

    def _follow_type_of_service(self, tos: int, before: int) -> None:
        """Take the priority that comes with another type of service, as Linux does."""
        if tos != before:
            self.kept.remembered[PRIORITY] = priority_of(tos)

    def is_worth_waking(self) -> bool:
        """Tell whether what has come is enough for who waits to read."""
        return True

    def receive_timeout(self) -> float | None:
        """Tell how many seconds receiving may wait (SO_RCVTIMEO)."""
        return self.kept.receive_timeout

    def send_timeout(self) -> float | None:
        """Tell how many seconds sending and connecting may wait (SO_SNDTIMEO)."""
        return self.kept.send_timeout
