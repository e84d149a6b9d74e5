"""Leader and followers: which of the threads that wait drives the devices.

To wake a thread costs several times what a frame costs. So a thread that waits for its own socket
reads the devices itself, if nobody does: it leads, until what it waits for has happened. Who comes
to wait meanwhile follows: he sleeps on a bell of his own, which the leader rings.

Who leaves the lead names no successor, for he will most likely be back before another one is awake.
A thread that stands by looks every few milliseconds whether the lead has been left for good, and
takes it then; it has nothing else to wait for. It looks less often while others come back, and
sleeps while a leader stays where he is. While it leads, it leaves what comes to who is in the stack
at that moment, for he is awake.

That thread makes room for the next who comes to wait, and so does a leader who wakes others again
and again, and finds nothing of his own: the other one names himself his heir, and ends his sleep.
The leader hands over.

Who has sent much by a call that may wait takes the answers himself, if nobody leads. To a TAP they
are there by then, and each would wake who stands by, only to have him wait for the lock. So that
thread makes room for him, too, and stands back while this goes on.

Not done here: driving (`driving.py`). All of this happens under the stack's lock but the sleeping.
"""

from __future__ import annotations

from threading import Thread, get_ident

from tapstack.base.units import MILLISECOND, SECOND, Duration, Instant
from tapstack.runtime.clock import monotonic
from tapstack.runtime.driving import Driver
from tapstack.runtime.lock import StackLock
from tapstack.runtime.waiters import Bell, Waiter
from tapstack.socket.watching import Watchers

TICK: Duration = 2 * MILLISECOND
"""How long threads that wait now and then may leave the lead."""
_LONGEST_TICK: Duration = 8 * MILLISECOND
"""The same while others come back to it, each time: to look costs them the interpreter."""
_PATIENCE = 3
"""Wakes of others after which a leader has to make room."""


class Leadership:
    """Who leads, who is to lead next, and who follows."""

    def __init__(self, driver: Driver, lock: StackLock, watchers: Watchers) -> None:
        self._driver = driver
        self._lock = lock
        self._watchers = watchers
        self._leader: Waiter | None = None
        self._heir: Waiter | None = None
        self._changes = 0
        """How often the lead was taken or left."""
        self._fruitless = 0
        """How many others the leader has woken since he last had something of his own."""
        self._reserve = Waiter(None, 0)
        """Of the thread that stands by. Its event is the end."""
        self._reserve_sleeps = False
        """Whether it does so until the lead is left."""
        self._reserve_is_to_leave = False
        """Whether somebody else reads the devices now and then."""
        self.tick = TICK
        """How long the lead may be left before the thread that stands by takes it."""
        self._kept = Waiter(None, 0)
        """Of whoever takes the lead for one wait."""
        self.thread = Thread(target=self._stand_by, name="tapstack-reader", daemon=True)
        """The thread that stands by."""

    # --- waiting ---

    def wait(self, waiter: Waiter, deadline: Instant | None) -> bool:
        """Give up the lock until a waiter has something to hear of; False when the time is up."""
        try:
            while not waiter.has_happened:
                if deadline is not None and deadline <= monotonic():
                    return False
                if self._leader is waiter or self._is_led_by(waiter):
                    self._driver.take_turn(waiter, deadline)
                    if self._heir is not None:
                        self._step_down(waiter)
                else:
                    self._follow(waiter, deadline)
        finally:
            self._step_down(waiter)
        waiter.has_happened = False
        return True

    def wait_for(self, endpoint: object, events: int, deadline: Instant | None) -> bool:
        """Wait for an event, or less; False when the time is up.

        Who finds nobody in the lead, as most do, is spared what it takes to wait among others.
        """
        if self._leader is not None:
            return self._wait_among_others(endpoint, events, deadline)
        driver, watchers, kept = self._driver, self._watchers, self._kept
        kept.endpoint, kept.events, kept.thread = endpoint, events, get_ident()
        kept.has_happened = False
        try:
            watchers.kept = self._leader = kept
            self._changes += 1
            self._fruitless = 0
            while not kept.has_happened and self._heir is None:
                if deadline is not None and deadline <= monotonic():
                    return False
                driver.take_turn(kept, deadline)
            return True
        finally:
            watchers.kept = None
            if self._heir is None and self._leader is kept and not self._reserve_sleeps:
                self._leader = None
                self._changes += 1
            else:
                self._step_down(kept)

    def _wait_among_others(self, endpoint: object, events: int, deadline: Instant | None) -> bool:
        waiter = Waiter(endpoint, events)
        self._watchers.add(waiter)
        try:
            return self.wait(waiter, deadline)
        finally:
            self._watchers.remove(waiter)

    def _is_led_by(self, waiter: Waiter) -> bool:
        """Have a waiter take the lead, if it is free or his already."""
        leader = self._leader
        if leader is waiter:
            return True
        if leader is None or leader.thread == waiter.thread:
            # His own thread leads if a signal handler has interrupted its sleep, and waits itself.
            waiter.outer = leader
            self._leader = waiter
            self._changes += 1
            self._fruitless = 0
            return True
        heir = self._heir
        if heir is not None and heir.thread == waiter.thread:
            self._heir = waiter
        elif heir is None and (leader is self._reserve or self._fruitless >= _PATIENCE):
            self._succeed(leader, waiter)
        return False

    def _succeed(self, leader: Waiter, heir: Waiter) -> None:
        """Have a leader hand over to his heir, who sleeps until then."""
        self._heir = heir
        leader.call()

    def _follow(self, waiter: Waiter, deadline: Instant | None) -> None:
        """Sleep until somebody calls."""
        seconds = None if deadline is None else (deadline - monotonic()) / SECOND
        waiter.follow(self._lock.leave, seconds)
        if waiter.has_happened:
            self._fruitless += 1

    def _step_down(self, waiter: Waiter) -> None:
        """Leave the lead to the heir, or to whoever waits next; lose one's claim to it."""
        heir, outer = self._heir, waiter.outer
        if heir is waiter:
            heir = self._heir = None
        if self._leader is not waiter:
            return
        self._leader = heir if outer is None else outer
        self._changes += 1
        self._fruitless = 0
        if outer is not None:
            self._driver.kick()  # it sleeps still, and was not told of what happened meanwhile
        elif heir is not None:
            self._heir = None
            heir.call()
        elif self._reserve_sleeps:
            self._reserve.call()

    # --- sending much ---

    def take_answers(self) -> None:
        """Do what there is for a leader to do, without sleep, unless one is here to do it."""
        leader = self._leader
        if leader is self._reserve:
            self._reserve_is_to_leave = True
            leader.call()
        elif leader is not None:
            return
        self._changes += 1
        self._driver.take_answers()

    def take_arrivals(self) -> bool:
        """Do what there is for a leader to do, without sleep, if there is none."""
        if self._leader is not None:
            return False
        self._changes += 1
        return self._driver.take_arrivals()

    # --- standing by ---

    def _stand_by(self) -> None:
        self._reserve.thread = get_ident()
        self._lock.run(self._hold_ready)

    def _hold_ready(self) -> None:
        """Drive while nobody else waits."""
        reserve, seen = self._reserve, -1
        while not reserve.has_happened:
            if self._leader is reserve:
                self._driver.stand_by(reserve)
                if self._heir is not None or self._reserve_is_to_leave:
                    self._step_down(reserve)
                    self._reserve_is_to_leave = False
            elif self._changes != seen:
                seen = self._stand_back()
            elif self._leader is None:
                self._is_led_by(reserve)
            else:
                self._reserve_sleeps = True
                self._follow(reserve, None)
                self._reserve_sleeps = False
        self._step_down(reserve)

    def _stand_back(self) -> int:
        """Sleep until the lead has stayed as it is for a tick, or somebody calls.

        Tells how often it had changed by then.
        """
        bell = Bell()
        self._reserve.rouse = bell.ring
        try:
            return self._lock.leave(self._watch_lead, bell)
        finally:
            self._reserve.rouse = None

    def _watch_lead(self, bell: Bell) -> int:
        # Without the lock, which whoever leads would have to wait for in turn: this only looks.
        tick = self.tick
        while True:
            seen = self._changes
            if bell.sleep(tick / SECOND) or self._changes == seen:
                return seen
            tick = max(tick, min(2 * tick, _LONGEST_TICK))

    def end(self) -> None:
        """Take the lead for good: nobody drives any more, and the thread that stands by ends."""
        self._reserve.wake(0)
        last = Waiter(None, 0)
        while not self._is_led_by(last):
            assert self._leader is not None
            self._succeed(self._leader, last)
            self._follow(last, None)
