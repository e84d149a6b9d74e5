"""Selective acknowledgments at the sender: RFC 2018 §5, with D-SACK (RFC 2883 §4) and reordering.

A block is believed only where it lies in what is in flight (spoofed or broken ones do not), and
never frees text: the receiver may renege.

Not done here: choosing the blocks that we send (`transmission.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tapstack.tcp import rack, undo
from tapstack.tcp.recovery_state import recovery_of
from tapstack.tcp.seq import ge, gt, le, lt, sub

if TYPE_CHECKING:
    from tapstack.tcp.ack_news import AckNews
    from tapstack.tcp.context import Context
    from tapstack.tcp.segment import SackBlock, Segment
    from tapstack.tcp.sent_segment import SentSegment
    from tapstack.tcp.tcb import Tcb


def take_sack(ctx: Context, tcb: Tcb, seg: Segment, news: AckNews) -> list[SentSegment]:
    """Mark what the blocks cover; give the entries that are newly known to have arrived."""
    blocks = seg.options.sack
    news.top_before = tcb.sent.highest_sacked
    if not tcb.sack_permitted or not blocks:
        return []
    overtaken: list[SentSegment] = []
    una = seg.ack if gt(seg.ack, tcb.snd_una) else tcb.snd_una
    if _is_dsack(seg.ack, blocks) and _take_dsack(ctx, tcb, seg.ack, blocks, news):
        overtaken = _take_dsack_in_flight(tcb, blocks[0], una, news)
    usable = [block for block in blocks if _is_usable(tcb, block, una)]
    newly: list[SentSegment] = []
    for block in sorted(usable, key=lambda block: sub(block.left, una)):
        newly += tcb.sent.sack(block)
    if newly and tcb.text_followers:
        _join_what_has_arrived(tcb)
    news.sacked = sum(segment.packets for segment in newly)
    note_arrivals(tcb, newly, news, None)
    if tcb.recovery.takes_reordering:
        overtaken += [each for each in newly if each.transmissions == 1]
        _look_for_reordering(ctx, tcb, overtaken, news)
    return newly


def _join_what_has_arrived(tcb: Tcb) -> None:
    """Tell who follows the text that neighbours which have arrived are one, as in Linux."""
    first: SentSegment | None = None
    for segment in tcb.sent:
        if not segment.sacked:
            first = None
        elif first is None or _length_on_wire(segment) != _length_on_wire(first):
            first = segment
        else:
            for follower in tcb.text_followers:
                follower.on_joined(first.seq, segment.end)


def _length_on_wire(segment: SentSegment) -> int:
    return min(segment.text_length, segment.segment_size)


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


def _take_dsack(
    ctx: Context, tcb: Tcb, ack: int, blocks: tuple[SackBlock, ...], news: AckNews
) -> bool:
    """Believe that a retransmission was spurious, if there were that many (RFC 3708 §3)."""
    recovery, statistics, block = tcb.recovery, tcb.statistics, blocks[0]
    kind = "" if lt(block.left, ack) else "Ofo"
    ctx.counters[f"TcpExtTCPDSACK{kind}Recv"] += 1
    length = sub(block.right, block.left)
    packets = max(1, -(-length // tcb.effective_mss))
    probed = recovery.tlp_end_seq is not None and recovery.tlp_is_retransmission
    news.dsack_of_probe = probed and packets == 1 and block.right == recovery.tlp_end_seq
    if length <= tcb.max_snd_wnd:
        statistics.dsack_dups += packets
    if length > tcb.max_snd_wnd or statistics.dsack_dups > statistics.total_retrans:
        ctx.counters["TcpExtTCPDSACKIgnoredDubious"] += 1
        return False
    ctx.counters["TcpExtTCPDSACKRecvSegs"] += packets
    news.dsack = True
    if statistics.reord_seen and not news.dsack_of_probe:
        rack.rack_of(tcb).dsack_seen = True
    news.delivered += packets
    if ge(news.prior_una, block.right):
        undo.on_dsack(tcb, block.right, packets)
    return True


def _take_dsack_in_flight(tcb: Tcb, block: SackBlock, una: int, news: AckNews) -> list[SentSegment]:
    """Take a report about what was not acknowledged yet: its retransmissions are in flight no more.

    Gives what had been SACKed before: its original was overtaken by what was sent later.
    """
    if not lt(news.prior_una, block.right) or not _is_dsack_in_flight(tcb, block, una):
        return []
    overtaken = []
    for segment in tcb.sent.within(block):
        if segment.transmissions > 1:
            undo.on_dsack(tcb, segment.end, segment.packets)
            if segment.sacked:
                overtaken.append(segment)
            tcb.sent.unmark_retransmitted(segment)
    return overtaken


def _is_dsack_in_flight(tcb: Tcb, block: SackBlock, una: int) -> bool:
    """Tell whether a D-SACK lies, as Linux has it, in what had not been acknowledged before.

    One that begins below that tells of nothing in it, and one that the ACK itself cuts, or that it
    covers with no reduction to be undone, is not believed.
    """
    if not tcb.sent:
        return False
    front = tcb.sent.segments[0].seq if tcb.sent.cut_from is None else tcb.sent.cut_from
    if lt(block.left, front) or gt(block.right, tcb.snd_nxt):
        return False
    if gt(block.left, una):
        return True
    return tcb.recovery.undo.marker is not None and le(block.right, una)


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
        if tcb.sack_permitted:
            rack.on_delivered(tcb, segment, echo, news.now)
    if not tcb.sent:
        rack.on_all_arrived(tcb)


# --- reordering ---------------------------------------------------------------------------------


def look_for_filled_hole(
    ctx: Context, tcb: Tcb, acked: Sequence[SentSegment], news: AckNews
) -> None:
    """See whether an original arrived after what was sent later: RFC 8985 §6.2 step 3."""
    once = [segment for segment in acked if segment.transmissions == 1]
    _look_for_reordering(ctx, tcb, once, news)


def _look_for_reordering(
    ctx: Context, tcb: Tcb, segments: Sequence[SentSegment], news: AckNews
) -> None:
    """See whether any of these lies below what had been SACKed before this ACK.

    As Linux has it, one whose front was acknowledged before is late, too.
    """
    top = news.prior_una if news.top_before is None else news.top_before
    low = [segment.seq for segment in segments if lt(segment.seq, top)]
    if low:
        note_reordering(ctx, tcb, min(low, key=lambda seq: sub(seq, news.prior_una)))


def note_reordering(ctx: Context, tcb: Tcb, low: int) -> None:
    """Remember that text at `low` was overtaken, and by how many segments it was."""
    top = tcb.sent.highest_sacked
    if top is None:
        top = tcb.snd_una
    if not gt(top, low):
        return
    distance = -(-sub(top, low) // tcb.effective_mss)
    if distance > tcb.recovery.reordering:
        recovery_of(tcb).reordering = min(distance, ctx.config.tcp_max_reordering)
    tcb.statistics.reord_seen += 1
    ctx.counters["TcpExtTCPSACKReorder"] += 1
