"""The one lock of a stack, which a finalizer need not wait for.

The garbage collector may run anywhere, even in a thread that holds this lock, and finalize a socket
there: to wait would be to wait for oneself. What a finalizer wants done is done by whoever holds
the lock, as soon as he has given it back.

Not done here: what is done under it (`runtime.py`).
"""

from __future__ import annotations

from _thread import allocate_lock
from collections import deque
from collections.abc import Callable


class StackLock:
    """A lock for `with`, and tasks that are done under it by whoever can."""

    __slots__ = ("_lock", "_tasks")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._tasks: deque[Callable[[], None]] = deque()

    def __enter__(self) -> None:
        """Wait for the lock, and take it."""
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        """Give the lock back, and do what was left to be done meanwhile."""
        self._lock.release()
        if self._tasks:
            self._work()

    def do_soon(self, task: Callable[[], None]) -> None:
        """Have a task done under the lock: now if it is free, else by its holder. Never waits."""
        self._tasks.append(task)
        self._work()

    def _work(self) -> None:
        # Who does not get the lock may go: its holder looks for tasks after having released it.
        while self._tasks and self._lock.acquire(blocking=False):
            try:
                self._tasks.popleft()()
            finally:
                self._lock.release()
