"""Proportional Rate Reduction (RFC 6937): how the window comes down while a reduction lasts.

What arrives clocks out what is sent, in the proportion of the new window to the old one, so that
the window reaches ssthresh about one round trip later, with neither a burst nor a silence.

Not done here: deciding to reduce (`recovery.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tapstack.tcp.congestion.window import CongestionWindow


@dataclass(slots=True)
class RateReduction:
    """The state variables of RFC 6937 §3, in segments."""

    prior_cwnd: int
    """RecoverFS: the window when the reduction began."""
    delivered: int = 0
    """prr_delivered: segments that arrived since then."""
    out: int = 0
    """prr_out: segments that were sent since then."""

    def on_acked(
        self, window: CongestionWindow, pipe: int, delivered: int, making_progress: bool
    ) -> None:
        """Set cwnd for the segments that an ACK lets out (§3.1).

        `pipe` counts the segments in flight, `delivered` those that this ACK shows to have arrived;
        `making_progress` says that SND.UNA advanced and nothing more was found lost.
        """
        if delivered <= 0:
            return
        self.delivered += delivered
        if pipe > window.ssthresh:
            target = -(-self.delivered * window.ssthresh // self.prior_cwnd)
            may_send = target - self.out
        else:
            limit = max(self.delivered - self.out, delivered)
            # Slow start while retransmissions arrive (PRR-SSRB), pure conservation otherwise.
            limit += 1 if making_progress else 0
            may_send = min(window.ssthresh - pipe, limit)
        # The fast retransmission itself always goes out.
        window.cwnd = pipe + max(may_send, 0 if self.out else 1)
