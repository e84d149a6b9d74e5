"""The receive queue: text in order, copied once from the frame, until the user takes it.

Not done here: what waits beyond a gap (`reassembly.py`), and the window (`receive_window.py`).
"""

from tapstack.base.contracts import Buffer

_SMALL = 1024
"""Octets up to which pieces are joined, so that small ones do not cost more than they hold."""


class ReceiveQueue:
    """A queue of octets whose pieces are handed out uncopied where the user's size allows."""

    __slots__ = ("_length", "_pieces", "_taken")

    def __init__(self) -> None:
        # No deque: an empty one takes 760 octets, of every connection that is idle.
        self._pieces: list[bytes] = []
        self._taken = 0  # octets of the first piece that the user has already
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, text: Buffer) -> None:
        """Copy text to the end of the queue; `bytes` are kept as they are, unless they are few."""
        pieces = self._pieces
        if pieces and len(pieces[-1]) + len(text) <= _SMALL:
            pieces[-1] += bytes(text)
        else:
            pieces.append(bytes(text))
        self._length += len(text)

    def peek(self, size: int) -> bytes:
        """Give up to `size` of the oldest octets, and keep them."""
        taken: list[bytes] = []
        start = self._taken
        for piece in self._pieces:
            if size <= 0:
                break
            taken.append(piece[start : start + size])
            size -= len(piece) - start
            start = 0
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def take(self, size: int) -> bytes:
        """Remove and give up to `size` of the oldest octets."""
        pieces = self._pieces
        if pieces and len(pieces[0]) - self._taken >= size:
            return self._take_from_head(size)
        taken: list[bytes] = []
        while size > 0 and pieces:
            piece = self._take_from_head(size)
            taken.append(piece)
            size -= len(piece)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _take_from_head(self, size: int) -> bytes:
        piece, start = self._pieces[0], self._taken
        end = start + size
        if end < len(piece):
            self._taken = end  # what is left of a large piece is not copied for each octet
            piece = piece[start:end]
        else:
            del self._pieces[0]
            self._taken = 0
            if start:
                piece = piece[start:]
        self._length -= len(piece)
        return piece
