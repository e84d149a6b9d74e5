"""What may befall a frame on the wire besides loss: disorder, duplication, corruption.

Each is an `Impairment`: put it into a `Way`, or into a running pipe's `impairments`.

Not done here: loss (`loss.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tapstack.base.units import Duration, Instant
from tapstack.device.impairment import HELD_BACK, corrupt
from tapstack.sim.loss import check_chance
from tapstack.sim.parcel import Parcel


class Reordering:
    """Holds frames back, so that later ones overtake them."""

    def __init__(self, rate: float, by: Duration = HELD_BACK) -> None:
        """Hold back so many frames of one on average, for `by` µs. Raises: ValueError."""
        self.rate = check_chance(rate)
        self.by = by

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:  # noqa: ARG002
        """Hold the frame back or not."""
        if chance.random() >= self.rate:
            return (parcel,)
        return (parcel._replace(late=parcel.late + self.by),)


class Duplication:
    """Delivers frames twice, one right after the other."""

    def __init__(self, rate: float) -> None:
        """Double so many frames of one on average. Raises: ValueError."""
        self.rate = check_chance(rate)

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:  # noqa: ARG002
        """Double the frame or not."""
        return (parcel, parcel) if chance.random() < self.rate else (parcel,)


class Corruption:
    """Flips one bit of a frame; on a link with offload, which has no checksums, nobody notices."""

    def __init__(self, rate: float) -> None:
        """Spoil so many frames of one on average. Raises: ValueError."""
        self.rate = check_chance(rate)

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:  # noqa: ARG002
        """Spoil the frame or not."""
        if chance.random() >= self.rate:
            return (parcel,)
        octets = corrupt(parcel.octets, chance)
        return () if octets is None else (parcel._replace(octets=octets),)
