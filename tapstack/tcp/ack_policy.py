"""When to acknowledge: at once, or a little later (RFC 9293 §3.8.6.3, RFC 1122 §4.2.3.2).

RFC 9293 SHLD-19: "an ACK SHOULD be generated for at least every second full-sized segment". Like
Linux, a connection begins with quick ACKs, which let the peer's slow start grow, then delays by a
time that follows the gaps between arrivals, and stops being quick once it answers by itself.

Not done here: sending the ACK (`acknowledging.py`), and the timer's arming.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.tcp.options import TIMESTAMPS_LENGTH
from tapstack.tcp.receive_space import text_in_segment
from tapstack.tcp.segment import FIN, PSH, URG

if TYPE_CHECKING:
    from tapstack.tcp.tcb import Tcb

_MAX_QUICK_ACKS = 16
"""Quick ACKs in a row at most (Linux's TCP_MAX_QUICKACKS)."""
ATO_MIN: Duration = 40 * MILLISECOND
"""Least ACK timeout (Linux's TCP_ATO_MIN)."""
HALF_ATO_MIN = ATO_MIN // 2
_MAX_ATO: Duration = 500 * MILLISECOND
"""RFC 9293 MUST-40: "MUST be less than 0.5 seconds"."""
CERTAIN_LENGTH = 536
"""Octets of text and options of a segment that is hardly a small one: Linux's TCP_MSS_DEFAULT."""
MIN_RCV_MSS = 88
"""Least estimate of the peer's segment size (Linux's TCP_MIN_MSS)."""
_MAY_BE_SHORT = PSH | FIN | URG
"""Flags of a segment that need not be a full one."""


@dataclass(slots=True)
class AckPolicy:
    """What one connection knows of the peer's sending and of its own."""

    rcv_mss: int = MIN_RCV_MSS
    """Estimate of the size of the peer's full segments, octets."""
    always_quick: bool = False
    """The route wants no ACK delayed."""
    due: bool = False
    """An ACK leaves with the flush."""
    owed: bool = False
    """Something arrived that no ACK covers yet."""
    fresh: bool = False
    """And nobody has seen yet whether the ACK may wait."""
    quick: int = 0
    """ACKs still to be sent at once."""
    ato: Duration = 0
    """The ACK timeout, µs; 0 until text arrives: like Linux, a FIN before any is answered at once.
    """
    interactive: bool = False
    """We answer what arrives with text of our own, on which the ACK can ride."""
    last_text_at: Instant = 0
    """When text last arrived, or the SYN-ACK."""
    pushed: bool = False
    """A segment smaller than a full one, or a full one with PSH, came since the last ACK."""
    pushed_again: bool = False
    """And one more."""
    last_length: int = 0
    """Octets of text in the last segment, if it may have been a full one of a smaller size."""

    def start(self, rcv_mss: int) -> None:
        """Begin with a first estimate of the peer's segment size."""
        self.rcv_mss = max(rcv_mss, MIN_RCV_MSS)

    def be_quick(self, rcv_wnd: int, limit: int = _MAX_QUICK_ACKS) -> None:
        """Acknowledge at once for a while: half a window's worth of segments, `limit` at most."""
        acks = rcv_wnd // (2 * self.rcv_mss) or 2
        if acks > limit:
            acks = limit
        if acks > self.quick:
            self.quick = acks

    def enter_quick_mode(self, rcv_wnd: int, limit: int = _MAX_QUICK_ACKS) -> None:
        """Something went wrong on the way here: help the peer to recover."""
        self.be_quick(rcv_wnd, limit)
        self.interactive = False
        self.ato = ATO_MIN

    def on_text(self, tcb: Tcb, length: int, options: int, flags: int, now: Instant) -> None:
        """Note that text came in order: `length` octets a segment, beside those of `options`."""
        self.owed = self.fresh = True
        self.estimate_size(tcb, length, options, flags)
        gap, self.last_text_at = now - self.last_text_at, now
        # The timeout follows the gaps between arrivals.
        if gap <= HALF_ATO_MIN and self.ato:
            self.ato = self.ato // 2 + HALF_ATO_MIN
        else:
            self.follow_long_gap(tcb, gap)

    def follow_long_gap(self, tcb: Tcb, gap: Duration) -> None:
        """Have the timeout follow a gap, µs, that is more than half of the least, or the first."""
        if self.ato == 0:
            self.be_quick(tcb.rcv_wnd)
            self.ato = ATO_MIN
        elif gap < self.ato:
            self.ato = min(self.ato // 2 + gap, tcb.rto())
        elif gap > tcb.rto():
            # The peer was silent so long that it starts slowly again.
            self.be_quick(tcb.rcv_wnd)

    def estimate_size(self, tcb: Tcb, length: int, options: int, flags: int) -> None:
        """Tell full segments from what ends a message of the peer's user, as Linux does.

        What is smaller than they were is told by its text and its options.
        """
        last, self.last_length = self.last_length, 0
        if length >= self.rcv_mss:
            self.rcv_mss = max(min(length, text_in_segment(tcb)), MIN_RCV_MSS)
            self.pushed |= bool(flags & PSH) and length == self.rcv_mss
            return
        length += options
        if length >= CERTAIN_LENGTH or (length >= MIN_RCV_MSS and not flags & _MAY_BE_SHORT):
            # Without PSH it should be full: two of a size say that full ones are smaller now.
            length -= TIMESTAMPS_LENGTH * tcb.timestamps
            self.last_length = length
            if length == last:
                self.rcv_mss = length
                return
        self.pushed_again |= self.pushed
        self.pushed = True

    def is_end_of_message(self) -> bool:
        """Tell whether the peer's user has sent all he had, and may be waiting for us."""
        return self.pushed_again or (self.pushed and not self.interactive)

    def is_quick(self) -> bool:
        """Tell whether ACKs are not to be delayed now."""
        return self.always_quick or (self.quick > 0 and not self.interactive)

    def on_text_sent(self, now: Instant) -> None:
        """Note that text of ours left: soon after the peer's, it counts as an answer."""
        if now - self.last_text_at < self.ato:
            self.interactive = True

    def on_ack_sent(self) -> None:
        """Note that everything received is acknowledged, by whatever segment.

        One that answers what is not acceptable, or tells of a window alone, is no quick ACK.
        """
        if self.quick and self.owed:
            self.quick -= 1
            if not self.quick:
                self.ato = ATO_MIN
        self.due = self.owed = self.fresh = self.pushed = self.pushed_again = False

    def on_timeout(self, rto: Duration) -> None:
        """The delayed ACK's time is up: it was delayed in vain, so guess better next time."""
        if self.interactive:
            self.interactive = False
            self.ato = ATO_MIN
        else:
            self.ato = min(self.ato * 2, rto)
        self.due = True

    def long_delay(self, srtt: Duration, longest: Duration) -> Duration:
        """Tell how long an ACK may be delayed, µs, where the timeout is longer than the least."""
        most = longest if self.interactive or self.pushed else _MAX_ATO
        if srtt:
            most = min(most, max(srtt, ATO_MIN))
        return min(self.ato, most)
