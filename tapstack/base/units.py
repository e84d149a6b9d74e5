"""Time as whole microseconds, so that equality is exact in virtual time.

Not done here: reading a clock. `now` is always an argument.
"""

from typing import TypeAlias

Instant: TypeAlias = int
"""A point in time: µs since an origin that the driver chose."""

Duration: TypeAlias = int
"""A length of time in µs."""

MICROSECOND: Duration = 1
MILLISECOND: Duration = 1_000
SECOND: Duration = 1_000_000
MINUTE: Duration = 60 * SECOND


def format_seconds(time: Instant | Duration) -> str:
    """Render as seconds, to the microsecond: `0.100000`."""
    sign = "-" if time < 0 else ""
    return f"{sign}{abs(time) // SECOND}.{abs(time) % SECOND:06}"
