"""The receive buffer: how large it is, how it grows, and how much of it may be offered yet.

A buffer that the user has not set grows with what the user really takes in a round trip, so that
the window is never what limits a peer in slow start (Linux's dynamic right-sizing). What is offered
grows more slowly: as text proves to arrive.

Not done here: choosing the window of a segment (`receive_window.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.tcp.options import TIMESTAMPS_LENGTH
from tapstack.tcp.seq import add, lt, sub

if TYPE_CHECKING:
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.segment import Timestamps
    from tapstack.tcp.tcb import Tcb
    from tapstack.tcp.user_options import UserOptions

MAX_UNSCALED = 65535
MAX_SHIFT = 14  # RFC 7323 §2.3
LEAST_CLAMP = 1152
"""Least TCP_WINDOW_CLAMP: half of the least receive buffer (Linux's SOCK_MIN_RCVBUF / 2)."""
_INITIAL_SEGMENTS = 10
"""Segments that the user is thought to take in the first round trip (Linux's TCP_INIT_CWND)."""
_LONGEST_ROUND_TRIP = 2**31 * MILLISECOND
"""What an echo tells that lies further back is a lie."""
_GROWING_LENGTH = 128
"""Octets of text that a segment has at least for the offer to grow by it, as in Linux."""


def window_of(buffer: int) -> int:
    """Give the window that a buffer stands for: half, as Linux keeps the rest for its overhead."""
    return buffer // 2


def buffer_for(window: int) -> int:
    """Give the buffer that a window takes."""
    return 2 * window


def shift_for(window: int) -> int:
    """Choose Rcv.Wind.Shift for the largest window there may be, as Linux does (RFC 7323 §2.3)."""
    return min(max(0, window.bit_length() - 16), MAX_SHIFT)


@dataclass(slots=True)
class RoundTrip:
    """The round trip as a receiver can tell it, who sends nothing himself."""

    srtt_8: int = 0
    """Eight times the smoothed time, µs; 0: unknown yet."""
    seq: int = 0
    """Where the window ended that was offered when the measurement began."""
    since: Instant | None = None
    last_echo: int | None = None
    """TSecr of the segment that was measured last."""

    def sample(self, elapsed: Duration, *, smooth: bool) -> None:
        """Take a sample; without timestamps only the least counts, as windows fill late."""
        if self.srtt_8 == 0 or 8 * elapsed < self.srtt_8:
            self.srtt_8 = 8 * elapsed
        elif smooth:
            self.srtt_8 += elapsed - (self.srtt_8 >> 3)


@dataclass(slots=True)
class ReceiveSpace:
    """The receive buffer of one connection, in octets."""

    buffer: int
    """Octets of the buffer, overhead included, as SO_RCVBUF tells it."""
    locked: bool
    """The user has set the buffer: it never grows by itself."""
    clamp: int
    """Most that is ever offered (TCP_WINDOW_CLAMP)."""
    threshold: int = 0
    """Most that is offered yet: Linux's rcv_ssthresh."""
    taken_before: int = 0
    """Octets that the user took in the measurement before: Linux's rcvq_space."""
    measured_seq: int = 0
    """What the user took up to, when the measurement began."""
    measured_at: Instant = 0
    round_trip: RoundTrip = field(default_factory=RoundTrip)


def make_receive_space(config: TcpConfig, options: UserOptions, most: int = 0) -> ReceiveSpace:
    """Make the buffer of a new connection; `most` is what the route lets be offered, 0: any."""
    least, first, _ = config.tcp_rmem
    locked = options.receive_buffer is not None
    buffer = max(options.receive_buffer, least) if options.receive_buffer is not None else first
    clamp = options.window_clamp or most or MAX_UNSCALED << MAX_SHIFT
    if locked:
        clamp = min(clamp, window_of(buffer))
    return ReceiveSpace(buffer, locked, clamp)


def offer_first_window(tcb: Tcb, most: int, mss: int, *, scaling: bool) -> None:
    """Set the first window, a whole number of segments, and the shift of the largest ever.

    `most` is the largest buffer that the engine lets grow, `mss` the text in a full segment.
    """
    space = tcb.receive_space
    first = tcb.route.initrwnd * mss
    window = window_of(space.buffer)
    window = min(max(window, first) if tcb.passive else window, space.clamp)
    space.threshold = window // mss * mss or window
    if first:
        space.threshold = min(space.threshold, first)
    tcb.rcv_wind_shift = shift_for(min(max(window, most), space.clamp)) if scaling else 0
    space.clamp = min(space.clamp, MAX_UNSCALED << tcb.rcv_wind_shift)


def on_established(tcb: Tcb, now: Instant) -> None:
    """Begin to measure, with one segment of the buffer kept back."""
    space, mss = tcb.receive_space, text_in_segment(tcb)
    if not tcb.window_scaling:
        space.clamp = min(space.clamp, MAX_UNSCALED)
    full = window_of(space.buffer)
    space.clamp = min(space.clamp, full)
    if space.clamp > 2 * mss and space.clamp + mss > full:
        space.clamp = max(2 * mss, full - mss)
    space.threshold = min(space.threshold, space.clamp)
    space.taken_before = min(space.threshold, tcb.rcv_wnd, _INITIAL_SEGMENTS * mss)
    space.measured_seq, space.measured_at = tcb.copied_seq, now


def text_in_segment(tcb: Tcb) -> int:
    """Give the text in a full segment of the peer's: what we advertised, less timestamps."""
    return tcb.advertised_mss - TIMESTAMPS_LENGTH * tcb.timestamps


def free_space(tcb: Tcb) -> int:
    """Give the window's worth of buffer that holds no text."""
    held = len(tcb.receive_queue) + tcb.reassembly.octets
    return window_of(tcb.receive_space.buffer) - held


# --- growing ------------------------------------------------------------------------------------


def on_text(tcb: Tcb, length: int, stamps: Timestamps | None, now: Instant) -> None:
    """Note that a segment with so many octets of text came in order."""
    _measure_round_trip(tcb, length, stamps, now)
    offer_more(tcb, length)


def offer_more(tcb: Tcb, length: int) -> None:
    """Offer more of the buffer, as a segment with so many octets of text came."""
    space = tcb.receive_space
    room = min(space.clamp, free_space(tcb)) - space.threshold
    if room > 0 and length >= _GROWING_LENGTH:
        space.threshold += min(room, 2 * max(text_in_segment(tcb), length))
        tcb.acks.quick |= 1


def _measure_round_trip(tcb: Tcb, length: int, stamps: Timestamps | None, now: Instant) -> None:
    """Take a sample for each window that was filled, or from the echo of our timestamp."""
    trip = tcb.receive_space.round_trip
    if trip.since is None or not lt(tcb.rcv_nxt, trip.seq):
        if trip.since is not None:
            trip.sample(max(now - trip.since, 1), smooth=False)
        trip.seq, trip.since = add(tcb.rcv_nxt, tcb.rcv_wnd), now
    if stamps is None or not tcb.timestamps or stamps.echo == trip.last_echo:
        return
    trip.last_echo = stamps.echo
    elapsed = sub(tcb.timestamp_now(now), stamps.echo) * MILLISECOND
    if length >= tcb.acks.rcv_mss and 0 < elapsed < _LONGEST_ROUND_TRIP:
        # A queue that is not empty says that the user, not the network, was slow.
        trip.sample(elapsed, smooth=not len(tcb.receive_queue))


def on_taken(tcb: Tcb, config: TcpConfig, now: Instant) -> None:
    """Measure what the user takes in a round trip; a growing amount grows the buffer."""
    space = tcb.receive_space
    round_trip = space.round_trip.srtt_8 >> 3
    if not round_trip or now - space.measured_at < round_trip:
        return
    # What still waits was not taken: a user who lags behind needs no larger buffer.
    taken = sub(tcb.copied_seq, space.measured_seq) - len(tcb.receive_queue)
    if taken > space.taken_before:
        _grow(tcb, taken, config)
    space.measured_seq, space.measured_at = tcb.copied_seq, now


def _grow(tcb: Tcb, taken: int, config: TcpConfig) -> None:
    """Make room for twice what was taken, as a slow start doubles; more where it grew faster."""
    space = tcb.receive_space
    before, space.taken_before = space.taken_before, taken
    if space.locked or not config.tcp_moderate_rcvbuf:
        return
    window = 2 * taken
    window += 2 * (window * (taken - before) // before)
    window += tcb.reassembly.span(tcb.rcv_nxt)
    buffer = min(buffer_for(window), config.tcp_rmem[2])
    if buffer > space.buffer:
        _enlarge(tcb, buffer, window_of(buffer))


def _enlarge(tcb: Tcb, buffer: int, window: int) -> None:
    """Let what may be offered follow the buffer. Deviation: Linux forgets TCP_WINDOW_CLAMP here."""
    tcb.receive_space.buffer = buffer
    most = tcb.options.window_clamp or window
    tcb.receive_space.clamp = min(window, most, MAX_UNSCALED << tcb.rcv_wind_shift)


# --- the user's settings ------------------------------------------------------------------------


def set_clamp(tcb: Tcb, clamp: int) -> None:
    """Offer at most `clamp` octets from now on, or again up to that many (TCP_WINDOW_CLAMP)."""
    space = tcb.receive_space
    if clamp < space.clamp:
        space.threshold = min(space.threshold, clamp)
    elif clamp > space.clamp:
        space.threshold = max(space.threshold, min(tcb.rcv_wnd, clamp))
    space.clamp = clamp


def make_room_for(tcb: Tcb, octets: int) -> None:
    """See that so many octets fit the buffer, for a user who waits for them (SO_RCVLOWAT)."""
    space = tcb.receive_space
    if not space.locked and buffer_for(octets) > space.buffer:
        _enlarge(tcb, buffer_for(octets), octets)
