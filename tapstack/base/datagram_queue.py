"""A socket's queue of datagrams that wait to be read, bounded in octets.

Not done here: what a datagram is, and who hears of it.
"""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

DEFAULT_LIMIT = 212_992
"""Octets, as Linux has them (net.core.rmem_default)."""
OVERHEAD = 512
"""Octets that each datagram is charged beyond its own, so that empty ones cost what they cost."""


class DatagramQueue(Generic[T]):
    """First in, first out; what does not fit is refused."""

    __slots__ = ("_items", "limit", "octets")

    def __init__(self) -> None:
        self._items: deque[tuple[T, int]] = deque()
        self.limit = DEFAULT_LIMIT
        """Octets that may wait, overhead included. One datagram always may."""
        self.octets = 0
        """Octets that wait, overhead included."""

    def put(self, item: T, length: int) -> bool:
        """Append a datagram of so many octets, or tell that there is no room."""
        charge = length + OVERHEAD
        if self._items and self.octets + charge > self.limit:
            return False
        self._items.append((item, charge))
        self.octets += charge
        return True

    def take(self, *, peek: bool = False) -> T | None:
        """Give the first datagram, and unless `peek`, remove it; None when there is none."""
        if not self._items:
            return None
        if peek:
            return self._items[0][0]
        item, charge = self._items.popleft()
        self.octets -= charge
        return item

    def clear(self) -> None:
        """Throw all away."""
        self._items.clear()
        self.octets = 0

    def __len__(self) -> int:
        return len(self._items)
