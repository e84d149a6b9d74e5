"""ICMP errors about our segments (RFC 9293 §3.9.2.2, RFC 5927, RFC 1191).

An error counts only if the sequence number that it quotes is in flight (RFC 5927 §4.1). Once a
connection is synchronized, no ICMP error ends it: it is remembered, and says why if the
connection times out.

Not done here: reading the ICMP message.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from tapstack.base.contracts import ERROR, READABLE, WRITABLE
from tapstack.base.error_queue import ErrorQueue, from_icmp
from tapstack.base.icmp_errors import (
    DESTINATION_UNREACHABLE,
    FRAGMENTATION_NEEDED,
    PARAMETER_PROBLEM,
    TIME_EXCEEDED,
    is_for_want_of_a_route,
    meaning_of,
)
from tapstack.tcp import long_disruption, path_mtu
from tapstack.tcp.lifetime import destroy
from tapstack.tcp.state import State

if TYPE_CHECKING:
    from tapstack.base.contracts import IcmpError
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_quoted = Struct("!HHI")


def icmp_error_arrives(ctx: Context, error: IcmpError, now: Instant) -> None:
    """Find the connection that an error is about, and let it know."""
    local_port, remote_port, seq = _quoted.unpack_from(error.quote)
    tcb = ctx.connections.find(error.source, local_port, error.destination, remote_port)
    if tcb is None or tcb.state is State.TIME_WAIT:
        return
    tcb.undisturbed = False
    if not _is_about_ours(tcb, seq):
        ctx.counters["TcpExtOutOfWindowIcmps"] += 1
        return
    if tcb.syn_ack is not None and tcb.listener is not None and not tcb.opens_early:
        _take_error_of_half_open(ctx, tcb, error)
    elif error.type == DESTINATION_UNREACHABLE and error.code == FRAGMENTATION_NEEDED:
        path_mtu.learn(ctx, tcb, error.mtu, now)
    else:
        long_disruption.on_icmp_error(tcb, error, seq, now)
        _take_error(ctx, tcb, error)


def _is_about_ours(tcb: Tcb, seq: int) -> bool:
    """Tell whether an error quotes what may be on its way, as who guesses can hardly (RFC 5927 §4).

    Like Linux, that is SND.NXT too, the number of an ACK that has nothing in flight before it.
    """
    if tcb.syn_ack is not None and (seq == tcb.iss or not tcb.opens_early):
        return seq == tcb.iss
    return seq == tcb.snd_nxt or tcb.sent.holds(seq)


def _take_error_of_half_open(ctx: Context, tcb: Tcb, error: IcmpError) -> None:
    """Forget a half-open connection whose SYN-ACK found no way; others go on (as Linux)."""
    if is_for_want_of_a_route(error) or error.type in (TIME_EXCEEDED, PARAMETER_PROBLEM):
        ctx.counters["TcpExtListenDrops"] += 1
        destroy(ctx, tcb)


def _take_error(ctx: Context, tcb: Tcb, error: IcmpError) -> None:
    """End a connection attempt; merely remember the error on a connection that stands.

    One that Fast Open has opened early stands once its user has accepted it.
    As Linux: what ended an attempt is queued, too, whether anybody asked for it or not.
    """
    number = meaning_of(error).errno
    is_attempt = tcb.state in (State.SYN_SENT, State.SYN_RECEIVED)
    if is_attempt and (tcb.syn_ack is None or tcb.passive):
        ctx.counters["TcpAttemptFails"] += 1
        tcb.errors = ErrorQueue()
        tcb.errors.put(from_icmp(error, number, tcb.remote.port, error.quote), len(error.quote))
        destroy(ctx, tcb, number)
    elif tcb.options.recverr:
        tcb.error = number
        ctx.report(tcb, ERROR | READABLE | WRITABLE)
    else:
        tcb.soft_error = number
