"""Step seven of SEGMENT ARRIVES: the segment text (RFC 9293 §3.10.7.4).

What is next in order goes to the user, with what was waiting for it; what lies beyond a gap waits.
Text is taken whole or not at all, as Linux does it, where the RFC trims it to the window.

Not done here: whether the segment is acceptable (`segment_arrives.py`).
"""

from __future__ import annotations

from errno import ECONNRESET, EPIPE
from typing import TYPE_CHECKING

from tapstack.base.contracts import READABLE
from tapstack.base.errors import Drop
from tapstack.tcp import ack_compression, ecn, receive_space
from tapstack.tcp.invalid import note_duplicate, report_duplicate
from tapstack.tcp.lifetime import destroy
from tapstack.tcp.memory_pressure import is_paid_for, make_room
from tapstack.tcp.reassembly import ReassemblyQueue
from tapstack.tcp.receive_memory import Memory, append_text, memory_of_segment
from tapstack.tcp.receive_space import held
from tapstack.tcp.receive_window import remaining_window, right_edge
from tapstack.tcp.replies import reset_in_reply_to
from tapstack.tcp.sack_list import extended, note_range
from tapstack.tcp.segment import ACK, FIN, PSH, SackBlock
from tapstack.tcp.sent_segment import packets_of
from tapstack.tcp.seq import add, ge, gt, le, lt, sub
from tapstack.tcp.state import HAS_RECEIVED_FIN, HAS_SENT_FIN, State
from tapstack.tcp.wire import HEADER_LENGTH

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.segment import Segment
    from tapstack.tcp.tcb import Tcb

TAKES_TEXT = frozenset({State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2})
"""States in which text is received (step seven)."""

GROWING_LENGTH = 128
"""Octets of text that a segment has at least for the window to grow by it, as in Linux."""


def process_text(ctx: Context, tcb: Tcb, seg: Segment, segment_size: int, now: Instant) -> None:
    """Take the text: in order to the user, beyond a gap to reassembly."""
    if _is_for_nobody(tcb, seg):
        _refuse(ctx, tcb, seg)
    elif tcb.state not in TAKES_TEXT or not seg.text:
        if lt(seg.seq, tcb.rcv_nxt):
            _acknowledge_again(ctx, tcb, seg)  # the peer has not heard that we have it
    elif le(add(seg.seq, len(seg.text)), tcb.rcv_nxt) or ge(seg.seq, right_edge(tcb)):
        _acknowledge_again(ctx, tcb, seg)
    elif not gt(seg.seq, tcb.rcv_nxt):
        _receive_in_order(ctx, tcb, seg, segment_size, now)
    else:
        _receive_out_of_order(ctx, tcb, seg, segment_size, now)


def _is_for_nobody(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether text comes, or a FIN behind text that is missing, when all has been closed.

    The peer's FIN closes, too, where text reaches from before beyond it. Linux lets what begins
    beyond it be.
    """
    if not seg.length or not gt(add(seg.seq, len(seg.text)), tcb.rcv_nxt):
        return False
    if tcb.state in HAS_RECEIVED_FIN:
        return lt(seg.seq, tcb.rcv_nxt)
    return tcb.read_shut and tcb.state in HAS_SENT_FIN


def _refuse(ctx: Context, tcb: Tcb, seg: Segment) -> None:
    """Reset the peer: RFC 9293 SHLD-3, of a half-duplex close: nobody will read this text."""
    ctx.counters["TcpExtTCPAbortOnData"] += 1
    ctx.counters.drop(Drop.TCP_CLOSED)
    reset_in_reply_to(ctx, tcb.remote.address, tcb.local.address, seg, "text after close")
    destroy(ctx, tcb, EPIPE if tcb.state is State.CLOSE_WAIT else ECONNRESET)


def _acknowledge_again(ctx: Context, tcb: Tcb, seg: Segment) -> None:
    """Answer at once what adds nothing to what is here: an ACK was lost, or the window is shut."""
    if seg.length:
        tcb.acks.enter_quick_mode(tcb.rcv_wnd)
        note_duplicate(ctx, tcb, seg)
        tcb.acks.due = tcb.acks.owed = True


# --- in order -----------------------------------------------------------------------------------


def _receive_in_order(
    ctx: Context, tcb: Tcb, seg: Segment, segment_size: int, now: Instant
) -> None:
    """Take text that is next, some of which may have come before."""
    note_duplicate(ctx, tcb, seg)
    if not remaining_window(tcb):
        ctx.counters["TcpExtTCPZeroWindowDrop"] += 1
        _acknowledge_again(ctx, tcb, seg)
        return
    if not _has_memory(ctx, tcb, seg):
        return
    memory = memory_of_segment(seg)
    text = memoryview(seg.text)[sub(tcb.rcv_nxt, seg.seq) :]
    append_text(tcb, text, memory, alone=seg.seq != tcb.rcv_nxt)
    if seg.flags & FIN:
        tcb.reassembly = None  # as Linux does: nothing can lie beyond the end of the stream
    options = seg.header_length - HEADER_LENGTH
    note_text(ctx, tcb, len(seg.text), segment_size, options, seg.flags, memory, now)
    ecn.on_text(tcb, seg)
    if tcb.reassembly:
        _fill_gap(ctx, tcb, tcb.reassembly)
    ctx.report(tcb, READABLE)


def _has_memory(ctx: Context, tcb: Tcb, seg: Segment) -> bool:
    """See that there is memory. If not, the window is shut at once; a user without text gets it."""
    if held(tcb) > tcb.receive_space.buffer and not (tcb.reassembly or seg.options.sack):
        expected = seg.flags & ~PSH == ACK and seg.seq == tcb.rcv_nxt
        if expected and is_paid_for(tcb, seg):
            return True
    if make_room(ctx, tcb, seg.seq):
        return True
    tcb.no_memory = tcb.acks.due = tcb.acks.owed = True
    ctx.report(tcb, READABLE)
    if not len(tcb.receive_queue):
        return True
    ctx.counters["TcpExtTCPRcvQDrop"] += 1
    return False


def note_text(
    ctx: Context,
    tcb: Tcb,
    length: int,
    segment_size: int,
    options: int,
    flags: int,
    memory: Memory,
    now: Instant,
) -> None:
    """Learn from text that came in order: how the peer cuts it, and how fast it comes."""
    acks = tcb.acks
    size = segment_size or length
    if size > acks.rcv_mss:
        receive_space.learn_share(tcb, length, memory.charge)
    acks.on_text(tcb, size, options, flags, now)
    receive_space.measure_by_window(tcb, now)
    if length >= GROWING_LENGTH:
        receive_space.offer_more(tcb, ctx.config, length, memory.charge, held(tcb))


def _fill_gap(ctx: Context, tcb: Tcb, queue: ReassemblyQueue) -> None:
    """Append what waited for what came, and see what of it came twice."""
    received = tcb.rcv_nxt
    for piece in queue.take(tcb.rcv_nxt):
        if lt(piece.left, received):
            right = received if gt(piece.right, received) else piece.right
            again = extended(tcb.duplicate_text, SackBlock(piece.left, right))
            report_duplicate(ctx, tcb, again)
        if gt(piece.right, tcb.rcv_nxt):
            surplus = sub(tcb.rcv_nxt, piece.left)
            text = memoryview(piece.text)[surplus:]
            append_text(tcb, text, piece.memory, alone=bool(surplus))
    if tcb.fin_beyond == tcb.rcv_nxt:
        return  # the FIN forgets it all, once the ACK has left that is due to it
    if not queue:
        # RFC 5681 §4.2: an ACK is sent at once "when the incoming segment fills in all or part of
        # a gap in the sequence space". Like Linux: all of the gaps.
        tcb.acks.due = True
        tcb.sacks = None
    elif tcb.sacks:
        tcb.sacks.forget(tcb.rcv_nxt)


# --- beyond a gap -------------------------------------------------------------------------------


def _receive_out_of_order(
    ctx: Context, tcb: Tcb, seg: Segment, segment_size: int, now: Instant
) -> None:
    """Keep text beyond a gap, and say so at once (RFC 5681 §4.2: an immediate duplicate ACK)."""
    length, memory = len(seg.text), memory_of_segment(seg)
    size = segment_size or length
    if size > tcb.acks.rcv_mss:
        receive_space.learn_share(tcb, length, memory.charge)
    options = seg.header_length - HEADER_LENGTH
    tcb.acks.estimate_size(tcb, size, options, seg.flags)
    ecn.on_text(tcb, seg)
    if not make_room(ctx, tcb, seg.seq):
        ctx.counters["TcpExtTCPOFODrop"] += 1
        ctx.report(tcb, READABLE)
        return
    tcb.acks.owed = tcb.acks.fresh = True
    tcb.statistics.rcv_ooopack += packets_of(length, size)
    ctx.counters["TcpExtTCPOFOQueue"] += 1
    ack_compression.before_block(ctx, tcb, seg.seq, seg.end, now)
    queue = tcb.reassembly = tcb.reassembly or ReassemblyQueue()
    in_use, octets = held(tcb), queue.octets
    duplicate = _with_fin(tcb, seg, queue.insert(seg.seq, seg.text, memory, tcb.rcv_nxt))
    tcb.duplicate_text = None
    if duplicate:
        report_duplicate(ctx, tcb, duplicate)
    if tcb.sack_permitted:
        note_range(tcb, seg.seq, seg.end)
        if (held(tcb), queue.octets) != (in_use, octets):
            # Without SACK, an ACK that offers more is no duplicate to the peer (RFC 5681 §2).
            receive_space.offer_more(tcb, ctx.config, length, memory.charge, in_use)
    if not tcb.passive and not tcb.orphaned:
        receive_space.grow(tcb, tcb.receive_space.taken_before, ctx.config)


def _with_fin(tcb: Tcb, seg: Segment, duplicate: SackBlock | None) -> SackBlock | None:
    """Count the number of a FIN, too, that a segment brings again, or text in its place."""
    fin = tcb.fin_beyond
    if fin is None or lt(fin, seg.seq) or not gt(seg.end, fin):
        return duplicate
    return extended(duplicate, SackBlock(fin, add(fin, 1)))
