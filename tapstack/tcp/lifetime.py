"""The end of a transmission control block: TIME-WAIT, and giving everything back.

Not done here: the beginning (`tcb_factory.py`).
"""

from __future__ import annotations

from tapstack.base.contracts import CLOSED, READABLE, WRITABLE
from tapstack.base.timers import Timer
from tapstack.base.units import Instant
from tapstack.tcp import fast_open_path, fast_open_server
from tapstack.tcp.context import Context
from tapstack.tcp.state import State, become
from tapstack.tcp.tcb import Tcb

_UNCOUNTED = frozenset({State.CLOSED, State.TIME_WAIT})
"""States in which a connection costs no more than its name."""


def timers_of(tcb: Tcb) -> list[Timer]:
    """List every timer of a connection that was ever armed, and the two that nearly all need."""
    timers = [tcb.retransmission_timer, tcb.delayed_ack_timer]
    rare = (
        tcb.persist_timer,
        tcb.compression_timer,
        tcb.keepalive_timer,
        tcb.pacing_timer,
        tcb.wait_timer,
    )
    return timers + [each for each in rare if isinstance(each, Timer)]


def _retire_timers(tcb: Tcb) -> None:
    """Let all timers go, or it would take the garbage collector to free the connection."""
    tcb.retransmission_timer.retire()
    tcb.delayed_ack_timer.retire()
    tcb.persist_timer.retire()
    tcb.compression_timer.retire()
    tcb.keepalive_timer.retire()
    tcb.pacing_timer.retire()
    tcb.wait_timer.retire()


def leave_orphaned(ctx: Context, tcb: Tcb) -> None:
    """Note that the user will not hear of a connection again; it is counted while it lives."""
    tcb.orphaned = True
    ctx.orphans += tcb.state not in _UNCOUNTED


def _forget_orphan(ctx: Context, tcb: Tcb) -> None:
    ctx.orphans -= tcb.orphaned and tcb.state not in _UNCOUNTED


def enter_time_wait(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Move to TIME-WAIT and start 2·MSL (RFC 9293 §3.6); beyond the cap, close at once."""
    _forget_orphan(ctx, tcb)
    is_counted = tcb.wait_timer.deadline is not None  # as it has waited for the peer's FIN
    become(ctx, tcb, State.TIME_WAIT)
    ctx.connections.time_wait += 1
    tcb.undisturbed = False  # what it sends goes by no short way
    if tcb.options.ttl:  # as Linux: what is left of a connection has the host's own
        tcb.options = tcb.options.changeable()
        tcb.options.ttl = 0
    for timer in timers_of(tcb):
        timer.cancel()
    tcb.sent.clear()
    tcb.send_buffer.clear()
    if ctx.connections.time_wait > ctx.config.tcp_max_tw_buckets:
        ctx.counters["TcpExtTCPTimeWaitOverflow"] += 1
        arm_wait(ctx, tcb, now)  # once the ACK of the peer's FIN has left
        return
    tcb.waiting_since = now
    ctx.counters["TcpExtTW"] += not is_counted
    arm_wait(ctx, tcb, now + ctx.config.time_wait)


def arm_wait(ctx: Context, tcb: Tcb, deadline: Instant) -> None:
    """Have a connection forgotten then, which waits for 2·MSL or for the peer's FIN."""
    tcb.wait_timer = ctx.arm(tcb, tcb.wait_timer, deadline, on_wait_timeout)


def on_wait_timeout(owner: tuple[Context, Tcb], now: Instant) -> None:  # noqa: ARG001 - every expiry's form
    """2·MSL are over, or the peer of a closed connection never sent its FIN: forget it."""
    ctx, tcb = owner
    destroy(ctx, tcb)


def destroy(ctx: Context, tcb: Tcb, error: int = 0) -> None:
    """End a connection: its timers, buffers and port are given back, and its user is told.

    `error` is the errno that the user's next call shall raise. Text that was received stays
    readable, as a user may come for it after the peer has gone.
    """
    if tcb.fast_open is not None:
        fast_open_path.on_end(ctx, tcb)
    if tcb.syn_ack is not None:
        fast_open_server.forget(tcb)
    if error or tcb.state is not State.LAST_ACK:
        tcb.backoff = 0  # as Linux, unless all was said; but the RTO stays
    _retire_timers(tcb)
    _forget_orphan(ctx, tcb)
    was_over = tcb.state is State.TIME_WAIT  # that is when its user was told
    if was_over:
        ctx.connections.time_wait -= 1
    if tcb.state is not State.CLOSED:
        become(ctx, tcb, State.CLOSED)
    ctx.connections.remove(tcb)
    if tcb.listener is not None:
        tcb.listener.forget(tcb)
        tcb.listener = None
    for follower in tcb.text_followers:
        follower.on_end(ctx, tcb)
    if left := tcb.unsent():
        tcb.left_unsent = left
    tcb.sent.clear()
    tcb.send_buffer.clear()
    tcb.reassembly = None  # but not the SACK blocks: as in Linux, a reset carries them
    if error:
        tcb.error = error
    if not was_over:
        ctx.report(tcb, CLOSED | READABLE | WRITABLE)
