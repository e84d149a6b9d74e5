"""Which live descriptor each of a script's numbers means.

A script names descriptors by the numbers that Linux gave when it was written; the host that it is
played on gives its own.

Not done here: opening and closing them.
"""

from __future__ import annotations

from errno import EBADF

from tapstack.base.errors import os_error


class Descriptors:
    """A script's numbers, and what they mean live; one for each run of a script."""

    def __init__(self) -> None:
        self._foreseen: set[int] = set()
        self._live: dict[int, int] = {}
        self._connections: list[int] = []
        """The script's numbers of what connected or was accepted, the latest last."""

    def foresee(self, number: int) -> None:
        """Hear, before the script is played, that one of its calls is to give a number."""
        self._foreseen.add(number)

    def is_foreseen(self, number: int) -> bool:
        """Tell whether any call of the script, so far, is to give a number."""
        return number in self._foreseen

    def open(self, number: int, live: int) -> None:
        """Hear what a number means from here on."""
        self._live[number] = live

    def live(self, number: int) -> int:
        """Give the live descriptor. Raises: OSError with EBADF when there is none (any more)."""
        if number not in self._live:
            raise os_error(EBADF)
        return self._live[number]

    def close(self, number: int) -> None:
        """Hear that a number means nothing from here on."""
        self._live.pop(number, None)
        if number in self._connections:
            self._connections.remove(number)

    def note_connection(self, number: int) -> None:
        """Hear that a descriptor is a connection, or is about to become one."""
        if number in self._connections:
            self._connections.remove(number)
        self._connections.append(number)

    def latest_first(self) -> list[int]:
        """Give the live descriptors: connections first, of these and of others the latest first."""
        others = [number for number in self._live if number not in self._connections]
        order = [*reversed(self._connections), *reversed(others)]
        return [self._live[number] for number in order if number in self._live]
