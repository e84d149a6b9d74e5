"""A frame on its way, and the contract of whatever befalls it there.

Not done here: what does (`loss.py`, `disorder.py`), and the way (`flight.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, Protocol

from tapstack.base.contracts import Offload
from tapstack.base.units import Duration, Instant


class Parcel(NamedTuple):
    """A frame on its way."""

    octets: bytes
    """From the Ethernet header on."""
    offload: Offload | None = None
    """What the sender left to its device; None once all is done."""
    late: Duration = 0
    """How much later than its turn it comes, µs: more than 0 lets others overtake it."""


class Impairment(Protocol):
    """Something that befalls frames on the wire."""

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:
        """Give what becomes of a frame: nothing, itself, something else, or several.

        All randomness is to be drawn from `chance`, so that a run can be repeated.
        """
