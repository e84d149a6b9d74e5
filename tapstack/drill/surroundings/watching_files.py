"""Hearing that files were written, from the kernel: inotify(7).

Not done here: what they say (`file_tree.py`).
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator

_CLOSE_WRITE = 0x8  # <sys/inotify.h>
_EVENT = struct.Struct("iIII")
"""watch, what, cookie, octets of the name that follows"""


class FileWatcher:
    """Hears of files that somebody wrote and closed."""

    def __init__(self) -> None:
        """Raises: OSError."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._check(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._folders: dict[int, str] = {}

    def watch(self, folder: str) -> None:
        """Hear of the files of a folder, too. Raises: OSError."""
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(folder), _CLOSE_WRITE)
        self._folders[self._check(number)] = folder

    def take_written(self) -> list[str]:
        """Take the paths of the files that were written since the last call, in order."""
        written: dict[str, None] = {}
        while octets := self._read():
            written.update(dict.fromkeys(self._paths_in(octets)))
        return list(written)

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, 65536)
        except BlockingIOError:
            return b""

    def _paths_in(self, octets: bytes) -> Iterator[str]:
        at = 0
        while at < len(octets):
            watch, _, _, length = _EVENT.unpack_from(octets, at)
            at += _EVENT.size + length
            name = octets[at - length : at].rstrip(b"\0")
            if watch in self._folders:  # it is not where events were lost
                yield f"{self._folders[watch]}/{os.fsdecode(name)}"

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)

    @staticmethod
    def _check(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
