"""Text that its user leaves untouched until he is told that nothing needs it any more.

That is MSG_ZEROCOPY of send(2), as Linux documents it (Documentation/networking/msg_zerocopy): the
calls are numbered, and once all text of some was acknowledged, or never will be, the socket's queue
of errors has the first and the last of their numbers.

Sending without a copy is not done here, and the user is told so, too. But as in Linux, such text
leaves in segments of its own, and of calls whose text shares a piece that waits is told together.

Not done here: numbering the calls (`tapstack/socket/special_sends.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import ENOBUFS
from typing import TYPE_CHECKING

from tapstack.base.contracts import Buffer, SentCopy
from tapstack.base.error_queue import ORIGIN_ZEROCOPY, completion
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.tcp.segment import FIN
from tapstack.tcp.send_pieces import SendPieces
from tapstack.tcp.seq import add, gt, le, lt, sub
from tapstack.tcp.text_followers import tell

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

_PAGE = 4096
"""Octets of the user's memory that Linux counts whole: it does not copy, but refers to pages."""
_MOST_FRAGMENTS = 17
"""Pieces of memory that a piece refers to at most (Linux's MAX_SKB_FRAGS)."""
_NOTE = 832
"""Octets of memory that Linux takes for each note of what is to be told, while it is not read."""
_LEAST_NOTE = 576
"""Octets that must be free for another."""


@dataclass(slots=True)
class _Mark:
    """The text of some calls, with all that shares a piece with it."""

    first: int
    last: int
    start: int
    """The sequence number of the first octet."""
    end: int
    """And that behind the last, which may be our FIN."""


class HeldPieces(SendPieces):
    """The pieces of a connection whose user holds on to some text; a `TextFollower`."""

    __slots__ = ("_fragments", "_marks", "_number", "_paddings", "goes_on", "padding")

    def __init__(self, others: SendPieces) -> None:
        """Take over what waits already."""
        super().__init__()
        self.take_over(others)
        self._marks: deque[_Mark] = deque()
        self._number: int | None = None
        # Of the call that queues text just now; None: it is none of these.
        self._paddings: deque[tuple[int, int]] = deque()
        # Where text ends that has some, and how much.
        self.padding = 0
        self._fragments = len(self._pieces[-1:])
        # Of the last piece.
        self.goes_on = False
        """The last call waits for room: it is told of once all of its text is queued, too."""

    @property
    def is_held_by_last(self) -> bool:
        """Tell whether the last piece waits, and has text that is held."""
        return bool(self._pieces and self._marks) and self._marks[-1].end == self._pieces[-1].end

    def notes(self) -> int:
        """Count what is still to be told."""
        return len(self._marks)

    def begin(self, number: int) -> None:
        """Hold what is queued from here on: it is the text of that call."""
        self._number = number
        self.goes_on = self.goes_on and self.holds(number)

    def holds(self, number: int) -> bool:
        """Tell whether the call with that number is the last whose text is held."""
        return bool(self._marks) and self._marks[-1].last == number

    def end(self) -> None:
        """Do not hold what is queued from here on."""
        self._number = None

    def take(self, tcb: Tcb, length: int, *, begins: bool) -> None:
        """Note that so many octets were queued, in the last piece or in one that begins."""
        shares, before = self.is_held_by_last, self.last_length(tcb) or 0
        super().take(tcb, length, begins=begins)
        end = self._pieces[-1].end
        start = add(end, -length if begins else -length - before)
        if shares and not begins:
            self._marks[-1].end = end
        elif self._number is not None or (self._marks and self._marks[-1].end == start):
            _separate(tcb, start)
        self._count_fragments(tcb, length, begins=begins)
        if self._number is None:
            return
        self._paddings.append((end, -length % _PAGE))
        self.padding += -length % _PAGE
        if shares or self.holds(self._number):
            self._marks[-1].last, self._marks[-1].end = self._number, end
        else:
            self.hold_text(self._number, start, end)

    def _count_fragments(self, tcb: Tcb, length: int, *, begins: bool) -> None:
        """End a piece that has all the fragments that Linux's has: what follows begins another.

        Text that is held is a fragment for each page; other text is copied to where that ends.
        """
        if begins and self._fragments >= _MOST_FRAGMENTS and len(self._pieces) > 1:
            self._pieces[-2].pushed = True
        before = 0 if begins else self._fragments
        self._fragments = before + (1 if self._number is None else -(-length // _PAGE))
        if self._fragments >= _MOST_FRAGMENTS:
            _separate(tcb, self._pieces[-1].end)

    def hold_text(self, number: int, start: int, end: int) -> None:
        """Hold text that waits in no piece, as that which a SYN carries."""
        self._marks.append(_Mark(number, number, start, end))

    # --- what becomes of it ---

    def on_transmitted(
        self,
        ctx: Context,  # noqa: ARG002
        tcb: Tcb,
        seq: int,
        text: list[Buffer],
        copy: SentCopy,  # noqa: ARG002
        now: Instant,  # noqa: ARG002
    ) -> None:
        """Note where segments are cut, and whether our FIN goes with the last of what is held."""
        end, last = add(seq, sum(map(len, text))), tcb.sent.segments[-1]
        if any(lt(mark.start, end) and gt(mark.end, end) for mark in self._marks):
            _separate(tcb, end)
        joined = last.flags & FIN and last.text_length
        if joined and self._marks and self._marks[-1].end == add(last.end, -1):
            self._marks[-1].end = last.end

    def stops_before(self, ack: int) -> Sequence[int]:
        """Give the ends of what will be told of."""
        return [mark.end for mark in self._marks if le(mark.end, ack)]

    def on_acknowledged(
        self,
        ctx: Context,
        tcb: Tcb,
        ack: int,
        arrived: int,  # noqa: ARG002
        now: Instant,  # noqa: ARG002
    ) -> None:
        """Tell of text that was acknowledged."""
        while self._paddings and le(self._paddings[0][0], ack):
            self.padding -= self._paddings.popleft()[1]
        while len(self._marks) > self.goes_on and le(self._marks[0].end, ack):
            self._tell(ctx, tcb, self._marks.popleft())

    def on_joined(self, seq: int, end: int) -> None:
        """Keep what it is: text that is held stands in segments of its own."""

    def on_end(self, ctx: Context, tcb: Tcb) -> None:
        """Tell of all, as it is let go of: as Linux does, first of what never left."""
        for mark in sorted(self._marks, key=lambda mark: lt(mark.start, tcb.snd_nxt)):
            self._tell(ctx, tcb, mark)
        self._marks.clear()

    def _tell(self, ctx: Context, tcb: Tcb, mark: _Mark) -> None:
        """As in Linux, what never left was not copied on its way, so that it says no such thing."""
        tell(ctx, tcb, completion(mark.first, mark.last, copied=lt(mark.start, tcb.snd_nxt)))


def _separate(tcb: Tcb, seq: int) -> None:
    """Let no segment have text from both sides of a sequence number, as if a record ended there."""
    if gt(seq, tcb.snd_una) and seq not in tcb.record_ends:
        ends = (*tcb.record_ends, seq)
        tcb.record_ends = tuple(sorted(ends, key=lambda end: sub(end, tcb.snd_una)))


@contextmanager
def holding(tcb: Tcb, number: int, most_memory: int, *, goes_on: bool) -> Iterator[HeldPieces]:
    """Hold what is queued within: the text of the call with that number, or the rest of it.

    Raises: OSError with ENOBUFS where `most_memory`, octets, is used up by what is to be told.
    """
    pieces = _pieces_of(tcb)
    if goes_on and not pieces.holds(number):
        yield pieces  # its beginning has arrived, and was told of
        return
    if not (goes_on or pieces.is_held_by_last):
        queued = tcb.errors.items if tcb.errors is not None else ()
        notes = pieces.notes() + sum(each.origin == ORIGIN_ZEROCOPY for each in queued)
        if notes * _NOTE + _LEAST_NOTE > most_memory:
            raise os_error(ENOBUFS)
    pieces.begin(number)
    try:
        yield pieces
    finally:
        pieces.end()


def hold_syn_text(tcb: Tcb, number: int, octets: int) -> None:
    """Hold the text that our SYN carries."""
    start = add(tcb.iss, 1)
    _pieces_of(tcb).hold_text(number, start, add(start, octets))


def _pieces_of(tcb: Tcb) -> HeldPieces:
    """Give a connection's pieces, which hold text from here on if it is told to."""
    pieces = tcb.send_pieces
    if not isinstance(pieces, HeldPieces):
        pieces = tcb.send_pieces = HeldPieces(pieces)
        tcb.text_followers += (pieces,)
        tcb.undisturbed = False
    return pieces
