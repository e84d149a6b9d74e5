"""The SACK blocks that we report: which ranges beyond a gap have come, the latest first.

RFC 2018 §4: "The first SACK block … MUST specify the contiguous block of data containing the
segment which triggered this ACK", and the following ones those that were reported before it. Like
in Linux there are four, and what a fifth has displaced is reported again only if it grows.

Not done here: the text (`reassembly.py`), and how many fit a segment (`transmission.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.segment import SackBlock
from tapstack.tcp.seq import gt, lt

if TYPE_CHECKING:
    from tapstack.tcp.tcb import Tcb

_MOST_BLOCKS = 4
"""As many as a segment can carry."""


class SackList:
    """Blocks that do not touch each other, in the order in which they are to be told."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: tuple[SackBlock, ...] = ()

    def __len__(self) -> int:
        return len(self._blocks)

    def first(self, count: int) -> list[SackBlock]:
        """Give up to `count` of them."""
        return list(self._blocks[:count])

    def note(self, left: int, right: int) -> None:
        """Tell that a range has come; it is the first to be told now."""
        new, others = SackBlock(left, right), []
        for block in self._blocks:
            joined = join(new, block)
            if joined is None:
                others.append(block)
            else:
                new = joined
        self._blocks = (new, *others[: _MOST_BLOCKS - 1])

    def rank(self, left: int, right: int) -> int:
        """Tell which block a range would make longer; one behind the last, if none."""
        new = SackBlock(left, right)
        for index, block in enumerate(self._blocks):
            if join(new, block):
                return index
        return len(self._blocks)

    def forget(self, rcv_nxt: int) -> None:
        """Drop what RCV.NXT has passed."""
        if self._blocks:
            self._blocks = tuple(block for block in self._blocks if lt(rcv_nxt, block.left))


def note_range(tcb: Tcb, left: int, right: int) -> None:
    """Tell a connection's peer that a range beyond a gap has come, before all that is told yet."""
    if tcb.sacks is None:
        tcb.sacks = SackList()
    tcb.sacks.note(left, right)


def join(a: SackBlock, b: SackBlock) -> SackBlock | None:
    """Make one block of two that touch or overlap; None: they do not."""
    if gt(a.left, b.right) or gt(b.left, a.right):
        return None
    left = a.left if lt(a.left, b.left) else b.left
    return SackBlock(left, a.right if gt(a.right, b.right) else b.right)


def extended(duplicate: SackBlock | None, block: SackBlock) -> SackBlock:
    """Make a range that came again longer, if it reaches to where more of it begins."""
    if duplicate is None:
        return block
    return join(duplicate, block) or duplicate
