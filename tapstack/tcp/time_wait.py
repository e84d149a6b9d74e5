"""Segments that arrive in TIME-WAIT (RFC 9293 §3.10.7.4, §3.6.1; RFC 1337, RFC 6191).

Deviation: the RFC sends each through the eight steps. Like Linux, a connection that is only waiting
looks at three things: an old duplicate, a new SYN, a reset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.errors import Drop
from tapstack.tcp.half_open import open_half
from tapstack.tcp.handshake import listen_state
from tapstack.tcp.invalid import answer_invalid
from tapstack.tcp.lifetime import destroy
from tapstack.tcp.segment import ACK, FIN, RST, SYN, Segment
from tapstack.tcp.seq import add, gt, lt

if TYPE_CHECKING:
    from tapstack.base.contracts import Datagram
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_ISS_STEP = 65535 + 2
"""How far beyond SND.NXT the next incarnation's ISS begins (RFC 9293 §3.6.1: larger than any)."""


def time_wait_state(ctx: Context, tcb: Tcb, datagram: Datagram, seg: Segment, now: Instant) -> None:
    """Take a segment for a connection in TIME-WAIT."""
    stamps = seg.options.timestamps
    old = tcb.timestamps and stamps is not None and lt(stamps.value, tcb.ts_recent)
    if not old and seg.seq == tcb.rcv_nxt and (seg.length == 0 or seg.flags & RST):
        _expected(ctx, tcb, seg, now)
    elif _is_new_syn(tcb, seg, old):
        _reopen(ctx, tcb, datagram, seg, now)
    elif not seg.flags & RST:
        if old:
            ctx.counters.drop(Drop.TCP_PAWS)
        if old or seg.flags & ACK:
            # "The only thing that can arrive in this state is a retransmission of the remote FIN.
            # Acknowledge it, and restart the 2 MSL timeout."
            tcb.wait_timer.arm(now + ctx.config.time_wait)
        answer_invalid(ctx, tcb, seg, now, "TIME-WAIT")


def _expected(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Take an empty segment at RCV.NXT: a reset ends the wait unless RFC 1337's fix is on."""
    if not seg.flags & RST:
        if seg.flags & ACK:
            tcb.wait_timer.arm(now + ctx.config.time_wait)
    elif not ctx.config.tcp_rfc1337:
        destroy(ctx, tcb)


def _is_new_syn(tcb: Tcb, seg: Segment, old: bool) -> bool:
    """Tell whether a SYN may begin a new incarnation (RFC 9293 MAY-2, RFC 6191 §2)."""
    if old or seg.flags & (SYN | RST | ACK) != SYN:
        return False
    stamps = seg.options.timestamps
    newer = tcb.timestamps and stamps is not None and gt(stamps.value, tcb.ts_recent)
    return newer or gt(seg.seq, tcb.rcv_nxt)


def _reopen(ctx: Context, tcb: Tcb, datagram: Datagram, seg: Segment, now: Instant) -> None:
    """Give the endpoints to a new connection, if somebody listens still."""
    listener = ctx.connections.find_listener(*tcb.local)
    if listener is None or seg.flags & FIN:
        answer_invalid(ctx, tcb, seg, now, "TIME-WAIT")
        return
    local, remote, iss = tcb.local, tcb.remote, add(tcb.snd_nxt, _ISS_STEP)
    destroy(ctx, tcb)
    if listener.is_full():
        listen_state(ctx, listener, datagram, seg, now)
        return
    open_half(ctx, listener, local, remote, seg, now, iss=iss)
