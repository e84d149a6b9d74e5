"""An open socket, which one socket object or more hold (dup(2)), or a descriptor alone (detach).

Not done here: the objects (`facade.py`).
"""

from __future__ import annotations

import os
from errno import EBADF
from socket import SocketKind
from typing import NamedTuple

from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.socket.contract import SocketEndpoint, SocketHost
from tapstack.socket.descriptor import Readiness


class OpenSocket:
    """What a socket is made of."""

    __slots__ = ("endpoint", "holders", "host", "readiness")

    def __init__(self, host: SocketHost, endpoint: SocketEndpoint) -> None:
        self.host = host
        self.endpoint = endpoint
        self.readiness: Readiness | None = None
        """What is shown of it; None: nobody has asked for a descriptor."""
        self.holders = 1

    def fileno(self) -> int:
        """Give the descriptor that shows readiness, made on the first call. Raises: OSError."""
        if self.readiness is None:
            self.host.look(self._show, False)
        return -1 if self.readiness is None else self.readiness.number

    def use_mere_number(self) -> None:
        """Have `fileno` give a mere number, unless it has given a descriptor. Raises: OSError."""
        if self.readiness is None:
            self.host.look(self._show, True)

    def _show(self, is_mere_number: bool, *, now: Instant) -> None:
        if self.readiness is None and self.holders:
            self.readiness = Readiness(self.host, self.endpoint, now, is_mere_number=is_mere_number)

    def show(self, now: Instant) -> None:
        """Show what an attempt has changed, if anybody may see it. Within the stack."""
        if self.readiness is not None:
            self.readiness.follow(now=now)

    def descriptor(self) -> int:
        """Give a descriptor to be copied, which tells from now on. Raises: OSError."""
        self.fileno()
        return -1 if self.readiness is None else self.host.look(self.readiness.share)

    def share(self, *, now: Instant) -> OpenSocket:  # noqa: ARG002 - every attempt's form
        """Count one more holder."""
        self.holders += 1
        return self

    def give_back(self, now: Instant) -> int:
        """Let go of it; the last one closes it, and is told how long SO_LINGER wants to wait, s."""
        self.holders -= 1
        if self.holders:
            return 0
        endpoint = self.endpoint
        if self.readiness is not None:
            self.readiness.close()
        seconds = endpoint.linger()
        endpoint.close(now=now)
        return seconds

    def stop_showing(self) -> None:
        """Give the descriptor back. To be called within the stack, or after its end."""
        if self.readiness is not None:
            self.readiness.close()


class Held(NamedTuple):
    """One holder's part: what it holds, and the descriptor's number that is its own."""

    host: SocketHost
    open: OpenSocket
    kind: SocketKind
    protocol: int
    number: int
    """−1: the number of the readiness descriptor itself, which is made on demand. Any other is for
    whoever holds it to close."""

    def fileno(self) -> int:
        """Give the descriptor's number. Raises: OSError."""
        return self.open.fileno() if self.number < 0 else self.number

    def duplicate(self) -> Held:
        """Hold it once more, under another number. Raises: OSError."""
        number = os.dup(self.open.descriptor() if self.number < 0 else self.number)
        self.host.call(self.open.share)
        return self._replace(number=number)


_detached: dict[int, Held] = {}
"""Sockets that only a number stands for. Numbers belong to the process, and so does this."""


def detach(held: Held) -> int:
    """Leave it to its number, for `attach` to find. Raises: OSError."""
    number = held.fileno()
    readiness = held.open.readiness
    if held.number < 0 and readiness is not None and readiness.has_mere_number:
        # Nobody but the selector that it was for could wait on that, or knows it from a descriptor.
        number = os.dup(held.open.descriptor())
        held = held._replace(number=number)
    _detached[number] = held
    return number


def attach(number: int) -> Held:
    """Take what a number stands for. Raises: OSError with EBADF, TypeError."""
    if not isinstance(number, int):
        raise TypeError(f"'{type(number).__name__}' object cannot be interpreted as an integer")
    held = _detached.pop(number, None)
    if held is None:
        raise os_error(EBADF)
    return held
