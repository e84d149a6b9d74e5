"""Timeouts (RFC 9293 §3.10.8, RFC 6298 §5): retransmission, persist, keep-alive.

Each expiry is called with the owner that the timer carries, a context and its connection; it leaves
sending to the flush.

Not done here: what is lost after a timeout (`loss_phase.py`), and 2·MSL (`lifetime.py`).
"""

from __future__ import annotations

from errno import ETIMEDOUT
from typing import TYPE_CHECKING, TypeAlias

from tapstack.base.units import MILLISECOND, SECOND, Duration, Instant
from tapstack.tcp import fast_open_path, loss_phase, mtu_probing, pacing, recovery, syn_ack
from tapstack.tcp.ack_policy import ATO_MIN
from tapstack.tcp.congestion.window import INFINITE_SSTHRESH
from tapstack.tcp.lifetime import destroy
from tapstack.tcp.recovery_state import recovery_of
from tapstack.tcp.replies import reset_peer
from tapstack.tcp.retransmission_timer import Purpose, arm_retransmission, rearm_retransmission
from tapstack.tcp.rtt import INITIAL_RTO
from tapstack.tcp.seq import sub
from tapstack.tcp.state import State

if TYPE_CHECKING:
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

Owner: TypeAlias = "tuple[Context, Tcb]"

_TICK: Duration = MILLISECOND
"""What Linux's timers count in."""
_LATENESS = 20
"""The share of a time, inverted, by which Linux's timers are late: 3 to 8 %, at 250 ticks a second.
"""
_ORPHAN_RETRIES = 8
"""What a tcp_orphan_retries of 0 stands for, as in Linux."""
_OPENING = frozenset({State.SYN_SENT, State.SYN_RECEIVED})
"""States in which our SYN is not acknowledged."""


_THIN, _THIN_RETRIES = 4, 6
"""Segments that are never fast retransmitted, and Linux's TCP_THIN_LINEAR_RETRIES."""


# --- retransmission -----------------------------------------------------------------------------


def on_retransmission_timeout(owner: Owner, now: Instant) -> None:
    """Do what the timer was set for: an RTO, a probe, a look for what is overdue, a SYN-ACK."""
    ctx, tcb = owner
    tcb.undisturbed = False
    if tcb.timer_purpose is Purpose.PROBE:
        if tcb.recovery.tlp_end_seq is not None:  # "one at most is unanswered" (RFC 8985 §7.3)
            rearm_retransmission(tcb, now)
            return
        recovery_of(tcb).tail_probe_due = True
        ctx.mark_dirty(tcb)
    elif tcb.timer_purpose is Purpose.REORDERING:
        recovery.on_reordering_timeout(ctx, tcb, now)
    elif tcb.timer_purpose is Purpose.SYN_ACK:
        if not syn_ack.on_timeout(ctx, tcb, now):
            give_up(ctx, tcb)
    else:
        _on_rto(ctx, tcb, now)


def _begin_of_retransmitting(tcb: Tcb, now: Instant) -> Instant:
    """Tell when what is not acknowledged began to be sent again.

    As in Linux, a SYN's time counts from when it was sent first, text's from the second time: that
    of whatever was sent again first since all was well.
    """
    if tcb.state in _OPENING:
        return tcb.first_timeout_at
    stamp = tcb.recovery.undo.retransmit_stamp
    return now if stamp is None else now - sub(tcb.timestamp_now(now), stamp) * MILLISECOND


def _on_rto(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Send the oldest segment again, with the timeout doubled (RFC 6298 §5.4 to 5.6)."""
    window_is_shut = _window_is_shut(tcb)
    if tcb.retransmits == 0 and not (window_is_shut and tcb.backoff):
        tcb.first_timeout_at = tcb.sent.segments[0].sent_at
        tcb.retransmitting_since = _begin_of_retransmitting(tcb, now)
    if not window_is_shut:
        ctx.counters["TcpExtTCPTimeouts"] += 1  # the last one, too
    gives_up = _is_given_up(ctx, tcb, now)
    fast_open_path.on_timeout(ctx, tcb, now, gives_up=gives_up)
    if gives_up:
        give_up(ctx, tcb)
        return
    if tcb.state not in _OPENING and _is_black_hole(ctx, tcb, now):
        mtu_probing.on_black_hole(ctx, tcb, now)
    if not window_is_shut:  # else what is sent again only probes it
        tcb.retransmits += 1
        tcb.statistics.on_timeout(now, first=tcb.retransmits == 1)
        tcb.statistics.rehash += 1
        ctx.counters["TcpExtTcpTimeoutRehash"] += 1
    if tcb.state in _OPENING:
        # A lost SYN says nothing of a window that was not used yet. Like Linux, CWR does.
        tcb.cwr_due = tcb.ecn
        ctx.counters["TcpExtTCPLostRetransmit"] += tcb.sent.segments[0].transmissions > 1
        tcb.sent.mark_lost(tcb.sent.segments[0])
        ctx.mark_dirty(tcb)
    else:
        loss_phase.on_timeout(ctx, tcb, now)
    if _is_thin(ctx.config, tcb):
        tcb.backoff = tcb.rto_backoff = 0
    elif tcb.state is not State.SYN_SENT or tcb.retransmits > ctx.config.tcp_syn_linear_timeouts:
        tcb.backoff += 1
        tcb.rto_backoff += 1
    arm_retransmission(tcb, now)


def _window_is_shut(tcb: Tcb) -> bool:
    """Tell whether the peer has shut its window on what is in flight (RFC 9293 SHLD-16)."""
    return not (tcb.snd_wnd or tcb.orphaned or tcb.state in _OPENING)


def _is_thin(config: TcpConfig, tcb: Tcb) -> bool:
    """Tell whether so little is in flight that its user does not want to back off (tcp(7))."""
    return (
        bool(tcb.options.thin_linear_timeouts or config.tcp_thin_linear_timeouts)
        and tcb.state is State.ESTABLISHED
        and tcb.sent.packets_out < _THIN
        and tcb.window.ssthresh < INFINITE_SSTHRESH
        and tcb.retransmits <= _THIN_RETRIES
    )


def _is_black_hole(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Tell whether threshold R1 is reached (RFC 9293 §3.8.3): something is wrong with the path."""
    return _is_exhausted(ctx, tcb, ctx.config.tcp_retries1, now)


def _is_exhausted(ctx: Context, tcb: Tcb, retries: int, now: Instant) -> bool:
    """Tell whether text was sent again for as long as so many doublings of the least RTO take.

    Linux counts from the first retransmission. Its timers are late by some percent, without which
    the time would often be short by the one RTO that is left out.
    """
    elapsed = now - tcb.retransmitting_since
    limit = patience(retries, ctx.config.tcp_rto_min, tcb.rtt.rto_max)
    return tcb.retransmits > 0 and elapsed + elapsed // _LATENESS >= limit


def _is_given_up(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Tell whether threshold R2 is reached (RFC 9293 §3.8.3)."""
    config, options = ctx.config, tcb.options
    if _window_is_shut(tcb):
        return _shut_window_is_given_up(tcb, now)
    if options.user_timeout and tcb.retransmits:
        waited = now - tcb.retransmitting_since
        if waited >= options.user_timeout * MILLISECOND:
            return True
    if tcb.state in _OPENING:
        return _opening_is_given_up(config, tcb, now)
    retries = config.tcp_retries2
    if tcb.orphaned:
        retries = _orphan_retries(config, hopes=tcb.rto() < tcb.rtt.rto_max)
    return not options.user_timeout and _is_exhausted(ctx, tcb, retries, now)


def _opening_is_given_up(config: TcpConfig, tcb: Tcb, now: Instant) -> bool:
    """Tell whether our SYN was sent often enough, or so long as it would take without linear ones.

    Deviation: RFC 9293 MUST-23 asks for 3 min at least. Like Linux, it is 131 s by default.
    """
    retries = limit = tcb.options.syncnt or config.tcp_syn_retries
    if tcb.state is State.SYN_SENT:
        limit += config.tcp_syn_linear_timeouts
    if tcb.retransmits >= limit:
        return True
    if tcb.retransmits == 0 or tcb.options.user_timeout:
        return False
    waited = now - tcb.retransmitting_since
    return waited >= patience(retries, INITIAL_RTO, tcb.rtt.rto_max)


def _shut_window_is_given_up(tcb: Tcb, now: Instant) -> bool:
    """Tell whether to give up a peer that has shut its window on what is in flight.

    RFC 9293 SHLD-17: what it does not take ends nothing, as long as it answers. Like Linux, silence
    is borne with for twice the longest RTO; the user's own time-out counts in any case.
    """
    unacknowledged = now - tcb.retransmitting_since
    longest = 2 * tcb.rtt.rto_max
    limit = tcb.options.user_timeout * MILLISECOND
    if limit and unacknowledged >= limit:
        return True
    return unacknowledged > longest and now - tcb.last_received_at > longest


def _orphan_retries(config: TcpConfig, *, hopes: bool) -> int:
    """Tell how often to try for nobody: by itself only while the time between can grow."""
    return config.tcp_orphan_retries or _ORPHAN_RETRIES * hopes


def patience(retries: int, rto_min: Duration, rto_max: Duration) -> Duration:
    """Sum up `retries` doublings of the least RTO: how long Linux waits, whatever the real RTO."""
    total, rto = 0, rto_min
    for _ in range(retries + 1):
        total += rto
        rto = min(2 * rto, rto_max)
    return total


def give_up(ctx: Context, tcb: Tcb) -> None:
    """End a connection whose peer does not answer; an ICMP error says more than a timeout."""
    if tcb.syn_ack is None or tcb.opens_early:  # else it is nobody's yet, and does not count
        ctx.counters["TcpExtTCPAbortOnTimeout"] += 1
        if tcb.state in _OPENING:
            ctx.counters["TcpAttemptFails"] += 1
    destroy(ctx, tcb, tcb.soft_error or ETIMEDOUT)


# --- persist: probing a closed window -----------------------------------------------------------


def arm_persist(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Start probing, if not begun: text waits, nothing is in flight, and the window is shut."""
    if tcb.persist_timer.deadline is None:
        # What backed off while text was in flight stays so, until a round trip is measured.
        tcb.probes_out, tcb.probing_since = 0, None
        _arm_persist(ctx, tcb, _least_wait(ctx, tcb), now)


def _least_wait(ctx: Context, tcb: Tcb) -> Duration:
    return max(tcb.rto(), ctx.config.tcp_rto_min)


def _backed_off_wait(ctx: Context, tcb: Tcb) -> Duration:
    """Give the time between probes. As in Linux, what the RTO was backed off by counts twice."""
    return min(_least_wait(ctx, tcb) << tcb.backoff, tcb.rtt.rto_max)


def _arm_persist(ctx: Context, tcb: Tcb, wait: Duration, now: Instant) -> None:
    """Have the next probe sent after a time, or when the user's patience ends."""
    deadline = now + wait
    if tcb.options.paced:
        deadline += pacing.delay(tcb, now)
    if tcb.options.user_timeout and tcb.probing_since is not None:
        end = tcb.probing_since + tcb.options.user_timeout * MILLISECOND
        deadline = min(deadline, max(end, now + 1))
    tcb.undisturbed = False
    timer = tcb.persist_timer
    tcb.persist_timer = ctx.arm(tcb, timer, deadline, on_persist_timeout)


def stop_probing(tcb: Tcb) -> None:
    """Forget the probes: text has left, or may leave."""
    tcb.persist_timer.cancel()
    tcb.probes_out = tcb.backoff = 0
    tcb.probing_since = None


def on_probe_answered(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Take an ACK while the window is probed: it has opened, or the wait begins anew."""
    room = tcb.snd_wnd - sub(tcb.snd_nxt, tcb.snd_una)
    if room >= min(tcb.unsent(), tcb.effective_mss) and tcb.snd_wnd:
        stop_probing(tcb)
    elif not tcb.sent:
        _arm_persist(ctx, tcb, _backed_off_wait(ctx, tcb), now)


def on_persist_timeout(owner: Owner, now: Instant) -> None:
    """Probe the closed window (RFC 9293 §3.8.6.1), less and less often.

    MUST-37: "As long as the receiving TCP peer continues to send acknowledgments in response to the
    probe segments, the sending TCP peer MUST allow the connection to stay open".
    """
    ctx, tcb = owner
    if _has_probed_enough(ctx, tcb, now):
        give_up(ctx, tcb)
        return
    if tcb.probing_since is None:
        tcb.probing_since = now
    tcb.probes_out += 1
    tcb.probe_due = True
    tcb.backoff = min(tcb.backoff + 1, ctx.config.tcp_retries2)
    _arm_persist(ctx, tcb, _backed_off_wait(ctx, tcb), now)
    ctx.counters["TcpExtTCPWinProbe"] += 1
    ctx.mark_dirty(tcb)


def _has_probed_enough(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Tell whether to give up a closed window: its peer is silent, or nobody waits any longer.

    A peer that answers is borne with for ever, unless the user is gone or has set a time.
    """
    limit = tcb.options.user_timeout * MILLISECOND
    if limit and tcb.probing_since is not None and now - tcb.probing_since >= limit:
        return True
    if tcb.orphaned:
        hopes = tcb.rto() << tcb.backoff < tcb.rtt.rto_max
        most = _orphan_retries(ctx.config, hopes=hopes)
        return tcb.probes_out >= most or (not hopes and tcb.backoff >= most)
    return tcb.probes_out >= ctx.config.tcp_retries2


# --- delayed ACK --------------------------------------------------------------------------------


def delay_ack(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Have the ACK that is owed sent in a while, if nothing carries it before.

    False where one that waits is about to leave: like in Linux, it may as well leave now.
    """
    timer, config, delay = tcb.delayed_ack_timer, ctx.config, tcb.acks.ato
    longest = tcb.options.delack_max or config.tcp_delack_max
    if tcb.rtt.rto_min < config.tcp_delack_max:
        # Less than the least RTO, where that was lowered.
        # Deviation: by default both are 200 ms, and Linux delays one of its ticks less.
        longest = min(longest, max(tcb.rtt.rto_min - _TICK, _TICK))
    if delay > ATO_MIN:
        delay = tcb.acks.long_delay(tcb.rtt.srtt_8 >> 3, longest)
    if delay > longest:
        delay = longest
    due, wanted = timer.deadline, now + delay
    if due is None or wanted < due:
        if timer.entry is not None and timer.entry <= wanted:
            timer.deadline = wanted
        else:
            timer.arm(wanted)
        return True
    return due > now + delay // 4


def on_delayed_ack_timeout(owner: Owner, now: Instant) -> None:  # noqa: ARG001 - every expiry's form
    """Send the ACK that was delayed (RFC 9293 MUST-40)."""
    ctx, tcb = owner
    ctx.counters["TcpExtDelayedACKs"] += 1
    tcb.acks.on_timeout(tcb.rto())
    ctx.mark_owing(tcb)


# --- keep-alive ---------------------------------------------------------------------------------


def arm_keepalive(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Start or stop the keep-alive timer as the user has set it (RFC 9293 §3.8.4)."""
    if not tcb.options.keepalive or tcb.state in (State.CLOSED, State.TIME_WAIT):
        tcb.keepalive_timer.cancel()
    elif tcb.keepalive_timer.deadline is None:
        _arm_keepalive(ctx, tcb, now + _keepalive_idle(ctx, tcb))


def _arm_keepalive(ctx: Context, tcb: Tcb, deadline: Instant) -> None:
    timer = tcb.keepalive_timer
    tcb.keepalive_timer = ctx.arm(tcb, timer, deadline, on_keepalive_timeout)


def rearm_keepalive(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Heed another TCP_KEEPIDLE: the silence so far counts."""
    if tcb.keepalive_timer.deadline is not None:
        due = tcb.last_received_at + _keepalive_idle(ctx, tcb)
        _arm_keepalive(ctx, tcb, max(due, now))


def _keepalive_idle(ctx: Context, tcb: Tcb) -> Duration:
    return (tcb.options.keepidle or ctx.config.tcp_keepalive_time) * SECOND


def on_keepalive_timeout(owner: Owner, now: Instant) -> None:
    """Probe a peer that was silent for long; give up after some probes without an answer."""
    ctx, tcb = owner
    config, options = ctx.config, tcb.options
    idle = now - tcb.last_received_at
    if tcb.sent or tcb.send_buffer.octets:
        # Text in flight asks the same question, and gives up by its own rules.
        _arm_keepalive(ctx, tcb, now + _keepalive_idle(ctx, tcb))
        return
    if idle < _keepalive_idle(ctx, tcb):
        tcb.probes_out = 0
        _arm_keepalive(ctx, tcb, tcb.last_received_at + _keepalive_idle(ctx, tcb))
        return
    if _keepalive_is_over(ctx, tcb, idle):
        ctx.counters["TcpExtTCPAbortOnTimeout"] += 1
        reset_peer(ctx, tcb, "keep-alive")
        destroy(ctx, tcb, tcb.soft_error or ETIMEDOUT)
        return
    tcb.probes_out += 1
    tcb.probe_due = True
    tcb.undisturbed = False
    ctx.counters["TcpExtTCPKeepAlive"] += 1
    interval = (options.keepintvl or config.tcp_keepalive_intvl) * SECOND
    _arm_keepalive(ctx, tcb, now + interval)
    ctx.mark_dirty(tcb)


def _keepalive_is_over(ctx: Context, tcb: Tcb, idle: Duration) -> bool:
    """Tell whether the peer was asked often enough; TCP_USER_TIMEOUT says how long instead."""
    options = tcb.options
    if options.user_timeout:
        return tcb.probes_out > 0 and idle >= options.user_timeout * MILLISECOND
    return tcb.probes_out >= (options.keepcnt or ctx.config.tcp_keepalive_probes)
