"""Our SYN-ACK while nobody has acknowledged it: when to send it again, and when to give up.

It is kept apart from the retransmission queue, as it has rules of its own (Linux's requests): who
floods us with SYNs gets fewer of them, and a peer that was heard may still have to wait.

Not done here: the segments of a half-open connection (`half_open.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapstack.base.units import SECOND, Duration, Instant
from tapstack.tcp import loss_phase
from tapstack.tcp.recovery_state import recovery_of
from tapstack.tcp.retransmission_timer import Purpose
from tapstack.tcp.rtt import INITIAL_RTO, LONGEST_RTO

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.fast_open_server import PendingOpens
    from tapstack.tcp.listener import Listener
    from tapstack.tcp.mould import Mould
    from tapstack.tcp.segment import FastOpen
    from tapstack.tcp.tcb import Tcb

_LEAST_CROWD = 8
"""Half-open connections, counted twice, that never make a queue crowded."""
_MOST_TIMEOUTS = 255
_LEAST_RETRIES = 2
"""Retransmissions that a SYN-ACK gets however crowded the queue is."""


def timeouts_in(seconds: int, longest: Duration) -> int:
    """Count the timeouts of a SYN-ACK within some seconds, as TCP_DEFER_ACCEPT is kept."""
    count, wait, total = 0, INITIAL_RTO, 0
    while total < seconds * SECOND and count < _MOST_TIMEOUTS:
        count += 1
        total += wait
        wait = min(2 * wait, longest)
    return count


def seconds_of(timeouts: int, longest: Duration) -> int:
    """Give the seconds until so many timeouts of a SYN-ACK are over."""
    waits = (min(INITIAL_RTO << number, longest) for number in range(timeouts))
    return sum(waits) // SECOND


@dataclass(slots=True)
class SynAck:
    """What one SYN-ACK has gone through."""

    window: int = 0
    """What it offers, octets; it says no more than it can."""
    transmissions: int = 0
    """How often it was sent; 0 of one that only a cookie remembers."""
    first_sent_at: Instant = 0
    last_sent_at: Instant = 0
    mould: Mould | None = None
    """What the connection was cast in; None: it was made by itself."""
    timeouts: int = 0
    """How often its time was up."""
    heard: bool = False
    """The final ACK came, and could not be heeded: there was no room, or no text yet."""

    cookie: FastOpen | None = None
    """The Fast Open option that it carries, the first time."""
    pending: PendingOpens | None = None
    """The count that it is in, as the connection is open for its user already."""


def arm(tcb: Tcb, now: Instant) -> None:
    """Wait for the acknowledgment: 1 s, and twice as long after each timeout."""
    assert tcb.syn_ack is not None
    # As Linux, whose half-open connections are none of the user's yet.
    longest = tcb.rtt.rto_max if tcb.syn_ack.pending else LONGEST_RTO
    wait = min(INITIAL_RTO << tcb.syn_ack.timeouts, longest)
    tcb.timer_purpose = Purpose.SYN_ACK
    tcb.retransmission_timer.arm(now + wait)


def on_timeout(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Have the SYN-ACK sent again; False: it was sent often enough."""
    ctx.counters["TcpExtTCPTimeouts"] += 1
    syn_ack = tcb.syn_ack
    assert syn_ack is not None
    if _is_given_up(ctx, tcb, syn_ack):
        return False
    if _is_sent_again(tcb, syn_ack):
        tcb.syn_due = True
        ctx.mark_dirty(tcb)
    if syn_ack.timeouts == 0 and syn_ack.transmissions:
        tcb.first_timeout_at = syn_ack.last_sent_at
        if tcb.listener is not None:
            tcb.listener.on_first_timeout(tcb)
    if syn_ack.pending is not None:
        _heed_early_text(ctx, tcb, now)
    syn_ack.timeouts += 1
    tcb.retransmits += 1
    # Like Linux: what a request costs counts from its first SYN-ACK.
    tcb.statistics.on_timeout(
        now if syn_ack.pending else tcb.first_timeout_at, first=tcb.retransmits == 1
    )
    arm(tcb, now)
    return True


def _heed_early_text(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Deem text lost that left early, the second time (as Linux): it waits for the handshake yet.

    RFC 6928 §2 has the window be one segment after a lost SYN-ACK.
    """
    recovery = recovery_of(tcb)
    if tcb.retransmits == 1:
        loss_phase.on_timeout(ctx, tcb, now)
        recovery.repairs_held = True
    if recovery.undo.retransmit_stamp is None:
        recovery.undo.retransmit_stamp = tcb.timestamp_now(now)


def _is_given_up(ctx: Context, tcb: Tcb, syn_ack: SynAck) -> bool:
    listener = tcb.listener
    options = tcb.options if listener is None else listener.options
    retries = options.syncnt or ctx.config.tcp_synack_retries
    if syn_ack.pending is not None:
        retries = tcb.options.syncnt or ctx.config.tcp_synack_retries + 1  # as Linux
    elif listener is not None:
        retries = _retries_in_crowd(listener, retries)
    over = syn_ack.timeouts >= retries
    return over and not (syn_ack.heard and syn_ack.timeouts < patience(tcb))


def patience(tcb: Tcb) -> int:
    """Tell how many timeouts the user is willing to wait for text behind the final ACK.

    As in Linux, what the listener says now counts (TCP_DEFER_ACCEPT); and who remembers nothing but
    a cookie cannot wait.
    """
    listener, request = tcb.listener, tcb.syn_ack
    if listener is None or request is None or not request.transmissions:
        return 0
    return listener.options.defer_accept


def _retries_in_crowd(listener: Listener, retries: int) -> int:
    """Cut the patience with the old where a queue is half full, and few of it are young.

    Nearly every SYN-ACK is answered within its first second, so that the old are hardly real.
    """
    waiting = len(listener.syn_queue)
    if 2 * waiting <= max(_LEAST_CROWD, listener.backlog):
        return retries
    young = 2 * listener.young
    while retries > _LEAST_RETRIES and waiting >= young:
        retries -= 1
        young *= 2
    return retries


def _is_sent_again(tcb: Tcb, syn_ack: SynAck) -> bool:
    """Tell whether the peer is to be asked; one that was heard only when its last chance comes."""
    return not (patience(tcb) and syn_ack.heard) or syn_ack.timeouts >= patience(tcb) - 1
