"""Waiting for any of several files (poll(2)).

Not done here: waiting (`socket/blocking.py`).
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from errno import EAGAIN
from typing import TypeAlias

from tapstack.base.contracts import READABLE
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.socket.blocking import block
from tapstack.socket.calls.open_file import OpenFile
from tapstack.socket.contract import SocketHost

Wish: TypeAlias = "tuple[OpenFile | None, int]"
"""A file, None for a descriptor that is not open, and the events that are asked for."""

_UNASKED = select.POLLERR | select.POLLHUP | select.POLLNVAL
_MILLISECONDS = 1000


class Round:
    """One call of poll: it is told what happens to any of its files, and tells of it as its own."""

    def __init__(self, host: SocketHost, wishes: Sequence[Wish]) -> None:
        self._host = host
        self._wishes = wishes
        self._stops: list[Callable[[], None]] = []

    def watched(self) -> object:
        """Give what events tell of the files: this."""
        return self

    def begin(self, *, now: Instant) -> None:  # noqa: ARG002 - every attempt's form
        """Begin to listen."""
        self._stops = [file.notify(self._on_event) for file, _ in self._wishes if file]

    def end(self, *, now: Instant) -> None:  # noqa: ARG002 - every attempt's form
        """Listen no more."""
        for stop in self._stops:
            stop()

    def _on_event(self, _: int) -> None:
        self._host.report(self, READABLE)

    def look(self, *, now: Instant) -> list[int]:
        """Give what is ready of each. Raises: OSError with EAGAIN when nothing is."""
        found = [
            select.POLLNVAL if file is None else file.readiness(now=now) & (events | _UNASKED)
            for file, events in self._wishes
        ]
        if not any(found):
            raise os_error(EAGAIN)
        return found


def seconds_of(timeout: int) -> float | None:
    """Turn a timeout of poll(2) and epoll_wait(2), in ms, into seconds; None: for ever."""
    return None if timeout < 0 else timeout / _MILLISECONDS


def poll(host: SocketHost, wishes: Sequence[Wish], timeout: int) -> list[int]:
    """Give what is ready of each, waiting `timeout` ms for the first; negative: for ever."""
    waits = Round(host, wishes)
    host.call(waits.begin)
    try:
        return block(host, waits, READABLE, seconds_of(timeout), waits.look)
    except (BlockingIOError, TimeoutError):
        return [0] * len(wishes)
    finally:
        host.call(waits.end)
