"""ACKs of text beyond gaps, fewer than one a segment (Linux's tcp_comp_sack_*).

RFC 5681 §4.2 asks for a duplicate ACK at once for each segment beyond a gap. Three of them tell the
peer of the loss; those that follow mostly say more of the same, and each costs it work. So they
wait for each other: a twentieth of the round trip, and a millisecond at most.

Not done here: the blocks that they carry (`sack_list.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.segment import ACK
from tapstack.tcp.transmission import sequence_of_ack, transmit

if TYPE_CHECKING:
    from tapstack.base.units import Duration, Instant
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_DUPLICATES = 3
"""ACKs of one RCV.NXT that are sent at once: what fast retransmit waits for (RFC 5681 §3.2)."""
_SHARE_OF_ROUND_TRIP = 20
_BLOCKS_TOLD = 2
"""Blocks that the ACK is believed to have room for: one that comes behind them is urgent."""


def hold_back(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Have an ACK that is owed wait for others, if it may."""
    config = ctx.config
    if not tcb.sack_permitted or tcb.compressed_acks >= config.tcp_comp_sack_nr:
        return False
    if tcb.acks_told != tcb.rcv_nxt:
        tcb.acks_told, tcb.times_told = tcb.rcv_nxt, 0
    if tcb.times_told < _DUPLICATES:
        tcb.times_told += 1
        return False
    tcb.compressed_acks += 1
    if tcb.compression_timer.deadline is None:
        timer, deadline = tcb.compression_timer, now + _delay(config, tcb)
        tcb.compression_timer = ctx.arm(tcb, timer, deadline, on_timeout)
    return True


def _delay(config: TcpConfig, tcb: Tcb) -> Duration:
    round_trip = tcb.receive_space.srtt
    if tcb.rtt.srtt:
        round_trip = min(round_trip, tcb.rtt.srtt)
    return min(config.tcp_comp_sack_delay_ns // 1000, round_trip // _SHARE_OF_ROUND_TRIP)


def before_block(ctx: Context, tcb: Tcb, left: int, right: int, now: Instant) -> None:
    """Send the ACK that waits, if a range that came now would push a block out of it."""
    if tcb.compressed_acks and tcb.sacks and tcb.sacks.rank(left, right) >= _BLOCKS_TOLD:
        tcb.compressed_acks -= 1
        transmit(ctx, tcb, sequence_of_ack(tcb), ACK, 0, now, "acknowledge")


def on_timeout(owner: tuple[Context, Tcb], now: Instant) -> None:  # noqa: ARG001 - every expiry's form
    """Send the ACK that stands for all that were held back."""
    ctx, tcb = owner
    if tcb.compressed_acks:
        tcb.compressed_acks -= 1
        tcb.acks.due = True
        ctx.mark_owing(tcb)
