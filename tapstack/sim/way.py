"""What one direction of a link is like: the description that a link is made from.

Not done here: the link itself, whose parameters can be changed while it runs (`pipe.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tapstack.base.units import Duration
from tapstack.device.parcel import Impairment
from tapstack.sim.queues import DropTail, Queue

KILOBIT = 1_000
MEGABIT = 1_000_000
GIGABIT = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of a link. Every link gets copies of its own of the queue and all that."""

    rate: int | None = None
    """Bits a second, of frames with their Ethernet headers; None: no frame takes any time."""
    delay: Duration = 0
    """How long an octet is under way, µs."""
    jitter: Duration = 0
    """The delay is spread evenly over `delay` ± `jitter`; the order is kept."""
    queue: Queue = field(default_factory=DropTail)
    """Where frames wait for their turn; without a rate none ever does."""
    impairments: Sequence[Impairment] = ()
    """What befalls a frame once it is sent, in this order."""

    def __post_init__(self) -> None:
        """See that the numbers make sense. Raises: ValueError, TypeError."""
        for name in ("rate", "delay", "jitter"):
            if not isinstance(getattr(self, name), int | None):
                raise TypeError(
                    f"the {name} of a way is a whole number, not {getattr(self, name)!r}"
                )
        if self.rate is not None and self.rate <= 0:
            raise ValueError(f"a rate of {self.rate} bits a second is not above 0")
        if self.delay < 0 or self.jitter < 0:
            raise ValueError(f"a delay of {self.delay} ± {self.jitter} µs can be negative")
