"""The expected SYN: a short way from LISTEN to SYN-RECEIVED (RFC 9293 §3.10.7.2).

Most SYNs offer what one before them offered, and then all that is agreed on is the same, too. What
the steps of `half_open.py` and `synchronize.py` come to for those is done here in one pass, up to
the SYN-ACK. The steps are the truth: a property test holds both together, field by field.

Whatever is not so plain is declined before anything has changed.

Not done here: the headers (`tapstack/express_syns.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.units import MILLISECOND
from tapstack.tcp.listener import IF_NEEDED
from tapstack.tcp.mould import take_mould
from tapstack.tcp.receive_space import MAX_UNSCALED
from tapstack.tcp.retransmission_timer import Purpose
from tapstack.tcp.rtt import INITIAL_RTO
from tapstack.tcp.seq import MASK
from tapstack.tcp.state import NOT_SHUT, State
from tapstack.tcp.syn_ack import SynAck

if TYPE_CHECKING:
    from tapstack.base.route_metrics import RouteMetrics
    from tapstack.base.units import Instant
    from tapstack.tcp.connections import SocketPair
    from tapstack.tcp.context import Context
    from tapstack.tcp.listener import Listener
    from tapstack.tcp.plain_segment import Lane
    from tapstack.tcp.tcb import Tcb

_SYN_ACK = Purpose.SYN_ACK  # a member of an Enum is looked up at length each time it is named
_MOST_MOULDS = 16
"""Moulds of one listener; then all are taken anew. Whoever sends SYNs may make them differ."""

Offer = tuple[int, int, int]
"""The window of a SYN with MSS, SACK-permitted, timestamps and window scale; its MSS, its shift."""


def take_expected_syn(
    ctx: Context,
    listener: Listener,
    pair: SocketPair,
    lane: Lane,
    route: RouteMetrics,
    path_mtu: int,
    offer: Offer,
    seq: int,
    stamp: int,
    now: Instant,
) -> Tcb | None:
    """Take a SYN that offers what one before it has, and answer it; None: decline."""
    mould, most = listener.moulds.get(offer), listener.backlog
    if (
        mould is None
        or mould.options is not listener.options
        or mould.route is not route
        or mould.path_mtu != path_mtu
        or mould.settings != ctx.config.changes
        or len(listener.syn_queue) > most
        or len(listener.accept_queue) > most
    ):
        return None
    # The answer leaves first, so that the peer can work on it while we do on the rest.
    iss, ts_offset = ctx.keyed_hash.first_numbers(pair, now)
    rcv_nxt, window = (seq + 1) & MASK, mould.rcv_wnd
    answered = not ctx.dirty
    try:
        if answered:
            answered = lane.send_syn_ack(
                pair, mould.options, iss, rcv_nxt,
                window if window < MAX_UNSCALED else MAX_UNSCALED,
                mould.advertised_mss, (ts_offset + now // MILLISECOND) & MASK, stamp,
                mould.rcv_wind_shift, now,
            )  # fmt: skip
    finally:  # though a signal handler raise amid the write: the peer may have it all the same
        binding = listener.binding
        tcb = mould.cast(ctx, pair, binding, (iss + 1) & MASK, rcv_nxt, stamp, ts_offset, now)
        tcb.iss, tcb.irs, tcb.snd_wl1 = iss, seq, seq
        binding.users += 1
        ctx.connections.tcbs[pair] = tcb
        tcb.lane, tcb.listener = lane, listener
        listener.syn_queue[tcb] = None
        listener.young += 1
        if answered:
            ctx.counters["TcpOutSegs"] += 1
            tcb.transmitted_at = now
            tcb.syn_ack = SynAck(window, 1, now, now, mould)
            tcb.timer_purpose = _SYN_ACK
            tcb.retransmission_timer.arm(now + INITIAL_RTO)
        else:
            tcb.syn_ack, tcb.syn_due = SynAck(window), True
            ctx.mark_dirty(tcb)
    return tcb


def keep_mould(ctx: Context, listener: Listener, offer: Offer, tcb: Tcb) -> None:
    """Keep the mould of what the steps have made of a SYN, if all was agreed to, as mostly."""
    config = ctx.config
    agreed = tcb.window_scaling and tcb.sack_permitted and tcb.timestamps
    if not agreed or tcb.options is not listener.options or tcb.state is not State.SYN_RECEIVED:
        return
    if config.tcp_syncookies != IF_NEEDED or config.tcp_timestamps != 1 or config.tcp_mtu_probing:
        return  # there is more to ask than whether there is room; or timestamps have no offset
    plain = tcb.options.quickack and not tcb.options.defer_accept
    if listener.shut is not NOT_SHUT or not plain:
        return  # nor is the end of the handshake as plain
    if len(listener.moulds) >= _MOST_MOULDS:
        listener.moulds.clear()
    listener.moulds[offer] = take_mould(ctx, tcb)
