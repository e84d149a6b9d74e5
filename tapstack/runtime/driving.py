"""Driving a stack: sleeping on its devices, reading them, meeting its deadlines.

One thread at a time does this, whichever leads (`leading.py`). It sleeps without the lock of the
stack, so that calls can enter, and does everything else under it.

Not done here: who drives, and how its descriptors are given back in the end (`runtime.py`).
"""

from __future__ import annotations

import errno
import logging
import os
import select
from collections.abc import Callable
from contextlib import suppress
from time import monotonic_ns

from tapstack.base.units import MILLISECOND, SECOND, Duration, Instant
from tapstack.device.descriptor import DescriptorDevice
from tapstack.runtime.answers import Answers
from tapstack.runtime.clock import monotonic
from tapstack.runtime.gone import give_up_interface
from tapstack.runtime.interruptions import was_raised_by_signal_handler
from tapstack.runtime.lock import StackLock
from tapstack.runtime.waiters import Waiter
from tapstack.socket.watching import Watchers
from tapstack.stack import Stack

_FRAMES_A_RUN = 16
"""Frames read before the stack gets them: what is one run, it takes in one go, and answers once."""
_RUNS_A_TURN = 4
"""Runs of frames read before the lock is offered to the application's threads."""
_UNIT = 4096
"""Octets: a frame beyond that is a unit of many segments, of which more are likely to follow."""
_NO_SLEEP: Duration = 4
"""µs: who has asked for no longer had not to wait for the frame that it found."""
_TICK: Duration = 2 * MILLISECOND
"""How long who is in the stack may take to see to what has come."""
_FRAMES = select.EPOLLIN | select.EPOLLET
_HUNG_UP = select.EPOLLHUP
"""What a descriptor says, again and again, that will never be readable."""
_DESCRIPTORS_AT_ONCE = 8
_LONGEST_SLEEP = 10**6
"""Seconds: epoll_wait(2) can be told of 2³¹ ms, which are 25 days."""
_log = logging.getLogger("tapstack")


def _log_defect() -> None:
    _log.exception("tapstack met a defect of its own; please report it")


class Driver:
    """What it takes to drive one stack."""

    def __init__(self, stack: Stack, lock: StackLock, watchers: Watchers) -> None:
        self._stack = stack
        self._tcp_context = stack.tcp.context
        self._timers = stack.timers
        self._counters = stack.counters
        self._lock = lock
        self._watchers = watchers
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._sleeping_until: Instant | None = None
        self._is_asleep = False
        self.is_stood_by = False
        """Whether it is who stands by that sleeps, or is about to have the lock again."""
        self.has_watch_off = False
        """Whether who stands by hears of no frames, as somebody in the stack looks himself."""
        self._interfaces = {
            interface.device.fileno(): interface
            for interface in stack.interfaces.values()
            if interface.device.fileno() >= 0
        }
        self._late_devices = [
            (fd, each.device)
            for fd, each in self._interfaces.items()
            if not isinstance(each.device, DescriptorDevice)  # whose descriptor says all
        ]
        self._written = 0
        # Octets of the frames that had left when that was last asked for.
        self.answers = Answers(stack.counters)
        """Whether who is about to wait looks for those first."""
        self.finds_at_once = False
        """Whether who drove last had not to wait, as frames come as fast as they are taken."""
        self.now = monotonic()
        """When the present turn began, or the last one did."""
        self.descriptors = {self._wakeup, *self._interfaces}
        """What who drives sleeps on, until it can be read."""
        self._poller = select.epoll()
        self._poll = self._poller.poll
        self._arrivals = select.epoll()
        # What has come while nobody led but who stands by: told once, whoever reads it.
        self._hung_up: set[int] = set()
        # Descriptors of which that was told: they may have frames yet, for more than one turn.
        self._arrivals.register(self._wakeup, select.EPOLLIN)
        self._poller.register(self._wakeup, select.EPOLLIN)
        for fd in self._interfaces:
            self._arrivals.register(fd, _FRAMES)
            self._poller.register(fd, select.EPOLLIN)

    # --- ends of turns, whoever's they are ---

    def guard(self, door: Callable[..., object], *arguments: object) -> None:
        """Go through a door of the core; a fault of ours there ends nobody's thread.

        What comes from the wire is counted and dropped within the core. An exception that gets here
        is a defect of ours, and the thread that meets it is an innocent one: it is logged with all
        that is known, and the stack goes on for every other connection. Raises: what signal
        handlers raise, which is as if the frame had been lost.
        """
        try:
            door(*arguments)
        except Exception as error:
            if was_raised_by_signal_handler(error):
                raise
            _log_defect()

    def leave(self) -> None:
        """End a turn: send what may be sent, wake who waits, and who drives if it is time to."""
        stack = self._stack
        try:
            if self._tcp_context.is_due or stack.looping:  # else there is nothing to flush
                stack.flush(self.now)
        except Exception as error:  # as in `guard`, which every call would enter once more
            if was_raised_by_signal_handler(error):
                raise
            _log_defect()
        finally:  # whatever a signal handler raises
            if stack.events:
                self._watchers.tell(stack)
            if self.has_watch_off:
                self.put_watch_on()
            if self._is_asleep:
                self._wake_for_deadline()

    def _wake_for_deadline(self) -> None:
        """End the sleep of who drives, if there is a deadline before its end."""
        soonest = self._soonest() if self._late_devices else self._timers.soonest
        until = self._sleeping_until
        if soonest is not None and (until is None or soonest < until):
            self.kick()

    # --- calls while one stands by ---

    def take_watch_off(self) -> None:
        """Have who stands by not hear of frames during a call, who would only be in the way.

        To a TAP, most come as the answers to what the call sends, within its very writes.
        """
        self.has_watch_off = True
        for fd in self._interfaces:
            self._arrivals.modify(fd, 0)

    def put_watch_on(self) -> None:
        """End that, behind the call, when its caller has seen to what had come by then."""
        try:
            if self.is_stood_by and self._poll(0, _DESCRIPTORS_AT_ONCE):
                self._look_around()
        finally:
            for fd in self._interfaces:  # of what has come since, this tells at once
                self._arrivals.modify(fd, _FRAMES)
            self.has_watch_off = False

    def kick(self) -> None:
        """End the sleep of who drives."""
        self._is_asleep = False
        os.eventfd_write(self._wakeup, 1)

    def _hear_kick(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._wakeup)

    # --- the answers to what was sent ---

    def has_written(self, octets: int = _UNIT) -> bool:
        """Tell whether more than that has left since this was last asked: it may be answered."""
        before, self._written = self._written, self._counters["IfOutOctets"]
        return self._written - before > octets

    def take_answers(self) -> None:
        """Do what a turn does, without sleep; again, if that has let leave what waited.

        What ends a long text may be small, and wait for what it follows (Nagle's algorithm). So no
        small segment is left unanswered, for the next text's end to wait for.
        """
        for _ in range(2):
            self.now = monotonic()
            for fd in tuple(self._interfaces):
                self._read(fd, hurries=True, hung_up=False)
            if not self.has_written(0):
                break
        self._meet_deadlines()

    # --- the turn of who stands by ---

    def stand_by(self, waiter: Waiter) -> None:
        """Sleep until there is something to do that nobody else does, and do it.

        Under the lock, which others may have meanwhile.
        """
        if self.has_watch_off:
            self.put_watch_on()  # whose call that was waits now
        self._sleeping_until = self._soonest()
        self._is_asleep = self.is_stood_by = True
        waiter.rouse = self.kick
        try:
            self._lock.leave(self._watch)
        finally:
            self._is_asleep = self.is_stood_by = False
            waiter.rouse = None
        self._look_around()

    def _watch(self) -> None:
        """Sleep without the lock, and come back with or without.

        What comes while somebody is in the stack is his, for he is awake: to wait for the lock
        would be to have him wait at his next call, and two threads wake each other in vain. Should
        he not get to it, as a signal handler may raise, this one looks a little later.
        """
        patience = _LONGEST_SLEEP * SECOND
        while True:
            sleep, until = patience, self._sleeping_until
            if until is not None:
                sleep = min(sleep, max(0, until - monotonic()))
            ready = self._arrivals.poll(sleep / SECOND, _DESCRIPTORS_AT_ONCE)
            is_ours = not ready
            for fd, events in ready:
                if fd == self._wakeup:
                    self._hear_kick()
                    is_ours = True
                elif events & _HUNG_UP:
                    self._hung_up.add(fd)
                    is_ours = True
            if is_ours or not self._lock.pass_on(self._see_to_arrivals):
                return
            patience = _TICK

    def _see_to_arrivals(self) -> None:
        """Do the turn of who stands by, if he does still, in a thread that was in the stack."""
        if self.is_stood_by:
            self._look_around()
            self._wake_for_deadline()

    def _look_around(self) -> None:
        """Do what there is to be done, by frames and by the clock.

        If there are more frames than a turn's, of which nobody will tell again, who stands by goes
        on as soon as others were in the stack.
        """
        self.now = monotonic()
        for fd in tuple(self._interfaces):
            if self._read(fd, hurries=True, hung_up=fd in self._hung_up) == _RUNS_A_TURN:
                self.kick()
        self._meet_deadlines()

    # --- the turn of who drives ---

    def take_turn(self, waiter: Waiter, until: Instant | None) -> None:
        """Sleep until there is something to do, but not beyond `until`, and do it.

        Under the lock, which others may have meanwhile. Raises: what signal handlers raise.
        """
        if not self.finds_at_once or self._lock.is_wanted or not self._find():
            soonest = self._soonest() if self._late_devices else self._timers.soonest
            if until is None or (soonest is not None and soonest < until):
                until = soonest
            self._sleeping_until = until
            self._is_asleep = True
            waiter.rouse = self.kick
            before, seconds = monotonic_ns() // 1000, None
            if until is not None:
                seconds = min(max(0, until - before) / SECOND, _LONGEST_SLEEP)
            try:
                ready = self._lock.leave(waiter.poll or self._poll, seconds, _DESCRIPTORS_AT_ONCE)
            finally:
                self._is_asleep = False
                waiter.rouse = None
            self.now = now = monotonic_ns() // 1000
            # Who found a frame without having to wait for it finds more.
            self.finds_at_once = at_once = now - before <= _NO_SLEEP and bool(ready)
            for fd, events in ready:
                if fd in self._interfaces:
                    self._read(fd, hurries=at_once, hung_up=events & _HUNG_UP != 0)
                elif fd == self._wakeup:
                    self._hear_kick()
            self.answers.seen_to = self._counters["IfOutOctets"]
        self._meet_deadlines()

    def take_arrivals(self) -> bool:
        """Do a turn at once, amid a call, if nobody else wants to; False: nothing has come."""
        if self._lock.is_wanted:
            return False
        if self._tcp_context.is_due or self._stack.looping:
            self.guard(self._stack.flush, self.now)  # what the call has done so far
        comes_fast = self.finds_at_once
        found = self._find()
        if not comes_fast:
            self.finds_at_once = False  # an answer says nothing of frames behind it
            self.answers.note_looked(found=found)
        self.answers.seen_to = self._counters["IfOutOctets"]
        if found:
            self._meet_deadlines()
        return found

    def _find(self) -> bool:
        """Take frames that have come already, without asking first; False: there is none."""
        self.now = monotonic_ns() // 1000
        found = False
        for fd in tuple(self._interfaces):
            if self._read(fd, hurries=True, hung_up=False):
                found = True
        self.finds_at_once = found
        return found

    def _meet_deadlines(self) -> None:
        """Meet those of devices and timers; wake who waits for what has happened in this turn."""
        for fd, device in self._late_devices:
            due = device.next_deadline()
            if due is not None and due <= self.now:
                self._read(fd, hurries=True, hung_up=False)
        soonest, stack = self._timers.soonest, self._stack
        if soonest is not None and soonest <= self.now:
            self.guard(stack.expire, self.now)
        if stack.events:
            self._watchers.tell(stack)

    def _soonest(self) -> Instant | None:
        """Give a time until which nothing is due: not later than the soonest deadline."""
        soonest = self._timers.soonest
        for _, device in self._late_devices:
            due = device.next_deadline()
            if due is not None and (soonest is None or due < soonest):
                soonest = due
        return soonest

    def _read(self, fd: int, *, hurries: bool, hung_up: bool) -> int:
        """Take frames, several at once, until no more are to be expected: who hurries takes all.

        Tells how many runs these were: there may be more if they are a turn's.
        """
        interface, stack, counters = self._interfaces[fd], self._stack, self._counters
        device, taken, now = interface.device, 0, self.now
        try:
            while taken < _RUNS_A_TURN:
                frames = device.read_run(now, _FRAMES_A_RUN if hurries else 1)
                if not frames:
                    if hung_up:
                        raise OSError(errno.ENODEV, "its descriptor hung up")
                    break
                taken += 1
                # Else to ask whether there is another costs less than to try in vain.
                if not hurries and len(frames[0][0][0]) > _UNIT:
                    frames += device.read_run(now, _FRAMES_A_RUN - 1)
                goes_on = len(frames) == _FRAMES_A_RUN
                before = counters["IfOutOctets"]
                try:
                    if len(frames) == 1:
                        stack.receive(interface, frames[0], now)
                    else:
                        stack.receive_all(interface, frames, now)
                except Exception as error:  # as in `guard`
                    if was_raised_by_signal_handler(error):
                        raise
                    _log_defect()
                if not (goes_on or hung_up) and (stack.events or counters["IfOutOctets"] == before):
                    break  # else what has left may be answered: a SYN-ACK always is
                self.now = now = monotonic_ns() // 1000
        except OSError as gone:
            if was_raised_by_signal_handler(gone):  # which may well be a TimeoutError
                raise
            self._give_up(fd, gone)
            return 0
        return taken

    def _give_up(self, fd: int, gone: OSError) -> None:
        """See that a device is gone."""
        interface = self._interfaces.pop(fd)
        self.descriptors.remove(fd)
        self._late_devices = [each for each in self._late_devices if each[0] != fd]
        self._poller.unregister(fd)
        self._arrivals.unregister(fd)
        _log.warning("%s is gone: %s", interface.name, gone.strerror)
        interface.device.close()
        self.guard(give_up_interface, self._stack, interface)

    def close(self) -> None:
        """Give the descriptors back; nobody may drive any more."""
        for interface in self._stack.interfaces.values():
            interface.device.close()
        self.has_watch_off = False  # of a call that has waited all the while
        self.descriptors.clear()
        self._poller.close()
        self._arrivals.close()
        os.close(self._wakeup)
