"""The receive queue: text in order, copied once, until the user takes it.

That copy is the one that the user gets, where text comes in large pieces that nobody will change:
those are kept where they lie. Small ones are copied from the frame at once.

Not done here: what its memory costs (`receive_memory.py`), what waits beyond a gap
(`reassembly.py`), and the window (`receive_window.py`).
"""

from dataclasses import dataclass

from tapstack.base.contracts import Buffer
from tapstack.tcp.receive_memory import ReceiveMemory

_SMALL = 1024
"""Octets up to which pieces are joined, so that small ones do not cost more than they hold."""
_LARGE = 4096
"""Octets from which on the rest of a frame, its headers, is not worth a copy to be rid of."""


@dataclass(slots=True, eq=False)
class ReceiveQueue(ReceiveMemory):
    """A queue of octets, whose pieces are joined as the user takes them.

    What is counted as their memory is of the same object: each text asks for both.
    """

    # No deque: an empty one takes 760 octets, of every connection that is idle. Nor is there a list
    # while there is no text.
    pieces: list[Buffer] | None = None
    """Written by `exchange.py`, too, as are the octets."""
    octets: int = 0
    """How many wait."""
    taken: int = 0
    """Octets of the first piece that the user has already."""

    def __len__(self) -> int:
        return self.octets

    def append(self, text: Buffer) -> None:
        """Add text to the end of the queue: a copy, unless it is large and of `bytes`."""
        pieces, length = self.pieces, len(text)
        self.octets += length
        if length >= _LARGE and type(text) is memoryview and type(text.obj) is bytes:
            piece: Buffer = text
        elif pieces and len(pieces[-1]) + length <= _SMALL:
            pieces[-1] = bytes(pieces[-1]) + text
            return
        else:
            piece = bytes(text)
        if pieces:
            pieces.append(piece)
        else:
            self.pieces = [piece]

    def peek(self, size: int) -> bytes:
        """Give up to `size` of the oldest octets, and keep them."""
        taken, _, _ = self._oldest(size)
        return b"".join(taken)

    def take(self, size: int) -> bytes:
        """Remove and give up to `size` of the oldest octets."""
        if size >= self.octets and not self.taken:  # all that there is, as mostly
            text = b"".join(self.pieces or ())
            self.pieces = None
            self.octets = 0
            return text
        taken, used_up, self.taken = self._oldest(size)
        if self.pieces:
            del self.pieces[:used_up]
        text = b"".join(taken)
        self.octets -= len(text)
        return text

    def _oldest(self, size: int) -> tuple[list[Buffer], int, int]:
        """Find up to `size` of the oldest octets.

        Gives where they lie, how many pieces end with them, and how much they are of the next one.
        """
        pieces, start = self.pieces or [], self.taken
        rest, used_up = start + size, 0
        for piece in pieces:
            if rest < len(piece):
                break
            rest -= len(piece)
            used_up += 1
        taken = pieces[:used_up]
        if used_up == len(pieces):
            rest = 0
        elif rest > 0:
            taken.append(memoryview(pieces[used_up])[:rest])
        if start and taken:
            taken[0] = memoryview(taken[0])[start:]
        return taken, used_up, rest
