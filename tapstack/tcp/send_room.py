"""How much new text one unit may carry now: SWS avoidance and Nagle (RFC 9293 §3.8.6.2.1, §3.7.4).

Not done here: whether it waits although it may leave (`unit_size.py`), and sending (`output.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp import urgent
from tapstack.tcp.seq import ge, sub
from tapstack.tcp.unit_size import unit_segments

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


def window_room(tcb: Tcb) -> int:
    """Give the usable window (RFC 9293 §3.8.6.2.1): U = SND.UNA + SND.WND − SND.NXT.

    It is 0, rather than negative, while a peer that shrank its window has more in flight.
    """
    return max(0, tcb.snd_wnd - sub(tcb.snd_nxt, tcb.snd_una))


def sendable(ctx: Context, tcb: Tcb, unsent: int, mss: int) -> int:
    """Tell how many octets the next unit may carry: SWS avoidance and Nagle's algorithm.

    In urgent mode that is one segment: the pointer counts from the start of each.
    """
    if tcb.sent.in_flight >= tcb.window.cwnd:
        return 0
    room, waiting = window_room(tcb), unsent
    unsent = tcb.send_pieces.octets_in_piece(tcb, unsent)
    # RFC 9293 §3.8.6.2.1, (1) to (3): a full segment is no larger than half of the largest window
    # that there was, or, as in Linux, than a small one.
    if room < min(unsent, mss):
        return 0  # wait for more window, or for the persist timer
    most = room
    if unsent > mss:
        most = mss if urgent.is_sending(tcb) else unit_quota(ctx, tcb, mss) * mss
    length = min(unsent, room, most)
    partial = length % mss
    is_asked = unsent == waiting or room < most  # as Linux: also where the window cuts a piece
    if partial and is_asked and not _may_send_partial(tcb, is_last=length == waiting):
        length -= partial
    return length


def unit_quota(ctx: Context, tcb: Tcb, mss: int) -> int:
    """Give the most segments that one unit may have now, whatever the peer's window.

    Like Linux, no unit is more than half a window, so that one comes while another is acked.
    """
    cwnd = tcb.window.cwnd
    units = unit_segments(ctx, tcb, mss)
    return min(max(cwnd - tcb.sent.in_flight, 0), max(cwnd // 2, 1), units)


def _may_send_partial(tcb: Tcb, *, is_last: bool) -> bool:
    """Apply Nagle's algorithm (RFC 9293 §3.7.4), as Minshall changed it and Linux has it.

    A segment that is not full waits while another such segment is not acknowledged.
    """
    if (is_last and tcb.fin_queued) or urgent.is_sending(tcb):
        return True
    if tcb.push_pending or tcb.pushes_once:
        return True
    if tcb.options.cork or tcb.more_coming:
        return False
    return tcb.options.nodelay or not tcb.sent or ge(tcb.snd_una, tcb.small_sent_end)
