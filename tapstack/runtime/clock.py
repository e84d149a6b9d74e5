"""The real clock, in the core's unit.

Not done here: waiting.
"""

import time

from tapstack.base.units import Duration, Instant


def monotonic() -> Instant:
    """Give the time of a clock that never goes back, µs since some origin."""
    return time.monotonic_ns() // 1000


def epoch_offset() -> Duration:
    """Tell what to add to `monotonic` to get µs since 1970."""
    return time.time_ns() // 1000 - monotonic()
