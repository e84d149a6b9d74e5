"""The script's process: threads in which its system calls block, while the script goes on.

Not done here: what the calls do (`calls.py`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

from tapstack.base.units import Instant
from tapstack.drill.contract import Calls
from tapstack.drill.kernel.calls import KernelCalls
from tapstack.drill.kernel.promptness import be_prompt

T = TypeVar("T")

_MOST_THREADS = 4
"""One for the call that blocks, and one to look at its socket meanwhile, will do."""


class Begun(Generic[T]):
    """A system call in a thread; implements `contract.Pending`."""

    def __init__(self) -> None:
        self.instant: Instant | None = None
        """When it returned: written by the thread, when nothing else is left to do."""
        self.future: Future[T]

    def ended(self) -> Instant | None:
        """Tell when it returned; None while it blocks."""
        return self.instant

    def result(self) -> T:
        """Give what it returned. Raises: what it raised."""
        return self.future.result()


class KernelProcess:
    """Threads, which no signal reaches, and the descriptors that their calls use."""

    def __init__(self, calls: KernelCalls, now: Callable[[], Instant]) -> None:
        self._calls = calls
        self._now = now
        self._threads = ThreadPoolExecutor(
            _MOST_THREADS,
            thread_name_prefix="the script's system calls",
            initializer=_begin_thread,
        )
        self._threads.submit(int).result()  # the first call shall not pay for the thread's start
        self._woken = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """Give a descriptor that is readable when a call has ended."""
        return self._woken

    def begin(self, call: Callable[[Calls], T]) -> Begun[T]:
        """Begin a call, beside one that blocks."""
        begun: Begun[T] = Begun()
        begun.future = self._threads.submit(self._run, begun, call)
        return begun

    def _run(self, begun: Begun[T], call: Callable[[Calls], T]) -> T:
        try:
            return call(self._calls)
        finally:
            begun.instant = self._now()
            os.eventfd_write(self._woken, 1)

    def notice(self) -> None:
        """Take note that calls have ended."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._woken)

    def close(self) -> None:
        """End the call that blocks, and close what is open."""
        self._calls.interrupt()
        self._threads.shutdown()
        self._calls.end()
        os.close(self._woken)


def _begin_thread() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    be_prompt()
