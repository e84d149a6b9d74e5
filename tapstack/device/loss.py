"""Ways to lose frames: by chance, in bursts, by their number, by what they are.

Each is an `Impairment` (`parcel.py`).

Not done here: loss for want of room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from tapstack.base.checks import check_chance, check_function, check_whole
from tapstack.base.units import Instant
from tapstack.device.parcel import Parcel
from tapstack.eth.wire import HEADER_LENGTH
from tapstack.ip.config import LEAST_MTU

_LOST: Sequence[Parcel] = ()


class RandomLoss:
    """Loses each frame by the same chance."""

    def __init__(self, rate: float) -> None:
        """Lose so many frames of one on average. Raises: ValueError, TypeError."""
        self.rate = check_chance(rate)

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:  # noqa: ARG002
        """Lose the frame or not."""
        return _LOST if chance.random() < self.rate else (parcel,)


class GilbertElliott:
    """Loses frames in bursts: a good and a bad state, each with a loss rate of its own.

    Gilbert (1960) and Elliott (1963), with one step of the chain a frame.
    """

    def __init__(
        self,
        to_bad: float,
        to_good: float,
        *,
        loss_when_bad: float = 1.0,
        loss_when_good: float = 0.0,
    ) -> None:
        """Begin in the good state; `to_bad` and `to_good` are the chances to change at a frame.

        Raises: ValueError, TypeError.
        """
        self.to_bad = check_chance(to_bad)
        self.to_good = check_chance(to_good)
        self.loss_when_bad = check_chance(loss_when_bad)
        self.loss_when_good = check_chance(loss_when_good)
        self.is_bad = False

    @property
    def stationary_loss(self) -> float:
        """The share of frames that it loses in the long run."""
        if not self.to_bad:
            return self.loss_when_good
        bad = self.to_bad / (self.to_bad + self.to_good)
        return bad * self.loss_when_bad + (1 - bad) * self.loss_when_good

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:  # noqa: ARG002
        """Change the state or not, and lose the frame or not."""
        if chance.random() < (self.to_good if self.is_bad else self.to_bad):
            self.is_bad = not self.is_bad
        loss = self.loss_when_bad if self.is_bad else self.loss_when_good
        return _LOST if chance.random() < loss else (parcel,)


class ListLoss:
    """Loses exactly the frames of certain numbers, counted from 1, and no other."""

    def __init__(
        self, numbers: Iterable[int], which: Callable[[bytes], bool] | None = None
    ) -> None:
        """Lose the frames numbered so, among those that `which` is true for.

        `which` is given a frame's octets, from the Ethernet header on.
        Raises: ValueError, TypeError.
        """
        self.numbers = frozenset(check_whole("a frame's number", each) for each in numbers)
        self.which = which and check_function("what tells which frames count", which)
        self.seen = 0
        """How many frames have been counted."""

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:  # noqa: ARG002
        """Count the frame, and lose it if its number is listed."""
        if self.which is not None and not self.which(parcel.octets):
            return (parcel,)
        self.seen += 1
        return _LOST if self.seen in self.numbers else (parcel,)


class LossIf:
    """Loses the frames that a function is true for."""

    def __init__(self, which: Callable[[bytes], bool]) -> None:
        """Lose what `which` says of a frame's octets, from the Ethernet header on.

        Raises: TypeError.
        """
        self.which = check_function("what tells which frames get lost", which)

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:  # noqa: ARG002
        """Lose the frame or not."""
        return _LOST if self.which(parcel.octets) else (parcel,)


class BlackHole:
    """Loses datagrams that are too big, and tells nobody (RFC 2923 §2.1)."""

    def __init__(self, mtu: int) -> None:
        """Lose what is longer than `mtu` octets, from the IP header on.

        Raises: ValueError, TypeError.
        """
        self.mtu = check_whole("the MTU of a black hole", mtu, LEAST_MTU, "octets")

    def __call__(self, parcel: Parcel, now: Instant, chance: Random) -> Sequence[Parcel]:  # noqa: ARG002
        """Lose the frame or not."""
        return _LOST if len(parcel.octets) - HEADER_LENGTH > self.mtu else (parcel,)
