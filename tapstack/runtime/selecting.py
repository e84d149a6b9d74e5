"""Waiting for many sockets of one stack, and for descriptors of the system, in one sleep.

Who waits like this drives the stack while nobody else does, as every thread that waits may
(`leading.py`): then his descriptors and the stack's devices are asked for by one system call.

Not done here: what is registered with a selector (`selectors.py`).
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress
from math import ceil
from threading import get_ident
from typing import Any

from tapstack.base.units import MILLISECOND, SECOND, Duration, Instant
from tapstack.runtime.driving import Driver
from tapstack.runtime.leading import TICK, Leadership
from tapstack.runtime.waiters import Waiter
from tapstack.socket.descriptor import Readiness

Ready = tuple[int, int]
"""A descriptor, and a sum of POLLIN, -OUT, -ERR and -HUP."""

_ALWAYS_SHOWN = select.POLLERR | select.POLLHUP
"""What poll(2) tells of whether it is asked for or not."""
_LONG_TICK: Duration = 20 * MILLISECOND
"""How long an event loop may be about what it has heard before another thread drives."""
_AT_ONCE = 64
"""Descriptors that the system tells of at once; the others are told of next."""


class _Sleeper(Waiter):
    """Who waits, and sleeps on his own descriptors, whether he drives the stack or not."""

    __slots__ = ("_descriptors", "_driver", "_drives", "_kick", "has_polled", "heard")

    def __init__(self, driver: Driver, descriptors: select.epoll) -> None:
        super().__init__(None, 0)
        self.poll = self._drive
        self._driver = driver
        self._descriptors = descriptors
        self._drives = False
        # Whether the stack's own descriptors are among them.
        self._kick = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        descriptors.register(self._kick, select.EPOLLIN)
        self.heard: list[Ready] = []
        """What was told of descriptors of the system's."""
        self.has_polled = False
        """Whether the system was asked in this wait."""

    def begin(self) -> None:
        """Begin a wait, in whatever thread."""
        self.thread = get_ident()
        self.heard = []
        self.has_polled = self.has_happened = False

    def _drive(self, seconds: float | None, most: int) -> list[Ready]:
        """Sleep as who drives does; give what is told of the stack's own descriptors."""
        if not self._drives:
            for fd in self._driver.descriptors:
                with suppress(FileExistsError):  # a signal handler has raised amid this before
                    self._descriptors.register(fd, select.EPOLLIN)
            self._drives = True
        return self.ask(seconds, most)

    def follow(self, leave: Callable[..., object], seconds: float | None) -> None:
        """Sleep while another one drives."""
        self._leave_devices()
        self.rouse = self._ring
        try:
            # Less than none is for ever to epoll_wait(2).
            leave(self.ask, seconds if seconds is None else max(seconds, 0), _AT_ONCE)
        finally:
            self.rouse = None

    def _leave_devices(self) -> None:
        if self._drives:
            self._drives = False  # first: should a signal handler raise, all are registered again
            for fd in self._driver.descriptors:
                self._descriptors.unregister(fd)

    def _ring(self) -> None:
        os.eventfd_write(self._kick, 1)

    def ask(self, seconds: float | None, most: int) -> list[Ready]:
        """Hear of the system's descriptors; give what is told of the stack's own."""
        ready = self._descriptors.poll(seconds, most)
        self.has_polled = True
        driven = []
        for each in ready:
            if each[0] in self._driver.descriptors:
                driven.append(each)
            elif each[0] == self._kick:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._kick)
            else:
                self.heard.append(each)
                self.has_happened = True
        return driven

    def close(self) -> None:
        """Give back what was taken for the sleep."""
        if not self._descriptors.closed:  # as where its closing had to wait for that of a call
            self._leave_devices()
            self._descriptors.unregister(self._kick)
        os.close(self._kick)


class Selection:
    """What one selector waits for in one stack. Everything happens within the stack."""

    def __init__(self, driver: Driver, leadership: Leadership, descriptors: select.epoll) -> None:
        """Wait for what `descriptors` has registered, too."""
        self._leadership = leadership
        self._sleeper = _Sleeper(driver, descriptors)
        self._events: dict[Readiness, int] = {}
        # What is waited for, by socket: a sum of POLLIN and POLLOUT.
        self._changed: dict[Readiness, None] = {}
        # Those that may be ready, in the order that they came to be.
        self.arrived: dict[Any, int] = {}
        """What has happened to whom that hears of events by himself, and ends the wait."""
        self._is_waited_for = False

    def begin(self, readiness: Readiness, events: int, *, now: Instant) -> bool:
        """Wait for a socket; False: its descriptor is to be waited on."""
        self._events[readiness] = events
        if readiness.tell(self._note, now=now):
            return True
        del self._events[readiness]
        return False

    def change(self, readiness: Readiness, events: int, *, now: Instant) -> None:  # noqa: ARG002
        """Wait for other events of a socket."""
        self._events[readiness] = events
        self._note(readiness)

    def end(self, readiness: Readiness, *, now: Instant) -> None:
        """Wait for a socket no more."""
        del self._events[readiness]
        self._changed.pop(readiness, None)
        readiness.tell_no_more(now=now)

    def _note(self, readiness: Readiness) -> None:
        self._changed[readiness] = None
        self._sleeper.wake(0)

    def hear(self, whom: Any, events: int) -> None:
        """Note what has happened to somebody."""
        arrived = self.arrived
        if whom in arrived:
            arrived[whom] |= events
        else:
            arrived[whom] = events
            self._sleeper.wake(0)

    def take_arrived(self) -> dict[Any, int]:
        """Take all that has happened, in its order."""
        arrived, self.arrived = self.arrived, {}
        return arrived

    def is_quiet(self) -> bool:
        """Tell that there is nothing to do and nothing ready. From without the stack."""
        if self._is_waited_for:
            return False
        self._sleeper.begin()
        seen = self._changed or self.arrived
        return not (seen or self._sleeper.ask(0, _AT_ONCE) or self._sleeper.heard)

    def wait(self, timeout: float | None, *, now: Instant) -> list[Ready]:
        """Wait until something is ready, for at most `timeout` seconds.

        What is ready already does not keep the stack from being driven.
        """
        if self._is_waited_for:
            raise RuntimeError("somebody waits by this selector already")
        self._is_waited_for = True
        try:
            return self._wait(timeout, now)
        finally:
            self._is_waited_for = False

    def _wait(self, timeout: float | None, now: Instant) -> list[Ready]:
        sleeper, leadership = self._sleeper, self._leadership
        leadership.tick = _LONG_TICK
        sleeper.begin()
        ready = self._ready(now)
        if ready or self.arrived or (timeout is not None and timeout <= 0):
            if sleeper.ask(0, _AT_ONCE):
                leadership.take_answers()
                ready = self._ready(now)
            return ready + sleeper.heard
        deadline = None if timeout is None else now + ceil(timeout * SECOND)
        while not (ready or self.arrived or sleeper.heard):
            if not leadership.wait(sleeper, deadline):
                break
            ready = self._ready(now)
        if not sleeper.has_polled:
            sleeper.ask(0, _AT_ONCE)
        return ready + sleeper.heard

    def _ready(self, now: Instant) -> list[Ready]:
        """Give what is ready of what may be, and forget the rest until it changes."""
        ready = []
        for readiness in tuple(self._changed):
            events, endpoint = self._events[readiness], readiness.endpoint
            if events == select.POLLIN and endpoint.has_nothing_to_read():
                bits = 0  # as it is after nearly every read
            else:
                bits = endpoint.readiness(now=now) & (events | _ALWAYS_SHOWN)
            if bits and readiness.number >= 0:  # or it was closed, and tells nothing
                ready.append((readiness.number, bits))
            else:
                del self._changed[readiness]
        return ready

    def close(self, *, now: Instant) -> None:
        """Leave every socket to its descriptor."""
        for readiness in tuple(self._events):
            self.end(readiness, now=now)
        self._leadership.tick = TICK
        self._sleeper.close()
