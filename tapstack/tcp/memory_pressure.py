"""What a connection does when the memory of its receive buffer is used up, as Linux does it.

The window is to prevent that: it happens to a peer who sends far smaller segments than we have
learnt to expect from it, or more than it was offered.

Not done here: what memory costs (`receive_memory.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp import send_space
from tapstack.tcp.receive_memory import PAGE, memory_of_segment
from tapstack.tcp.receive_space import held
from tapstack.tcp.seq import gt

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.segment import Segment
    from tapstack.tcp.tcb import Tcb


def make_room(ctx: Context, tcb: Tcb, seq: int) -> bool:
    """See that there is memory for text that begins at `seq`; False: there is none.

    There is as long as no more is held than the buffer's size: one segment may go beyond.
    """
    if not _is_overfull(tcb):
        return True
    ctx.counters["TcpExtPruneCalled"] += 1
    _clamp_window(ctx, tcb)
    if not _is_overfull(tcb):
        return True
    if tcb.reassembly:
        tcb.reassembly.collapse()
    tcb.receive_queue.collapse(tcb.copied_seq, tcb.receive_space.window_of)
    if not _is_overfull(tcb) or _prune(ctx, tcb, seq):
        return True
    ctx.counters["TcpExtRcvPruned"] += 1
    return False


def is_paid_for(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a segment finds room in the pages that are charged to the connection already.

    Where it is what is expected, Linux does not look at the size of the buffer then.
    """
    return memory_of_segment(seg).charge <= room_in_page(tcb)


def room_in_page(tcb: Tcb) -> int:
    """Give the octets that are left of the pages that are charged to a connection."""
    return -(held(tcb) + send_space.charge(tcb)) % PAGE


def _is_overfull(tcb: Tcb) -> bool:
    return held(tcb) > tcb.receive_space.buffer


def _clamp_window(ctx: Context, tcb: Tcb) -> None:
    """Let the buffer grow to what it holds, if it may; else offer next to nothing from now on."""
    space = tcb.receive_space
    tcb.acks.quick = 0
    most = ctx.config.tcp_rmem[2]
    if tcb.options.receive_buffer is None and space.buffer < most:
        space.buffer = min(held(tcb), most)
    if _is_overfull(tcb):
        space.threshold = min(space.clamp, 2 * tcb.advertised_mss)


def _prune(ctx: Context, tcb: Tcb, seq: int) -> bool:
    """Give up text beyond gaps, the farthest first, for what comes before it.

    RFC 2018 §8: "the data receiver is permitted to discard data in its queue that has not been
    acknowledged to the data sender, even if the data has already been reported in a SACK option."
    An eighth of the buffer is freed at a time.
    """
    queue, begun = tcb.reassembly, held(tcb)
    pruned = False
    while queue and not gt(seq, queue.last_left()):
        queue.drop_last()
        pruned = True
        if begun - held(tcb) >= tcb.receive_space.buffer >> 3 or not queue:
            if not _is_overfull(tcb):
                break
            begun = held(tcb)
    if pruned:
        ctx.counters["TcpExtOfoPruned"] += 1
        tcb.sacks = None
    return not _is_overfull(tcb)
