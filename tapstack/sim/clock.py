"""The time of a world: it jumps from deadline to deadline, and somebody waits for each.

Not done here: who runs meanwhile (`baton.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tapstack.base.timers import TimerQueue
from tapstack.base.units import Duration, Instant
from tapstack.sim.baton import Baton, Party, Reason


class Clock:
    """The time of a world, everybody's deadlines, and the baton of who waits for them."""

    def __init__(self) -> None:
        self.now: Instant = 0
        """µs since the world began."""
        self.steps = 0
        """How many deadlines have been met."""
        self.timers = TimerQueue()
        self.baton = Baton(self.step)
        self._soon: deque[Callable[[], object]] = deque()

    def step(self) -> bool:
        """Go on to the next deadline and meet it; False when there is none."""
        while self._soon:
            self._soon.popleft()()
        deadline = self.timers.next_deadline()
        if deadline is None:
            return False
        self.now = max(self.now, deadline)
        self.steps += 1
        self.timers.expire_next(self.now)
        return True

    def reach(self, instant: Instant) -> bool:
        """Go on to an instant, if nothing is to happen before it or at it; tell whether."""
        deadline = self.timers.next_deadline()
        if deadline is not None and deadline <= instant:
            return False
        self.now = max(self.now, instant)
        return True

    def call_soon(self, task: Callable[[], object]) -> None:
        """Have something done before the next deadline is met."""
        self._soon.append(task)

    def wait(self, duration: Duration | None, reason: Reason) -> None:
        """Have the holder of the baton wait until he is woken, or the time is up."""
        if duration is None:
            self.baton.wait(reason)
            return
        timer = self.timers.timer(self.baton.holder, self._on_time_up)
        timer.arm(self.now + duration)
        try:
            self.baton.wait(reason)
        finally:
            timer.cancel()

    def _on_time_up(self, party: Party, now: Instant) -> None:  # noqa: ARG002
        self.baton.wake(party)
