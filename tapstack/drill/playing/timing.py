"""When events are to happen, and whether they did: a script's times as instants of its run.

Not done here: letting time pass (the hosts).
"""

from __future__ import annotations

from typing import NamedTuple

from tapstack.base.units import Duration, Instant, format_seconds
from tapstack.drill.language.syntax import Base, Time
from tapstack.drill.settings import LINUX_TOLERANCE, Settings


class Due(NamedTuple):
    """When an event is to happen, µs since the script began; both None: at any time."""

    earliest: Instant | None
    latest: Instant | None
    tolerance: Duration
    """What it may be too early or too late."""
    end: Instant | None = None
    """When a system call that blocks is to return."""

    def is_met(self, instant: Instant) -> bool:
        """Tell whether the event happens as it should when it happens at an instant."""
        if self.earliest is None or self.latest is None:
            return True
        return self.earliest - self.tolerance <= instant <= self.latest + self.tolerance

    def is_end_met(self, instant: Instant) -> bool:
        """Tell whether a call that blocks returns as it should at an instant."""
        return self.end is None or abs(instant - self.end) <= self.tolerance

    def __str__(self) -> str:
        """Render as `0.100000`, or `0.100000 to 0.200000`, with what it may be off."""
        if self.earliest is None or self.latest is None:
            return "any time"
        words = format_seconds(self.earliest)
        if self.latest != self.earliest:
            words += f" to {format_seconds(self.latest)}"
        return words + self.leeway()

    def leeway(self) -> str:
        """Render what it may be off, ` ± 0.004000`; nothing where that is nothing."""
        return f" ± {format_seconds(self.tolerance)}" if self.tolerance else ""


class Timetable:
    """Counts the time of events from those before them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._scheduled: Instant = 0
        self._finished: Instant = 0
        self._was_inbound = False

    def due(self, time: Time, is_inbound: bool) -> Due:
        """Tell when the next event is to happen.

        Relative times count from when the previous event was over, except that a packet that is
        injected behind another counts from when that was to be: a train of packets keeps time.
        """
        if time.base is Base.ANY:
            return Due(None, None, 0)
        base = 0
        if time.base is Base.PREVIOUS:
            base = self._scheduled if is_inbound and self._was_inbound else self._finished
        earliest = base + time.earliest
        latest = earliest if time.latest is None else base + time.latest
        end = None if time.end is None else base + time.end
        return Due(earliest, latest, self._tolerance(end or earliest), end)

    def _tolerance(self, instant: Instant) -> Duration:
        gap = max(0, instant - self._finished)
        share = round(gap * self._settings.tolerance_percent / 100)
        return max(self._settings.tolerance_usecs, share)

    def with_linux_tolerance(self, due: Due) -> Due:
        """Give the same with the tolerance that packetdrill has by itself."""
        usecs, percent = LINUX_TOLERANCE
        instant = due.end or due.earliest or 0
        share = round(max(0, instant - self._finished) * percent / 100)
        return due._replace(tolerance=max(usecs, share, due.tolerance))

    def finish(self, due: Due, now: Instant, is_inbound: bool) -> None:
        """Hear that an event is over, and count what comes from here."""
        self._scheduled = now if due.earliest is None else due.earliest
        self._finished = now
        self._was_inbound = is_inbound
