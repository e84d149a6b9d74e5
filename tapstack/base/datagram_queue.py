"""A socket's queue of datagrams that wait to be read, bounded in octets.

Not done here: what a datagram is, and who hears of it.
"""

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

DEFAULT_LIMIT = 212_992
"""Octets, as Linux has them (net.core.rmem_default)."""
OVERHEAD = 512
"""Octets that each datagram is charged beyond its own, so that empty ones cost what they cost."""


class DatagramQueue(Generic[T]):
    """First in, first out; what does not fit is refused.

    Whoever reads may take the first of the items by itself, without the lock that everything else
    here is done under: `deque.popleft` is one step, which no other thread can come between. So what
    was taken is not counted by who takes it. Who puts works it out, when room runs out: the items
    leave in the order that they came in.
    """

    __slots__ = ("_charged", "_lengths", "items", "limit")

    def __init__(self) -> None:
        self.items: deque[T] = deque()
        """What waits."""
        self.limit = DEFAULT_LIMIT
        """Octets that may wait, overhead included. One datagram always may."""
        self._lengths: deque[int] = deque()  # of what was put, and was not yet found to be taken
        self._charged = 0  # their sum, overhead included

    def put(self, item: T, length: int) -> bool:
        """Append a datagram of so many octets, or tell that there is no room."""
        charge = length + OVERHEAD
        room = self.limit - charge
        if self._charged > room and self.octets > room and self.items:
            return False
        self.items.append(item)
        self._lengths.append(length)
        self._charged += charge
        return True

    def put_all(self, items: Sequence[T], lengths: Sequence[int]) -> int:
        """Append what finds room of some datagrams, in their order; tell how many that was."""
        charge = sum(lengths) + OVERHEAD * len(lengths)
        room = self.limit - charge
        if self._charged > room and self.octets > room:
            return sum(map(self.put, items, lengths))
        self.items.extend(items)
        self._lengths.extend(lengths)
        self._charged += charge
        return len(lengths)

    @property
    def octets(self) -> int:
        """Octets that wait, overhead included."""
        lengths, left = self._lengths, len(self.items)
        while len(lengths) > left:
            self._charged -= lengths.popleft() + OVERHEAD
        return self._charged

    def take(self, *, peek: bool = False) -> T | None:
        """Give the first datagram, and unless `peek`, remove it; None when there is none."""
        try:
            return self.items[0] if peek else self.items.popleft()
        except IndexError:
            return None

    def clear(self) -> None:
        """Throw all away."""
        self.items.clear()

    def __len__(self) -> int:
        return len(self.items)
