"""Loss recovery: from the first sign of a loss to the recovery point (RFC 5681, 6582, 6675, 6937).

The connection is in one of five phases, which are Linux's. With SACK the scoreboard says what
arrived; without, each duplicate ACK counts as one segment that did, so that one algorithm serves
both. While losses are repaired, Proportional Rate Reduction moves the congestion window.

Not done here: sending (`output.py`), and growing the window (`congestion/`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from tapstack.base.units import Instant
from tapstack.tcp.prr import RateReduction
from tapstack.tcp.seq import ge, lt

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

DUP_THRESH = 3
"""Segments that must have arrived beyond one for it to be deemed lost (RFC 6675 §2)."""


class Phase(Enum):
    """How a connection stands with regard to losses; the values are Linux's TCP_CA_*."""

    OPEN = 0
    """Nothing unusual."""
    DISORDER = 1
    """Something beyond a gap arrived: a loss, or reordering."""
    CWR = 2
    """The window is being reduced without a loss."""
    RECOVERY = 3
    """Fast recovery: losses below the recovery point are being repaired."""
    LOSS = 4
    """A timeout: everything in flight is deemed lost."""


_REDUCING = (Phase.CWR, Phase.RECOVERY)
_EPISODES = (Phase.CWR, Phase.RECOVERY, Phase.LOSS)
"""What lasts until the recovery point is acknowledged."""


@dataclass(slots=True)
class Recovery:
    """What the algorithms remember of an episode."""

    phase: Phase = Phase.OPEN
    high_seq: int = 0
    """RecoveryPoint (RFC 6675 §2): SND.NXT when the episode began."""
    prr: RateReduction = field(default_factory=RateReduction)
    """How the window comes down during the episode."""


def on_acknowledgment(
    ctx: Context, tcb: Tcb, delivered: int, una_advanced: bool, now: Instant
) -> None:
    """Look for losses, and move the congestion window (RFC 5681 §3.2).

    `delivered` counts the segments that this ACK shows to have arrived.
    """
    recovery = tcb.recovery
    if recovery.phase in _EPISODES and ge(tcb.snd_una, recovery.high_seq):
        if _must_stay(tcb):
            return
        _leave(tcb)
    lost_before = tcb.sent.lost_out
    if recovery.phase is Phase.RECOVERY:
        if not tcb.sack_permitted and una_advanced:
            _mark_head_lost(tcb)  # RFC 6582 §3.2 step 3: a partial ACK points at the next loss
        _mark_lost_by_sack(tcb)
    elif recovery.phase is Phase.LOSS:
        _mark_lost_by_sack(tcb)
    else:
        _watch(ctx, tcb, now)
    newly_lost = tcb.sent.lost_out > lost_before
    if recovery.phase in _REDUCING:
        making_progress = una_advanced and not newly_lost
        recovery.prr.on_acked(tcb.window, tcb.sent.in_flight, delivered, making_progress)
    elif una_advanced and delivered and tcb.window_use.allows_growth(tcb.window):
        tcb.congestion.on_acked(delivered, now)


def _watch(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Tell disorder from loss while no episode is under way."""
    recovery = tcb.recovery
    if tcb.sack_permitted:
        _mark_lost_by_sack(tcb)
    elif tcb.sent.sacked_out >= DUP_THRESH:
        _mark_head_lost(tcb)
    if tcb.sent.lost_out:
        _enter_recovery(ctx, tcb, now)
    elif recovery.phase is not Phase.CWR:
        recovery.phase = Phase.DISORDER if tcb.sent.sacked_out else Phase.OPEN


def _mark_head_lost(tcb: Tcb) -> None:
    """Deem the oldest segment lost: one segment of it, if it stands for many."""
    sent = tcb.sent
    if not sent or sent.segments[0].lost:
        return
    head = sent.segments[0]
    if head.packets > 1:
        sent.split_packets(0, 1, tcb.effective_mss)
    sent.mark_lost(sent.segments[0])
    limit_duplicate_acks(tcb)


def _mark_lost_by_sack(tcb: Tcb) -> None:
    """Deem lost what has DUP_THRESH segments SACKed beyond it: IsLost() of RFC 6675 §4."""
    sent = tcb.sent
    if not tcb.sack_permitted or sent.sacked_out < DUP_THRESH:
        return
    beyond = 0
    for segment in reversed(sent.segments):
        if segment.sacked:
            beyond += segment.packets
        elif beyond >= DUP_THRESH and not segment.lost and not segment.retransmitted:
            sent.mark_lost(segment)


def _enter_recovery(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Begin fast recovery (RFC 6675 §5 step 4, RFC 6937 §3.1)."""
    recovery = tcb.recovery
    kind = "Sack" if tcb.sack_permitted else "Reno"
    ctx.counters[f"TcpExtTCP{kind}Recovery"] += 1
    if "tcp" in ctx.tracer.on:
        ctx.tracer.emit("tcp", f"{tcb.local} > {tcb.remote}: loss seen, fast recovery")
    if recovery.phase is not Phase.CWR:
        _begin_reduction(tcb, now)
    recovery.phase = Phase.RECOVERY


def enter_cwr(tcb: Tcb, now: Instant) -> None:
    """Begin to reduce the window without a loss, once a round trip at most (RFC 3168 §6.1.2)."""
    if tcb.recovery.phase in (Phase.OPEN, Phase.DISORDER):
        _begin_reduction(tcb, now)
        tcb.recovery.phase = Phase.CWR


def _begin_reduction(tcb: Tcb, now: Instant) -> None:
    """Set what the window comes down to; the recovery point is where we have sent up to."""
    tcb.recovery.high_seq = tcb.snd_nxt
    tcb.recovery.prr.begin(tcb.window)
    tcb.window.ssthresh = tcb.congestion.ssthresh_after_loss(now)


def _must_stay(tcb: Tcb) -> bool:
    """Tell whether to wait for an ACK beyond the recovery point.

    RFC 6582 §4.1: without SACK, a late duplicate ACK at that point must not start it all again.
    """
    if tcb.sack_permitted:
        return False
    tcb.sent.sacked_out = 0
    return tcb.snd_una == tcb.recovery.high_seq and bool(tcb.sent)


def _leave(tcb: Tcb) -> None:
    """End an episode: everything that was in flight when it began is acknowledged."""
    recovery = tcb.recovery
    if recovery.phase in _REDUCING:
        tcb.window.cwnd = tcb.window.ssthresh
    recovery.phase = Phase.OPEN


def on_duplicate_ack(tcb: Tcb) -> int:
    """Count a duplicate ACK without SACK as a segment that arrived; tell how many did (0 or 1)."""
    sent = tcb.sent
    before = sent.sacked_out
    sent.sacked_out += 1
    limit_duplicate_acks(tcb)
    return sent.sacked_out - before


def limit_duplicate_acks(tcb: Tcb) -> None:
    """Keep the count of duplicate ACKs below what can have arrived."""
    sent = tcb.sent
    if not tcb.sack_permitted:
        holes = min(max(sent.lost_out, 1), sent.packets_out)
        sent.sacked_out = min(sent.sacked_out, sent.packets_out - holes)


def on_cumulative_ack_without_sack(tcb: Tcb, packets: int) -> None:
    """Take back the duplicate ACKs that an advancing SND.UNA has accounted for."""
    sent = tcb.sent
    if packets:
        sent.sacked_out = max(0, sent.sacked_out - max(0, packets - 1))
    limit_duplicate_acks(tcb)


def on_timeout(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Enter the loss phase: cwnd is one segment, and all is to be sent again (RFC 5681 §3.1)."""
    recovery = tcb.recovery
    reduced = recovery.phase in _REDUCING and lt(tcb.snd_una, recovery.high_seq)
    if tcb.retransmits <= 1 and not reduced:
        # "the value of ssthresh is held constant" for a segment timing out again (RFC 5681 §3.1),
        # and for one that was lost with those for which the window was reduced before.
        tcb.window.ssthresh = tcb.congestion.ssthresh_after_loss(now)
    if not tcb.sack_permitted:
        tcb.sent.sacked_out = 0
    elif tcb.sent.segments[0].sacked:
        tcb.sent.forget_sacks()
    tcb.sent.mark_all_lost()
    tcb.window.cwnd = tcb.sent.in_flight + 1
    tcb.congestion.on_timeout(now)
    recovery.phase = Phase.LOSS
    recovery.high_seq = tcb.snd_nxt
    ctx.mark_dirty(tcb)
