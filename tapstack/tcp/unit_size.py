"""How much text is handed down as one unit, and when a small unit waits for a larger one.

A device cuts a unit into segments, which then leave back to back. Like Linux, a connection sends
units of about a millisecond at the rate that its window allows, and larger ones where the round
trip is short: a burst costs little there. A unit that the window would cut short waits, where the
ACK that opens the window is soon to come.

Not done here: cutting (`device/segmentation.py`), and what else holds text back (`output.py`).
"""

from __future__ import annotations

from enum import Enum

from tapstack.base.sharing import shared
from tapstack.base.units import MILLISECOND, SECOND, Duration, Instant
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.context import Context
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.transmission import max_unit

_UNITS_A_SECOND_SHIFT = 10
"""The unit of a rate is what leaves within 2⁻¹⁰ s (Linux's sk_pacing_shift)."""
PACING_UNIT = 8 * SECOND // 100
"""What a percent of a rate is worth where the time is SRTT, in µs, and eight times over."""
_RECENTLY: Duration = MILLISECOND
"""A unit is only held back that close behind another, so that a silence does not end in a burst."""
_SOON: Duration = MILLISECOND
"""A unit is only held back if the next ACK is due within that time, or half a round trip."""


def update_pacing_rate(config: TcpConfig, tcb: Tcb) -> None:
    """Work out the rate at which the congestion window lets text leave, with each ACK.

    It is a window a round trip, and a share more so that it never holds the window's growth back:
    as Linux has it for pacing (tcp_pacing_ss_ratio, tcp_pacing_ca_ratio). While no round trip was
    measured it is far too high, to no harm. Who asks for the rate divides by the round trip
    (`Tcb.pacing_rate`): what is kept is what connections have in common.
    """
    window = tcb.window
    cwnd, out = window.cwnd, tcb.sent.packets_out
    grows_fast = cwnd < window.ssthresh // 2
    percent = config.tcp_pacing_ss_ratio if grows_fast else config.tcp_pacing_ca_ratio
    paced = tcb.effective_mss * (out if out > cwnd else cwnd) * percent * PACING_UNIT
    if paced != tcb.paced_in_round_trip:
        tcb.paced_in_round_trip = shared(paced)


def unit_segments(ctx: Context, tcb: Tcb, mss: int) -> int:
    """Give the most segments in one unit (tcp_min_tso_segs, tcp_tso_rtt_log)."""
    config, most = ctx.config, max_unit(ctx, tcb)
    octets = tcb.pacing_rate >> _UNITS_A_SECOND_SHIFT
    if tcb.rtt.min_rtt is not None:
        octets += most >> min(tcb.rtt.min_rtt >> config.tcp_tso_rtt_log, 32)
    fitting = max(min(octets, most) // mss, config.tcp_min_tso_segs)
    return max(min(fitting, most // mss), 1)


class Wait(Enum):
    """Whether a unit waits, and for what."""

    NO = "it leaves now"
    CONGESTION_WINDOW = "for the congestion window"
    SEND_WINDOW = "for the peer's window"
    TEXT = "for more text of the user"


def wait_for_more(
    ctx: Context, tcb: Tcb, unsent: int, room: int, quota: int, mss: int, now: Instant
) -> Wait:
    """Tell whether text of several segments, cut short by a window, waits for the next ACK.

    `room` is the peer's window, octets; `quota` the congestion window's, segments.
    """
    by_congestion = quota * mss
    limit = min(room, by_congestion)
    due = tcb.paced_until if tcb.options.paced else tcb.transmitted_at
    if tcb.recovery.is_repairing or now - due > _RECENTLY:
        return Wait.NO
    divisor = ctx.config.tcp_tso_win_divisor
    if divisor and limit >= min(tcb.snd_wnd, tcb.window.cwnd * mss) // divisor:
        return Wait.NO
    if not tcb.sent or limit >= unit_segments(ctx, tcb, mss) * mss:
        return Wait.NO
    expected = tcb.sent.segments[0].sent_at + tcb.rtt.srtt
    if expected - now > min(tcb.rtt.srtt // 2, _SOON):
        return Wait.NO
    if by_congestion < room:
        if by_congestion <= unsent:
            return Wait.CONGESTION_WINDOW
    elif room <= unsent:
        return Wait.SEND_WINDOW
    return Wait.NO if tcb.fin_queued else Wait.TEXT
