"""NewReno: slow start and congestion avoidance (RFC 5681 §3.1, RFC 6582)."""

from typing import ClassVar

from tapstack.base.units import Instant
from tapstack.tcp.congestion.contract import CongestionControl


class NewReno(CongestionControl):
    """Add a segment to the window each round trip, and halve it on a loss."""

    __slots__ = ()

    name: ClassVar[str] = "reno"

    def on_acked(self, packets: int, now: Instant) -> None:  # noqa: ARG002 - Reno keeps no time
        """Grow by a segment for each segment (slow start) or each window acknowledged."""
        left = self.window.slow_start(packets)
        self.window.congestion_avoidance(left, self.window.cwnd)

    def reduced_window(self, now: Instant) -> int:  # noqa: ARG002
        """Halve the window (RFC 5681 §3.1 (4))."""
        return self.window.cwnd // 2
