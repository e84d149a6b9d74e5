"""Numbers that many connections have in common, such as windows: one object for all of them.

In Python a number beyond 256 is an object of its own wherever it was worked out. Of thousands of
connections each would find its own out of the processor's caches.
"""

from functools import lru_cache

from tapstack.base.units import SECOND, Duration, Instant

_ABOUT: Duration = SECOND // 4


@lru_cache(maxsize=1024)
def shared(number: int) -> int:
    """Give the object that stands for a number everywhere."""
    return number


def about(now: Instant) -> Instant:
    """Give a time that many have in common, less than a quarter of a second ago."""
    return shared(now - now % _ABOUT)
