"""An ACK that is owed: whether it leaves now, or a little later (RFC 9293 §3.8.6.3).

Not done here: how long it may wait (`ack_policy.py`), and text that takes it along (`output.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp import ack_compression, ecn
from tapstack.tcp.receive_space import held
from tapstack.tcp.receive_window import wanted_window
from tapstack.tcp.segment import ACK
from tapstack.tcp.seq import sub
from tapstack.tcp.state import HAS_RECEIVED_FIN
from tapstack.tcp.timeouts import delay_ack
from tapstack.tcp.transmission import sequence_of_ack, transmit

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


def acknowledge(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Send an ACK if it is due, or see that one that is owed leaves in time (RFC 9293 §3.8.6.3)."""
    acks = tcb.acks
    if not acks.due and not acks.fresh:
        return
    acks.fresh = False
    if not acks.due:
        # It must not be delayed in quick mode, or where more than a full segment is owed.
        many = sub(tcb.rcv_nxt, tcb.rcv_wup) > acks.rcv_mss
        if not (many and _opens_as_it_was(tcb)) and not (
            acks.is_quick() or (tcb.ecn and ecn.hurries(tcb))
        ):
            may_wait = ack_compression.hold_back if tcb.reassembly else delay_ack
            if may_wait(ctx, tcb, now):
                return
    transmit(ctx, tcb, sequence_of_ack(tcb), ACK, 0, now, "acknowledge")


def _opens_as_it_was(tcb: Tcb) -> bool:
    """Tell whether an ACK can offer as much as the last; else the user's reading will bring one.

    A user who wants more than there is does not read yet.
    """
    waiting = sub(tcb.rcv_nxt, tcb.copied_seq)
    return waiting < tcb.options.rcvlowat or wanted_window(tcb) >= tcb.rcv_wnd


def ack_after_taking_is_due(tcb: Tcb) -> bool:
    """Tell whether the user's taking of text calls for an ACK (RFC 9293 §3.8.6.2.2).

    It does when the window has at least doubled, as Linux has it, or when a delayed ACK waits, and
    it is for more than one full segment, or all was taken of what the peer's user sent at once.
    """
    acks, unacknowledged = tcb.acks, sub(tcb.rcv_nxt, tcb.rcv_wup)
    current = max(0, tcb.rcv_wnd - unacknowledged)
    if acks.owed:
        if unacknowledged > acks.rcv_mss:
            return True
        if acks.is_end_of_message() and not held(tcb):
            return True
    if 2 * current > tcb.receive_space.clamp or tcb.read_shut or tcb.state in HAS_RECEIVED_FIN:
        return False
    wanted = wanted_window(tcb)
    return wanted > 0 and wanted >= 2 * current
