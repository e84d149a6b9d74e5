"""The tail loss probe: when the last of a flight may be lost, ask (RFC 8985 §7).

Without anything behind it a lost tail brings no SACK. One probe, new text or the last segment sent
again, brings one long before the RTO would.

Not done here: sending the probe (`output.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.units import Instant
from tapstack.tcp import pacing
from tapstack.tcp.recovery_state import PROBING, recovery_of
from tapstack.tcp.retransmission_timer import (
    Purpose,
    arm_for,
    arm_retransmission,
    rearm_retransmission,
)
from tapstack.tcp.rtt import INITIAL_RTO
from tapstack.tcp.seq import gt, lt
from tapstack.tcp.state import State

if TYPE_CHECKING:
    from tapstack.tcp.ack_news import AckNews
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

# A member of an Enum is looked up at length each time that it is named.
_PROBE, _SYN_RECEIVED = Purpose.PROBE, State.SYN_RECEIVED

ENABLED = (3, 4)
"""Values of `tcp_early_retrans` that ask for probes, as Linux has it."""


def schedule(ctx: Context, tcb: Tcb, now: Instant, *, rto_restarts: bool) -> bool:
    """Set the PTO in place of the RTO where §7.2 asks for it; tell whether it did.

    `rto_restarts` says that the RTO would begin anew now, rather than run on.
    """
    segments, rtt = tcb.sent.segments, tcb.rtt
    if (
        ctx.config.tcp_early_retrans not in ENABLED
        or not segments
        or not tcb.sack_permitted
        or tcb.recovery.phase not in PROBING
        or tcb.state is _SYN_RECEIVED
    ):
        return False
    if rtt.srtt_8:
        # "PTO = 2 * SRTT", and with one segment in flight "PTO += TLP.max_ack_delay": Linux takes
        # its least RTO for that.
        pto = 2 * (rtt.srtt_8 >> 3)
        if tcb.sent.packets_out == 1:
            pto += rtt.rto_min
    else:
        pto = INITIAL_RTO
    rto = tcb.rto() if rto_restarts else segments[0].sent_at + tcb.rto() - now
    deadline = now + (rto if 0 < rto < pto else pto)
    if tcb.options.paced:
        deadline += pacing.delay(tcb, now)
    arm_for(tcb, _PROBE, deadline)
    return True


def restart_timer(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Set the PTO, or the RTO where no probe is called for, after something was acknowledged."""
    if not schedule(ctx, tcb, now, rto_restarts=True):
        rearm_retransmission(tcb, now)


def on_sent(tcb: Tcb, now: Instant, *, retransmission: bool) -> None:
    """Note that the probe has left: one at most is unanswered (§7.3)."""
    recovery = recovery_of(tcb)
    recovery.tlp_end_seq = tcb.snd_nxt
    recovery.tlp_is_retransmission = retransmission
    arm_retransmission(tcb, now)


def on_acknowledgment(tcb: Tcb, ack: int, news: AckNews) -> bool:
    """Take an ACK while a probe is unanswered; True when the probe repaired a loss (§7.4.2).

    Then nothing else would tell congestion control of that loss.
    """
    recovery = tcb.recovery
    if recovery.tlp_end_seq is None or lt(ack, recovery.tlp_end_seq):
        return False
    if not recovery.tlp_is_retransmission or news.dsack_of_probe:
        recovery.tlp_end_seq = None
    elif gt(ack, recovery.tlp_end_seq):
        recovery.tlp_end_seq = None
        return True
    elif news.plain and not news.sacked:
        recovery.tlp_end_seq = None  # a duplicate ACK: the original and the probe both arrived
    return False
