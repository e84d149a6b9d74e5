"""Processors that stay awake: to wake one costs more than a round trip, and on some machines ten.

An idle processor sleeps. In a virtual machine it is given back to the host, and has to be had
again. What that takes changes by the second, and would be put down to whoever had to wait.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_DEVICE = "/dev/cpu_dma_latency"
"""While it is open, Linux lets no processor sleep deeper than was written to it
(Documentation/power/pm_qos_interface)."""
_NO_LATENCY = struct.pack("@i", 0)
"""µs that waking up may take."""


@contextmanager
def kept_awake() -> Iterator[bool]:
    """Let no processor sleep meanwhile; tell whether that is ours to ask: root of the machine's."""
    try:
        device = os.open(_DEVICE, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        os.write(device, _NO_LATENCY)
        yield True
    finally:
        os.close(device)
