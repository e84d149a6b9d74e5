"""Round-trip time and retransmission timeout (RFC 6298 §2).

Not done here: taking samples (`acknowledgment.py`, which keeps Karn's rule), and backing off.
"""

from dataclasses import dataclass

from tapstack.base.sharing import about
from tapstack.base.units import SECOND, Duration, Instant
from tapstack.tcp.seq import HALF

INITIAL_RTO: Duration = 1 * SECOND
"""RFC 6298 §2 (2.1): the RTO before the first sample."""
LONGEST_RTO: Duration = 120 * SECOND
"""What a SYN-ACK is sent again after at most (Linux's TCP_RTO_MAX, which is a constant)."""
FALLBACK_RTO: Duration = 3 * SECOND
"""RFC 6298 §5.7: the RTO for text after a handshake whose SYN timed out."""
CLOCK_GRANULARITY: Duration = 1


@dataclass(slots=True)
class RttEstimator:
    """Jacobson's estimator: a smoothed RTT and its mean deviation, which Linux has refined.

    Both are kept scaled, by 8 and by 4, as the algorithm's shifts want them.
    """

    rto_min: Duration
    """Least variance term of the RTO, µs."""
    rto_max: Duration
    """Most that the RTO may be, µs."""
    min_rtt_lifetime: Duration = 300 * SECOND
    """How long the least round trip is believed, µs."""
    rto: Duration = INITIAL_RTO
    """The retransmission timeout, µs, not backed off."""
    srtt_8: int = 0
    """Eight times the smoothed round-trip time, µs; 0: no sample yet."""
    rttvar_4: int = 0
    """Four times the round-trip time variation, µs."""
    variance: Duration = 0
    """The RTO's variance term, µs: the largest that `rttvar_4` was in the latest round trips."""
    _largest: Duration = 0
    # The largest that `rttvar_4` was in this round trip, but `rto_min` at least.
    _round_end: int = 0
    # SND.NXT when this round trip began.
    min_rtt: Duration | None = None
    """The least round trip that was observed lately, µs."""
    min_rtt_at: Instant = 0
    """When that was, as exactly as need be."""
    latest: Duration = 0
    """How long the segment took that was last heard to have arrived, µs: RACK.rtt (RFC 8985 §5.3).
    Written by `rack.py` and `exchange.py`."""

    @property
    def srtt(self) -> Duration:
        """SRTT, µs; 0: no sample yet."""
        return self.srtt_8 >> 3

    @property
    def rttvar(self) -> Duration:
        """RTTVAR, µs."""
        return self.rttvar_4 >> 2

    def observe(self, rtt: Duration, now: Instant) -> Duration:
        """Keep the least round trip of the last minutes, µs: RACK's min_RTT (RFC 8985 §6.2).

        Gives what was observed, by the clock's granularity.
        """
        if rtt < CLOCK_GRANULARITY:
            rtt = CLOCK_GRANULARITY
        least = self.min_rtt
        if least is None or rtt <= least or now - self.min_rtt_at > self.min_rtt_lifetime:
            self.min_rtt = rtt
            self.min_rtt_at = about(now)
        return rtt

    def sample(self, rtt: Duration, snd_una: int, snd_nxt: int) -> None:
        """Take a measured round trip, µs, and recompute the RTO (2.2 and 2.3).

        The mean comes an eighth of the way to it, the deviation a quarter of its way. The RTO
        follows a larger deviation at once, a smaller one slowly.
        Deviation: with many samples in a round trip, RTTVAR would forget within that one what it
        has learnt (RFC 7323 appendix G). Linux keeps the largest of each round trip instead, and
        comes down to it by a quarter a round trip.
        """
        if rtt < CLOCK_GRANULARITY:
            rtt = CLOCK_GRANULARITY
        srtt_8, deviation = self.srtt_8, self.rttvar_4
        if not srtt_8:
            self._begin(rtt, snd_nxt)
            return
        error = rtt - (srtt_8 >> 3)
        if error >= 0:
            change = error - (deviation >> 2)
        else:
            change = -error - (deviation >> 2)
            if change > 0:
                # Deviation: a round trip that is much shorter is no sign that others will be
                # longer. As Linux has it, it counts for an eighth of what the RFC says.
                change >>= 3
        self.rttvar_4 = deviation = deviation + change
        self.srtt_8 = srtt_8 = srtt_8 + error
        largest, variance = self._largest, self.variance
        if deviation > largest:
            self._largest = largest = deviation
        if largest > variance:
            variance = largest
        if (self._round_end - snd_una) & HALF:  # `gt`, in place
            if largest < variance:
                variance -= (variance - largest) >> 2
            self._round_end = snd_nxt
            self._largest = self.rto_min
        self.variance = variance
        # Deviation: RFC 6298 (2.4) puts a floor of 1 s under the RTO. Like Linux, we put the floor
        # under the variance term: RTO = SRTT + max(rto_min, 4·RTTVAR).
        rto = (srtt_8 >> 3) + variance
        self.rto = rto if rto < self.rto_max else self.rto_max

    def begin(self, rtt: Duration, snd_nxt: int, now: Instant) -> None:
        """Take the first round trip for all of this, µs: `observe` and `sample`, in place."""
        if rtt < CLOCK_GRANULARITY:
            rtt = CLOCK_GRANULARITY
        self.min_rtt, self.srtt_8, self._round_end = rtt, rtt << 3, snd_nxt
        self.min_rtt_at = about(now)
        self.rttvar_4 = variance = rtt << 1
        if variance < self.rto_min:
            variance = self.rto_min
        self.variance = self._largest = variance
        rto = rtt + variance
        self.rto = rto if rto < self.rto_max else self.rto_max

    def _begin(self, rtt: Duration, snd_nxt: int) -> None:
        """Take the first sample (2.2)."""
        self.srtt_8 = rtt << 3
        self.rttvar_4 = rtt << 1
        self.variance = self._largest = max(self.rttvar_4, self.rto_min)
        self._round_end = snd_nxt
        self.rto = min(rtt + self.variance, self.rto_max)
