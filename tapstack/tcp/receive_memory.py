"""What received text costs in memory, as Linux counts it: each segment with its overhead.

A receive buffer is a limit on memory. What the window offers of it is text, and how much text fits
depends on how the peer cuts it: so the costs decide how windows grow and shut, to the octet.

We keep text otherwise, and cheaper; but who knows Linux's windows shall find them here.

Not done here: the window (`receive_window.py`), and what happens when memory is used up
(`memory_pressure.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from tapstack.tcp.options import TIMESTAMPS_LENGTH
from tapstack.tcp.seq import add, gt, sub

if TYPE_CHECKING:
    from collections.abc import Callable

    from tapstack.base.contracts import Buffer
    from tapstack.tcp.segment import Segment
    from tapstack.tcp.tcb import Tcb

_IP_HEADER = 20
"""Octets of the IP header that a segment is reckoned to have come with."""
PLAIN_HEADERS = _IP_HEADER + 20 + TIMESTAMPS_LENGTH
"""Octets of that, and of a TCP header with timestamps alone."""

PAGE = 4096
"""Octets in which memory is charged to a connection, and given to it."""
_RECORD = 256
"""Octets of Linux's record of a segment (struct sk_buff, rounded up)."""
_TRAILER = 320
"""Octets that it keeps behind each segment's own (struct skb_shared_info)."""
_HEADROOM = 64
"""Octets in front of each datagram that comes from a TUN device (NET_SKB_PAD)."""
_SMALLEST = 576
"""Octets of the smallest piece of memory for a segment (Linux's skbuff_small_head)."""
_LARGEST_IN_PAGE = PAGE - _HEADROOM - _TRAILER
"""Octets of a large datagram that stand beside the record; the rest has pages of its own."""
LARGEST_COLLAPSED = PAGE - _TRAILER
"""Octets of text in each segment of those that small ones are collapsed to."""


class Memory(NamedTuple):
    """What a datagram's memory is."""

    charge: int
    """Octets, all told (Linux's truesize)."""
    room: int
    """Octets of the text behind it that would still fit in."""


@lru_cache(maxsize=4096)
def memory_of(octets: int) -> Memory:
    """Give the memory of a datagram, IP header and all."""
    begin = _HEADROOM + octets
    if begin >= PAGE:
        pages = -(-(octets - _LARGEST_IN_PAGE) // PAGE)
        return Memory(_RECORD + PAGE + pages * PAGE, 0)
    piece = _piece_for(-(-begin // 64) * 64 + _TRAILER)
    return Memory(_RECORD + piece, piece - _TRAILER - begin)


def memory_of_segment(seg: Segment) -> Memory:
    """Give the memory of the datagram that a segment came in."""
    return memory_of(_IP_HEADER + seg.header_length + len(seg.text))


def _piece_for(octets: int) -> int:
    """Give the size of the piece of memory that Linux takes for so many octets."""
    return _SMALLEST if octets <= _SMALLEST else 1 << (octets - 1).bit_length()


class _Held(NamedTuple):
    """One segment's memory: the text that it holds ends at `right`."""

    right: int
    charge: int


@dataclass(slots=True, eq=False)
class ReceiveMemory:
    """The memory of the text that waits for the user, in order: that part of a `ReceiveQueue`.

    Mostly that is one segment's, or none: the last one's is kept apart from that of those before.
    `exchange.py` writes it, too.
    """

    charge: int = 0
    """Octets, all told; 0: there is no text."""
    last: int = 0
    """Of those: the last segment's."""
    room: int = 0
    """Octets of text that would still fit in with that."""
    right: int = 0
    """Where its text ends."""
    _earlier: list[_Held] | None = None

    def account(self, right: int, length: int, memory: Memory, *, alone: bool = False) -> None:
        """Charge for `length` octets of text that end at `right`.

        It costs nothing where what came last has room for it, unless it has to stand alone.
        """
        if self.charge and length <= self.room and not alone:
            self.right = right
            self.room -= length
            return
        if self.charge:
            held = _Held(self.right, self.last)
            if self._earlier is None:
                self._earlier = [held]
            else:
                self._earlier.append(held)
        self.right = right
        self.last, self.room = memory
        self.charge += self.last

    def release(self, copied_seq: int) -> int:
        """Give back the memory of what the user has taken all of.

        Gives where the first segment of that ended; `copied_seq` if he has taken no whole one.
        """
        earlier = self._earlier
        first = earlier[0].right if earlier else self.right
        if not self.charge or gt(first, copied_seq):
            return copied_seq
        if self.right == copied_seq:
            self._earlier, self.charge = None, 0
            return first
        done = 0
        for each in earlier or ():
            if gt(each.right, copied_seq):
                break
            self.charge -= each.charge
            done += 1
        self._earlier = (earlier or [])[done:] or None
        return first

    def collapse(self, copied_seq: int, window_of: Callable[[int], int]) -> None:
        """Pack the text as tightly as Linux can, from the first segment on that is bloated.

        That is one with less text than `window_of` makes of its memory.
        """
        if not self.charge:
            return
        left = copied_seq
        held = [*(self._earlier or ()), _Held(self.right, self.last)]
        for index, each in enumerate(held):
            if window_of(each.charge) > sub(each.right, left):
                self._pack(held[:index], left)
                return
            left = each.right

    def _pack(self, held: list[_Held], left: int) -> None:
        """Pack the text that begins at `left`, behind that of segments which stay as they are."""
        packed = collapsed(sub(self.right, left))
        for memory in packed[:-1]:
            left = add(left, LARGEST_COLLAPSED)
            held.append(_Held(left, memory.charge))
        self._earlier = held or None
        self.last, self.room = packed[-1]
        self.charge = sum(each.charge for each in held) + self.last


def collapsed(length: int) -> list[Memory]:
    """Give the memory of so many octets of text that are packed as tightly as Linux can."""
    whole, rest = divmod(length, LARGEST_COLLAPSED)
    packed = [Memory(_RECORD + PAGE, 0)] * whole
    if rest:
        piece = _piece_for(-(-rest // 64) * 64 + _TRAILER)
        packed.append(Memory(_RECORD + piece, piece - _TRAILER - rest))
    return packed


def append_text(tcb: Tcb, text: Buffer, memory: Memory, *, alone: bool = False) -> None:
    """Append text that is next to what the user may take, and count its memory.

    It shares that of what came last, if there is room, unless it has to stand `alone`.
    """
    tcb.receive_queue.append(text)
    tcb.rcv_nxt = add(tcb.rcv_nxt, len(text))
    tcb.receive_queue.account(tcb.rcv_nxt, len(text), memory, alone=alone)
