"""The timer behind what is in flight, and its purposes: RTO, tail loss probe, reordering, SYN-ACK.

There is one timer, as RFC 8985 §8 has it: a probe or a reordering timeout takes the place of the
RTO, which is set again after it, counted from when the oldest segment was sent.

Not done here: what happens when it expires (`timeouts.py`).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.tcp import pacing

if TYPE_CHECKING:
    from tapstack.tcp.tcb import Tcb


class Purpose(Enum):
    """What the timer is running for."""

    RETRANSMISSION = 0
    """The RTO (RFC 6298 §5)."""
    PROBE = 1
    """The PTO: a tail loss probe (RFC 8985 §7.2)."""
    REORDERING = 2
    """What may be merely late is lost then (RFC 8985 §6.2 step 5)."""
    SYN_ACK = 3
    """Our SYN-ACK is to be sent again; until it is acknowledged, nothing else is."""


def arm_retransmission(tcb: Tcb, now: Instant) -> None:
    """Start the RTO anew (RFC 6298 §5.1, 5.3); TCP_USER_TIMEOUT cuts the last one short."""
    deadline = now + min(tcb.rto(), tcb.rtt.rto_max)
    if tcb.options.paced:
        deadline += pacing.delay(tcb, now)
    has_timed_out = tcb.retransmits or (tcb.backoff and not tcb.snd_wnd)
    if has_timed_out and tcb.options.user_timeout:
        end = tcb.retransmitting_since + tcb.options.user_timeout * MILLISECOND
        deadline = min(deadline, max(end, now + 1))
    arm_for(tcb, Purpose.RETRANSMISSION, deadline)


def arm_for(tcb: Tcb, purpose: Purpose, deadline: Instant) -> None:
    """Run the timer for a purpose, whatever it ran for before: unless a SYN-ACK needs it."""
    timer, present = tcb.retransmission_timer, tcb.timer_purpose
    if present is Purpose.SYN_ACK and purpose is not present and timer.deadline is not None:
        return
    tcb.timer_purpose = purpose
    timer.arm(deadline)


def rearm_retransmission(tcb: Tcb, now: Instant) -> None:
    """Set the RTO for the oldest segment in flight; stop the timer if there is none (§5.2).

    After another purpose it does not begin anew: the time since that segment was sent counts.
    """
    if is_armed_for(tcb, Purpose.SYN_ACK):
        return
    if not tcb.sent.segments:
        tcb.retransmission_timer.cancel()
    elif tcb.timer_purpose is not Purpose.RETRANSMISSION:
        deadline = now + max(time_to_rto(tcb, now), 1)
        if tcb.options.paced:
            deadline += pacing.delay(tcb, now)
        arm_for(tcb, Purpose.RETRANSMISSION, deadline)
    else:
        arm_retransmission(tcb, now)


def time_to_rto(tcb: Tcb, now: Instant) -> Duration:
    """Tell when the RTO of the oldest segment in flight is due, µs from now; it may be past."""
    return tcb.sent.segments[0].sent_at + tcb.rto() - now


def is_armed_for(tcb: Tcb, purpose: Purpose) -> bool:
    """Tell whether the timer runs for a purpose."""
    return tcb.retransmission_timer.deadline is not None and tcb.timer_purpose is purpose


def runs_no_rto(tcb: Tcb) -> bool:
    """Tell whether the timer runs for nothing, or for a probe, which new text puts off."""
    return not tcb.sent.segments or is_armed_for(tcb, Purpose.PROBE)
