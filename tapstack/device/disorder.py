"""What may befall a frame on the wire besides loss: disorder, duplication, corruption.

Each is an `Impairment` (`parcel.py`).

Not done here: loss (`loss.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tapstack.base.checks import check_chance, check_whole
from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.device.parcel import Parcel
from tapstack.eth import wire as eth

HELD_BACK: Duration = 2 * MILLISECOND
"""How much later a frame comes that loses its place in the order."""

_IPV4 = eth.ETHERTYPE_IPV4.to_bytes(2, "big")


class Reordering:
    """Holds frames back, so that later ones overtake them."""

    def __init__(self, rate: float, by: Duration = HELD_BACK) -> None:
        """Hold back so many frames of one on average, for `by` µs.

        Raises: ValueError, TypeError.
        """
        self.rate = check_chance(rate)
        self.by = check_whole("how much later a frame comes", by, unit="µs")

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:  # noqa: ARG002
        """Hold the frame back or not."""
        if chance.random() >= self.rate:
            return (parcel,)
        return (parcel._replace(late=parcel.late + self.by),)


class Duplication:
    """Delivers frames twice, one right after the other."""

    def __init__(self, rate: float) -> None:
        """Double so many frames of one on average. Raises: ValueError, TypeError."""
        self.rate = check_chance(rate)

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:  # noqa: ARG002
        """Double the frame or not."""
        return (parcel, parcel) if chance.random() < self.rate else (parcel,)


class Corruption:
    """Flips one bit of a frame. A checksum that is left to a device cannot tell."""

    def __init__(self, rate: float) -> None:
        """Spoil so many frames of one on average. Raises: ValueError, TypeError."""
        self.rate = check_chance(rate)

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:  # noqa: ARG002
        """Spoil the frame or not."""
        if chance.random() >= self.rate:
            return (parcel,)
        octets = _corrupt(parcel.octets, chance)
        return () if octets is None else (parcel._replace(octets=octets),)


def _corrupt(octets: bytes, chance: Random) -> bytes | None:
    """Flip a bit behind a frame's Ethernet header; None where a card would not take the frame.

    What is not IPv4 has no checksum of its own: only the card's check sequence finds the flip.
    """
    if octets[12:14] != _IPV4 or len(octets) == eth.HEADER_LENGTH:
        return None
    position = chance.randrange(eth.HEADER_LENGTH * 8, len(octets) * 8)
    flipped = bytearray(octets)
    flipped[position >> 3] ^= 1 << (position & 7)
    return bytes(flipped)
