"""The congestion window and slow start (RFC 5681 §3.1), which algorithms share.

Deviation: the window counts segments of SMSS, as Linux's does, where the RFC counts octets.
"""

from dataclasses import dataclass

from tapstack.base.units import Instant

INFINITE_SSTHRESH = 0x7FFFFFFF
"""RFC 5681 §3.1: "The initial value of ssthresh SHOULD be set arbitrarily high"."""
LEAST_SSTHRESH = 2
"""RFC 5681 §3.1 (4): "max (FlightSize / 2, 2*SMSS)"."""


@dataclass(slots=True)
class CongestionWindow:
    """The state variables of RFC 5681 §3.1, in segments."""

    cwnd: int
    ssthresh: int = INFINITE_SSTHRESH
    credit: int = 0
    """Segments acknowledged in congestion avoidance that the window has not grown for yet."""

    # --- how far it is used, written by `window_validation.py`, and by the short ways ---
    limited: bool = False
    """The window held text back at some time within the present round."""
    most_out: int = 0
    """Most segments outstanding within the round, if it was not."""
    round_end: int = 0
    """SND.NXT when the two were last written: they hold until that is acknowledged."""
    most_used: int = 0
    """Most segments outstanding since `full_at`."""
    full_at: Instant = 0
    """When the window was last in full use, or was last brought down for not being so; at first,
    when the handshake was done.

    In between, what arrives counts as use, too (as Linux).
    """

    def may_grow(self) -> bool:
        """Tell whether the congestion window is what limits sending, so that it may grow.

        In slow start it may grow ahead of what is sent, but not beyond twice that.
        """
        cwnd = self.cwnd
        return self.limited or (cwnd < 2 * self.most_out and cwnd < self.ssthresh)

    @property
    def in_slow_start(self) -> bool:
        """Tell whether the window still grows by one for each segment acknowledged."""
        return self.cwnd < self.ssthresh

    def slow_start(self, packets: int) -> int:
        """Grow by one for each segment acknowledged, up to ssthresh; give how many are left over.

        Counting segments rather than ACKs is RFC 3465's byte counting without its limit, as a
        receiver that coalesces segments acknowledges many at once.
        """
        if not self.in_slow_start:
            return packets
        grown = min(self.cwnd + packets, self.ssthresh)
        left = packets - (grown - self.cwnd)
        self.cwnd = grown
        return left

    def congestion_avoidance(self, packets: int, per_growth: int) -> None:
        """Grow by one for each `per_growth` segments acknowledged, of which these are `packets`."""
        if not packets:
            return
        if self.credit >= per_growth:
            # What was saved up when growth was dearer buys one segment, lest it come in a burst.
            self.credit = 0
            self.cwnd += 1
        self.credit += packets
        grown, self.credit = divmod(self.credit, per_growth)
        self.cwnd += grown
