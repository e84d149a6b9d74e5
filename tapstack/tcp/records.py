"""Records: messages whose end the user has marked with MSG_EOR (sendmsg(2)).

TCP has no records: the peer sees none. But like Linux, we send nothing of the next in a segment
that ends one, so that what marks a record's end in time (its ACK, its timestamp) is its own.

Not done here: anything else of sending (`output.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.seq import add, gt, sub

if TYPE_CHECKING:
    from tapstack.tcp.tcb import Tcb


def end_record(tcb: Tcb) -> None:
    """Let a record end with what is queued last."""
    tcb.record_ends += (add(tcb.snd_nxt, tcb.unsent()),)
    tcb.undisturbed = False


def octets_in_record(tcb: Tcb, seq: int, length: int) -> int:
    """Tell how many of the octets from `seq` on belong to one record."""
    for end in tcb.record_ends:
        if gt(end, seq):
            return min(length, sub(end, seq))
    return length


def on_acknowledged(tcb: Tcb) -> None:
    """Forget the ends of records that have arrived."""
    if tcb.record_ends:
        tcb.record_ends = tuple(end for end in tcb.record_ends if gt(end, tcb.snd_una))
