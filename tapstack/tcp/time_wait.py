"""Segments that arrive in TIME-WAIT (RFC 9293 §3.10.7.4, §3.6.1; RFC 1337, RFC 6191).

Deviation: the RFC sends each through the eight steps. Like Linux, a connection that is only waiting
looks at three things: an old duplicate, a new SYN, a reset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tapstack.base.address import Endpoint, is_loopback
from tapstack.base.errors import Drop
from tapstack.base.units import Instant
from tapstack.tcp.half_open import open_half
from tapstack.tcp.handshake import listen_state
from tapstack.tcp.invalid import answer_invalid
from tapstack.tcp.lifetime import arm_wait, destroy
from tapstack.tcp.paws import is_older
from tapstack.tcp.segment import ACK, FIN, RST, SYN, Segment
from tapstack.tcp.seq import add, gt
from tapstack.tcp.state import State

if TYPE_CHECKING:
    from tapstack.base.contracts import Datagram
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

ANYWHERE = 1
"""The value of tcp_tw_reuse that is not only for 127.0.0.0/8."""
_ISS_STEP = 65535 + 2
"""How far beyond SND.NXT the next incarnation's ISS begins (RFC 9293 §3.6.1: larger than any)."""


def time_wait_state(ctx: Context, tcb: Tcb, datagram: Datagram, seg: Segment, now: Instant) -> None:
    """Take a segment for a connection in TIME-WAIT."""
    old = is_older(tcb, seg, now)
    if not old and seg.seq == tcb.rcv_nxt and (seg.length == 0 or seg.flags & RST):
        _expected(ctx, tcb, seg, now)
    elif _is_new_syn(tcb, seg, old):
        _reopen(ctx, tcb, datagram, seg, now)
    elif not seg.flags & RST:
        if old:
            ctx.counters.drop(Drop.TCP_PAWS_TIME_WAIT)
        if old or seg.flags & ACK:
            # "The only thing that can arrive in this state is a retransmission of the remote FIN.
            # Acknowledge it, and restart the 2 MSL timeout."
            arm_wait(ctx, tcb, now + ctx.config.time_wait)
        answer_invalid(ctx, tcb, seg, now, "TIME-WAIT")


def _expected(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Take an empty segment at RCV.NXT: a reset ends the wait unless RFC 1337's fix is on."""
    if seg.flags & RST and not ctx.config.tcp_rfc1337:
        destroy(ctx, tcb)
        return
    if seg.flags & (ACK | RST) == ACK:
        arm_wait(ctx, tcb, now + ctx.config.time_wait)
    if tcb.timestamps and seg.options.timestamps is not None:
        tcb.ts_recent, tcb.ts_recent_at = seg.options.timestamps.value, now


def _is_new_syn(tcb: Tcb, seg: Segment, old: bool) -> bool:
    """Tell whether a SYN may begin a new incarnation (RFC 9293 MAY-2, RFC 6191 §2)."""
    if old or seg.flags & (SYN | RST | ACK) != SYN:
        return False
    stamps = seg.options.timestamps
    newer = tcb.timestamps and stamps is not None and gt(stamps.value, tcb.ts_recent)
    return newer or gt(seg.seq, tcb.rcv_nxt)


# --- successors that we open ourselves -----------------------------------------------------------


class Legacy(NamedTuple):
    """What a connection in TIME-WAIT leaves to the next between the same endpoints."""

    iss: int
    ts_recent: int
    ts_recent_at: Instant


def may_be_succeeded(ctx: Context, old: Tcb, now: Instant, *, bound: bool) -> bool:
    """Tell whether a connection may be opened between the endpoints of one that is over.

    Its timestamps must tell the two apart (RFC 6191). Like Linux, who bound the port knows what he
    does; else there is tcp_tw_reuse.
    """
    if old.state is not State.TIME_WAIT or not old.timestamps:
        return False
    config = ctx.config
    local = is_loopback(old.local.address) or is_loopback(old.remote.address)
    allowed = config.tcp_tw_reuse == ANYWHERE or (config.tcp_tw_reuse and local)
    return bound or (bool(allowed) and now > old.waiting_since + config.tcp_tw_reuse_delay)


def take_over(
    ctx: Context, local: Endpoint, remote: Endpoint, now: Instant, *, bound: bool
) -> Legacy | None:
    """End a connection that may be succeeded; None: there is none."""
    old = ctx.connections.find(*local, *remote)
    if old is None or not may_be_succeeded(ctx, old, now, bound=bound):
        return None
    ctx.counters["TcpExtTWRecycled"] += 1
    destroy(ctx, old)
    return Legacy(add(old.snd_nxt, _ISS_STEP), old.ts_recent, old.ts_recent_at)


def succeed(tcb: Tcb, legacy: Legacy) -> None:
    """Begin where the predecessor has ended."""
    tcb.iss = tcb.snd_una = tcb.snd_nxt = tcb.small_sent_end = legacy.iss
    tcb.ts_recent, tcb.ts_recent_at = legacy.ts_recent, legacy.ts_recent_at


# --- successors that the peer opens --------------------------------------------------------------


def _reopen(ctx: Context, tcb: Tcb, datagram: Datagram, seg: Segment, now: Instant) -> None:
    """Give the endpoints to a new connection, if somebody listens still."""
    listener = ctx.connections.find_listener(*tcb.local)
    if listener is None:
        tcb.acks.due = True  # as Linux, however often
        ctx.mark_dirty(tcb)
        return
    local, remote, iss = tcb.local, tcb.remote, add(tcb.snd_nxt, _ISS_STEP)
    destroy(ctx, tcb)
    if listener.is_full() or seg.flags & FIN:
        listen_state(ctx, listener, datagram, seg, now)
        return
    open_half(ctx, listener, local, remote, seg, now, iss=iss)
