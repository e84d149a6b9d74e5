"""The receive window: how much to advertise (RFC 9293 §3.8.6.2.2), and how large a buffer to keep.

RFC 9293 MUST-39 asks the receiver to avoid the silly window syndrome: a window opens by a full
segment or half the buffer, never by crumbs, and never shrinks (SHLD-14). The buffer grows with
what the user really takes in a round trip (Linux's receive buffer auto-tuning).

Not done here: sending the update (`output.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapstack.base.units import MILLISECOND, Instant
from tapstack.tcp.seq import add, sub

if TYPE_CHECKING:
    from tapstack.tcp.tcb import Tcb

MAX_UNSCALED = 65535
MAX_SHIFT = 14  # RFC 7323 §2.3


def window_of(buffer: int) -> int:
    """Give the window that a buffer stands for: half, as Linux keeps the rest for its overhead."""
    return buffer // 2


def shift_for(largest: int) -> int:
    """Choose Rcv.Wind.Shift for the largest buffer there may be, as Linux does (RFC 7323 §2.3)."""
    return min(max(0, largest.bit_length() - 16), MAX_SHIFT)


@dataclass(slots=True)
class ReceiveSpace:
    """The receive buffer of one connection, in octets."""

    buffer: int
    """Octets of the buffer, overhead included, as SO_RCVBUF tells it."""
    largest: int
    """Most that the buffer grows to by itself; the same as `buffer` when the user has set it."""
    threshold: int = 0
    """Most that is advertised yet: it grows as text arrives."""
    taken: int = 0
    """Octets that the user took since the measurement began."""
    taken_before: int = 0
    """Octets that the user took in the measurement before."""
    measured_at: Instant = 0

    def start(self, mss: int, now: Instant) -> None:
        """Set the first window: a whole number of segments."""
        window = window_of(self.buffer)
        self.threshold = window // mss * mss or window
        self.taken_before = min(self.threshold, 10 * mss)
        self.measured_at = now

    def on_text(self, mss: int) -> None:
        """Let what is advertised grow while text flows."""
        room = window_of(self.buffer) - self.threshold
        if room > 0:
            self.threshold += min(room, 2 * mss)

    def on_taken(self, octets: int, rtt: int, mss: int, now: Instant) -> None:
        """Measure what the user takes in a round trip; a growing amount grows the buffer."""
        self.taken += octets
        if now - self.measured_at < max(rtt, MILLISECOND):
            return
        if self.taken > self.taken_before and self.buffer < self.largest:
            # Twice what came, as a slow start doubles; more where it already grew faster.
            window = 2 * self.taken + 16 * mss
            window += 2 * (window * (self.taken - self.taken_before) // self.taken_before)
            self.buffer = max(self.buffer, min(2 * window, self.largest))
        self.taken_before = max(self.taken_before, self.taken)
        self.taken = 0
        self.measured_at = now


def select_window(tcb: Tcb) -> int:
    """Choose the window to advertise, octets from RCV.NXT on; a whole number of scaled units."""
    current = remaining_window(tcb)
    chosen = _wanted_window(tcb)
    unit = (1 << tcb.rcv_wind_shift) - 1
    # RFC 9293 SHLD-14: "A TCP receiver SHOULD NOT shrink the window".
    chosen = max(chosen, current + unit & ~unit)
    return min(chosen, MAX_UNSCALED << tcb.rcv_wind_shift)


def remaining_window(tcb: Tcb) -> int:
    """Tell how much of the window last advertised is not yet used, octets."""
    return max(0, tcb.rcv_wnd - sub(tcb.rcv_nxt, tcb.rcv_wup))


def right_edge(tcb: Tcb) -> int:
    """Give the sequence number behind the window last advertised."""
    return add(tcb.rcv_wup, tcb.rcv_wnd)


def _wanted_window(tcb: Tcb) -> int:
    space = tcb.receive_space
    full = window_of(space.buffer)
    free = full - len(tcb.receive_queue) - tcb.reassembly.octets
    mss = min(tcb.acks.rcv_mss, full)
    unit = 1 << tcb.rcv_wind_shift
    if free < full // 2:
        free = free // unit * unit
        if free < full // 16 or free < mss:
            return 0
    free = min(free, space.threshold)
    if tcb.rcv_wind_shift:
        return -(-free // unit) * unit
    # Without scaling the field is exact: keep whole segments, so that no crumb is offered.
    window = tcb.rcv_wnd
    if window <= free - mss or window > free:
        return free // mss * mss
    return window
