"""Memory that the process has given back is kept for what comes next (mallopt(3)).

Text that is received and taken is allocated and freed at a rate of hundreds of megabytes a second.
By itself the C library gives such memory back to the system at once, and gets it anew page by page,
which costs more than all of the protocol does. So it is told to keep some megabytes.

Not done here: anything on a system whose C library has no mallopt.
"""

import ctypes
from contextlib import suppress

# <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

_KEPT = 64 << 20
"""Octets that may stay unused: some receive buffers of the largest size."""
_LARGE = 4 << 20
"""Octets from which on an object has pages of its own, which go back at once."""


def keep_freed_memory() -> None:
    """Have the process keep what it frees, as far as that is likely to be used again soon."""
    with suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
