"""What a congestion control algorithm decides, and what it hears (RFC 5681 §3).

Not done here: finding losses, and how the window moves while they are repaired (`recovery.py`);
telling whether the window was in use at all (`window_validation.py`).
"""
# ruff: noqa: B027 - what an algorithm may hear, it may leave unheard

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tapstack.tcp.congestion.window import LEAST_SSTHRESH

if TYPE_CHECKING:
    from tapstack.base.counters import Counters
    from tapstack.base.units import Duration, Instant
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.congestion.window import CongestionWindow


class CongestionControl(ABC):
    """One connection's algorithm: two decisions to take, and four things that it may heed."""

    __slots__ = ("config", "counters", "window")

    name: ClassVar[str]
    """What TCP_CONGESTION calls it."""

    def __init__(self, window: CongestionWindow, config: TcpConfig, counters: Counters) -> None:
        """Take over a connection's window, at its beginning or at any time later."""
        self.window = window
        self.config = config
        self.counters = counters

    @abstractmethod
    def on_acked(self, packets: int, now: Instant) -> None:
        """Grow the window: so many segments arrived while it was in full use.

        It is not asked while a reduction is under way.
        """

    @abstractmethod
    def reduced_window(self, now: Instant) -> int:
        """Answer a sign of congestion: tell how many segments the window is to come down to."""

    def ssthresh_after_loss(self, now: Instant) -> int:
        """Give the slow start threshold that a sign of congestion leaves, in segments."""
        self.window.credit = 0
        return max(self.reduced_window(now), LEAST_SSTHRESH)

    def on_round_trip(self, rtt: Duration, snd_una: int, snd_nxt: int, now: Instant) -> None:
        """Hear a round trip, µs: that of the last segment that an ACK shows to have arrived.

        It comes before `on_acked`, also while the window must not grow.
        """

    def on_timeout(self, now: Instant) -> None:
        """Hear that the retransmission timer has expired: what was learnt may be wrong by now."""

    def on_restart(self, idle: Duration, now: Instant) -> None:
        """Hear that text is sent after nothing was in flight; the last left `idle` µs ago."""
