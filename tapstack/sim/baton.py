"""Plain blocking programs in virtual time: threads of which one runs at a time.

Who runs holds the baton. Who has to wait looks for somebody who can go on, and moves the world on
until there is one: often it is himself, and then no thread is changed at all. Whose turn it is
depends on what happens in the world alone, so that a run can be repeated.

Not done here: time (`clock.py`), and what can be waited for (`waiting.py`).
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from collections import deque
from collections.abc import Callable
from threading import Thread
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Reason = Callable[[], str]
"""Say what somebody waits for."""


class StandstillError(RuntimeError):
    """Nothing will ever happen again in the world, and yet somebody waits."""


class ProcessKilled(BaseException):
    """Raised within a process whose world ends before it."""


class Party:
    """Somebody who can hold the baton: the main program, or a process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.waits_for: Reason | None = None
        """What it waits for; None while it runs."""
        self.is_ready = False
        """Whether it stands in the line of those who can go on."""
        self.is_killed = False
        self.ident = get_ident()
        """The thread that it runs in."""
        self._lock = allocate_lock()
        self._lock.acquire()

    def resume(self) -> None:
        """Let its thread run."""
        self._lock.release()

    def pause(self) -> None:
        """Wait until another thread resumes it. For its own thread alone."""
        self._lock.acquire()


class Process(Party, Generic[T]):
    """A function that runs in the world, among others."""

    def __init__(
        self, name: str, baton: Baton, function: Callable[..., T], arguments: tuple[Any, ...]
    ) -> None:
        super().__init__(name)
        self.has_ended = False
        self._baton = baton
        self._function = function
        self._arguments = arguments
        self._value: T
        self._thread: Thread | None = None
        self._joiners: list[Party] = []

    def resume(self) -> None:
        """Let it run, for the first time or once more."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name=self.name, daemon=True)
            self._thread.start()
        else:
            super().resume()

    def _run(self) -> None:
        self.ident = get_ident()
        error: BaseException | None = None
        try:
            if not self.is_killed:
                self._value = self._function(*self._arguments)
        except ProcessKilled:
            pass
        except BaseException as raised:  # noqa: BLE001 - the main program is to get it
            error = raised
        self.has_ended = True
        for joiner in self._joiners:
            self._baton.wake(joiner)
        self._baton.leave(self, error)

    def join(self) -> None:
        """Wait until its thread is gone, too."""
        if self._thread is not None:
            self._thread.join()

    def result(self) -> T:
        """Wait until it ends, and give what its function returned.

        Raises: RuntimeError when it ended otherwise.
        """
        if not self.has_ended:
            self._joiners.append(self._baton.holder)
            self._baton.wait(lambda: f"the end of '{self.name}'")
        if not hasattr(self, "_value"):
            raise RuntimeError(f"'{self.name}' has no result: it failed, or its world ended")
        return self._value


class Baton:
    """Decides who runs: the main program, which made it, or one of the processes."""

    def __init__(self, step: Callable[[], bool]) -> None:
        """Move the world on with `step`, which tells whether there was anything to happen."""
        self.main = Party("the main program")
        self.holder: Party = self.main
        """Who runs."""
        self.processes: dict[Process[Any], None] = {}
        """Those that have not ended, in the order that they were made."""
        self._step = step
        self._ready: deque[Party] = deque()
        self._main_may_go: Callable[[], bool] | None = None
        self._failure: BaseException | None = None
        self._ended: list[Process[Any]] = []
        self._is_ending = False

    def spawn(
        self, name: str, function: Callable[..., T], arguments: tuple[Any, ...]
    ) -> Process[T]:
        """Make a process, which runs when its turn comes."""
        process = Process(name, self, function, arguments)
        self.processes[process] = None
        self.wake(process)
        return process

    # --- waiting ---

    def wake(self, party: Party) -> None:
        """Let somebody who waits go on, when his turn comes."""
        if not party.is_ready:
            party.is_ready = True
            self._ready.append(party)

    def wait(self, reason: Reason) -> None:
        """Have the holder wait until `wake` is called for him.

        Raises: RuntimeError in a thread that is none of the world's. In the main program, too:
        what a process raised, StandstillError, and what the world's own code raised.
        """
        party = self.holder
        if party.ident != get_ident():
            raise RuntimeError("only processes of a world and its maker can wait in it")
        if party.is_killed:
            raise ProcessKilled
        party.waits_for = reason
        try:
            self._pass_on(party)
        finally:
            party.waits_for = None

    def wait_until(self, may_go: Callable[[], bool], reason: Reason) -> None:
        """Have the main program wait until something holds. Raises: as `wait`."""
        if self.holder is not self.main:
            raise RuntimeError("a process cannot run the world that it lives in")
        self._main_may_go = may_go
        try:
            self.wait(reason)
        finally:
            self._main_may_go = None

    def _pass_on(self, party: Party) -> None:
        successor = self._find_successor()
        if successor is not party:
            self._hand_over(party, successor)
        if party.is_killed:
            raise ProcessKilled
        if party is self.main:
            self._join_ended()
            self._raise_failure()

    def _hand_over(self, party: Party, successor: Party) -> None:
        self.holder = successor
        try:
            successor.resume()
            party.pause()
        except BaseException as interrupt:  # noqa: BLE001 - a signal's, in the main program
            self._failure = interrupt  # who has the baton gives it back at his next wait
            party.pause()

    def _find_successor(self) -> Party:
        """Give who runs next; the main program where the world cannot go on."""
        try:
            while self._failure is None and not self._is_ending:
                if self._ready:
                    party = self._ready.popleft()
                    party.is_ready = False
                    return party
                if self._main_may_go is not None and self._main_may_go():
                    return self.main
                if not self._step():
                    raise StandstillError(self._describe_standstill())
        except BaseException as error:  # noqa: BLE001 - the main program is to get it
            self._failure = error
        return self.main

    def _describe_standstill(self) -> str:
        lines = ["nothing will ever happen again, and yet"]
        for party in (self.main, *self.processes):
            if party.waits_for is not None:
                lines.append(f"  {party.name} waits for {party.waits_for()}")
        return "\n".join(lines)

    # --- the end ---

    def leave(self, process: Process[Any], error: BaseException | None) -> None:
        """End a process: for its thread, which has nothing more to do."""
        del self.processes[process]
        self._ended.append(process)
        self._failure = self._failure or error
        self.holder = self._find_successor()
        self.holder.resume()

    def _join_ended(self) -> None:
        while self._ended:
            self._ended.pop().join()

    def _raise_failure(self) -> None:
        """Raise what went wrong, if anything did, having ended all processes."""
        if self._failure is not None:
            self.kill_processes()

    def kill_processes(self) -> None:
        """End every process where it waits. For the main program.

        Raises: what went wrong before, or in the course of it.
        """
        self._is_ending = True
        while self.processes:
            process = next(iter(self.processes))
            process.is_killed = True
            self.holder = process
            process.resume()
            self.main.pause()
        self._is_ending = False
        self._join_ended()
        self._ready.clear()
        self.main.is_ready = False
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
