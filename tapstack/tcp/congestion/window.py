"""The congestion window and slow start (RFC 5681 §3.1), which algorithms share.

Deviation: the window counts segments of SMSS, as Linux's does, where the RFC counts octets.
"""

from dataclasses import dataclass

INFINITE_SSTHRESH = 0x7FFFFFFF
"""RFC 5681 §3.1: "The initial value of ssthresh SHOULD be set arbitrarily high"."""


@dataclass(slots=True)
class CongestionWindow:
    """The state variables of RFC 5681 §3.1, in segments."""

    cwnd: int
    ssthresh: int = INFINITE_SSTHRESH

    @property
    def in_slow_start(self) -> bool:
        """Tell whether the window still grows by one for each segment acknowledged."""
        return self.cwnd < self.ssthresh

    def slow_start(self, packets: int) -> int:
        """Grow by one for each segment acknowledged, up to ssthresh; give how many are left over.

        Counting segments rather than ACKs is RFC 3465's byte counting without its limit, as a
        receiver that coalesces segments acknowledges many at once.
        """
        grown = min(self.cwnd + packets, self.ssthresh)
        left = packets - (grown - self.cwnd)
        self.cwnd = grown
        return left
