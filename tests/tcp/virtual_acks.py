"""An algorithm driven without an engine: a path of fixed delay that acknowledges every segment."""

from __future__ import annotations

from collections.abc import Callable

from tapstack.base.counters import Counters
from tapstack.base.units import MILLISECOND
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.congestion import ALGORITHMS
from tapstack.tcp.congestion.window import CongestionWindow


class Flow:
    """One window and its algorithm; a full window is always in flight."""

    def __init__(
        self,
        name: str,
        cwnd: int,
        *,
        rtt: int = 50 * MILLISECOND,
        config: TcpConfig | None = None,
    ) -> None:
        self.now = 0
        self.rtt = rtt
        self.una = 0
        self.counters = Counters()
        self.window = CongestionWindow(cwnd)
        self.algorithm = ALGORITHMS[name](self.window, config or TcpConfig(), self.counters)

    def lose(self) -> None:
        """Have one loss repaired at once."""
        self.window.ssthresh = self.algorithm.ssthresh_after_loss(self.now)
        self.window.cwnd = self.window.ssthresh

    def acknowledge(self, at: int, nxt: int, packets: int = 1) -> None:
        """Have an ACK come in at some time, with a round trip of `rtt`."""
        self.now = at
        self.una += packets
        self.algorithm.on_round_trip(self.rtt, self.una, nxt, at)
        self.algorithm.on_acked(packets, at)

    def round(self, *, spread: bool = True) -> None:
        """Have a window acknowledged within one round trip: evenly spread, or all at its end."""
        flight, start = self.window.cwnd, self.now
        nxt = self.una + flight
        for index in range(flight):
            part = index + 1 if spread else flight
            self.acknowledge(start + self.rtt * part // flight, nxt + index)

    def run(self, until: Callable[[], bool]) -> int:
        """Go on, ACK by ACK, until something holds, and tell when that was, µs."""
        for _ in range(100_000):
            flight, start = self.window.cwnd, self.now
            nxt = self.una + flight
            for index in range(flight):
                self.acknowledge(start + self.rtt * (index + 1) // flight, nxt + index)
                if until():
                    return self.now
        raise AssertionError("it never comes to that")
