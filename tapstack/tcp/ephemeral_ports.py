"""The order in which ephemeral ports are tried (RFC 6056 §3.3.4, double-hash port selection).

Each destination has an offset of its own into the range, and shares one of many counters with few
others: who sees our ports towards himself learns nothing of those towards anybody else. Like Linux,
connections take every second port first, and `bind` the others, so that they do not meet.

Not done here: who holds which port (`connections.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tapstack.base.contracts import Entropy
    from tapstack.tcp.config import TcpConfig

_TABLE_LENGTH = 1024
"""Counters, among which destinations are spread (RFC 6056 §3.3.4's TABLE_LENGTH)."""
_LONGEST_STRIDE_BITS = 3
"""A counter moves on by up to eight, so that the next port cannot be told from the last."""


class Destination(NamedTuple):
    """What two keyed hashes make of a destination: RFC 6056's F and G."""

    offset: int
    table_index: int


class EphemeralPorts:
    """The counters of one engine."""

    def __init__(self, config: TcpConfig, entropy: Entropy) -> None:
        self._config = config
        self._entropy = entropy
        self._table: dict[int, int] = {}

    def for_connection(self, destination: Destination) -> Iterator[int]:
        """Give each port of the range once, in the order for a destination.

        Where the caller stops, its counter goes on next time.
        """
        index = destination.table_index % _TABLE_LENGTH
        if index not in self._table:
            self._table[index] = self._entropy.random_bits(16)
        start = destination.offset + self._table[index]
        stride = self._entropy.random_bits(_LONGEST_STRIDE_BITS)
        for tried, port in enumerate(self._from(start, 0)):
            self._table[index] = start - destination.offset + max(tried, stride) + 1
            yield port

    def for_bind(self) -> Iterator[int]:
        """Give each port of the range once, from anywhere on."""
        return self._from(self._entropy.random_bits(16), 1)

    def _from(self, start: int, parity: int) -> Iterator[int]:
        """Give every second port from `start` on, and around; then those between."""
        low, high = self._config.ip_local_port_range
        for first in (low + parity, low + 1 - parity):
            every_second = range(first, high + 1, 2)
            count = len(every_second)
            for step in range(count):
                port = every_second[(start + step) % count]
                if port not in self._config.ip_local_reserved_ports:
                    yield port
