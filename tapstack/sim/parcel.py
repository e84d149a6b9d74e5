"""A frame on its way, and what may happen to it there: the contracts within a link.

Not done here: moving anything (`pipe.py`).
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
    """What the sender left to its device; always None on a link without offload."""
    late: Duration = 0
    """How much later than its turn it comes, µs: more than 0 lets others overtake it."""


class Impairment(Protocol):
    """Something that befalls frames on the wire."""

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:
        """Give what becomes of a frame: nothing, itself, something else, or several.

        All randomness is to be drawn from `chance`, so that the world can be repeated.
        """


class Queue(Protocol):
    """Where frames wait while another one is being sent."""

    dropped: int
    """Frames that it lost, on purpose or for want of room."""
    marked: int
    """Frames that it marked instead (RFC 3168)."""

    def push(self, parcel: Parcel, now: Instant) -> None:
        """Take a frame, or drop it."""

    def pop(self, now: Instant) -> Parcel | None:
        """Give the frame that is to be sent next."""

    def __len__(self) -> int:
        """Tell how many frames wait."""
