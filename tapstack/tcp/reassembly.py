"""The reassembly queue: text beyond a gap, until the gap is filled (RFC 9293 §3.10.7.4, step 7).

Pieces never overlap and are kept in sequence order, so that each arrival costs a binary search
however the sender cuts its text. SACK blocks are read off the same list (RFC 2018 §4).

Not done here: trimming to the receive window, which the sequence check has done.
"""

from bisect import bisect_right

from tapstack.base.contracts import Buffer
from tapstack.tcp.segment import SackBlock
from tapstack.tcp.seq import add, ge, le, lt, sub

_MAX_BLOCKS_REMEMBERED = 4
"""Blocks whose order of arrival is kept: as many as a segment can report (RFC 2018 §3)."""


class _Piece:
    """One run of text without a gap, as the texts that arrived."""

    __slots__ = ("left", "right", "texts")

    def __init__(self, left: int, right: int, texts: list[bytes]) -> None:
        self.left = left
        self.right = right
        self.texts = texts


class ReassemblyQueue:
    """Out-of-order text as disjoint pieces that do not touch."""

    __slots__ = ("_pieces", "_recent", "octets")

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._recent: list[int] = []  # left edges of blocks, the one that grew last in front
        self.octets = 0
        """Octets of text held."""

    def __len__(self) -> int:
        """Count the disjoint pieces."""
        return len(self._pieces)

    def insert(self, seq: int, text: Buffer, rcv_nxt: int) -> bool:
        """Keep a copy of text that begins at `seq`, beyond `rcv_nxt`; tell whether any was new."""
        begin = sub(seq, rcv_nxt)
        end = begin + len(text)
        pieces = self._pieces
        first = bisect_right(pieces, begin, key=lambda piece: sub(piece.left, rcv_nxt))
        if first and sub(pieces[first - 1].right, rcv_nxt) >= begin:
            first -= 1
        merged = _Piece(seq, seq, [])
        last, position, fresh = first, begin, 0
        # The pieces that the text touches become one, with the text filling the gaps.
        while last < len(pieces) and (left := sub(pieces[last].left, rcv_nxt)) <= end:
            if position < left:
                merged.texts.append(bytes(text[position - begin : left - begin]))
                fresh += left - position
            if merged.texts:
                merged.texts += pieces[last].texts
            else:
                merged = pieces[last]  # text that continues a piece does not copy its list
            position = max(position, sub(pieces[last].right, rcv_nxt))
            last += 1
        if position < end:
            merged.texts.append(bytes(text[position - begin :]))
            fresh += end - position
        merged.right = add(rcv_nxt, max(position, end))
        self._forget(pieces[first:last])
        pieces[first:last] = [merged]
        self._recent.insert(0, merged.left)
        del self._recent[_MAX_BLOCKS_REMEMBERED:]
        self.octets += fresh
        return fresh > 0

    def _forget(self, pieces: list[_Piece]) -> None:
        gone = {piece.left for piece in pieces}
        self._recent = [left for left in self._recent if left not in gone]

    def take(self, rcv_nxt: int) -> list[bytes]:
        """Remove and give the text that continues at `rcv_nxt`, and drop what lies before it."""
        taken: list[bytes] = []
        count = 0
        for piece in self._pieces:
            if lt(rcv_nxt, piece.left):
                break
            count += 1
            surplus = sub(rcv_nxt, piece.left)
            self.octets -= sub(piece.right, piece.left)
            if lt(rcv_nxt, piece.right):
                joined = piece.texts if not surplus else [b"".join(piece.texts)[surplus:]]
                taken += joined
                rcv_nxt = piece.right
        if count:
            self._forget(self._pieces[:count])
            del self._pieces[:count]
        return taken

    def holds(self, left: int, right: int) -> SackBlock | None:
        """Find the block that wholly holds a range of sequence space."""
        for piece in self._pieces:
            if le(piece.left, left) and ge(piece.right, right):
                return SackBlock(piece.left, piece.right)
        return None

    def span(self, rcv_nxt: int) -> int:
        """Tell how far beyond `rcv_nxt` the queue reaches, octets."""
        return sub(self._pieces[-1].right, rcv_nxt) if self._pieces else 0

    def sack_blocks(self, limit: int) -> list[SackBlock]:
        """List up to `limit` blocks, the one that grew last first (RFC 2018 §4)."""
        by_left = {piece.left: piece for piece in self._pieces}
        blocks = [SackBlock(left, by_left[left].right) for left in self._recent[:limit]]
        for piece in self._pieces:
            if len(blocks) >= limit:
                break
            if piece.left not in self._recent:
                blocks.append(SackBlock(piece.left, piece.right))
        return blocks

    def clear(self) -> None:
        """Let go of everything."""
        self._pieces.clear()
        self._recent.clear()
        self.octets = 0
