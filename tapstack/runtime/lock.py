"""The one lock of a stack, which nobody waits for who has it already.

Signal handlers and finalizers interrupt a thread anywhere, even where it holds this lock: to wait
there would be to wait for oneself, and to go on would be to go on amid what was half done. So who
enters gets an error there, and what is merely to be done soon, such as a close, is done as soon as
the lock was given back. What a handler raises may come from between any two calls in here; so each
`finally` says only that the lock is given back, or had, and does not ask whether it was before.

Who has to wait for the lock is the next to have it. A plain lock goes to whoever is running, and
a thread that gives it back only to take it again runs, while the one that waits has yet to wake.

Not done here: what is done under it (`runtime.py`).
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import RLock
from typing import Any, TypeVar

T = TypeVar("T")


class StackLock:
    """A lock that things are done under: at once, or soon, by whoever can."""

    __slots__ = ("_gate", "_is_awaited", "_is_owned", "_lock", "_tasks")

    def __init__(self) -> None:
        lock: Any = RLock()
        self._lock = lock
        self._is_owned: Callable[[], bool] = lock._is_owned
        # Whether this very thread has it; `threading.Condition` asks the same way.
        self._gate = RLock()
        # Had by the one thread that waits for the lock; others wait for this.
        self._is_awaited = False
        self._tasks: deque[Callable[[], None]] = deque()

    def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Wait for the lock, and call a function under it; then do what was left to be done.

        Raises: what the function raises; OSError with EDEADLK where this thread has it already.
        """
        if self._is_owned():
            raise OSError(
                errno.EDEADLK,
                "A signal handler or finalizer has interrupted a call of this thread in the stack",
            )
        try:
            if self._is_awaited or not self._lock.acquire(blocking=False):
                self._await()
            return work(*arguments)
        finally:
            try:  # noqa: SIM105 - to make a `suppress` would be a place to be interrupted at
                self._lock.release()
            except RuntimeError:
                pass  # a signal handler has ended the wait for it
            if self._tasks:
                self._work()

    def leave(self, sleep: Callable[..., T], *arguments: Any) -> T:
        """Leave the lock to others while a function sleeps. To be called under it.

        What a signal handler raises meanwhile is raised when the lock is had again.
        """
        interruption: BaseException | None = None
        try:
            self._lock.release()
            if self._tasks:
                self._work()
            return sleep(*arguments)
        finally:
            while True:
                try:
                    if self._is_owned():
                        break
                    if self._is_awaited or not self._lock.acquire(blocking=False):
                        self._await()
                    break
                except BaseException as raised:  # noqa: BLE001 - raised below
                    interruption = raised
            if interruption is not None:
                raise interruption

    def pass_on(self, task: Callable[[], None]) -> bool:
        """Have a task done by who has the lock, or waits for it, as he gives it back.

        It is done once, however often it was passed on before that. False: nobody does it, and so
        the lock is the caller's now, as is the task.
        """
        if self._is_awaited or not self._lock.acquire(blocking=False):
            if task not in self._tasks:
                self._tasks.append(task)
            if self._is_awaited or not self._lock.acquire(blocking=False):
                return True
            with suppress(ValueError):  # who gave it back meanwhile may have done the task, too
                self._tasks.remove(task)
        return False

    @property
    def is_wanted(self) -> bool:
        """Tell whether somebody waits for it, or has left something to be done by its holder."""
        return self._is_awaited or bool(self._tasks)

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
        while self._tasks and not self._is_owned() and self._lock.acquire(blocking=False):
            try:
                if self._tasks:  # still: a signal handler may have come between
                    self._tasks.popleft()()
            finally:
                self._lock.release()
