"""The one lock of a stack, which nobody waits for who has it already.

Signal handlers and finalizers interrupt a thread anywhere, even where it holds this lock: to wait
there would be to wait for oneself, and to go on would be to go on amid what was half done. So who
enters gets an error there, and what is merely to be done soon, such as a close, is done as soon as
the lock was given back.

Who has to wait for the lock is the next to have it. A plain lock goes to whoever is running, and
a thread that gives it back only to take it again runs, while the one that waits has yet to wake.

Not done here: what is done under it (`runtime.py`).
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from threading import RLock


class StackLock:
    """A lock for `with`, and tasks that are done under it by whoever can."""

    __slots__ = ("_gate", "_inside", "_is_awaited", "_lock", "_tasks")

    def __init__(self) -> None:
        self._lock = RLock()
        self._inside = False
        # Whether the thread that has the lock has begun, and is not done.
        self._gate = RLock()
        # Had by the one thread that waits for the lock; others wait for this.
        self._is_awaited = False
        self._tasks: deque[Callable[[], None]] = deque()

    def enter(self) -> None:
        """Wait for the lock, and take it. Raises: OSError with EDEADLK where this thread has it."""
        if not self._lock.acquire(blocking=False):
            self._await()
        elif self._inside:
            self._lock.release()
            raise OSError(
                errno.EDEADLK,
                "A signal handler or finalizer has interrupted a call of this thread in the stack",
            )
        elif self._is_awaited:
            self._lock.release()
            self._await()
        self._inside = True

    def leave(self, *_: object) -> None:
        """Give the lock back, and do what was left to be done meanwhile."""
        self._inside = False
        self._lock.release()
        if self._tasks:
            self._work()

    __enter__, __exit__ = enter, leave

    def take_back(self) -> None:
        """Take the lock that this thread has given back, or was about to: for `finally`.

        What a signal handler raises meanwhile is raised when the lock is had, and not before.
        """
        interruption: BaseException | None = None
        while self._is_awaited or not self._lock.acquire(blocking=False):
            try:
                self._await()
                break
            except BaseException as raised:  # noqa: BLE001 - raised again below
                interruption = raised
        if self._inside:  # it was interrupted before it gave the lock back
            self._lock.release()
        self._inside = True
        if interruption is not None:
            raise interruption

    def _await(self) -> None:
        with self._gate:
            self._is_awaited = True
            try:
                self._lock.acquire()
            finally:
                self._is_awaited = False

    def do_soon(self, task: Callable[[], None]) -> None:
        """Have a task done under the lock: now if it is free, else by its holder. Never waits."""
        self._tasks.append(task)
        self._work()

    def _work(self) -> None:
        # Who does not get the lock may go: its holder looks for tasks after having released it.
        while self._tasks and self._lock.acquire(blocking=False):
            if self._inside:
                self._lock.release()
                return
            self._inside = True
            try:
                if self._tasks:  # still: a signal handler may have come between
                    self._tasks.popleft()()
            finally:
                self._inside = False
                self._lock.release()
