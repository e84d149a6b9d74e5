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


def had_already() -> OSError:
    """Make the error of who enters where its thread is in already."""
    return OSError(
        errno.EDEADLK,
        "A signal handler or finalizer has interrupted a call of this thread in the stack",
    )


class StackLock:
    """A lock that things are done under: at once, or soon, by whoever can."""

    __slots__ = ("_gate", "acquire", "is_awaited", "is_owned", "release", "tasks")

    def __init__(self) -> None:
        lock: Any = RLock()
        self.acquire: Callable[[bool], bool] = lock.acquire
        """Take it, with False: if it is free. Whoever waits is to be let in first."""
        self.release: Callable[[], None] = lock.release
        """Give it back. Raises: RuntimeError where this thread does not have it."""
        self.is_owned: Callable[[], bool] = lock._is_owned
        """Tell whether this very thread has it; `threading.Condition` asks the same way."""
        self.is_awaited = False
        """Whether somebody waits for it."""
        self.tasks: deque[Callable[[], None]] = deque()
        """What is left to be done by who gives it back."""
        self._gate = RLock()
        # Had by the one thread that waits for the lock; others wait for this.

    def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Wait for the lock, and call a function under it; then do what was left to be done.

        `Runtime.enter`, by which most come, does the same in place. Raises: what the function
        raises; OSError with EDEADLK where this thread has it already.
        """
        if self.is_owned():
            raise had_already()
        try:
            if self.is_awaited or not self.acquire(False):
                self.wait()
            return work(*arguments)
        finally:
            try:  # noqa: SIM105 - to make a `suppress` would be a place to be interrupted at
                self.release()
            except RuntimeError:
                pass  # a signal handler has ended the wait for it
            if self.tasks:
                self.work()

    def leave(self, sleep: Callable[..., T], *arguments: Any) -> T:
        """Leave the lock to others while a function sleeps. To be called under it.

        What a signal handler raises meanwhile is raised when the lock is had again.
        """
        interruption: BaseException | None = None
        try:
            self.release()
            if self.tasks:
                self.work()
            return sleep(*arguments)
        finally:
            while True:
                try:
                    if self.is_owned():
                        break
                    if self.is_awaited or not self.acquire(False):
                        self.wait()
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
        if self.is_awaited or not self.acquire(False):
            if task not in self.tasks:
                self.tasks.append(task)
            if self.is_awaited or not self.acquire(False):
                return True
            with suppress(ValueError):  # who gave it back meanwhile may have done the task, too
                self.tasks.remove(task)
        return False

    @property
    def is_wanted(self) -> bool:
        """Tell whether somebody waits for it, or has left something to be done by its holder."""
        return self.is_awaited or bool(self.tasks)

    def wait(self) -> None:
        """Wait for it, as the next one to have it."""
        with self._gate:
            self.is_awaited = True
            try:
                self.acquire(True)
            finally:
                self.is_awaited = False

    def do_soon(self, task: Callable[[], None]) -> None:
        """Have a task done under the lock: now if it is free, else by its holder. Never waits."""
        self.tasks.append(task)
        self.work()

    def work(self) -> None:
        """Do what was left to be done, unless somebody else does."""
        # Who does not get the lock may go: its holder looks for tasks after having released it.
        while self.tasks and not self.is_owned() and self.acquire(False):
            try:
                if self.tasks:  # still: a signal handler may have come between
                    self.tasks.popleft()()
            finally:
                self.release()
