"""NewReno: slow start and congestion avoidance (RFC 5681 §3.1, RFC 6582)."""

from typing import ClassVar

from tapstack.base.units import Instant
from tapstack.tcp.congestion.window import CongestionWindow

_LEAST_SSTHRESH = 2  # RFC 5681 §3.1 (4): "max (FlightSize / 2, 2*SMSS)"


class NewReno:
    """Add a segment to the window each round trip, and halve it on a loss."""

    name: ClassVar[str] = "reno"

    def __init__(self, window: CongestionWindow) -> None:
        self._window = window
        self._acked = 0  # segments acknowledged since the window last grew

    def on_acked(self, packets: int, now: Instant) -> None:  # noqa: ARG002 - Reno keeps no time
        """Grow by a segment for each segment (slow start) or each window acknowledged."""
        window = self._window
        if window.in_slow_start:
            packets = window.slow_start(packets)
        self._acked += packets
        while self._acked >= window.cwnd:
            self._acked -= window.cwnd
            window.cwnd += 1

    def ssthresh_after_loss(self, now: Instant) -> int:  # noqa: ARG002
        """Halve the window (RFC 5681 §3.1 (4))."""
        self._acked = 0
        return max(self._window.cwnd // 2, _LEAST_SSTHRESH)
