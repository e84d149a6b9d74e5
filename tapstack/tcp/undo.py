"""Taking a reduction back that proves to have been for nothing (RFC 3522, 4015, 3708, 5682).

Retransmissions were spurious when an ACK echoes a timestamp from before the first of them (Eifel),
when D-SACKs report each of them, or, after a timeout, when what was never sent again is
acknowledged (F-RTO). Then nothing was lost, only late: the window becomes what it was.

Not done here: the phases (`recovery.py`), and what is remembered (`recovery_state.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.rack import rack_of
from tapstack.tcp.recovery_state import recovery_of
from tapstack.tcp.seq import lt

if TYPE_CHECKING:
    from tapstack.tcp.ack_news import AckNews
    from tapstack.tcp.tcb import Tcb


def may_undo(tcb: Tcb, news: AckNews) -> bool:
    """Tell whether all that was sent again was so for nothing."""
    undo = tcb.recovery.undo
    return undo.marker is not None and (undo.unreported == 0 or is_original_late(tcb, news))


def is_original_late(tcb: Tcb, news: AckNews) -> bool:
    """Tell whether an ACK is for an original, as its timestamp proves (RFC 3522 §3.2 step 4).

    When nothing was sent again yet, there is nothing else that it could be for.
    """
    stamp = tcb.recovery.undo.retransmit_stamp
    if stamp is not None:
        return news.echo is not None and news.echo != 0 and lt(news.echo, stamp)
    return tcb.sack_permitted or lt(tcb.snd_una, tcb.recovery.high_seq)


def restore_window(tcb: Tcb, *, nothing_lost: bool) -> None:
    """Give the window back (RFC 4015 §3.3); with `nothing_lost`, in-flight counts so, too."""
    undo, window = recovery_of(tcb).undo, tcb.window
    if nothing_lost:
        tcb.sent.mark_none_lost()
    prr = tcb.recovery.prr
    if undo.prior_ssthresh and prr is not None:
        window.cwnd = max(window.cwnd, prr.prior_cwnd)
        if undo.prior_ssthresh > window.ssthresh:  # else CWR is told as it would be: as in Linux
            window.ssthresh = undo.prior_ssthresh
            tcb.cwr_due = False
    undo.marker = None
    if tcb.sent:
        rack_of(tcb).advanced = True  # look at what is in flight with other eyes


def on_dsack(tcb: Tcb, end: int, packets: int) -> None:
    """Take a report that so many segments, up to `end`, came twice (RFC 3708 §2)."""
    undo = tcb.recovery.undo
    if undo.marker is not None and undo.unreported and lt(undo.marker, end):
        undo.unreported = max(0, undo.unreported - packets)
