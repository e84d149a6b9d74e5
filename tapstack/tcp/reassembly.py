"""The reassembly queue: text beyond a gap, until the gap is filled (RFC 9293 §3.10.7.4, step 7).

Pieces never overlap and are kept in sequence order, so that each arrival costs a binary search
however the sender cuts its text. SACK blocks are read off the same list (RFC 2018 §4).

Not done here: trimming to the receive window, which the sequence check has done.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

from tapstack.base.contracts import Buffer
from tapstack.tcp.segment import SackBlock
from tapstack.tcp.seq import add, lt, sub

_MAX_BLOCKS_REMEMBERED = 4
"""Blocks whose order of arrival is kept: as many as a segment can report (RFC 2018 §3)."""
_MOST_PIECES = 4096
"""Pieces that are kept at most: more gaps than any window of full segments can have, but a peer who
sends single octets far apart would have each cost far more memory than it fills of the window."""
_SMALL = 1024
"""Octets up to which neighbouring texts are joined, so that small ones do not cost much memory."""


class _Piece:
    """One run of text without a gap, as the texts that arrived."""

    __slots__ = ("left", "right", "texts")

    def __init__(self, left: int) -> None:
        self.left = left
        self.right = left
        self.texts: deque[bytes] = deque()

    @property
    def block(self) -> SackBlock:
        """What a SACK says of it."""
        return SackBlock(self.left, self.right)

    def append(self, text: Buffer) -> None:
        """Take what follows."""
        octets = bytes(text)
        texts = self.texts
        if texts and len(texts[-1]) + len(octets) <= _SMALL:
            texts[-1] += octets
        else:
            texts.append(octets)
        self.right = add(self.right, len(octets))

    def join(self, follower: "_Piece") -> None:
        """Take the piece that follows; the shorter list moves, so that no order costs much."""
        if len(self.texts) < len(follower.texts):
            follower.texts.extendleft(reversed(self.texts))
            self.texts = follower.texts
        else:
            self.texts.extend(follower.texts)
        self.right = follower.right


class ReassemblyQueue:
    """Out-of-order text as disjoint pieces that do not touch."""

    __slots__ = ("_pieces", "_recent", "octets")

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._recent: list[_Piece] = []  # the one that was met last in front
        self.octets = 0
        """Octets of text held."""

    def __len__(self) -> int:
        """Count the disjoint pieces."""
        return len(self._pieces)

    def insert(self, seq: int, text: Buffer, rcv_nxt: int) -> SackBlock | None:
        """Keep a copy of text that begins at `seq`, beyond `rcv_nxt`; tell what came again.

        Of several ranges that were here before, that is the first. Where there are too many pieces
        already, one more is not kept.
        """
        begin = sub(seq, rcv_nxt)
        end = begin + len(text)
        first, last = self._touched(begin, end, rcv_nxt)
        if first == last and len(self._pieces) >= _MOST_PIECES:
            return None
        touched = self._pieces[first:last]
        merged, duplicate = self._merge(seq, text, touched, rcv_nxt)
        self._forget(touched)
        self._pieces[first:last] = [merged]
        self._recent = [merged, *self._recent][:_MAX_BLOCKS_REMEMBERED]
        return duplicate

    def _touched(self, begin: int, end: int, rcv_nxt: int) -> tuple[int, int]:
        """Find which pieces text overlaps or adjoins, from one index up to another."""
        pieces = self._pieces
        first = bisect_right(pieces, begin, key=lambda piece: sub(piece.left, rcv_nxt))
        if first and sub(pieces[first - 1].right, rcv_nxt) >= begin:
            first -= 1
        last = first
        while last < len(pieces) and sub(pieces[last].left, rcv_nxt) <= end:
            last += 1
        return first, last

    def _merge(
        self, seq: int, text: Buffer, touched: Sequence[_Piece], rcv_nxt: int
    ) -> tuple[_Piece, SackBlock | None]:
        """Make one piece of those that text touches, the text filling the gaps."""
        begin = sub(seq, rcv_nxt)
        end = begin + len(text)
        merged, position, duplicate = _Piece(seq), begin, None
        for piece in touched:
            left, right = sub(piece.left, rcv_nxt), sub(piece.right, rcv_nxt)
            if position < left:
                merged.append(text[position - begin : left - begin])
                self.octets += left - position
            overlap = max(begin, left), min(end, right)
            if duplicate is None and overlap[0] < overlap[1]:
                duplicate = SackBlock(add(rcv_nxt, overlap[0]), add(rcv_nxt, overlap[1]))
            if merged.texts:
                merged.join(piece)
            else:
                merged = piece
            position = right
        if position < end:
            merged.append(text[position - begin :])
            self.octets += end - position
        return merged, duplicate

    def _forget(self, pieces: Sequence[_Piece]) -> None:
        gone = set(pieces)
        self._recent = [piece for piece in self._recent if piece not in gone]

    def overtaken(self, rcv_nxt: int) -> SackBlock | None:
        """Give what came again with the text up to `rcv_nxt`: what is queued before that."""
        first = self._pieces[0]
        if not lt(first.left, rcv_nxt):
            return None
        return SackBlock(first.left, first.right if lt(first.right, rcv_nxt) else rcv_nxt)

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
                taken += [b"".join(piece.texts)[surplus:]] if surplus else piece.texts
                rcv_nxt = piece.right
        if count:
            self._forget(self._pieces[:count])
            del self._pieces[:count]
        return taken

    def span(self, rcv_nxt: int) -> int:
        """Tell how far beyond `rcv_nxt` the queue reaches, octets."""
        return sub(self._pieces[-1].right, rcv_nxt) if self._pieces else 0

    def sack_blocks(self, limit: int) -> list[SackBlock]:
        """List up to `limit` blocks, the one that was met last first (RFC 2018 §4)."""
        others = (piece for piece in self._pieces[: 2 * limit] if piece not in self._recent)
        return [piece.block for piece in [*self._recent, *others][:limit]]

    def clear(self) -> None:
        """Let go of everything."""
        self._pieces.clear()
        self._recent.clear()
        self.octets = 0
