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

from functools import lru_cache
from typing import TYPE_CHECKING

from tapstack.base.contracts import ACCEPTABLE
from tapstack.base.units import MILLISECOND
from tapstack.tcp import mtu_probing, send_space
from tapstack.tcp.expected_end import take_expected_fin, take_last_ack
from tapstack.tcp.mss import full_segment
from tapstack.tcp.options import TIMESTAMPS_LENGTH
from tapstack.tcp.receive_space import in_transfer
from tapstack.tcp.segment import FIN
from tapstack.tcp.state import State, become
from tapstack.tcp.synchronize import first_guess
from tapstack.tcp.timeouts import arm_keepalive
from tapstack.tcp.unit_size import update_pacing_rate

if TYPE_CHECKING:
    from tapstack.base.units import Duration, Instant
    from tapstack.tcp.context import Context
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
    _begin_transfer(ctx, tcb, now - request.first_sent_at, now)
    if tcb.acks.due or tcb.acks.owed:
        ctx.mark_dirty(tcb)  # else there is nothing yet that could be sent
    return True


def _begin_transfer(ctx: Context, tcb: Tcb, rtt: Duration, now: Instant) -> None:
    """Do what the end of a handshake asks (`synchronize.begin_transfer`), if all went well."""
    config, options, statistics, space = ctx.config, tcb.options, tcb.statistics, tcb.receive_space
    statistics.segs_in, statistics.data_segs_in = 2, 0  # the SYN and this ACK, as Linux
    statistics.delivered += 1
    statistics.established_at = now
    tcb.rtt.begin(rtt, tcb.snd_nxt, now)
    offered = tcb.advertised_mss, tcb.rcv_wnd, space.clamp, space.threshold, space.full
    known = tcb.path_mtu, tcb.peer_mss, tcb.snd_wnd, *offered, tcb.window_scaling
    in_transfer = _sizes_in_transfer(*known)
    tcb.effective_mss, guess, space.clamp, space.threshold, space.taken_before = in_transfer
    tcb.acks.start(guess)
    space.measured_seq, space.measured_at = tcb.copied_seq, now
    if options.send_buffer is None:
        send_space.grow(ctx, tcb)
    if config.tcp_mtu_probing:
        tcb.undisturbed = False
        mtu_probing.start(ctx, tcb, now)
    if options.keepalive:
        arm_keepalive(ctx, tcb, now)
    update_pacing_rate(config, tcb)


@lru_cache(maxsize=64)
def _sizes_in_transfer(
    path_mtu: int,
    peer_mss: int,
    snd_wnd: int,
    advertised_mss: int,
    rcv_wnd: int,
    clamp: int,
    threshold: int,
    full: int,
    scaling: bool,
) -> tuple[int, int, int, int, int]:
    """Work out what the connections of a listener mostly share.

    Gives Eff.snd.MSS, the guess at the peer's segments, the clamp and the threshold of our window,
    and what the user is thought to take in the first round trip.
    """
    effective_mss = full_segment(path_mtu, peer_mss, timestamps=True, window=snd_wnd)
    guess = first_guess(advertised_mss, effective_mss, rcv_wnd)
    text = advertised_mss - TIMESTAMPS_LENGTH
    return effective_mss, guess, *in_transfer(clamp, threshold, full, rcv_wnd, text, scaling)
