"""The receive buffer: how large it is, how it grows, and how much of it may be offered yet.

A buffer that the user has not set grows with what the user really takes in a round trip, so that
the window is never what limits a peer in slow start (Linux's dynamic right-sizing). What is offered
grows more slowly: as text proves to arrive.

Not done here: choosing the window of a segment (`receive_window.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.tcp.options import TIMESTAMPS_LENGTH
from tapstack.tcp.reassembly import span_beyond_gap
from tapstack.tcp.seq import add, lt, sub

if TYPE_CHECKING:
    from tapstack.tcp.config import TcpConfig
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
_MOST_BY_USER = 4_194_304
"""Octets of the largest buffer that a user may ask for (net.core.rmem_max): he may do so later."""
SHARE_BITS = 8
"""A share is counted in so many bits: in 256ths."""
_FIRST_SHARE = 1 << SHARE_BITS - 1
"""Half of the buffer is thought to be text, before any has come."""


def shift_for(window: int) -> int:
    """Choose Rcv.Wind.Shift for the largest window there may be, as Linux does (RFC 7323 §2.3)."""
    return min(max(0, window.bit_length() - 16), MAX_SHIFT)


@dataclass(slots=True)
class ReceiveSpace:
    """The receive buffer of one connection, in octets.

    One that the user has set (`UserOptions.receive_buffer`) never grows by itself.
    """

    buffer: int
    """Octets of the buffer, overhead included, as SO_RCVBUF tells it."""
    clamp: int
    """Most that is ever offered (TCP_WINDOW_CLAMP)."""
    may_shrink: bool = False
    """What was offered may be taken back: for a window that is scaled alone (as Linux)."""
    share: int = _FIRST_SHARE
    """How much of the memory is text, as the peer cuts it, in 256ths (Linux's scaling_ratio)."""
    threshold: int = 0
    """Most that is offered yet: Linux's rcv_ssthresh."""
    taken_before: int = 0
    """Octets that the user took in the measurement before: Linux's rcvq_space."""
    measured_seq: int = 0
    """What the user took up to, when the measurement began."""
    measured_at: Instant = 0
    srtt_8: int = 0
    """Eight times the smoothed round trip, µs, as a receiver can tell it, who sends nothing
    himself; 0: unknown yet."""
    window_end: int | None = None
    """Where the window ended that was offered when the measurement of a round trip began."""
    window_since: Instant = 0
    last_echo: int | None = None
    """TSecr of the segment that was measured last."""

    def window_of(self, memory: int) -> int:
        """Give the window that so many octets of memory stand for."""
        return memory * self.share >> SHARE_BITS

    def memory_for(self, window: int) -> int:
        """Give the octets of memory that a window takes."""
        return (window << SHARE_BITS) // self.share

    @property
    def srtt(self) -> Duration:
        """The round trip, µs; 0: unknown yet."""
        return self.srtt_8 >> 3

    def sample(self, elapsed: Duration, *, smooth: bool) -> None:
        """Take a sample; without timestamps only the least counts, as windows fill late."""
        if self.srtt_8 == 0 or 8 * elapsed < self.srtt_8:
            self.srtt_8 = 8 * elapsed
        elif smooth:
            self.srtt_8 += elapsed - (self.srtt_8 >> 3)

    @property
    def full(self) -> int:
        """The window that the whole buffer stands for."""
        return self.buffer * self.share >> SHARE_BITS


def make_receive_space(config: TcpConfig, options: UserOptions, most: int = 0) -> ReceiveSpace:
    """Make the buffer of a new connection; `most` is what the route lets be offered, 0: any."""
    buffer = size_at_first(config, options)
    clamp = options.window_clamp or most or MAX_UNSCALED << MAX_SHIFT
    space = ReceiveSpace(buffer, clamp, config.tcp_shrink_window)
    if options.receive_buffer is not None:
        space.clamp = min(clamp, space.full)
    return space


def size_at_first(config: TcpConfig, options: UserOptions) -> int:
    """Give the octets of a new connection's buffer: what the user has set, or waits for at least.

    That is SO_RCVBUF, or SO_RCVLOWAT with the memory that so much text may take.
    """
    if options.receive_buffer is not None:
        return options.receive_buffer
    if options.rcvlowat <= 1:
        return config.tcp_rmem[1]
    return max(config.tcp_rmem[1], (options.rcvlowat << SHARE_BITS) // _FIRST_SHARE)


def offer_first_window(tcb: Tcb, most: int, mss: int, *, scaling: bool) -> None:
    """Set the first window, a whole number of segments, and the shift of the largest ever.

    `most` is the largest buffer that the engine lets grow, `mss` the text in a full segment.
    """
    space, first = tcb.receive_space, tcb.route.initrwnd * mss
    window = max(space.full, first) if tcb.passive else space.full
    space.threshold, tcb.rcv_wind_shift, space.clamp = first_window(
        window, space.clamp, first, most, mss, scaling
    )
    tcb.rcv_wnd = space.threshold


@lru_cache(maxsize=64)
def first_window(
    window: int, clamp: int, first: int, most: int, mss: int, scaling: bool
) -> tuple[int, int, int]:
    """Work out a threshold, a shift and a clamp, which most connections share.

    `window` is what the buffer stands for, `first` what the route lets be offered, 0: any.
    """
    window = min(window, clamp)
    threshold = window // mss * mss or window
    if first:
        threshold = min(threshold, first)
    shift = shift_for(min(max(window, most, _MOST_BY_USER), clamp)) if scaling else 0
    return threshold, shift, min(clamp, MAX_UNSCALED << shift)


def on_established(config: TcpConfig, tcb: Tcb, now: Instant) -> None:
    """Begin to measure, with one segment of the buffer kept back, or more (tcp_app_win)."""
    # As Linux, which takes the timestamps' part from what was advertised when all is agreed.
    space, mss = tcb.receive_space, tcb.advertised_mss if tcb.opens_early else text_in_segment(tcb)
    space.clamp, space.threshold, space.taken_before = _in_transfer(
        space.clamp,
        space.threshold,
        space.full,
        tcb.rcv_wnd,
        mss,
        tcb.window_scaling,
        config.tcp_app_win,
    )
    space.measured_seq, space.measured_at = tcb.copied_seq, now


@lru_cache(maxsize=64)
def _in_transfer(
    clamp: int, threshold: int, full: int, rcv_wnd: int, mss: int, scaling: bool, kept_back: int
) -> tuple[int, int, int]:
    """Hold back one segment of a buffer whose window that would be.

    And of a larger one the share that `kept_back` says as a shift; 0: not even that segment.

    Gives the clamp, the threshold, and what the user is thought to take in the first round trip.
    """
    if kept_back and full > 4 * mss and clamp >= full:
        clamp = max(full - (full >> kept_back), 4 * mss)
    clamp = min(clamp, full) if scaling else min(clamp, full, MAX_UNSCALED)
    if kept_back and clamp > 2 * mss and clamp + mss > full:
        clamp = max(2 * mss, full - mss)
    threshold = min(threshold, clamp)
    return clamp, threshold, min(threshold, rcv_wnd, _INITIAL_SEGMENTS * mss)


def text_in_segment(tcb: Tcb) -> int:
    """Give the text in a full segment of the peer's: what we advertised, less timestamps."""
    return tcb.advertised_mss - TIMESTAMPS_LENGTH * tcb.timestamps


def held(tcb: Tcb) -> int:
    """Give the octets of memory that what came takes."""
    in_order, beyond = tcb.receive_queue.charge, tcb.reassembly
    return in_order if beyond is None else in_order + beyond.charge


# --- growing ------------------------------------------------------------------------------------


def learn_share(tcb: Tcb, length: int, charge: int) -> None:
    """Learn what memory takes of the peer's segments, from one that is longer than any before."""
    space = tcb.receive_space
    share = max((length << SHARE_BITS) // charge, 1)
    if share != space.share:
        space.share = share
        set_clamp(tcb, max(space.full, LEAST_CLAMP))
        space.taken_before = min(space.taken_before, space.clamp)


def measure_by_echo(tcb: Tcb, length: int, echo: int, now: Instant) -> None:
    """Measure the round trip by the TSecr of a segment, before its text is taken.

    As in Linux: of several with one echo the first alone tells it, and only if it is a full one:
    `length` is its octets of sequence space. A queue that is not empty says that the user, not the
    network, was slow.
    """
    space = tcb.receive_space
    if echo == space.last_echo:
        return
    space.last_echo = echo
    if length < tcb.acks.rcv_mss:
        return
    elapsed = sub(tcb.timestamp_now(now), echo) * MILLISECOND
    if 0 < elapsed < _LONGEST_ROUND_TRIP:
        space.sample(elapsed, smooth=not len(tcb.receive_queue))


def measure_by_window(tcb: Tcb, now: Instant) -> None:
    """Measure the round trip by how long the peer takes to fill the window, as text has come."""
    space = tcb.receive_space
    if space.window_end is None or not lt(tcb.rcv_nxt, space.window_end):
        if space.window_end is not None:
            space.sample(max(now - space.window_since, 1), smooth=False)
        space.window_end, space.window_since = add(tcb.rcv_nxt, tcb.rcv_wnd), now


def offer_more(tcb: Tcb, config: TcpConfig, length: int, charge: int, in_use: int) -> None:
    """Offer more of the buffer, as a segment with so many octets of text came.

    `charge` is its memory, `in_use` that of all that counts already.
    """
    space = tcb.receive_space
    room = min(space.clamp, space.window_of(space.buffer - in_use)) - space.threshold
    if room <= 0:
        return
    if space.window_of(charge) <= length:
        growth = 2 * text_in_segment(tcb)
    else:
        growth = _growth_by_costly(tcb, config, length, charge)
    if growth:
        space.threshold += min(room, max(growth, 2 * length))
        tcb.acks.quick |= 1


def _growth_by_costly(tcb: Tcb, config: TcpConfig, length: int, charge: int) -> int:
    """Tell how much more to offer for a segment that costs more memory than is reckoned with.

    The costlier, the smaller is the window up to which it may grow: half the largest, where it
    costs up to twice as much, a quarter up to four times.
    """
    space = tcb.receive_space
    cost, window = space.window_of(charge) // 2, space.window_of(config.tcp_rmem[2]) // 2
    while space.threshold <= window:
        if cost <= length:
            return 2 * tcb.acks.rcv_mss
        cost, window = cost // 2, window // 2
    return 0


def on_taken(tcb: Tcb, taken_up_to: int, config: TcpConfig, now: Instant) -> None:
    """Measure what the user takes in a round trip; a growing amount grows the buffer.

    `taken_up_to` is a sequence number: like Linux, where a user takes several segments at once we
    measure behind the first.
    """
    space = tcb.receive_space
    round_trip = space.srtt
    if not round_trip or now - space.measured_at < round_trip:
        return
    # What still waits was not taken: a user who lags behind needs no larger buffer.
    taken = sub(taken_up_to, space.measured_seq)
    waiting = sub(tcb.rcv_nxt, taken_up_to)
    if taken - waiting > space.taken_before:
        grow(tcb, taken - waiting, config)
    space.measured_seq, space.measured_at = taken_up_to, now


def grow(tcb: Tcb, taken: int, config: TcpConfig) -> None:
    """Make room for twice what was taken, as a slow start doubles; more where it grew faster.

    What lies beyond gaps has to fit in, too.
    """
    space = tcb.receive_space
    before, space.taken_before = space.taken_before, taken
    if tcb.options.receive_buffer is not None or not config.tcp_moderate_rcvbuf:
        return
    window = 2 * taken
    window += 2 * (window * (taken - before) // before)
    window += span_beyond_gap(tcb)
    buffer = min(space.memory_for(window), config.tcp_rmem[2])
    if buffer > space.buffer:
        _enlarge(tcb, buffer, space.window_of(buffer))


def _enlarge(tcb: Tcb, buffer: int, window: int) -> None:
    """Let what may be offered follow the buffer; like Linux, that is the end of a user's clamp."""
    tcb.receive_space.buffer = buffer
    tcb.receive_space.clamp = min(window, MAX_UNSCALED << tcb.rcv_wind_shift)


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
    memory = space.memory_for(octets)
    if tcb.options.receive_buffer is None and memory > space.buffer:
        _enlarge(tcb, memory, octets)
