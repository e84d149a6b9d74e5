"""A stack on real devices: one lock, one reader thread, and the threads of the application.

The reader thread waits on the devices until the next deadline. An application's call enters by its
own thread: it takes the lock, does its work, writes the frames that come of it, and leaves. Nothing
is handed from thread to thread but the news that something happened to a socket.

Not done here: building a stack and its devices (`default.py`), and blocking (`socket/blocking.py`).
"""

from __future__ import annotations

import errno
import logging
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import get_ident
from typing import Any, TypeVar

from tapstack.base.contracts import CLOSED, WRITABLE
from tapstack.base.units import MILLISECOND, SECOND, Duration, Instant
from tapstack.interface import NetworkInterface
from tapstack.runtime.clock import epoch_offset, monotonic
from tapstack.runtime.gone import give_up_interface
from tapstack.runtime.lock import StackLock
from tapstack.runtime.waiters import Waiter
from tapstack.socket.contract import SocketEndpoint
from tapstack.socket.endpoints import open_endpoint
from tapstack.socket.watching import Listening, Watchers
from tapstack.stack import Stack
from tapstack.tcp.state import FIN_UNACKNOWLEDGED

T = TypeVar("T")

_FRAMES_A_TURN = 64
"""Frames read before the lock is offered to the application's threads."""
_HUNG_UP = select.POLLHUP | select.POLLNVAL
"""What a descriptor says, again and again, that will never be readable; an error is read away."""
_LONGEST_SLEEP = 2**31 - 1
"""Milliseconds that poll(2) can be told at most: an int of C."""
_PATIENCE: Duration = 2 * SECOND
"""How long `close` waits for the peers to acknowledge what is still on its way to them."""
_log = logging.getLogger("tapstack")


class Runtime:
    """Drives one stack until it is closed."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        stack.epoch = epoch_offset()
        self._lock = StackLock()
        self._watchers = Watchers()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._sleeping_until: Instant | None = None
        self._asleep = False
        self._closing = False
        self._closed = False
        self._refuses = False
        # Whether no call enters any more: at exit that is so before it is closed.
        self._exits_by: int | None = None
        # The thread by which the interpreter exits.
        self._thread = threading.Thread(target=self._read, name="tapstack-reader", daemon=True)
        self._interfaces = {
            interface.device.fileno(): interface
            for interface in stack.interfaces.values()
            if interface.device.fileno() >= 0
        }

    def start(self) -> None:
        """Start the reader thread."""
        self._thread.start()

    # --- the application's threads ---

    def call(self, attempt: Callable[..., T], *arguments: Any) -> T:
        """Enter the stack: call `attempt(*arguments, now=…)`, and send what comes of it.

        Raises: what the attempt raises; OSError with ENETDOWN when the stack is closed, and with
        EDEADLK in a signal handler or finalizer that has interrupted another call of this thread.
        """
        with self._lock:
            if not self._refuses:
                now = monotonic()
                try:
                    return attempt(*arguments, now=now)
                finally:
                    self._guard(self.stack.flush, now)
                    self._leave()
        raise self._refusal()

    def _refusal(self) -> OSError:
        """Make the error of a call that comes too late; at exit, have it never return instead."""
        if self._exits_by not in (None, get_ident()):
            Waiter(None, 0).wait(None)  # for ever: as in the kernel, it ends with the process
        return OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN))

    def call_soon(self, attempt: Callable[..., object], *arguments: Any) -> None:
        """Have an attempt made soon, by whoever is in the stack. For finalizers: it never waits.

        It is made even when the stack is closed, and nobody hears of what it raises.
        """
        self._lock.do_soon(partial(self._make, attempt, arguments))

    def _make(self, attempt: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        now = monotonic()
        self._guard(partial(attempt, *arguments, now=now))
        if not self._closed:
            self._guard(self.stack.flush, now)
            self._leave()

    @contextmanager
    def watch(self, endpoint: object, events: int) -> Iterator[Waiter]:
        """Hear of events of an endpoint for as long as the block lasts."""
        waiter = Waiter(endpoint, events)
        with self._lock:
            self._watchers.add(waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                self._watchers.remove(waiter)

    def notify(self, endpoint: object, on_event: Callable[[int], None]) -> Callable[[], None]:
        """Have `on_event` called with what happened at every event; give what ends that.

        All three under the lock.
        """
        listener = Listening(endpoint, on_event)
        self._watchers.add(listener)
        return partial(self._watchers.remove, listener)

    def report(self, endpoint: object, events: int) -> None:
        """Tell of what happened to something that is no engine's. To be called under the lock."""
        self.stack.report(endpoint, events)

    def now(self) -> Instant:
        """Tell the time."""
        return monotonic()

    def open(self, kind: int, protocol: int) -> SocketEndpoint:
        """Make a socket. Raises: OSError with EPROTONOSUPPORT or ESOCKTNOSUPPORT."""
        return self.call(self._open, kind, protocol)

    def _open(self, kind: int, protocol: int, *, now: Instant) -> SocketEndpoint:  # noqa: ARG002
        return open_endpoint(self.stack, kind, protocol)

    def _leave(self) -> None:
        """End a turn: wake who waits, and the reader if it would sleep too long."""
        while events := self.stack.take_events():  # who hears of some may report others
            self._watchers.wake(events)
        if not self._asleep:
            return
        deadline, until = self._next_deadline(), self._sleeping_until
        if deadline is not None and (until is None or deadline < until):
            self._asleep = False
            os.eventfd_write(self._wakeup, 1)

    def _guard(self, door: Callable[..., object], *arguments: Any) -> None:
        """Go through a door of the core; a fault of ours there ends nobody's thread.

        What comes from the wire is counted and dropped within the core. An exception that gets here
        is a defect of ours, and the thread that meets it is an innocent one: it is logged with all
        that is known, and the stack goes on for every other connection.
        """
        try:
            door(*arguments)
        except Exception:  # noqa: BLE001 - see above: this is the one door where it is caught
            _log.exception("tapstack met a defect of its own; please report it")

    # --- the reader thread ---

    def _read(self) -> None:
        poller = select.poll()
        poller.register(self._wakeup, select.POLLIN)
        for fd in self._interfaces:
            poller.register(fd, select.POLLIN)
        while not self._closed:
            ready = dict(poller.poll(self._timeout()))
            with self._lock:
                self._asleep = False
                if ready.pop(self._wakeup, 0):
                    self._drain_wakeup()
                self._take_turn(poller, ready)

    def _timeout(self) -> float | None:
        """Decide how long to sleep, ms, and say so to the application's threads."""
        with self._lock:
            if self._closed:
                return 0
            self._sleeping_until = deadline = self._next_deadline()
            self._asleep = True
        if deadline is None:
            return None
        # Rounded up: waking before the deadline would only mean to sleep again.
        return min(max(0, -(-(deadline - monotonic()) // MILLISECOND)), _LONGEST_SLEEP)

    def _drain_wakeup(self) -> None:
        try:
            os.eventfd_read(self._wakeup)
        except BlockingIOError:
            return

    def _next_deadline(self) -> Instant | None:
        """Give the soonest deadline of the stack and of the devices that delay frames."""
        deadlines = [self.stack.next_deadline()]
        deadlines += [each.device.next_deadline() for each in self._interfaces.values()]
        return min((each for each in deadlines if each is not None), default=None)

    def _take_turn(self, poller: select.poll, ready: dict[int, int]) -> None:
        """Read what has arrived, and meet the deadlines that are due."""
        if self._closed:
            return
        for fd, interface in list(self._interfaces.items()):
            try:
                self._read_frames(interface, ready.get(fd, 0))
            except OSError as gone:
                poller.unregister(fd)
                del self._interfaces[fd]
                _log.warning("%s is gone: %s", interface.name, gone.strerror)
                interface.device.close()
                self._guard(give_up_interface, self.stack, interface)
        now = monotonic()
        deadline = self.stack.next_deadline()
        if deadline is not None and deadline <= now:
            self._guard(self.stack.expire, now)
        self._leave()

    def _read_frames(self, interface: NetworkInterface, events: int) -> None:
        """Take frames one by one, each to its end. Raises: OSError when the device is gone."""
        for _ in range(_FRAMES_A_TURN):
            now = monotonic()
            frame = interface.device.read(now)
            if frame is None:
                if events & _HUNG_UP:
                    raise OSError(errno.ENODEV, "its descriptor hung up")
                return
            self._guard(self.stack.receive, interface, frame, now)

    # --- the end ---

    def close_at_exit(self) -> None:
        """Close as the interpreter exits, by the thread that it exits by.

        Threads that still run then are daemons, which nobody asks for errors: what they wait for
        never comes, and what they call never returns.
        """
        self._exits_by = get_ident()
        self._refuses = True
        self.close()

    def close(self) -> None:
        """Close every connection, the devices and the thread. A second call does nothing.

        Peers get what was queued for them, if they acknowledge it within two seconds, and then a
        FIN; whose connection is still open after that gets a reset.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
            self._guard(self._close_sockets, monotonic())
            self._leave()
        self._await_acknowledgments()
        with self._lock:
            now = monotonic()
            self._guard(self._abort_connections, now)
            self._closed = self._refuses = True
            self._watchers.wake_all()
            os.eventfd_write(self._wakeup, 1)
        if self._thread.is_alive():
            self._thread.join()
        for interface in self.stack.interfaces.values():
            interface.device.close()
        os.close(self._wakeup)

    def _close_sockets(self, now: Instant) -> None:
        for listener in list(self.stack.tcp.listeners):
            self.stack.tcp.close(listener, now)
        for tcb in list(self.stack.tcp.connections):
            self.stack.tcp.close(tcb, now)
        self.stack.flush(now)

    def _await_acknowledgments(self) -> None:
        """Wait until each connection has delivered what it had to, or has ended; not for long."""
        deadline = monotonic() + _PATIENCE
        for tcb in list(self.stack.tcp.connections):
            with self.watch(tcb, CLOSED | WRITABLE) as waiter:
                waiter.arm()  # before each look: what happens right after it is not to be missed
                while tcb.state in FIN_UNACKNOWLEDGED:
                    if not waiter.wait((deadline - monotonic()) / SECOND):
                        return
                    waiter.arm()

    def _abort_connections(self, now: Instant) -> None:
        for tcb in list(self.stack.tcp.connections):
            self.stack.tcp.abort(tcb)
        self.stack.flush(now)
