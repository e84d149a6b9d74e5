"""The descriptor table of a process: small numbers that stand for open files (open(2), dup(2)).

Not done here: what the files do.
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import EBADF, EINVAL, EMFILE

from tapstack.base.errors import os_error
from tapstack.socket.calls.open_file import OpenFile

_FIRST = 3
"""Behind standard input, output and error, which every process has."""
_LIMIT = 1024
"""How many descriptors there may be (RLIMIT_NOFILE, as it mostly is)."""


class DescriptorTable:
    """Which file each number stands for."""

    def __init__(self) -> None:
        self._files: dict[int, OpenFile] = {}
        self._closing_on_exec: set[int] = set()

    def __iter__(self) -> Iterator[int]:
        """Go through the numbers, which may be closed meanwhile."""
        return iter(list(self._files))

    def add(self, file: OpenFile, *, least: int = _FIRST, close_on_exec: bool = False) -> int:
        """Give a file the lowest number that is free. Raises: OSError with EMFILE."""
        number = max(least, _FIRST)
        while number in self._files:
            number += 1
        if number >= _LIMIT:
            raise os_error(EMFILE)
        self._files[number] = file
        file.holders += 1
        self.set_close_on_exec(number, close_on_exec)
        return number

    def duplicate(self, number: int, least: int, *, close_on_exec: bool) -> int:
        """Make another number stand for the same file (F_DUPFD). Raises: OSError."""
        file = self.find(number)
        if not 0 <= least < _LIMIT:
            raise os_error(EINVAL)
        return self.add(file, least=least, close_on_exec=close_on_exec)

    def find(self, number: int) -> OpenFile:
        """Give the file that a number stands for. Raises: OSError with EBADF."""
        file = self._files.get(number)
        if file is None:
            raise os_error(EBADF)
        return file

    def get(self, number: int) -> OpenFile | None:
        """Give the file that a number stands for, if it stands for any."""
        return self._files.get(number)

    def remove(self, number: int) -> OpenFile:
        """Free a number; give the file that it stood for. Raises: OSError with EBADF."""
        file = self.find(number)
        del self._files[number]
        self._closing_on_exec.discard(number)
        file.holders -= 1
        return file

    def closes_on_exec(self, number: int) -> bool:
        """Tell whether FD_CLOEXEC is set."""
        return number in self._closing_on_exec

    def set_close_on_exec(self, number: int, wanted: bool) -> None:
        """Set FD_CLOEXEC, or not; nothing here ever calls execve(2)."""
        if wanted:
            self._closing_on_exec.add(number)
        else:
            self._closing_on_exec.discard(number)
