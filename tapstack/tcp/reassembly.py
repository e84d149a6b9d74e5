"""The reassembly queue: text beyond a gap, until the gap is filled (RFC 9293 §3.10.7.4, step 7).

Pieces never overlap and are kept in sequence order, so that each arrival costs a binary search
however the sender cuts its text. A piece is what one segment brought, and what followed that found
room in its memory, as in Linux: what came twice is told in the same ranges.

Not done here: what is told of it (`sack_list.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from tapstack.base.contracts import Buffer
from tapstack.tcp.receive_memory import LARGEST_COLLAPSED, Memory, collapsed
from tapstack.tcp.sack_list import extended
from tapstack.tcp.segment import SackBlock
from tapstack.tcp.seq import add, lt, sub

if TYPE_CHECKING:
    from tapstack.tcp.tcb import Tcb


class Piece:
    """Text without a gap, and its memory."""

    __slots__ = ("charge", "left", "right", "room", "text")

    def __init__(self, left: int, text: bytes, memory: Memory) -> None:
        self.left = left
        self.right = add(left, len(text))
        self.text = text
        self.charge, self.room = memory

    @property
    def memory(self) -> Memory:
        """Give what it costs."""
        return Memory(self.charge, self.room)

    def takes(self, text: Buffer) -> bool:
        """Append text that follows, if there is room; else False."""
        if len(text) > self.room:
            return False
        self.text += bytes(text)
        self.room -= len(text)
        self.right = add(self.right, len(text))
        return True


def span_beyond_gap(tcb: Tcb) -> int:
    """Tell how far beyond RCV.NXT text has come, octets."""
    return tcb.reassembly.span(tcb.rcv_nxt) if tcb.reassembly else 0


class ReassemblyQueue:
    """Out-of-order text as pieces that do not overlap."""

    __slots__ = ("_pieces", "charge", "octets")

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self.octets = 0
        """Octets of text held."""
        self.charge = 0
        """Octets of memory, as Linux counts it."""

    def __len__(self) -> int:
        """Count the pieces."""
        return len(self._pieces)

    def insert(self, seq: int, text: Buffer, memory: Memory, rcv_nxt: int) -> SackBlock | None:
        """Keep a copy of text that begins at `seq`, beyond `rcv_nxt`; tell what came again.

        Like in Linux, that is a range which spans all of it where it is more than one, if they
        touch, and otherwise the first of them.
        """
        pieces = self._pieces
        begin, end = sub(seq, rcv_nxt), sub(seq, rcv_nxt) + len(text)
        index = bisect_right(pieces, begin, key=lambda piece: sub(piece.left, rcv_nxt))
        duplicate = None
        if index:
            before = pieces[index - 1]
            right = sub(before.right, rcv_nxt)
            if end <= right:
                return SackBlock(seq, add(seq, len(text)))
            if begin == right and not self._overlaps(index, end, rcv_nxt) and before.takes(text):
                self.octets += len(text)
                return None
            if before.left == seq:
                index -= 1  # the longer one replaces it
            elif begin < right:
                duplicate = SackBlock(seq, before.right)
                text, seq = text[right - begin :], before.right
        return self._put(index, seq, text, memory, rcv_nxt, duplicate)

    def _overlaps(self, index: int, end: int, rcv_nxt: int) -> bool:
        """Tell whether what ends at `end` reaches into the piece at an index."""
        return index < len(self._pieces) and sub(self._pieces[index].left, rcv_nxt) < end

    def _put(
        self,
        index: int,
        seq: int,
        text: Buffer,
        memory: Memory,
        rcv_nxt: int,
        duplicate: SackBlock | None,
    ) -> SackBlock | None:
        """Put text at an index, in place of what it covers; cut it where it reaches into more."""
        pieces = self._pieces
        end = sub(seq, rcv_nxt) + len(text)
        last = index
        while self._overlaps(last, end, rcv_nxt):
            piece = pieces[last]
            surplus = end - sub(piece.right, rcv_nxt)
            right = piece.right if surplus >= 0 else add(rcv_nxt, end)
            duplicate = extended(duplicate, SackBlock(piece.left, right))
            if surplus < 0:
                text = text[: sub(piece.left, seq)]
                break
            last += 1
        if len(text):
            self._replace(index, last, [Piece(seq, bytes(text), memory)])
        else:  # like Linux, which keeps what overlaps two pieces, though it adds nothing
            pieces[index].charge += memory.charge
            self.charge += memory.charge
        return duplicate

    def _replace(self, first: int, last: int, new: list[Piece]) -> None:
        self._count(self._pieces[first:last], -1)
        self._pieces[first:last] = new
        self._count(new, 1)

    def _count(self, pieces: list[Piece], sign: int) -> None:
        for piece in pieces:
            self.octets += sign * len(piece.text)
            self.charge += sign * piece.charge

    def take(self, rcv_nxt: int) -> list[Piece]:
        """Remove and give the pieces up to the next gap; some may lie before `rcv_nxt`."""
        count = 0
        for piece in self._pieces:
            if lt(rcv_nxt, piece.left):
                break
            count += 1
            if lt(rcv_nxt, piece.right):
                rcv_nxt = piece.right
        taken = self._pieces[:count]
        self._replace(0, count, [])
        return taken

    def span(self, rcv_nxt: int) -> int:
        """Tell how far beyond `rcv_nxt` the queue reaches, octets."""
        return sub(self._pieces[-1].right, rcv_nxt) if self._pieces else 0

    # --- when memory is used up ---

    def collapse(self) -> None:
        """Pack each run of pieces as tightly as Linux can, where that is worth it."""
        packed: list[Piece] = []
        run: list[Piece] = []
        for piece in [*self._pieces, None]:
            if run and (piece is None or run[-1].right != piece.left):
                packed += _packed(run)
                run = []
            if piece is not None:
                run.append(piece)
        self._replace(0, len(self._pieces), packed)

    def last_left(self) -> int:
        """Give the sequence number that the farthest piece begins at."""
        return self._pieces[-1].left

    def drop_last(self) -> None:
        """Give up the piece that lies farthest beyond."""
        self._replace(len(self._pieces) - 1, len(self._pieces), [])


def _packed(run: list[Piece]) -> list[Piece]:
    """Give a run of pieces as Linux would pack it, or as it is, if that gains nothing."""
    text = b"".join(piece.text for piece in run)
    memories = collapsed(len(text))
    if sum(each.charge for each in memories) >= sum(piece.charge for piece in run):
        return run
    pieces, left = [], run[0].left
    for memory in memories:
        piece = Piece(left, text[:LARGEST_COLLAPSED], memory)
        text, left = text[LARGEST_COLLAPSED:], piece.right
        pieces.append(piece)
    return pieces
