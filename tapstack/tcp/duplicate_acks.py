"""Loss recovery without SACK: duplicate ACKs stand for segments that arrived (RFC 5681, 6582).

Not done here: the phases (`recovery.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.recovery_state import Phase, recovery_of

if TYPE_CHECKING:
    from tapstack.tcp.ack_news import AckNews
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb


def mark_head_lost(tcb: Tcb, news: AckNews) -> None:
    """Deem the oldest segment lost: one segment of it, if it stands for many (RFC 6582 §3.2)."""
    recovery, sent = tcb.recovery, tcb.sent
    if recovery.phase is Phase.RECOVERY:
        found = news.una_advanced  # a partial ACK points at the next loss
    else:
        found = not recovery.is_repairing and sent.sacked_out >= recovery.reordering
    if not found or sent.segments[0].lost:
        return
    if sent.segments[0].packets > 1:
        sent.split_packets(0, 1)
    sent.mark_lost(sent.segments[0])


def count_duplicate_ack(ctx: Context, tcb: Tcb, news: AckNews) -> None:
    """Count a duplicate ACK without SACK as a segment that arrived."""
    if tcb.sack_permitted or not news.duplicate_ack:
        return
    sent = tcb.sent
    before = sent.sacked_out
    sent.sacked_out += 1
    limit_duplicate_acks(ctx, tcb, 0)
    arrived = max(0, sent.sacked_out - before)
    news.delivered += arrived
    tcb.statistics.delivered += arrived
    ctx.counters["TcpExtTCPDelivered"] += arrived
    if news.ece and tcb.accecn is None:
        news.marked += arrived
        tcb.statistics.delivered_ce += arrived


def limit_duplicate_acks(ctx: Context, tcb: Tcb, acked: int) -> None:
    """Keep the count of duplicate ACKs below what can have arrived; more means reordering."""
    if leave_room_for_losses(tcb):
        most = ctx.config.tcp_max_reordering
        recovery_of(tcb).reordering = min(tcb.sent.packets_out + acked, most)
        tcb.statistics.reord_seen += 1
        ctx.counters["TcpExtTCPRenoReorder"] += 1


def leave_room_for_losses(tcb: Tcb) -> bool:
    """See that what is lost is not counted as arrived, too; tell whether any was."""
    sent = tcb.sent
    holes = min(max(sent.lost_out, 1), sent.packets_out)
    most = sent.packets_out - holes
    if sent.sacked_out <= most:
        return False
    sent.sacked_out = most
    return True


def on_cumulative_ack_without_sack(ctx: Context, tcb: Tcb, packets: int) -> int:
    """Take back the duplicate ACKs that an advancing SND.UNA has accounted for.

    Gives how many of the acknowledged segments had not been counted as arrived by those.
    """
    sent = tcb.sent
    arrived = max(packets - sent.sacked_out, 1) if packets else 0
    if packets:
        sent.sacked_out = max(0, sent.sacked_out - (packets - 1))
    limit_duplicate_acks(ctx, tcb, packets)
    return arrived
