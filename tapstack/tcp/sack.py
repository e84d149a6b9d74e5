"""Selective acknowledgments at the sender: RFC 2018 §5, with D-SACK (RFC 2883 §4) and reordering.

A block is believed only where it lies in what is in flight (spoofed or broken ones do not), and
never frees text: the receiver may renege.

Not done here: choosing the blocks that we send (`transmission.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tapstack.tcp import rack, undo
from tapstack.tcp.seq import ge, gt, le, lt, sub

if TYPE_CHECKING:
    from tapstack.tcp.ack_news import AckNews
    from tapstack.tcp.context import Context
    from tapstack.tcp.retransmission_queue import SentSegment
    from tapstack.tcp.segment import SackBlock, Segment
    from tapstack.tcp.tcb import Tcb


def take_sack(ctx: Context, tcb: Tcb, seg: Segment, news: AckNews) -> list[SentSegment]:
    """Mark what the blocks cover; give the entries that are newly known to have arrived."""
    blocks = seg.options.sack
    if not tcb.sack_permitted or not blocks:
        return []
    if _is_dsack(seg.ack, blocks):
        _take_dsack(ctx, tcb, blocks[0], news)
        blocks = blocks[1:] if ge(seg.ack, blocks[0].right) else blocks
    top_before = tcb.sent.highest_sacked
    newly: list[SentSegment] = []
    una = seg.ack if gt(seg.ack, tcb.snd_una) else tcb.snd_una
    for block in blocks:
        if _is_usable(tcb, block, una):
            newly += tcb.sent.sack(block)
    news.sacked = sum(segment.packets for segment in newly)
    note_arrivals(tcb, newly, news, None)
    if top_before is not None and tcb.recovery.takes_reordering:
        _look_for_reordering(ctx, tcb, newly, top_before)
    return newly


def _is_usable(tcb: Tcb, block: SackBlock, una: int) -> bool:
    """Tell whether a block lies within what is in flight, beyond a gap: a lie does not."""
    return lt(block.left, block.right) and gt(block.left, una) and le(block.right, tcb.snd_nxt)


def _is_dsack(ack: int, blocks: tuple[SackBlock, ...]) -> bool:
    """Tell whether the first block reports text that came twice (RFC 2883 §4)."""
    first = blocks[0]
    if not lt(first.left, first.right):
        return False
    if lt(first.left, ack):
        return True
    return len(blocks) > 1 and ge(first.left, blocks[1].left) and le(first.right, blocks[1].right)


def _take_dsack(ctx: Context, tcb: Tcb, block: SackBlock, news: AckNews) -> None:
    """Believe that a retransmission was spurious, if there were that many (RFC 3708 §3)."""
    recovery, statistics = tcb.recovery, tcb.statistics
    ctx.counters["TcpExtTCPDSACKRecv"] += 1
    packets = max(1, -(-sub(block.right, block.left) // tcb.effective_mss))
    if statistics.dsack_dups + packets > statistics.total_retrans:
        ctx.counters["TcpExtTCPDSACKIgnoredDubious"] += 1
        return
    statistics.dsack_dups += packets
    probed = recovery.tlp_end_seq is not None and recovery.tlp_is_retransmission
    news.dsack = True
    news.dsack_of_probe = probed and block.right == recovery.tlp_end_seq
    if statistics.reord_seen and not news.dsack_of_probe:
        recovery.rack.dsack_seen = True
    news.delivered += packets
    undo.on_dsack(tcb, block.right, news.prior_una, packets)


def note_arrivals(
    tcb: Tcb, segments: Sequence[SentSegment], news: AckNews, echo: int | None
) -> None:
    """Have recovery know what has arrived, be it cumulatively or selectively acknowledged.

    `echo` is SEG.TSecr where it tells which transmission arrived: beyond a gap it does not, as the
    receiver keeps the timestamp of what came before the gap (RFC 7323 §4.3).
    """
    for segment in segments:
        news.delivered += segment.packets
        if segment.sent_at >= news.latest_sent_at:
            news.latest_sent_at = segment.sent_at
            news.departure = segment.departure
        if segment.transmissions == 1 and le(segment.end, tcb.recovery.high_seq):
            news.originals = True
        rack.on_delivered(tcb, segment, echo, news.now)


# --- reordering ---------------------------------------------------------------------------------


def look_for_filled_hole(
    ctx: Context, tcb: Tcb, acked: Sequence[SentSegment], top_before: int | None
) -> None:
    """See whether an original arrived after what was sent later: RFC 8985 §6.2 step 3."""
    if top_before is not None:
        _look_for_reordering(ctx, tcb, acked, top_before)


def _look_for_reordering(
    ctx: Context, tcb: Tcb, segments: Sequence[SentSegment], top_before: int
) -> None:
    for segment in segments:
        if segment.transmissions == 1 and lt(segment.seq, top_before):
            note_reordering(ctx, tcb, segment.seq)
            return


def note_reordering(ctx: Context, tcb: Tcb, low: int) -> None:
    """Remember that text at `low` was overtaken, and by how many segments it was."""
    top = tcb.sent.highest_sacked
    if top is None:
        top = tcb.snd_una
    if not gt(top, low):
        return
    recovery = tcb.recovery
    distance = -(-sub(top, low) // tcb.effective_mss)
    recovery.reordering = max(recovery.reordering, min(distance, ctx.config.tcp_max_reordering))
    tcb.statistics.reord_seen += 1
    ctx.counters["TcpExtTCPSACKReorder"] += 1
