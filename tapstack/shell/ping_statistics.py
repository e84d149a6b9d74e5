"""What ping has to tell at the end: counts and round-trip times, in the words of iputils.

Not done here: sending and receiving (`ping.py`).
"""

from dataclasses import dataclass
from math import isqrt

from tapstack.base.units import MILLISECOND, Duration, Instant

_EWMA_WEIGHT = 8
"""The moving average takes in an eighth of each sample, as TCP's does (RFC 6298 §2)."""


@dataclass(slots=True)
class Statistics:
    """The counts of one run."""

    sent: int = 0
    received: int = 0
    duplicates: int = 0
    corrupted: int = 0
    errors: int = 0
    first_sent_at: Instant = 0
    last_sent_at: Instant = 0
    least: Duration = 0
    most: Duration = 0
    average_8: int = 0
    """Eight times the moving average, µs."""
    samples: int = 0
    total: Duration = 0
    total_of_squares: int = 0
    most_outstanding: int = 0
    """The most requests that were under way when an answer came."""

    def on_sent(self, now: Instant) -> None:
        """Count a request."""
        if not self.sent:
            self.first_sent_at = now
        self.last_sent_at = now
        self.sent += 1

    def on_answer(self, outstanding: int) -> None:
        """Note how many requests were under way when this one was answered."""
        self.most_outstanding = max(self.most_outstanding, outstanding)

    def on_round_trip(self, time: Duration) -> None:
        """Take a sample."""
        self.least = min(self.least, time) if self.samples else time
        self.most = max(self.most, time)
        self.samples += 1
        self.total += time
        self.total_of_squares += time * time
        if self.average_8:
            self.average_8 += time - self.average_8 // _EWMA_WEIGHT
        else:
            self.average_8 = time * _EWMA_WEIGHT

    def render(self, destination: str, *, flood: bool) -> str:
        """Give the closing lines: what `ping` prints when it ends."""
        return "\n".join(
            (
                f"--- {destination} ping statistics ---",
                self._counts(),
                ", ".join(self._times(flood)),
            )
        )

    def _counts(self) -> str:
        parts = [f"{self.sent} packets transmitted", f"{self.received} received"]
        for count, word in (
            (self.duplicates, "duplicates"),
            (self.corrupted, "corrupted"),
            (self.errors, "errors"),
        ):
            if count:
                parts.append(f"+{count} {word}")
        if self.sent:
            loss = (self.sent - self.received) * 100 / self.sent
            took = (self.last_sent_at - self.first_sent_at) // MILLISECOND
            parts += [f"{loss:g}% packet loss", f"time {took}ms"]
        return ", ".join(parts)

    def _times(self, flood: bool) -> list[str]:
        parts = []
        if self.samples:
            average = self.total // self.samples
            deviation = isqrt(max(0, self.total_of_squares // self.samples - average * average))
            times = (self.least, average, self.most, deviation)
            parts.append(f"rtt min/avg/max/mdev = {'/'.join(map(in_milliseconds, times))} ms")
        if self.most_outstanding > 1:
            parts.append(f"pipe {self.most_outstanding}")
        if flood and self.received and self.sent > 1:
            gap = (self.last_sent_at - self.first_sent_at) // (self.sent - 1)
            average = self.average_8 // _EWMA_WEIGHT
            parts.append(f"ipg/ewma {in_milliseconds(gap)}/{in_milliseconds(average)} ms")
        return parts


def in_milliseconds(time: Duration) -> str:
    """Render µs as ms with three decimals."""
    return f"{time // MILLISECOND}.{time % MILLISECOND:03}"


def format_round_trip(time: Duration) -> str:
    """Render µs as ms in a reply's line: the longer the time, the fewer decimals."""
    for least, decimals in ((99_950, 0), (9_995, 1), (1_000, 2)):
        if time >= least:
            return f"{time / MILLISECOND:.{decimals}f}"
    return in_milliseconds(time)
