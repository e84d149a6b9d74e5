"""The usual SYN-ACK: a short way to build and send one that agrees to all that Linux offers.

What `transmission.py` and the layers below come to for those is done here and by the connection's
lane in one pass. The layers are the truth: a property test holds both together, octet by octet.

Whatever is not so usual is declined before anything has changed.

Not done here: the headers (`tapstack/express_out.py`), and when to send one (`half_open.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.options import TIMESTAMPS_LENGTH, USUAL_SYN_LENGTH
from tapstack.tcp.receive_space import MAX_UNSCALED

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.plain_segment import Lane
    from tapstack.tcp.syn_ack import SynAck
    from tapstack.tcp.tcb import Tcb

_MORE_OPTIONS = USUAL_SYN_LENGTH - TIMESTAMPS_LENGTH
"""Octets of options beyond those of a plain segment."""


def send_usual_syn_ack(ctx: Context, tcb: Tcb, request: SynAck, lane: Lane, now: Instant) -> bool:
    """Send our SYN-ACK, with every option that Linux sends; False: decline."""
    if (
        request.cookie is not None
        or tcb.ecn
        or not (tcb.timestamps and tcb.window_scaling and tcb.sack_permitted)
        or tcb.next_hop_confirmed
        or tcb.acks.due
        or tcb.acks.owed
        or not lane.is_clear(tcb, _MORE_OPTIONS, 0)
    ):
        return False
    tcb.transmitted_at = now
    tcb.last_ack_sent = tcb.rcv_nxt
    ctx.counters["TcpOutSegs"] += 1
    lane.send_syn_ack(tcb, min(request.window, MAX_UNSCALED), now)
    return True
