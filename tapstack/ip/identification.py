"""The Identification of datagrams that may be fragmented (RFC 791 §3.2, RFC 6864).

Nothing that a host can see of its own datagrams tells it about others': every triple of source,
destination and protocol counts for itself, from a number that is drawn (RFC 7739's attacks, and
the idle scan). What may not be fragmented needs none, and carries 0.
"""

from tapstack.base.address import Ipv4Address
from tapstack.base.contracts import Entropy

MAX_TRIPLES = 2048
"""How many are counted at once: as many as Linux has counters (IP_IDENTS_SZ)."""


class Identifications:
    """The next Identification of each triple; the oldest triple makes room for a new one."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._next: dict[tuple[Ipv4Address, Ipv4Address, int], int] = {}

    def take(self, source: Ipv4Address, destination: Ipv4Address, protocol: int) -> int:
        """Give a number that this triple has not used for its last 65,535 datagrams."""
        triple = (source, destination, protocol)
        number = self._next.get(triple)
        if number is None:
            if len(self._next) >= MAX_TRIPLES:
                del self._next[next(iter(self._next))]
            number = self._entropy.random_bits(16)
        self._next[triple] = (number + 1) & 0xFFFF
        return number
