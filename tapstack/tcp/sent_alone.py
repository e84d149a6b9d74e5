"""What is to be done behind a segment that is alone in flight: short ways share it.

How far the window is used, and when to ask for an ACK, is then known at one look. What
`window_validation.py` and `tail_loss_probe.py` come to is the truth: a property test holds both
together, field by field.

Not done here: sending it (`short_text.py`, `lone_fin.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.retransmission_timer import Purpose, rearm_retransmission
from tapstack.tcp.tail_loss_probe import ENABLED, schedule
from tapstack.tcp.window_validation import note_use, shrink_to_use

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_PROBE = Purpose.PROBE


def look_ahead(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Note how far the window is used by one segment that left now, and set the timer for it.

    Nothing has timed out, and the segment has taken along the ACK that was owed.
    """
    window, rtt = tcb.window, tcb.rtt
    rto = rtt.rto
    if window.cwnd < 2:
        note_use(ctx, tcb, True, now)
    else:  # it begins a round
        window.limited, window.most_out, window.round_end = False, 1, tcb.snd_nxt
        window.most_used = window.most_used or 1
        if now - window.full_at >= rto and ctx.config.tcp_slow_start_after_idle:
            shrink_to_use(ctx, tcb, now)
    if rtt.srtt_8 and tcb.sack_permitted and ctx.config.tcp_early_retrans in ENABLED:
        # RFC 8985 §7.2, of one segment: the RTO begins now, too.
        pto = 2 * (rtt.srtt_8 >> 3) + rtt.rto_min
        tcb.timer_purpose, timer = _PROBE, tcb.retransmission_timer
        due = now + (rto if rto < pto else pto)
        if timer.entry is not None and timer.entry <= due:
            timer.deadline = due
        elif (spare := tcb.delayed_ack_timer).entry is not None and spare.entry <= due:
            # Nobody waits for the ACK any more. Of thousands of connections, which need a new entry
            # for each text, one is enough for both timers: what was to wait for it waits on.
            timer.alarm, spare.alarm = spare.alarm, timer.alarm
            tcb.retransmission_timer, tcb.delayed_ack_timer = spare, timer
            timer.deadline, spare.deadline = None, due
        else:
            timer.arm(due)
    elif not schedule(ctx, tcb, now, rto_restarts=False):
        rearm_retransmission(tcb, now)
