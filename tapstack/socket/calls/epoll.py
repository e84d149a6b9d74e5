"""Watching many files at once, and being told which are ready (epoll(7)).

As in Linux, who is told of an event by a watched file only puts it in line; whether it is ready is
asked when its turn comes, so that the line is in the order of the events.

Not done here: waiting (`socket/blocking.py`).
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from errno import EAGAIN, EEXIST, EINVAL, ELOOP, ENOENT, EPERM

from tapstack.base.contracts import READABLE
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.socket.blocking import block
from tapstack.socket.calls.open_file import IN, OpenFile
from tapstack.socket.calls.polling import seconds_of
from tapstack.socket.contract import SocketHost

EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD = 1, 2, 3  # <sys/epoll.h>
_WAKEUP = 1 << 29  # EPOLLWAKEUP
_ONE_SHOT, _EDGE, _EXCLUSIVE = select.EPOLLONESHOT, 1 << 31, select.EPOLLEXCLUSIVE
_HOW = _WAKEUP | _ONE_SHOT | _EDGE | _EXCLUSIVE
"""Bits that say how to tell, and not of what."""
_ALWAYS = select.EPOLLERR | select.EPOLLHUP
_FOR_EXCLUSIVE = _ALWAYS | select.EPOLLIN | select.EPOLLOUT | _WAKEUP | _EDGE | _EXCLUSIVE
_MOST_NESTS = 4
"""How deep one epoll may watch another (Linux's EP_MAX_NESTS)."""


@dataclass(slots=True, eq=False)
class Entry:
    """One file that is watched, by one descriptor."""

    fd: int
    file: OpenFile
    events: int
    """What to tell of, and how."""
    data: int
    stop: Callable[[], None] | None = None
    """Ends that the file tells of its events."""
    forget: Callable[[], None] | None = None
    """What the file calls before it is closed."""


class EpollFile(OpenFile):
    """An epoll instance."""

    can_be_awaited = True

    def __init__(self, host: SocketHost) -> None:
        super().__init__(os.O_RDWR)
        self._host = host
        self._entries: dict[tuple[int, OpenFile], Entry] = {}
        self._line: deque[Entry] = deque()
        """Those that may be ready, in the order that they were told so."""

    def watched(self) -> object:
        """Give what events tell of this: itself."""
        return self

    # --- what is watched ---

    def control(
        self, operation: int, fd: int, file: OpenFile, events: int, data: int, *, now: Instant
    ) -> None:
        """As epoll_ctl(2). Raises: OSError with EPERM, EINVAL, ELOOP, EEXIST, ENOENT."""
        self._check(operation, file, events)
        entry = self._entries.get((fd, file))
        if operation == EPOLL_CTL_ADD:
            if entry is not None:
                raise os_error(EEXIST)
            self._add(Entry(fd, file, events | _ALWAYS, data), now)
        elif entry is None:
            raise os_error(ENOENT)
        elif operation == EPOLL_CTL_DEL:
            self._remove(entry)
        elif entry.events & _EXCLUSIVE:
            raise os_error(EINVAL)
        else:
            entry.events, entry.data = events | _ALWAYS, data
            self._put_in_line_if_ready(entry, now)

    def _check(self, operation: int, file: OpenFile, events: int) -> None:
        if not file.can_be_awaited:
            raise os_error(EPERM)
        if file is self or operation not in (EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD):
            raise os_error(EINVAL)
        if operation != EPOLL_CTL_DEL and events & _EXCLUSIVE:
            is_epoll = isinstance(file, EpollFile)
            if operation == EPOLL_CTL_MOD or is_epoll or events & ~_FOR_EXCLUSIVE:
                raise os_error(EINVAL)
        if operation == EPOLL_CTL_ADD and isinstance(file, EpollFile) and self._closes_loop(file):
            raise os_error(ELOOP)

    def _closes_loop(self, other: EpollFile) -> bool:
        return other.watches(self) or other.depth() > _MOST_NESTS

    def watches(self, other: EpollFile) -> bool:
        """Tell whether it watches another, perhaps by way of others."""
        return any(each is other or each.watches(other) for each in self._watched_epolls())

    def depth(self) -> int:
        """Count how many epolls watch each other in turn, from this one on."""
        return 1 + max((each.depth() for each in self._watched_epolls()), default=0)

    def _watched_epolls(self) -> list[EpollFile]:
        return [file for _, file in self._entries if isinstance(file, EpollFile)]

    def _add(self, entry: Entry, now: Instant) -> None:
        self._entries[entry.fd, entry.file] = entry
        entry.forget = lambda: self._remove(entry)
        entry.file.released.append(entry.forget)
        entry.stop = entry.file.notify(lambda key: self._on_event(entry, key))
        self._put_in_line_if_ready(entry, now)

    def _remove(self, entry: Entry) -> None:
        del self._entries[entry.fd, entry.file]
        if entry in self._line:
            self._line.remove(entry)
        assert entry.stop is not None
        assert entry.forget is not None
        entry.stop()
        entry.file.released.remove(entry.forget)

    # --- what is ready ---

    def _put_in_line_if_ready(self, entry: Entry, now: Instant) -> None:
        if entry.file.readiness(now=now) & entry.events and entry not in self._line:
            self._put_in_line(entry)

    def _put_in_line(self, entry: Entry) -> None:
        self._line.append(entry)
        self._host.report(self, READABLE)

    def _on_event(self, entry: Entry, key: int) -> None:
        if not entry.events & ~_HOW or (key and not key & entry.events):
            return
        if entry not in self._line:
            self._put_in_line(entry)

    def take(self, most: int, *, now: Instant) -> list[tuple[int, int]]:
        """Give events and data of those in line that are ready. Raises: OSError with EAGAIN.

        Who is to be told for as long as it is ready goes to the end of the line, and who is told
        only once leaves it.
        """
        found: list[tuple[int, int]] = []
        for _ in range(len(self._line)):
            if len(found) == most:
                break
            entry = self._line.popleft()
            events = entry.file.readiness(now=now) & entry.events
            if not events:
                continue
            found.append((events, entry.data))
            if entry.events & _ONE_SHOT:
                entry.events &= _HOW
            elif not entry.events & _EDGE:
                self._line.append(entry)
        if not found:
            raise os_error(EAGAIN)
        return found

    def wait(self, most: int, timeout: int) -> list[tuple[int, int]]:
        """As epoll_wait(2), for at most `timeout` ms; negative: for ever. Raises: OSError."""
        if most <= 0:
            raise os_error(EINVAL)
        try:
            return block(self._host, self, READABLE, seconds_of(timeout), self.take, most)
        except (BlockingIOError, TimeoutError):
            return []

    # --- a file ---

    def readiness(self, *, now: Instant) -> int:
        """Tell whether any is ready."""
        while self._line:
            entry = self._line[0]
            if entry.file.readiness(now=now) & entry.events:
                return IN
            self._line.popleft()
        return 0

    def notify(self, on_event: Callable[[int], None]) -> Callable[[], None]:
        """Have `on_event` called when some may be ready; give what ends that."""
        return self._host.notify(self, lambda _: on_event(IN))

    def close(self) -> None:
        """Watch no more."""
        self._host.call(self._forget_all)

    def _forget_all(self, *, now: Instant) -> None:  # noqa: ARG002 - every attempt's form
        for entry in list(self._entries.values()):
            self._remove(entry)
