"""The receive window: how much to advertise (RFC 9293 §3.8.6.2.2).

RFC 9293 MUST-39 asks the receiver to avoid the silly window syndrome: a window opens by a full
segment or half the buffer, never by crumbs, and never shrinks (SHLD-14).

Not done here: the buffer (`receive_space.py`), and sending the update (`output.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.receive_space import MAX_UNSCALED, SHARE_BITS, held
from tapstack.tcp.seq import MASK, add, sub

if TYPE_CHECKING:
    from tapstack.tcp.tcb import Tcb


def select_window(tcb: Tcb) -> int:
    """Choose the window to offer, octets from RCV.NXT on; a whole number of scaled units.

    As in Linux, without scaling it may be more than the field can say: what comes within is taken.
    """
    space, shift, in_use = tcb.receive_space, tcb.rcv_wind_shift, tcb.receive_queue.charge
    if space.may_shrink or not shift or 2 * in_use > space.buffer or tcb.reassembly is not None:
        chosen = wanted_window(tcb)
    else:
        # Half of the buffer is free, as it mostly is: that comes to this.
        chosen, free = space.threshold, (space.buffer - in_use) * space.share >> SHARE_BITS
        if chosen > free:
            chosen = free
    if not (space.may_shrink and shift):
        # RFC 9293 SHLD-14: "A TCP receiver SHOULD NOT shrink the window".
        current = tcb.rcv_wnd - ((tcb.rcv_nxt - tcb.rcv_wup) & MASK)
        if chosen < current:
            chosen = current
    chosen += -chosen & (1 << shift) - 1
    most = MAX_UNSCALED << shift
    return most if chosen > most and shift else chosen


def window_field(tcb: Tcb) -> int:
    """Give SEG.WND of what was chosen."""
    return min(tcb.rcv_wnd >> tcb.rcv_wind_shift, MAX_UNSCALED)


def remaining_window(tcb: Tcb) -> int:
    """Tell how much of the window last advertised is not yet used, octets."""
    if tcb.rcv_nxt == tcb.rcv_wup:
        return tcb.rcv_wnd
    return max(0, tcb.rcv_wnd - sub(tcb.rcv_nxt, tcb.rcv_wup))


def right_edge(tcb: Tcb) -> int:
    """Give the sequence number behind the window last advertised; what was taken is within."""
    return add(tcb.rcv_nxt, remaining_window(tcb))


def wanted_window(tcb: Tcb) -> int:
    """Give the window that the buffer has room for, whatever was advertised before."""
    space, shift = tcb.receive_space, tcb.rcv_wind_shift
    unit, allowed, most = 1 << shift, space.full, space.threshold
    in_use = held(tcb)
    full, free = min(space.clamp, allowed), space.window_of(space.buffer - in_use)
    mss = min(tcb.acks.rcv_mss, full)
    shrinks = space.may_shrink and shift
    if shrinks:
        free = free // unit * unit
    if free < full // 2:
        tcb.acks.quick = 0  # the user lags behind: quick ACKs would only have the peer send more
        free = free // unit * unit
        if free < allowed // 16 or free < mss or (shrinks and free < unit):
            return 0
    free = min(free, most)
    if shift:
        return -(-free // unit) * unit
    # Without scaling the field is exact: keep whole segments, so that no crumb is offered.
    window = tcb.rcv_wnd
    if window <= free - mss or window > free:
        return free // mss * mss
    if mss == full and free > window + full // 2:
        return free
    return window
