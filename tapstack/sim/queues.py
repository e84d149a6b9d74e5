"""Queues in front of a link: one that drops what finds no room, and one that warns before that.

Not done here: CoDel (`codel.py`); more than one queue for a link, and fairness between flows.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from tapstack.base.checks import check_whole
from tapstack.base.units import Instant
from tapstack.device.parcel import Parcel
from tapstack.sim.ecn import mark

DEFAULT_PACKETS = 1000
"""Linux's for a card (txqueuelen)."""


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


class DropTail:
    """A queue that drops what finds no room. The frame that is being sent is not in it."""

    def __init__(self, packets: int | None = DEFAULT_PACKETS, octets: int | None = None) -> None:
        """Make room for so many frames, and for so many octets; None: without end.

        Raises: ValueError, TypeError.
        """
        for room, unit in ((packets, "frames"), (octets, "octets")):
            if room is not None:  # without any, nothing would ever leave: all is queued first
                check_whole("the room of a queue", room, unit=unit)
        self.packets = packets
        self.octets = octets
        self.backlog = 0
        """Octets that wait."""
        self.dropped = 0
        self.marked = 0
        self._waiting: deque[Parcel] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, parcel: Parcel, now: Instant) -> None:  # noqa: ARG002 - time changes nothing
        """Take a frame, or drop it."""
        length = len(parcel.octets)
        full = self.packets is not None and len(self._waiting) >= self.packets
        if full or (self.octets is not None and self.backlog + length > self.octets):
            self.dropped += 1
            return
        self._waiting.append(parcel)
        self.backlog += length

    def pop(self, now: Instant) -> Parcel | None:  # noqa: ARG002
        """Give the frame that has waited longest."""
        if not self._waiting:
            return None
        parcel = self._waiting.popleft()
        self.backlog -= len(parcel.octets)
        return parcel


class StepMarker(DropTail):
    """A queue that marks every frame that finds too many before it (RFC 8257 §3.1).

    What cannot be marked is dropped.
    """

    def __init__(
        self,
        threshold: int,
        packets: int | None = DEFAULT_PACKETS,
        octets: int | None = None,
    ) -> None:
        """Mark what finds `threshold` frames or more waiting; the rest is as in `DropTail`.

        Raises: ValueError, TypeError.
        """
        super().__init__(packets, octets)
        self.threshold = check_whole("the threshold of a queue", threshold, unit="frames")
        if packets is not None and threshold > packets:
            raise ValueError(f"a queue of {packets} frames never has {threshold} waiting")

    def push(self, parcel: Parcel, now: Instant) -> None:
        """Take a frame, marked if it has to wait for too many."""
        if len(self) < self.threshold:
            super().push(parcel, now)
            return
        warned = mark(parcel)
        if warned is None:
            self.dropped += 1
            return
        waiting = len(self)
        super().push(warned, now)
        self.marked += len(self) - waiting
