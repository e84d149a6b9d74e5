"""Segments that belong to no connection's stream: resets in reply to what nobody expects.

They wait in the context until the flush, as all output does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.segment import ACK, NO_OPTIONS, RST, Segment

if TYPE_CHECKING:
    from tapstack.base.address import Ipv4Address
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


def reset_in_reply_to(
    ctx: Context, source: Ipv4Address, destination: Ipv4Address, seg: Segment, why: str
) -> None:
    """Answer a segment from `source` to our `destination` with a reset, unless it is one itself.

    RFC 9293 §3.10.7.1: with an ACK, <SEQ=SEG.ACK><CTL=RST>; without one,
    <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>. It has the type of service of what it answers.
    """
    if seg.flags & RST:
        return
    ports = seg.destination_port, seg.source_port
    if seg.flags & ACK:
        reset = Segment(*ports, seg.ack, 0, RST, 0, 0, NO_OPTIONS, b"", seg.tos)
    else:
        reset = Segment(*ports, 0, seg.end, RST | ACK, 0, 0, NO_OPTIONS, b"", seg.tos)
    ctx.reply(destination, source, reset, why)


def reset_peer(ctx: Context, tcb: Tcb, why: str) -> None:
    """Tell the peer that a connection is aborted (RFC 9293 §3.10.5): <SEQ=SND.NXT><CTL=RST>.

    Deviation: like Linux, the reset carries an ACK too, which costs nothing and helps middleboxes.
    """
    ctx.reset(tcb, why)
