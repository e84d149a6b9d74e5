"""The real clock, in the core's unit.

Not done here: waiting.
"""

from time import monotonic_ns, time_ns

from tapstack.base.units import Duration, Instant


def monotonic() -> Instant:
    """Give the time of a clock that never goes back, µs since some origin."""
    return monotonic_ns() // 1000


def epoch_offset() -> Duration:
    """Tell what to add to `monotonic` to get µs since 1970."""
    return time_ns() // 1000 - monotonic()
