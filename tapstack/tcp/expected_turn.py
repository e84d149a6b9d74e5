"""The expected turn of a connection: a short way through SEGMENT ARRIVES (RFC 9293 §3.10.7.4).

Most connections open and close alike: an ACK ends the handshake, the peer's FIN follows all of its
text, and the ACK of our own FIN is the last that is heard of it. What the steps come to for the
first is done here in one pass. The steps are the truth: a property test holds both together.

Whatever is not so plain is declined before anything has changed. As in `expected_segment.py`,
sequence numbers are compared in place, and a window comes as the field on the wire has it.

Not done here: the other two turns (`expected_end.py`); text, and what acknowledges it
(`expected_segment.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.contracts import ACCEPTABLE
from tapstack.base.units import MILLISECOND
from tapstack.tcp import mtu_probing
from tapstack.tcp.expected_end import take_expected_fin, take_last_ack
from tapstack.tcp.mould import settle
from tapstack.tcp.segment import FIN
from tapstack.tcp.state import State, become
from tapstack.tcp.timeouts import arm_keepalive
from tapstack.tcp.unit_size import update_pacing_rate

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.syn_ack import SynAck
    from tapstack.tcp.tcb import Tcb

TURNING = frozenset({State.SYN_RECEIVED, State.LAST_ACK})
"""States in which the expected segment is an ACK that ends them; in others, a FIN is a turn."""
_MASK = 0xFFFFFFFF
_HALF = 1 << 31


def take_expected_turn(
    ctx: Context,
    tcb: Tcb,
    seq: int,
    ack: int,
    flags: int,
    wnd: int,
    stamp: int,
    echo: int,
    now: Instant,
) -> bool:
    """Take a segment without text, with ACK, timestamps, perhaps PSH or FIN; False: decline."""
    if (
        seq != tcb.rcv_nxt
        or (stamp - tcb.ts_recent) & _MASK >= _HALF
        or not tcb.timestamps
        or tcb.options.min_ttl
    ):
        return False
    if flags & FIN:
        return take_expected_fin(ctx, tcb, seq, ack, wnd << tcb.snd_wind_shift, stamp, now)
    if tcb.state is State.LAST_ACK:
        return take_last_ack(ctx, tcb, ack)
    if not _take_end_of_handshake(ctx, tcb, seq, ack, wnd << tcb.snd_wind_shift, echo, now):
        return False
    tcb.last_received_at = now
    if seq == tcb.last_ack_sent:
        tcb.ts_recent = stamp
        tcb.ts_recent_at = now
    return True


# --- the end of the handshake -------------------------------------------------------------------


def _take_end_of_handshake(
    ctx: Context, tcb: Tcb, seq: int, ack: int, wnd: int, echo: int, now: Instant
) -> bool:
    """Take the ACK of a SYN-ACK that was sent once: SYN-RECEIVED to ESTABLISHED."""
    request, listener = tcb.syn_ack, tcb.listener
    if (
        request is None
        or listener is None
        or ack != tcb.snd_nxt
        or request.transmissions != 1
        or request.timeouts
        or request.pending is not None
        or tcb.ecn
        or echo != (tcb.ts_offset + request.first_sent_at // MILLISECOND) & _MASK
        or tcb.options.defer_accept
        or tcb.fin_queued
        or len(listener.accept_queue) > listener.backlog
    ):
        return False
    ctx.counters["TcpPassiveOpens"] += 1
    del listener.syn_queue[tcb]
    listener.young -= 1
    listener.accept_queue.append(tcb)
    ctx.events.report(listener, ACCEPTABLE)
    become(ctx, tcb, State.ESTABLISHED)
    tcb.syn_ack = tcb.last_invalid_reply_at = None
    tcb.snd_wnd = tcb.max_snd_wnd = wnd
    tcb.snd_wl1, tcb.snd_wl2 = seq, ack
    tcb.retransmission_timer.cancel()
    _begin_transfer(ctx, tcb, request, now)
    if tcb.acks.due or tcb.acks.owed:
        ctx.mark_dirty(tcb)  # else there is nothing yet that could be sent
    return True


def _begin_transfer(ctx: Context, tcb: Tcb, request: SynAck, now: Instant) -> None:
    """Do what the end of a handshake asks (`synchronize.begin_transfer`), if all went well."""
    config, statistics, mould = ctx.config, tcb.statistics, request.mould
    statistics.segs_in, statistics.data_segs_in = 2, 0  # the SYN and this ACK, as Linux
    statistics.delivered += 1
    statistics.established_at = now
    tcb.rtt.begin(now - request.first_sent_at, tcb.snd_nxt, now)
    if (
        mould is not None
        and tcb.undisturbed
        and mould.settings == config.changes
        and mould.path_mtu == tcb.path_mtu
    ):
        mould.settle(ctx, tcb, now)
    else:
        settle(ctx, tcb, now)
    if config.tcp_mtu_probing:
        tcb.undisturbed = False
        mtu_probing.start(ctx, tcb, now)
    if tcb.options.keepalive:
        arm_keepalive(ctx, tcb, now)
    update_pacing_rate(config, tcb)
