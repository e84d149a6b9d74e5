"""What one direction of a link is like: the description that a link is made from.

Not done here: the link itself, whose parameters can be changed while it runs (`pipe.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tapstack.base.checks import check_function, check_whole
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
        """See that it makes sense. Raises: ValueError, TypeError."""
        if self.rate is not None:
            check_whole("the rate of a way", self.rate, unit="bits a second")
        check_whole("the delay of a way", self.delay, 0, "µs")
        check_whole("the jitter of a way", self.jitter, 0, "µs")
        if not hasattr(self.queue, "push") or isinstance(self.queue, type):
            raise TypeError(f"the queue of a way is one such as DropTail(100), not {self.queue!r}")
        if not isinstance(self.impairments, Sequence):
            raise TypeError(
                f"the impairments of a way are a list of them, not {self.impairments!r}"
            )
        for each in self.impairments:
            check_function("an impairment", each)
