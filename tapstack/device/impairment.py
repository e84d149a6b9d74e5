"""Middleware that makes a bad link of a good one: loss, delay, duplicates, disorder, corruption.

Frames are cut to the size of the wire first, so that a unit of 64 KB is not lost as one. The same
seed and the same frames at the same times give the same misfortunes.

Not done here: what befalls frames (`loss.py`, `disorder.py`); a limit on the rate.
"""

import re
from random import Random
from typing import NamedTuple

from tapstack.base.contracts import Capabilities, Frame, NetDevice
from tapstack.base.units import MICROSECOND, MILLISECOND, SECOND, Duration, Instant
from tapstack.device.disorder import Corruption, Duplication, Reordering
from tapstack.device.flight import Flight
from tapstack.device.loss import RandomLoss
from tapstack.device.middleware import Middleware
from tapstack.device.parcel import Impairment, Parcel
from tapstack.device.segmentation import cut

QUEUE_LENGTH = 10_000
"""Frames that may be under way in one direction: a window of 6 MB is 4,300."""
MAX_DELAY: Duration = 120 * SECOND
"""The longest delay and jitter: no frame outlives a segment's lifetime (RFC 9293 §3.4.2, MSL)."""
MAX_SEED_DIGITS = 18
_READS_AT_ONCE = 64
"""Frames that one `read` takes from the device below when none of them is due yet."""

USAGE = "loss=5%,delay=20ms,jitter=2ms,dup=1%,reorder=3%,corrupt=0.1%,direction=out,seed=7"
"""Everything that a description may say; `direction` is in, out or both."""

_DURATION_UNITS = {"us": MICROSECOND, "ms": MILLISECOND, "s": SECOND}


class OneWay(NamedTuple):
    """What befalls the frames of one direction; chances are from 0 to 1."""

    loss: float = 0.0
    delay: Duration = 0
    jitter: Duration = 0
    """The delay is spread evenly over `delay` ± `jitter`; the order is kept."""
    duplication: float = 0.0
    reordering: float = 0.0
    """The chance to be held back, so that later frames overtake."""
    corruption: float = 0.0
    """The chance that one bit behind the Ethernet header is flipped."""


class Impairments(NamedTuple):
    """What befalls the frames of both directions."""

    outbound: OneWay
    inbound: OneWay
    seed: int = 0


def parse_impairments(text: str) -> Impairments:
    """Read a description such as `USAGE`. Raises: ValueError with one clear sentence."""
    fields: dict[str, str] = {}
    for item in text.split(","):
        key, equals, value = item.strip().partition("=")
        if not equals or key in fields:
            raise _not_allowed(item)
        fields[key] = value
    direction = fields.pop("direction", "both")
    seed = fields.pop("seed", "0")
    if direction not in ("in", "out", "both"):
        raise _not_allowed(f"direction={direction}")
    if not re.fullmatch(r"[0-9]+", seed):
        raise _not_allowed(f"seed={seed}")
    if len(seed) > MAX_SEED_DIGITS:
        raise ValueError(f"the seed of an impairment has at most {MAX_SEED_DIGITS} digits")
    impairment = _parse_impairment(fields)
    return Impairments(
        outbound=OneWay() if direction == "in" else impairment,
        inbound=OneWay() if direction == "out" else impairment,
        seed=int(seed),
    )


def _parse_impairment(fields: dict[str, str]) -> OneWay:
    chances = {"loss": 0.0, "dup": 0.0, "reorder": 0.0, "corrupt": 0.0}
    durations = {"delay": 0, "jitter": 0}
    for key, value in fields.items():
        if key in chances:
            chances[key] = _parse_chance(key, value)
        elif key in durations:
            durations[key] = _parse_duration(key, value)
        else:
            raise _not_allowed(f"{key}={value}")
    return OneWay(
        loss=chances["loss"],
        delay=durations["delay"],
        jitter=durations["jitter"],
        duplication=chances["dup"],
        reordering=chances["reorder"],
        corruption=chances["corrupt"],
    )


def _parse_chance(key: str, value: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", value)
    if not match or float(match[1]) > 100:
        raise _not_allowed(f"{key}={value}")
    return float(match[1]) / 100


def _parse_duration(key: str, value: str) -> Duration:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s)", value)
    if not match:
        raise _not_allowed(f"{key}={value}")
    duration = float(match[1]) * _DURATION_UNITS[match[2]]
    if duration > MAX_DELAY:
        raise ValueError(f"the {key} of an impairment is at most {MAX_DELAY // SECOND}s")
    return round(duration)


def _not_allowed(item: str) -> ValueError:
    return ValueError(f"'{item}' is not an impairment: those are, each at most once, {USAGE}")


class ImpairedDevice(Middleware):
    """A device behind a bad link."""

    def __init__(self, device: NetDevice, impairments: Impairments) -> None:
        """Wrap a device, and own it."""
        super().__init__(device)
        self.capabilities = Capabilities(checksum=True, segmentation=True)
        # One source of chance each: what goes out does not change the fate of what comes in.
        self._outbound = _flight(impairments.outbound, f"out {impairments.seed}")
        self._inbound = _flight(impairments.inbound, f"in {impairments.seed}")

    def read(self, now: Instant) -> Frame | None:
        """Send what is due, and take the next frame that is. Raises: OSError when it is gone."""
        self._release(now)
        for _ in range(_READS_AT_ONCE):
            parcel = self._inbound.take(now)
            if parcel is not None:
                return Frame((memoryview(parcel.octets),))
            unit = self.device.read(now)
            if unit is None:
                return None
            _put(unit, self._inbound, now)
        return None

    def write(self, frame: Frame, now: Instant) -> None:
        """Put a frame on its way."""
        _put(frame, self._outbound, now)
        self._release(now)

    def _release(self, now: Instant) -> None:
        while (parcel := self._outbound.take(now)) is not None:
            self.device.write(Frame((parcel.octets,)), now)

    def next_deadline(self) -> Instant | None:
        """Tell when the next frame is due, in either direction."""
        deadlines = (
            self.device.next_deadline(),
            self._outbound.next_deadline(),
            self._inbound.next_deadline(),
        )
        return min((deadline for deadline in deadlines if deadline is not None), default=None)


def _flight(way: OneWay, seed: str) -> Flight:
    """Make a direction of what is said of it."""
    impairments: list[Impairment] = [
        RandomLoss(way.loss),
        Corruption(way.corruption),
        Duplication(way.duplication),
        Reordering(way.reordering),
    ]
    return Flight(
        delay=way.delay,
        jitter=way.jitter,
        impairments=impairments,
        chance=Random(seed),
        limit=QUEUE_LENGTH,
    )


def _put(unit: Frame, flight: Flight, now: Instant) -> None:
    """Put a unit's frames on their way, complete."""
    for frame in cut(unit):
        flight.put(Parcel(b"".join(frame.parts)), now)
