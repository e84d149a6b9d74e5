"""Congestion control (RFC 5681): a window in segments, and one small class an algorithm.

A new algorithm is a class with a `name` and the methods of `CongestionControl`, and one line in
`ALGORITHMS`.

Not done here: finding losses, and how the window moves while they are repaired (`recovery.py`).
"""

from typing import ClassVar, Protocol

from tapstack.base.units import Instant
from tapstack.tcp.congestion.newreno import NewReno
from tapstack.tcp.congestion.window import CongestionWindow


class CongestionControl(Protocol):
    """What an algorithm decides."""

    name: ClassVar[str]
    """What TCP_CONGESTION calls it."""

    def __init__(self, window: CongestionWindow) -> None:
        """Take over a connection's window, to be grown by this algorithm alone."""

    def on_acked(self, packets: int, now: Instant) -> None:
        """Grow the window: so many segments were acknowledged while it was in full use."""

    def ssthresh_after_loss(self, now: Instant) -> int:
        """Answer a sign of congestion: give the new slow start threshold, in segments."""


ALGORITHMS: dict[str, type[CongestionControl]] = {NewReno.name: NewReno}
"""Every algorithm by its name."""
