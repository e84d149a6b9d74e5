"""A stack on real devices: one lock, and the threads of the application.

An application's call enters by its own thread: it takes the lock, does its work, writes the frames
that come of it, and leaves. Whoever waits in the stack may drive it meanwhile (`leading.py`); one
thread of the stack's own stands by, and does so while nobody else waits.

Not done here: building a stack and its devices (`default.py`), and blocking (`socket/blocking.py`).
"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable
from functools import partial
from threading import get_ident
from time import monotonic_ns
from typing import Any, TypeVar
from weakref import ref

from tapstack.base.contracts import CLOSED, WRITABLE
from tapstack.base.units import SECOND, Duration, Instant
from tapstack.runtime.clock import epoch_offset, monotonic
from tapstack.runtime.driving import Driver
from tapstack.runtime.gone import let_go_of_devices
from tapstack.runtime.leading import Leadership
from tapstack.runtime.lock import StackLock, had_already
from tapstack.runtime.selecting import Selection
from tapstack.runtime.switching import switch_interval
from tapstack.runtime.waiters import Bell, Waiter
from tapstack.socket.contract import SocketEndpoint
from tapstack.socket.endpoints import open_endpoint
from tapstack.socket.watching import Listening, Watchers
from tapstack.stack import Stack
from tapstack.tcp.state import FIN_UNACKNOWLEDGED

A = TypeVar("A")
T = TypeVar("T")

_PATIENCE: Duration = 2 * SECOND
"""How long `close` waits for the peers to acknowledge what is still on its way to them."""


class Runtime:
    """Drives one stack until it is closed."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        stack.epoch = epoch_offset()
        self._lock = StackLock()
        self._watchers = Watchers()
        self.tell = self._watchers.add
        """Begin to tell a watcher. This and the next two are called within the stack."""
        self.forget = self._watchers.remove
        """Tell a watcher no more."""
        self.all_told = self._watchers.all
        """Give all who are told."""
        self.now = monotonic
        """Tell the time."""
        self._driver = Driver(stack, self._lock, self._watchers)
        self.flush = self._driver.leave
        """Send what is to be sent, and wake who waits."""
        self._leadership = Leadership(self._driver, self._lock, self._watchers)
        self._closing = False
        self._closed = False
        self.is_parents = False
        """Whether this is a child of fork(2), and the stack its parent's."""
        self.refuses = False
        """Whether no call enters any more: at exit that is so before it is closed."""
        self._exits_by: int | None = None
        # The thread by which the interpreter exits.

    def start(self) -> None:
        """Start the thread that stands by; threads that compute give way sooner from now on."""
        switch_interval.shorten()
        os.register_at_fork(after_in_child=partial(_leave_to_parent, ref(self)))
        self._leadership.thread.start()

    # --- the application's threads ---

    def call(self, attempt: Callable[..., T], *arguments: Any) -> T:
        """Enter the stack: call `attempt(*arguments, now=…)`, and send what comes of it.

        Raises: as `enter`.
        """
        done: T = self.enter(_attempt, (attempt, arguments))
        return done

    def enter(self, attempt: Callable[[A, Instant], T], argument: A) -> T:
        """Enter the stack: call `attempt(argument, …)` with the time, and send what comes of it.

        Raises: what the attempt raises; OSError with ENETDOWN when the stack is closed, and with
        EDEADLK in a signal handler or finalizer that has interrupted another call of this thread.
        """
        lock, driver = self._lock, self._driver
        if lock.is_owned():
            raise had_already()
        try:  # as `StackLock.run` does
            if lock.is_awaited or not lock.acquire(False):
                lock.wait()
            if self.refuses:
                raise self._refusal()
            driver.now = now = monotonic_ns() // 1000
            try:
                if driver.is_stood_by:
                    driver.take_watch_off()
                return attempt(argument, now)
            finally:
                driver.leave()  # even if a signal handler has raised
        finally:
            try:  # noqa: SIM105 - as there
                lock.release()
            except RuntimeError:
                pass
            if lock.tasks:
                lock.work()

    def look(self, attempt: Callable[..., T], *arguments: Any) -> T:
        """Enter the stack to look at something: as `call`, where nothing comes of the attempt."""
        seen: T = self._lock.run(self._look, attempt, arguments)
        return seen

    def _look(self, attempt: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        if self.refuses:
            raise self._refusal()
        return attempt(*arguments, now=monotonic())

    def _refusal(self) -> OSError:
        """Make the error of a call that comes too late; at exit, have it never return instead."""
        if self._exits_by not in (None, get_ident()):
            self._lock.leave(
                Bell().sleep, None
            )  # for ever: as in the kernel, till the process ends
        whose = ": a stack stays with the parent of a fork" if self.is_parents else ""
        return OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN) + whose)

    def call_soon(self, attempt: Callable[..., object], *arguments: Any) -> None:
        """Have an attempt made soon, by whoever is in the stack. For finalizers: it never waits.

        It is made even when the stack is closed, and nobody hears of what it raises.
        """
        self._lock.do_soon(partial(self._make, attempt, arguments))

    def _make(self, attempt: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        if self.is_parents:
            return
        self._driver.now = now = monotonic()
        self._driver.guard(partial(attempt, *arguments, now=now))
        if not self._closed:
            self._driver.leave()

    def watch(self, endpoint: object, events: int) -> Waiter:
        """Begin to hear of events of an endpoint. To be called within the stack."""
        waiter = Waiter(endpoint, events)
        self._watchers.add(waiter)
        return waiter

    def wait(self, waiter: Waiter, deadline: Instant | None) -> bool:
        """Leave the stack to others until a waiter has heard; False when the time is up.

        Raises: OSError with ENETDOWN when the stack is closed.
        """
        if not self.refuses and not self._leadership.wait(waiter, deadline):
            return False
        if self.refuses:
            raise self._refusal()
        return True

    def wait_for(self, endpoint: object, events: int, deadline: Instant | None) -> bool:
        """Do what `watch`, `wait` and `forget` do for one wait; it may end without an event.

        Raises: as `wait`.
        """
        if self._leadership.wait_for(endpoint, events, deadline):
            if self.refuses:
                raise self._refusal()
            return True
        return False

    def take_answers(self) -> None:
        """Read what has come, if much has left by now.

        Before the rest leaves, which may wait for it (Nagle's algorithm).
        """
        if self._driver.has_written():
            self._leadership.take_answers()

    def take_arrivals(self) -> bool:
        """Take frames that have come by now, unless others see to them; False: there were none."""
        driver = self._driver
        if driver.finds_at_once or driver.answers.are_likely():
            return not self.refuses and self._leadership.take_arrivals()
        return False

    def notify(self, endpoint: object, on_event: Callable[[int], None]) -> Callable[[], None]:
        """Have `on_event` called with what happened at every event; give what ends that.

        All three under the lock.
        """
        listener = Listening(endpoint, on_event)
        self._watchers.add(listener)
        return partial(self._watchers.remove, listener)

    def selection(self, descriptors: select.epoll) -> Selection:
        """Wait for many sockets at once, and for what `descriptors` has registered."""
        return Selection(self._driver, self._leadership, descriptors)

    def report(self, endpoint: object, events: int) -> None:
        """Tell of what happened to something that is no engine's. To be called under the lock."""
        self.stack.report(endpoint, events)

    def open(self, kind: int, protocol: int) -> SocketEndpoint:
        """Make a socket. Raises: OSError with EPROTONOSUPPORT or ESOCKTNOSUPPORT."""
        return self.call(self._open, kind, protocol)

    def _open(self, kind: int, protocol: int, *, now: Instant) -> SocketEndpoint:  # noqa: ARG002
        return open_endpoint(self.stack, kind, protocol)

    # --- the end ---

    def leave_to_parent(self) -> None:
        """Refuse whatever is called from now on, in a child of fork(2) that has no thread of ours.

        The stack is the parent's: two that answer for one address would answer twice. The lock is
        as whoever had it left it.
        """
        let_go_of_devices(self.stack)
        self._lock = StackLock()
        self._closing = self._closed = self.refuses = self.is_parents = True

    def close_at_exit(self) -> None:
        """Close as the interpreter exits, by the thread that it exits by.

        Threads that still run then are daemons, which nobody asks for errors: what they wait for
        never comes, and what they call never returns.
        """
        self._exits_by = get_ident()
        self.refuses = True
        self.close()

    def close(self) -> None:
        """Close every connection, the devices and the thread. A second call does nothing.

        Peers get what was queued for them, if they acknowledge it within two seconds, and then a
        FIN; whose connection is still open after that gets a reset.
        """
        if not self._lock.run(self._end_all):
            return
        if self._leadership.thread.ident is not None:
            self._leadership.thread.join()
            switch_interval.restore()
        self._driver.close()

    def _end_all(self) -> bool:
        """End connections, calls and the driving; False where that has begun already."""
        if self._closing:
            return False
        self._closing = True
        self._driver.now = monotonic()
        self._driver.guard(self._close_sockets, self._driver.now)
        self._driver.leave()
        self._await_acknowledgments()
        self._driver.guard(self._abort_connections, monotonic())
        self._closed = self.refuses = True
        self._watchers.wake_all()
        self._leadership.end()
        return True

    def _close_sockets(self, now: Instant) -> None:
        for listener in list(self.stack.tcp.listeners):
            self.stack.tcp.close(listener, now)
        for tcb in list(self.stack.tcp.connections):
            self.stack.tcp.close(tcb, now)

    def _await_acknowledgments(self) -> None:
        """Wait until each connection has delivered what it had to, or has ended; not for long."""
        deadline = monotonic() + _PATIENCE
        for tcb in list(self.stack.tcp.connections):
            waiter = self.watch(tcb, CLOSED | WRITABLE)
            try:
                while tcb.state in FIN_UNACKNOWLEDGED:
                    if not self._leadership.wait(waiter, deadline):
                        return
            finally:
                self.forget(waiter)

    def _abort_connections(self, now: Instant) -> None:
        for tcb in list(self.stack.tcp.connections):
            self.stack.tcp.abort(tcb)
        self.stack.flush(now)


def _attempt(call: tuple[Callable[..., T], tuple[Any, ...]], now: Instant) -> T:
    attempt, arguments = call
    return attempt(*arguments, now=now)


def _leave_to_parent(runtime: ref[Runtime]) -> None:
    running = runtime()
    if running is not None:
        running.leave_to_parent()
