"""HyStart: leaving slow start before it overflows the path (Ha and Rhee 2011; RFC 9438 §4.10).

Within each round trip two signs are looked for: a train of closely spaced ACKs that lasts as long
as the path's one-way delay, and a round trip that has grown since the least one there was.

Not done here: what leaving slow start means (`cubic.py`).
"""

from enum import Enum

from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.tcp.congestion.contract import CongestionControl
from tapstack.tcp.seq import HALF

LOW_WINDOW = 16
"""Segments below which slow start goes on in any case (Linux's hystart_low_window)."""
_ACK_DELTA: Duration = 2 * MILLISECOND
"""Most time between two ACKs of one train (Linux's hystart_ack_delta_us)."""
_OFFLOAD_DELAY: Duration = 1 * MILLISECOND
"""Most time that cutting and merging of large units is believed to add to a train."""
_ENOUGH_SAMPLES = 8
"""Round trips before their minimum counts (Linux's HYSTART_MIN_SAMPLES)."""
_LEAST_GROWTH: Duration = 4 * MILLISECOND
_MOST_GROWTH: Duration = 16 * MILLISECOND
"""The delay has grown when it exceeds the least one by an eighth of it, within these limits."""
_NONE_YET: Duration = 1 << 32
"""The least round trip of a round that has none that counts: longer than any."""


class Sign(Enum):
    """Why slow start is over; the values are the names of Linux's counters."""

    TRAIN = "Train"
    """The ACKs of one round trip took half a round trip to come in."""
    DELAY = "Delay"
    """Even the least round trip is longer than it was: a queue builds up."""


class HyStart(CongestionControl):
    """An algorithm that looks at each round trip of slow start.

    What is seen lies with the rest of the algorithm's state: each ACK of a short exchange, which is
    a round trip, asks for both.
    """

    __slots__ = ("_last_ack_at", "_least_rtt", "_round_end", "_round_start", "_samples")

    _round_end: int | None
    # The round is over when this number is acknowledged; None: the next round trip begins one, and
    # the others are not to be asked for yet.
    _round_start: Instant
    _last_ack_at: Instant
    # When the train's last ACK came.
    _least_rtt: Duration
    _samples: int

    def _look_for_sign(
        self,
        rtt: Duration,
        min_rtt: Duration,
        cwnd: int,
        snd_una: int,
        snd_nxt: int,
        now: Instant,
    ) -> Sign | None:
        """Take a round trip, µs; tell whether, and why, slow start should end."""
        if self._round_end is None or (self._round_end - snd_una) & HALF:  # `gt`, in place
            self._round_end = snd_nxt
            self._round_start = self._last_ack_at = now
            self._least_rtt, self._samples = _NONE_YET, 0
        if cwnd < LOW_WINDOW:
            return None
        if self._is_long_train(min_rtt, now):
            return Sign.TRAIN
        if self._is_delayed(rtt, min_rtt):
            return Sign.DELAY
        return None

    def _is_long_train(self, min_rtt: Duration, now: Instant) -> bool:
        """Tell whether ACKs have come without a break for half a round trip."""
        if now - self._last_ack_at > _ACK_DELTA:
            return False
        self._last_ack_at = now
        return now - self._round_start > (min_rtt + _OFFLOAD_DELAY) // 2

    def _is_delayed(self, rtt: Duration, min_rtt: Duration) -> bool:
        """Tell whether the least of this round's first samples is well above the path's least."""
        self._least_rtt = min(self._least_rtt, rtt)
        if self._samples < _ENOUGH_SAMPLES:
            self._samples += 1
            return False
        growth = min(max(min_rtt // 8, _LEAST_GROWTH), _MOST_GROWTH)
        return self._least_rtt > min_rtt + growth
