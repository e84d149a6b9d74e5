"""Files of the system's own: on a disk, or a device such as /dev/null (open(2)).

They never block. The system does what is asked.

Not done here: terminals, FIFOs and other files that are waited for.
"""

from __future__ import annotations

import os

from tapstack.socket.calls.open_file import OpenFile

_MODE = 0o666
"""Who may do what with a file that is made, before the umask."""


class DiskFile(OpenFile):
    """An open file of the system."""

    def __init__(self, path: str, flags: int) -> None:
        """Open it. Raises: OSError."""
        super().__init__(flags & ~(os.O_CREAT | os.O_EXCL | os.O_TRUNC | os.O_CLOEXEC))
        self._number = os.open(path, flags | os.O_CLOEXEC, _MODE)

    def read(self, size: int) -> bytes:
        """As read(2). Raises: OSError."""
        return os.read(self._number, size)

    def read_at(self, offset: int, size: int) -> bytes:
        """Read from an offset, and leave the position where it is. Raises: OSError."""
        return os.pread(self._number, size, offset)

    @property
    def position(self) -> int:
        """Where the next `read` begins."""
        return os.lseek(self._number, 0, os.SEEK_CUR)

    @position.setter
    def position(self, offset: int) -> None:
        os.lseek(self._number, offset, os.SEEK_SET)

    def write(self, data: bytes) -> int:
        """As write(2). Raises: OSError."""
        return os.write(self._number, data)

    def close(self) -> None:
        """Give it back to the system."""
        os.close(self._number)
