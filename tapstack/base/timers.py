"""The timer queue: exact deadlines, and cheap re-arming.

Most timers are re-armed later, again and again, and never fire (RFC 6298 §5.3 restarts the
retransmission timer on every ACK). Arming later leaves the heap alone: the old entry comes up,
is found stale and goes back with the right deadline. And most are cancelled before they are due:
what was armed waits in front of the heap, in the order of arming, until the heap is asked. Of
thousands of connections, each with its timers, little ever gets on it.

Not done here: waiting. A driver looks at `soonest`, and calls `expire`.
"""

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any, ClassVar, NamedTuple

from tapstack.base.units import Instant

Expiry = Callable[[Any, Instant], None]
"""Called with the timer's owner and the present time."""


class Alarm(NamedTuple):
    """What timers of different owners have in common: where they stand, and what they call."""

    queue: "TimerQueue"
    on_expiry: Expiry


class Timer:
    """One deadline of one owner: at most one is set at a time."""

    __slots__ = ("alarm", "deadline", "entry", "owner")

    def __init__(self, alarm: Alarm, owner: Any) -> None:
        self.alarm = alarm
        self.entry: Instant | None = None
        """The earliest entry that stands for it: to arm it for no sooner is to set `deadline`."""
        self.owner = owner
        self.deadline: Instant | None = None
        """When it is due; None while it is not armed. To set it to None is to `cancel`."""

    def arm(self, deadline: Instant) -> None:
        """Set the deadline, in place of any that was set."""
        entry = self.entry
        self.deadline = deadline
        if entry is None or deadline < entry:
            self.entry = deadline
            # Here rather than in a call: a connection that idled for long does it for each text.
            queue = self.alarm.queue
            soonest = queue.soonest
            if soonest is None or deadline < soonest:
                queue.soonest = deadline
            fresh = queue.fresh
            fresh.append((deadline, self))
            if len(fresh) >= FEW:
                queue.take_in()

    def cancel(self) -> None:
        """Unset the deadline."""
        self.deadline = None

    def retire(self) -> None:
        """Unset the deadline for good: its owner, which may hold the timer, is let go of."""
        self.deadline = self.owner = None

    @property
    def kind(self) -> str:
        """The timer's name, as its function has it: `on_retransmission_timeout`."""
        return self.alarm.on_expiry.__name__


class NeverArmed:
    """What stands for a timer until `TimerQueue.arm` makes it: most owners never need theirs."""

    __slots__ = ()

    deadline: ClassVar[None] = None

    def cancel(self) -> None:
        """Do nothing: no deadline is set."""

    def retire(self) -> None:
        """Do nothing: no owner is held."""


NEVER_ARMED = NeverArmed()

FEW = 64
"""Entries that are never worth clearing up."""


class TimerQueue:
    """All deadlines of one stack, as a heap; equal deadlines expire in the order of arming."""

    def __init__(self) -> None:
        self._heap: list[tuple[Instant, int, Timer]] = []
        self._pushes = 0
        self.fresh: list[tuple[Instant, Timer]] = []
        """Entries that are not on the heap yet. For `Timer` alone."""
        self.soonest: Instant | None = None
        """A time before which nothing is due, or None: cheap, and seldom not a deadline.

        A driver that sleeps until then and expires what is due never misses one.
        """
        self._alarms: dict[Expiry, Alarm] = {}
        self._many = FEW
        # Entries that the heap is cleared up for having more than.

    def timer(self, owner: Any, on_expiry: Expiry) -> Timer:
        """Make an unarmed timer that will call `on_expiry(owner, now)`."""
        return Timer(Alarm(self, on_expiry), owner)

    def alarm(self, on_expiry: Expiry) -> Alarm:
        """Give the alarm that calls a function: for thousands of timers, which have it in common.

        It is kept for good, so the function is a module's, and no method of what comes and goes.
        """
        known = self._alarms.get(on_expiry)
        if known is None:
            known = self._alarms[on_expiry] = Alarm(self, on_expiry)
        return known

    def arm(
        self, timer: Timer | NeverArmed, deadline: Instant, owner: Any, on_expiry: Expiry
    ) -> Timer:
        """Set a timer's deadline, and give the timer, which is made for its first one."""
        armed = self.timer(owner, on_expiry) if isinstance(timer, NeverArmed) else timer
        armed.arm(deadline)
        return armed

    @property
    def entries(self) -> int:
        """How many entries there are, stale ones too."""
        return len(self._heap) + len(self.fresh)

    def take_in(self) -> None:
        """Put on the heap what was armed lately and still is. For `Timer` alone."""
        for entry, timer in self.fresh:
            if timer.deadline is None:
                timer.entry = None
            elif timer.entry == entry:  # or it was armed for sooner since
                self._pushes += 1
                heappush(self._heap, (entry, self._pushes, timer))
        self.fresh.clear()
        if len(self._heap) > self._many:
            self._clear_up()

    def _clear_up(self) -> None:
        """Drop the entries of cancelled timers, which would stay until they came up.

        Keep-alive timers of connections that ended long before would fill the memory.
        """
        entries = []
        for entry in self._heap:
            timer = entry[2]
            if timer.deadline is None:
                timer.entry = None
            elif timer.entry == entry[0]:
                entries.append(entry)
        self._heap = entries
        heapify(self._heap)
        self._many = max(FEW, 2 * len(entries))

    def next_deadline(self) -> Instant | None:
        """Tell the exact next deadline, or None. Stale entries that have come up are settled."""
        self.take_in()
        while self._heap:
            deadline, _, timer = self._heap[0]
            if timer.deadline == deadline and timer.entry == deadline:
                self.soonest = deadline
                return deadline
            heappop(self._heap)
            self._settle(timer, deadline)
            self.take_in()
        self.soonest = None
        return None

    def _settle(self, timer: Timer, entry: Instant) -> None:
        """Drop a stale entry; where it stood for a later deadline, put that on the heap."""
        if timer.entry != entry:
            return
        timer.entry = None
        if timer.deadline is not None:
            timer.arm(timer.deadline)

    def expire(self, now: Instant) -> int:
        """Run every timer that is due, soonest first, and tell how many there were.

        An expiry arms its timer for later than `now`, or this would not end.
        """
        fired = 0
        while self.expire_next(now):
            fired += 1
        return fired

    def expire_next(self, now: Instant) -> bool:
        """Run the soonest timer if it is due, and tell whether it was."""
        deadline = self.next_deadline()
        if deadline is None or deadline > now:
            return False
        timer = heappop(self._heap)[2]
        timer.entry = None
        timer.cancel()
        timer.alarm.on_expiry(timer.owner, now)
        return True

    def armed(self) -> Iterator[Timer]:
        """Go through the armed timers, soonest first: for the shell, and to find leaks."""
        self.take_in()
        live = {id(timer): timer for _, _, timer in self._heap if timer.deadline is not None}
        return iter(sorted(live.values(), key=lambda timer: timer.deadline or 0))
