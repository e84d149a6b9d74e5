"""The pieces that text waits in to be sent, as Linux's socket buffers hold it.

A piece takes as many full segments as half of the peer's window, and a unit of text is at most one:
so pieces decide how much text finds room, where a small segment may come about, and which segments
of a long text are pushed.

Not done here: the text itself (`send_buffer.py`), and how many octets find room (`send_space.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tapstack.tcp.seq import MASK, add, ge, gt, sub

if TYPE_CHECKING:
    from tapstack.tcp.tcb import Tcb


class _Piece:
    """Text that waits: it ends at a sequence number, in front of which it may be pushed."""

    __slots__ = ("end", "pushed")

    def __init__(self, end: int) -> None:
        self.end = end
        self.pushed = False


_NONE = cast("list[_Piece]", ())
"""What stands for a list until the first piece: of thousands, many connections never have one."""


class SendPieces:
    """The pieces that were not sent as a whole, in order."""

    __slots__ = ("_pieces",)

    padding = 0
    """Octets of memory that text takes beside its own and its pieces'."""

    def __init__(self) -> None:
        self._pieces = _NONE

    def take_over(self, others: SendPieces) -> None:
        """Go on where others are, in their place."""
        self._pieces = others._pieces

    def __len__(self) -> int:
        return len(self._pieces)

    def take(self, tcb: Tcb, length: int, *, begins: bool) -> None:
        """Note that so many octets were queued, in the last piece or in one that begins."""
        pieces = self._pieces
        end = add(pieces[-1].end, length) if pieces else add(tcb.snd_nxt, tcb.unsent())
        if tcb.pushed_seq is None:
            tcb.pushed_seq = add(end, -length)
        if not begins:
            pieces[-1].end = end
        elif pieces:
            pieces.append(_Piece(end))
        else:
            tcb.send_pieces = SendPieces() if self is NO_PIECES else self
            tcb.send_pieces._pieces = [_Piece(end)]

    def last_length(self, tcb: Tcb) -> int | None:
        """Give the octets of the last piece that wait; None: all have left."""
        if not self._pieces:
            return None
        start = self._pieces[-2].end if len(self._pieces) > 1 else tcb.snd_nxt
        return sub(self._pieces[-1].end, start)

    def grow_first(self, tcb: Tcb, most: int) -> None:
        """Make the first piece up to `most` octets long, by what the second has; no record grows.

        So small pieces that wait need not leave as small units.
        """
        if len(self._pieces) < 2 or self._pieces[0].end in tcb.record_ends:
            return
        first, second = self._pieces[0], self._pieces[1]
        missing = most - sub(first.end, tcb.snd_nxt)
        if missing <= 0:
            return
        first.end = add(first.end, min(missing, sub(second.end, first.end)))
        if first.end == second.end:
            first.pushed |= second.pushed
            del self._pieces[1]

    def make_unit(self, tcb: Tcb, size: int) -> bool:
        """Have the first piece grow to so many octets at least, if it can; tell whether it has."""
        if not self._pieces or sub(self._pieces[:2][-1].end, tcb.snd_nxt) < size:
            return False  # it would grow for nothing, and more when it is asked to again
        self.grow_first(tcb, size)
        return sub(self._pieces[0].end, tcb.snd_nxt) >= size

    def octets_in_piece(self, tcb: Tcb, length: int) -> int:
        """Tell how many of the next octets to be sent belong to one piece."""
        if not self._pieces:
            return length
        return min(length, sub(self._pieces[0].end, tcb.snd_nxt))

    def on_sent(self, snd_nxt: int) -> None:
        """Forget what was sent as a whole."""
        while self._pieces and ge(snd_nxt, self._pieces[0].end):
            del self._pieces[0]

    def take_lone(self) -> bool:
        """Forget the only piece, all of which leaves; tell whether it is pushed."""
        return self._pieces.pop().pushed

    # --- what is pushed ---

    def pass_by(self, tcb: Tcb, end: int, length: int) -> bool:
        """Note a piece of so many octets that leaves as it comes, none being here, and more follow.

        Tells whether it is pushed.
        """
        before = tcb.pushed_seq
        if before is None:
            before = tcb.pushed_seq = (end - length) & MASK
        if (end - before) & MASK <= tcb.max_snd_wnd >> 1:
            return False
        tcb.pushed_seq = end
        return True

    def push(self, tcb: Tcb) -> None:
        """Have the last piece end with PSH."""
        if self._pieces:
            self._pieces[-1].pushed = True
            tcb.pushed_seq = self._pieces[-1].end

    def unpush(self, tcb: Tcb) -> None:
        """Take that back: more text follows the last piece, unless that ends a record.

        As in Linux, it stays if the same call has brought both.
        """
        if self._pieces and self._pieces[-1].end not in tcb.record_ends and not tcb.call_goes_on:
            self._pieces[-1].pushed = False

    def push_first(self) -> None:
        """Have the piece that is sent next end with PSH."""
        if self._pieces:
            self._pieces[0].pushed = True

    def push_is_due(self, tcb: Tcb) -> bool:
        """Tell whether more than half of the peer's window was queued since the last push.

        Its receiver shall not wait for the rest, to hand on what fills its buffer.
        """
        if not self._pieces or tcb.pushed_seq is None:
            return False
        return gt(self._pieces[-1].end, add(tcb.pushed_seq, tcb.max_snd_wnd // 2))

    def is_pushed_at(self, tcb: Tcb, end: int) -> bool:
        """Tell whether text that ends at `end` is pushed; what went with a SYN is no piece."""
        if not self._pieces:
            return end == add(tcb.snd_nxt, tcb.unsent())
        return self._pieces[0].end == end and self._pieces[0].pushed

    def is_pushed_before(self, end: int) -> bool:
        """Tell whether a piece is pushed that ends at `end` or before."""
        return any(piece.pushed and ge(end, piece.end) for piece in self._pieces)


NO_PIECES = SendPieces()
"""What stands for those of a connection until `take` begins its first: many never have one."""
