"""Our FIN, when all that was sent before it is acknowledged: a short way through `output.py`.

So does nearly every connection end: with nothing in flight, nothing waiting, and nothing amiss.
What `output.py`, `transmission.py` and the layers below come to then is done here in one pass. The
longer way is the truth: a property test holds both together, field by field.

Whatever is not so plain is declined before anything has changed.

Not done here: the headers (`tapstack/express.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp import path_mtu
from tapstack.tcp.delivery_rate import depart
from tapstack.tcp.receive_space import MAX_UNSCALED
from tapstack.tcp.receive_window import select_window
from tapstack.tcp.retransmission_timer import Purpose, rearm_retransmission
from tapstack.tcp.segment import ACK, FIN
from tapstack.tcp.sent_segment import SentSegment
from tapstack.tcp.seq import add
from tapstack.tcp.state import FIN_UNACKNOWLEDGED
from tapstack.tcp.statistics import Limit
from tapstack.tcp.tail_loss_probe import ENABLED, schedule
from tapstack.tcp.undisturbed import look_for_disturbance
from tapstack.tcp.window_validation import note_use

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


def send_lone_fin(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Send our FIN, if that is all that there is to say, and to wait for; False: decline."""
    lane, sent, options = tcb.lane, tcb.sent, tcb.options
    if (
        lane is None
        or tcb.fin_sent
        or not tcb.fin_queued
        or sent.segments
        or tcb.send_buffer.octets
        or not tcb.snd_wnd
        or tcb.state not in FIN_UNACKNOWLEDGED
        or tcb.more_coming
        or tcb.send_blocked
        or options.cork
        or (not tcb.undisturbed and look_for_disturbance(tcb))
    ):
        return False
    if path_mtu.is_to_ask(tcb, now):
        path_mtu.refresh(ctx, tcb, now)
    if not lane.is_clear(tcb.pair, tcb.options, 0, 0):
        return False
    seq, counters, acks = tcb.snd_nxt, ctx.counters, tcb.acks
    tcb.fin_sent = True
    tcb.snd_nxt = add(seq, 1)
    departure = depart(tcb, now, nothing_in_flight=True)
    sent.begin_burst()
    sent.append(SentSegment(seq, tcb.snd_nxt, FIN, tcb.effective_mss, now, 1, departure))
    if tcb.recovery.prr is not None:
        tcb.recovery.on_sent(1)
    counters["TcpExtTCPOrigDataSent"] += 1
    counters["TcpOutSegs"] += 1
    tcb.statistics.segs_out += 1
    tcb.statistics.note_limit(Limit.BUSY, now)
    tcb.rcv_wnd = 0 if acks.no_memory else select_window(tcb)
    tcb.rcv_wup = tcb.last_ack_sent = tcb.rcv_nxt
    tcb.transmitted_at = now
    acks.on_ack_sent()
    tcb.delayed_ack_timer.cancel()
    field = min(tcb.rcv_wnd >> tcb.rcv_wind_shift, MAX_UNSCALED)
    lane.send(tcb, ACK | FIN, seq, field, (), 0, 0, now)
    _note_use(ctx, tcb, now)
    _watch_over(ctx, tcb, now)
    return True


def _note_use(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Do what `note_use` comes to for one segment, which begins a round."""
    window = tcb.window
    if window.cwnd <= 1 or now - window.full_at >= tcb.rtt.rto:
        note_use(ctx, tcb, window.cwnd <= 1, now)
        return
    window.limited, window.most_out, window.round_end = False, 1, tcb.snd_nxt
    if not window.most_used:
        window.most_used = 1


def _watch_over(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Set the timer: for a probe (RFC 8985 §7.2), as `tail_loss_probe.schedule` has it, or the RTO.

    What was sent now is all that is in flight: so both times begin now.
    """
    rtt, timer = tcb.rtt, tcb.retransmission_timer
    if (
        not rtt.srtt_8
        or not tcb.sack_permitted
        or ctx.config.tcp_early_retrans not in ENABLED
        or timer.deadline is not None
        or tcb.backoff
    ):
        if not schedule(ctx, tcb, now, rto_restarts=False):
            rearm_retransmission(tcb, now)
        return
    pto, rto = 2 * (rtt.srtt_8 >> 3) + rtt.rto_min, rtt.rto
    tcb.timer_purpose = Purpose.PROBE
    timer.arm(now + (rto if rto < pto else pto))
