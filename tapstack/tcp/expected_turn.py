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
from tapstack.tcp.expected_end import take_expected_fin, take_last_ack
from tapstack.tcp.segment import FIN
from tapstack.tcp.seq import HALF, MASK
from tapstack.tcp.state import State
from tapstack.tcp.timeouts import arm_keepalive

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

TURNING = frozenset({State.SYN_RECEIVED, State.LAST_ACK})
"""States in which the expected segment is an ACK that ends them; in others, a FIN is a turn."""
# A member of an Enum is looked up at length each time that it is named.
_ESTABLISHED, _LAST_ACK = State.ESTABLISHED, State.LAST_ACK


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
    if seq != tcb.rcv_nxt or (stamp - tcb.ts_recent) & MASK >= HALF:
        return False
    if flags & FIN:
        return take_expected_fin(ctx, tcb, seq, ack, wnd << tcb.snd_wind_shift, stamp, echo, now)
    if tcb.state is _LAST_ACK:
        return take_last_ack(ctx, tcb, ack)
    return _take_end_of_handshake(ctx, tcb, seq, ack, wnd << tcb.snd_wind_shift, stamp, echo, now)


# --- the end of the handshake -------------------------------------------------------------------


def _take_end_of_handshake(
    ctx: Context, tcb: Tcb, seq: int, ack: int, wnd: int, stamp: int, echo: int, now: Instant
) -> bool:
    """Take the ACK of a SYN-ACK that was sent once: SYN-RECEIVED to ESTABLISHED.

    The connection was cast in a mould, and nothing has come to it between: so neither ECN, nor Fast
    Open, nor a user of its own is to be thought of.
    """
    request, listener = tcb.syn_ack, tcb.listener
    if request is None or listener is None:
        return False
    mould, sent_at = request.mould, request.first_sent_at
    if (
        mould is None
        or ack != tcb.snd_nxt
        or request.transmissions != 1
        or not tcb.undisturbed
        or tcb.options is not listener.options
        or echo != (tcb.ts_offset + sent_at // MILLISECOND) & MASK
        or len(listener.accept_queue) > listener.backlog
        or mould.settings != ctx.config.changes
        or mould.path_mtu != tcb.path_mtu
    ):
        return False
    counters, statistics = ctx.counters, tcb.statistics
    counters["TcpPassiveOpens"] += 1
    counters["TcpCurrEstab"] += 1
    del listener.syn_queue[tcb]
    listener.young -= 1
    listener.accept_queue.append(tcb)
    ctx.events.report(listener, ACCEPTABLE)
    tcb.state = _ESTABLISHED
    tcb.syn_ack = None
    tcb.snd_wl1, tcb.snd_wl2 = seq, ack
    tcb.ts_recent, tcb.ts_recent_at, tcb.last_received_at = stamp, now, now
    tcb.retransmission_timer.deadline = None
    statistics.segs_in, statistics.delivered = 2, 1  # the SYN and this ACK; ours, as Linux
    statistics.established_at = tcb.window.full_at = now
    tcb.rtt.begin(now - sent_at, ack, now)
    mould.settle(ctx, tcb, wnd, now)
    if tcb.options.keepalive:
        arm_keepalive(ctx, tcb, now)
    return True
