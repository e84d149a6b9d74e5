"""Middleware that makes a bad link of a good one: loss, delay, duplicates, disorder, corruption.

Frames are cut to the size of the wire first, so that a unit of 64 KB is not lost as one. The same
seed and the same frames at the same times give the same misfortunes.

Not done here: a limit on the rate.
"""

import re
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from tapstack.base.contracts import Capabilities, Frame, NetDevice
from tapstack.base.units import MICROSECOND, MILLISECOND, SECOND, Duration, Instant
from tapstack.device.middleware import Middleware
from tapstack.device.segmentation import cut
from tapstack.eth import wire as eth

QUEUE_LENGTH = 10_000
"""Frames that may be under way in one direction: a window of 6 MB is 4,300."""
HELD_BACK: Duration = 2 * MILLISECOND
"""How much later a frame comes that loses its place in the order."""
MAX_DELAY: Duration = 120 * SECOND
"""The longest delay and jitter: no frame outlives a segment's lifetime (RFC 9293 §3.4.2, MSL)."""
MAX_SEED_DIGITS = 18
_READS_AT_ONCE = 64
"""Frames that one `read` takes from the device below when none of them is due yet."""

USAGE = "loss=5%,delay=20ms,jitter=2ms,dup=1%,reorder=3%,corrupt=0.1%,direction=out,seed=7"
"""Everything that a description may say; `direction` is in, out or both."""

_IPV4 = eth.ETHERTYPE_IPV4.to_bytes(2, "big")
_DURATION_UNITS = {"us": MICROSECOND, "ms": MILLISECOND, "s": SECOND}


class Impairment(NamedTuple):
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

    outbound: Impairment
    inbound: Impairment
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
        outbound=Impairment() if direction == "in" else impairment,
        inbound=Impairment() if direction == "out" else impairment,
        seed=int(seed),
    )


def _parse_impairment(fields: dict[str, str]) -> Impairment:
    chances = {"loss": 0.0, "dup": 0.0, "reorder": 0.0, "corrupt": 0.0}
    durations = {"delay": 0, "jitter": 0}
    for key, value in fields.items():
        if key in chances:
            chances[key] = _parse_chance(key, value)
        elif key in durations:
            durations[key] = _parse_duration(key, value)
        else:
            raise _not_allowed(f"{key}={value}")
    return Impairment(
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
        self._outbound = _Direction(impairments.outbound, Random(f"out {impairments.seed}"))
        self._inbound = _Direction(impairments.inbound, Random(f"in {impairments.seed}"))

    def read(self, now: Instant) -> Frame | None:
        """Send what is due, and take the next frame that is. Raises: OSError when it is gone."""
        self._release(now)
        for _ in range(_READS_AT_ONCE):
            octets = self._inbound.take(now)
            if octets is not None:
                return Frame((memoryview(octets),))
            unit = self.device.read(now)
            if unit is None:
                return None
            self._inbound.put(unit, now)
        return None

    def write(self, frame: Frame, now: Instant) -> None:
        """Put a frame on its way."""
        self._outbound.put(frame, now)
        self._release(now)

    def _release(self, now: Instant) -> None:
        while (octets := self._outbound.take(now)) is not None:
            self.device.write(Frame((octets,)), now)

    def next_deadline(self) -> Instant | None:
        """Tell when the next frame is due, in either direction."""
        deadlines = (
            self.device.next_deadline(),
            self._outbound.next_deadline(),
            self._inbound.next_deadline(),
        )
        return min((deadline for deadline in deadlines if deadline is not None), default=None)


class _Direction:
    """The frames under way in one direction."""

    def __init__(self, impairment: Impairment, chance: Random) -> None:
        self._impairment = impairment
        self._chance = chance
        self._heap: list[tuple[Instant, int, bytes]] = []
        self._pushes = 0
        self._last_due: Instant = 0

    def put(self, unit: Frame, now: Instant) -> None:
        """Take a unit's frames, complete, and let befall them what chance wants."""
        for frame in cut(unit):
            self._put_frame(b"".join(frame.parts), now)

    def _put_frame(self, octets: bytes, now: Instant) -> None:
        impairment, chance = self._impairment, self._chance
        if chance.random() < impairment.loss:
            return
        if chance.random() < impairment.corruption:
            spoiled = corrupt(octets, chance)
            if spoiled is None:
                return
            octets = spoiled
        self._schedule(octets, now)
        if chance.random() < impairment.duplication:
            self._schedule(octets, now)

    def _schedule(self, octets: bytes, now: Instant) -> None:
        """Set when a frame is due; it is lost when too many are under way."""
        delay, jitter = self._impairment.delay, self._impairment.jitter
        if jitter:
            delay = max(0, delay + self._chance.randint(-jitter, jitter))
        due = max(now + delay, self._last_due)
        if self._chance.random() < self._impairment.reordering:
            due += HELD_BACK
        else:
            self._last_due = due
        if len(self._heap) < QUEUE_LENGTH:
            self._pushes += 1
            heappush(self._heap, (due, self._pushes, octets))

    def take(self, now: Instant) -> bytes | None:
        """Take the next frame that is due."""
        if self._heap and self._heap[0][0] <= now:
            return heappop(self._heap)[2]
        return None

    def next_deadline(self) -> Instant | None:
        """Tell when the next frame is due."""
        return self._heap[0][0] if self._heap else None


def corrupt(octets: bytes, chance: Random) -> bytes | None:
    """Flip a bit behind a frame's Ethernet header; None where a card would not take the frame.

    What is not IPv4 has no checksum of its own: only the card's check sequence finds the flip.
    """
    if octets[12:14] != _IPV4 or len(octets) == eth.HEADER_LENGTH:
        return None
    position = chance.randrange(eth.HEADER_LENGTH * 8, len(octets) * 8)
    flipped = bytearray(octets)
    flipped[position >> 3] ^= 1 << (position & 7)
    return bytes(flipped)
