"""CUBIC (RFC 9438): growth by the time since the last loss, whatever the round trip.

The window follows W(t) = C·(t − K)³ + W_max: fast at first, flat around the size at which it last
overflowed the path, then ever faster. The numbers are Linux's, the units segments and µs.

Not done here: the end of slow start (`hystart.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tapstack.base.units import MILLISECOND, SECOND, Duration, Instant
from tapstack.tcp.congestion.hystart import LOW_WINDOW, HyStart

if TYPE_CHECKING:
    from tapstack.base.counters import Counters
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.congestion.window import CongestionWindow

_BETA = 717  # of 1024: RFC 9438 §4.6, β_cubic = 0.7
_BETA_SCALE = 1024
_C_NUMERATOR, _C_DENOMINATOR = 410, 1024
"""RFC 9438 §5: C = 0.4 segments per cubic second; what Linux makes of that."""
_FRIENDLY_EIGHTHS = 8 * (_BETA_SCALE + _BETA) // 3 // (_BETA_SCALE - _BETA)
"""Eighths of a window acknowledged for each segment that Reno would grow by with β_cubic: 1/α of
RFC 9438 §4.3, in Linux's rounding."""
_LARGE = 128
"""Segments from which on a window is a large one."""
_STANDSTILL = 100
"""Windows to be acknowledged for one segment of growth where W(t) is not above the window."""
_FIRST_PER_GROWTH = 20
"""Segments to be acknowledged for one of growth, at most, before any loss: 5 % a round trip."""
_LEAST_PER_GROWTH = 2
"""RFC 9438 §4.2 bounds growth to half the window in a round trip."""
_STALE = 10
"""ms for which a rate of growth holds while the window does not change.

Deviation: in Linux it holds for 31 ms, so that two flows share a path less evenly.
"""
_SHORT: Duration = 4 * MILLISECOND
"""Round trips up to which it does not."""
_QUIET_AFTER_LOSS: Duration = SECOND
"""How long after a reduction round trips are not looked at: they tell of the repair."""


class _Epoch:
    """A congestion avoidance stage: from the first growth after a reduction to the next one."""

    __slots__ = ("friendly_acked", "friendly_cwnd", "k", "origin", "start")

    def __init__(self, cwnd: int, w_max: int, acked: int, now: Instant) -> None:
        self.start = now
        self.k: Duration = 0
        """When W(t) comes to its flat middle, µs after the start (RFC 9438 §4.2)."""
        self.origin = max(cwnd, w_max)
        """W(K), segments."""
        self.friendly_cwnd = cwnd
        """W_est: the window that Reno would have (§4.3)."""
        self.friendly_acked = acked
        """Segments acknowledged that W_est has not grown for yet."""
        if w_max > cwnd:
            self.k = _cube_root((w_max - cwnd) * _C_DENOMINATOR * SECOND**3 // _C_NUMERATOR)

    def target(self, at: Instant) -> int:
        """Give W(t), segments, within one of the true value.

        Deviation: Linux rounds the distance to W_max down, so that the target is there 1.4 s before
        K. For a large window that is too much of a hurry: of those the distance stays 1 until K.
        """
        distance = at - self.start - self.k
        delta = _C_NUMERATOR * abs(distance) ** 3 // (_C_DENOMINATOR * SECOND**3)
        if distance >= 0:
            return self.origin + delta
        return self.origin - max(delta, self.origin >= _LARGE)


class _Curve:
    """What only a connection beyond slow start has."""

    __slots__ = ("epoch", "per_growth", "w_max", "worked_out_at", "worked_out_for")

    def __init__(self) -> None:
        self.epoch: _Epoch | None = None
        self.w_max = 0
        """The window when it was last reduced; 0: it never was."""
        self.per_growth = 0
        """Segments to be acknowledged for each one of growth."""
        self.worked_out_for = 0
        """The window that this holds for."""
        self.worked_out_at: Instant = 0


class Cubic(HyStart):
    """Grow towards, around and beyond the window of the last loss; fall to 0.7 of it."""

    __slots__ = ("_curve", "_min_rtt", "_slow_start_left")

    name: ClassVar[str] = "cubic"

    def __init__(self, window: CongestionWindow, config: TcpConfig, counters: Counters) -> None:
        self.window = window
        self.config = config
        self.counters = counters
        self._curve: _Curve | None = None
        self._min_rtt: Duration = 0  # 0: not known
        self._slow_start_left = False
        self._round_end = None

    def _forget(self) -> None:
        """Begin anew: the path may be another one."""
        self._curve = None
        self._min_rtt = 0
        self._slow_start_left = False
        self._round_end = None

    # --- growth ---

    def on_acked(self, packets: int, now: Instant) -> None:
        """Grow in slow start, or along W(t) (RFC 9438 §4.4 and 4.5)."""
        left = self.window.slow_start(packets)
        if left:
            if self._curve is None:
                self._curve = _Curve()
            self._work_out_growth(self._curve, left, now)
            self.window.congestion_avoidance(left, self._curve.per_growth)

    def _work_out_growth(self, curve: _Curve, packets: int, now: Instant) -> None:
        """Find out how many segments are to be acknowledged for each one of growth."""
        cwnd, epoch = self.window.cwnd, curve.epoch
        if epoch is not None:
            epoch.friendly_acked += packets
        elapsed = now // MILLISECOND - curve.worked_out_at // MILLISECOND
        if cwnd == curve.worked_out_for and elapsed <= self._holds_for():
            return
        if epoch is None or elapsed:
            if epoch is None:
                epoch = curve.epoch = _Epoch(cwnd, curve.w_max, packets, now)
            curve.worked_out_for, curve.worked_out_at = cwnd, now
            curve.per_growth = self._cubic_per_growth(epoch, cwnd, curve.w_max, now)
        if self.config.cubic_tcp_friendliness:
            curve.per_growth = min(curve.per_growth, self._reno_per_growth(epoch, cwnd))
        curve.per_growth = max(curve.per_growth, _LEAST_PER_GROWTH)

    def _holds_for(self) -> int:
        """Tell for how many ms what was found out holds while the window does not change.

        Deviation: Linux does not look again sooner where round trips are far shorter than that, so
        that the window stands still after each loss.
        """
        return _STALE if self._min_rtt > _SHORT else -1

    def _cubic_per_growth(self, epoch: _Epoch, cwnd: int, w_max: int, now: Instant) -> int:
        """Have the window come to W(t + RTT) within a round trip."""
        # Linux rounds a round trip up to whole ms, which no real one is.
        target = epoch.target(now + self._min_rtt + MILLISECOND)
        per_growth = cwnd // (target - cwnd) if target > cwnd else _STANDSTILL * cwnd
        return per_growth if w_max else min(per_growth, _FIRST_PER_GROWTH)

    def _reno_per_growth(self, epoch: _Epoch, cwnd: int) -> int:
        """Be no slower than Reno would be with the same reductions (RFC 9438 §4.3)."""
        step = cwnd * _FRIENDLY_EIGHTHS // 8
        while epoch.friendly_acked > step:
            epoch.friendly_acked -= step
            epoch.friendly_cwnd += 1
        ahead = epoch.friendly_cwnd - cwnd
        return cwnd // ahead if ahead > 0 else _STANDSTILL * cwnd

    # --- the end of slow start ---

    def on_round_trip(self, rtt: Duration, snd_una: int, snd_nxt: int, now: Instant) -> None:
        """Keep the least round trip, and leave slow start when HyStart says so."""
        curve = self._curve
        if (
            curve is not None
            and curve.epoch is not None
            and now - curve.epoch.start < _QUIET_AFTER_LOSS
        ):
            return
        if not 0 < self._min_rtt <= rtt:
            self._min_rtt = rtt
        window = self.window
        if self._slow_start_left or not self.config.cubic_hystart or window.cwnd >= window.ssthresh:
            return
        if snd_una == snd_nxt and window.cwnd < LOW_WINDOW:
            self._round_end = None  # what is sent next begins a round in any case
            return
        sign = self._look_for_sign(rtt, self._min_rtt, window.cwnd, snd_una, snd_nxt, now)
        if sign is not None:
            self._slow_start_left = True
            window.ssthresh = window.cwnd
            self.counters[f"TcpExtTCPHystart{sign.value}Detect"] += 1
            self.counters[f"TcpExtTCPHystart{sign.value}Cwnd"] += window.cwnd

    # --- reductions ---

    def reduced_window(self, now: Instant) -> int:  # noqa: ARG002 - the next epoch starts later
        """Fall to β_cubic of the window, and remember where it was (RFC 9438 §4.6 and 4.7)."""
        cwnd, curve = self.window.cwnd, self._curve or _Curve()
        if self.config.cubic_fast_convergence and cwnd < curve.w_max:
            # It did not come back to where it was: leave room to those who came since.
            curve.w_max = cwnd * (_BETA_SCALE + _BETA) // (2 * _BETA_SCALE)
        else:
            curve.w_max = cwnd
        curve.epoch = None
        self._curve = curve
        return cwnd * _BETA // _BETA_SCALE

    def on_timeout(self, now: Instant) -> None:  # noqa: ARG002
        """Start from nothing, as Linux does."""
        self._forget()

    def on_restart(self, idle: Duration, now: Instant) -> None:
        """Leave out the time in which nothing was sent (RFC 9438 §5.8)."""
        curve = self._curve
        if curve is not None and curve.epoch is not None:
            curve.epoch.start = min(curve.epoch.start + idle, now)


def _cube_root(value: int) -> int:
    """Give the integer below the cube root of a positive number, by Newton's method."""
    root = 1 << -(-value.bit_length() // 3)
    while True:
        better = (2 * root + value // (root * root)) // 3
        if better >= root:
            return root
        root = better
