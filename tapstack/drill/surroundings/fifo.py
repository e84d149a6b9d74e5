"""FIFOs that stay open both ways, so that who opens one in a shell need not wait for us.

Not done here: what goes through them (`shell.py`).
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class Fifo:
    """A FIFO of our own making."""

    def __init__(self, path: Path) -> None:
        """Raises: OSError."""
        os.mkfifo(path, 0o600)
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def drain(self) -> bytes:
        """Take all that is in it."""
        octets = b""
        with suppress(BlockingIOError):
            while True:
                octets += os.read(self.fd, 65536)
        return octets

    def put(self, octets: bytes) -> None:
        """Put something in, of less than 4096 octets (PIPE_BUF): it arrives in one piece."""
        os.write(self.fd, octets)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)
