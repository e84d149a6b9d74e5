"""What received text costs in memory, as Linux counts it: each segment with its overhead.

A receive buffer is a limit on memory. What the window offers of it is text, and how much text fits
depends on how the peer cuts it: so the costs decide how windows grow and shut, to the octet.

We keep text otherwise, and cheaper; but who knows Linux's windows shall find them here.

Not done here: the window (`receive_window.py`), and what happens when memory is used up
(`memory_pressure.py`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from tapstack.tcp.seq import add, gt, sub

if TYPE_CHECKING:
    from collections.abc import Callable

    from tapstack.base.contracts import Buffer
    from tapstack.tcp.segment import Segment
    from tapstack.tcp.tcb import Tcb

_IP_HEADER = 20
"""Octets of the IP header that a segment is reckoned to have come with."""

_PAGE = 4096
_RECORD = 256
"""Octets of Linux's record of a segment (struct sk_buff, rounded up)."""
_TRAILER = 320
"""Octets that it keeps behind each segment's own (struct skb_shared_info)."""
_HEADROOM = 64
"""Octets in front of each datagram that comes from a TUN device (NET_SKB_PAD)."""
_SMALLEST = 576
"""Octets of the smallest piece of memory for a segment (Linux's skbuff_small_head)."""
_LARGEST_IN_PAGE = _PAGE - _HEADROOM - _TRAILER
"""Octets of a large datagram that stand beside the record; the rest has pages of its own."""
LARGEST_COLLAPSED = _PAGE - _TRAILER
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
    if begin >= _PAGE:
        pages = -(-(octets - _LARGEST_IN_PAGE) // _PAGE)
        return Memory(_RECORD + _PAGE + pages * _PAGE, 0)
    piece = _piece_for(-(-begin // 64) * 64 + _TRAILER)
    return Memory(_RECORD + piece, piece - _TRAILER - begin)


def memory_of_segment(seg: Segment) -> Memory:
    """Give the memory of the datagram that a segment came in."""
    return memory_of(_IP_HEADER + seg.header_length + len(seg.text))


def _piece_for(octets: int) -> int:
    """Give the size of the piece of memory that Linux takes for so many octets."""
    return _SMALLEST if octets <= _SMALLEST else 1 << (octets - 1).bit_length()


class _Held:
    """One segment's memory: the text that it holds ends at `right`."""

    __slots__ = ("charge", "right", "room")

    def __init__(self, right: int, memory: Memory) -> None:
        self.right = right
        self.charge, self.room = memory


class ReceiveMemory:
    """The memory of the text that waits for the user, in order."""

    __slots__ = ("_held", "charge")

    def __init__(self) -> None:
        self._held: list[_Held] | None = None  # none while there is no text
        self.charge = 0
        """Octets."""

    def take(self, right: int, length: int, memory: Memory, *, alone: bool = False) -> None:
        """Charge for `length` octets of text that end at `right`.

        It costs nothing where what came last has room for it, unless it has to stand alone.
        """
        held = self._held
        if not held:
            self._held = [_Held(right, memory)]
        elif length > held[-1].room or alone:
            held.append(_Held(right, memory))
        else:
            held[-1].right = right
            held[-1].room -= length
            return
        self.charge += memory.charge

    def release(self, copied_seq: int) -> int:
        """Give back the memory of what the user has taken all of.

        Gives where the first segment of that ended; `copied_seq` if he has taken no whole one.
        """
        held = self._held
        if not held or gt(held[0].right, copied_seq):
            return copied_seq
        first = held[0].right
        if held[-1].right == copied_seq:
            self._held, self.charge = None, 0
            return first
        done = 0
        for each in held:
            if gt(each.right, copied_seq):
                break
            self.charge -= each.charge
            done += 1
        del held[:done]
        return first

    def collapse(self, copied_seq: int, window_of: Callable[[int], int]) -> None:
        """Pack the text as tightly as Linux can, from the first segment on that is bloated.

        That is one with less text than `window_of` makes of its memory.
        """
        left = copied_seq
        for index, each in enumerate(self._held or ()):
            if window_of(each.charge) > sub(each.right, left):
                self._pack(index, left)
                return
            left = each.right

    def _pack(self, begin: int, left: int) -> None:
        """Pack the text of all segments from index `begin` on; it begins at `left`."""
        held = self._held or []
        right = held[-1].right
        del held[begin:]
        for memory in collapsed(sub(right, left)):
            last = sub(right, left) <= LARGEST_COLLAPSED
            left = right if last else add(left, LARGEST_COLLAPSED)
            held.append(_Held(left, memory))
        self.charge = sum(each.charge for each in held)


def collapsed(length: int) -> list[Memory]:
    """Give the memory of so many octets of text that are packed as tightly as Linux can."""
    whole, rest = divmod(length, LARGEST_COLLAPSED)
    packed = [Memory(_RECORD + _PAGE, 0)] * whole
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
    tcb.receive_memory.take(tcb.rcv_nxt, len(text), memory, alone=alone)
