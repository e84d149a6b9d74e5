"""The end of a link: the device of the host there.

Not done here: what lies between the ends (`pipe.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tapstack.base.contracts import Capabilities, Frame, NetDevice
from tapstack.base.units import Instant
from tapstack.device.descriptor import derive_mac
from tapstack.device.parcel import Parcel
from tapstack.sim.sighting import Direction, Sighting

Watch = Callable[[Sighting], None]
"""Hear of a frame."""
Receive = Callable[[Frame, Instant], None]
"""Take a frame that arrives at a host."""


class Outlet(Protocol):
    """Where the frames of a port go."""

    def send(self, parcel: Parcel, now: Instant) -> None:
        """Take a frame."""


class Port(NetDevice):
    """A device that frames leave through a pipe."""

    def __init__(self, pipe: Outlet, host: str, name: str, mtu: int, *, offload: bool) -> None:
        self.pipe = pipe
        """Where frames leave."""
        self.receive: Receive
        """Where frames arrive; set by the host that gets the device."""
        self.host = host
        """The name of that host."""
        self.name = name
        self.mtu = mtu
        self.mac = derive_mac(f"{host} {name}")
        self.capabilities = Capabilities(offload, offload, offload)
        self.watches: list[Watch] = []
        """Who hears of every frame that leaves or arrives here."""

    def write(self, frame: Frame, now: Instant) -> None:
        """Send a frame."""
        parcel = Parcel(b"".join(frame.parts), frame.offload)
        if self.watches:
            self._show(parcel, Direction.OUT, now)
        self.pipe.send(parcel, now)

    def take(self, parcel: Parcel, now: Instant) -> None:
        """Hand a frame that arrives to the host."""
        if self.watches:
            self._show(parcel, Direction.IN, now)
        self.receive(Frame((parcel.octets,), parcel.offload), now)

    def _show(self, parcel: Parcel, direction: Direction, now: Instant) -> None:
        sighting = Sighting(now, self.host, direction, parcel.octets, parcel.offload)
        for watch in self.watches:
            watch(sighting)

    # --- the rest of a device ---

    def fileno(self) -> int:
        """Tell that there is no descriptor: −1."""
        return -1

    def read(self, now: Instant) -> Frame | None:  # noqa: ARG002 - see below
        """Tell that nothing is to be fetched: what arrives is handed over."""
        return None

    def next_deadline(self) -> Instant | None:
        """Tell that nobody need look: for what is under way the pipes have timers."""
        return None

    def close(self) -> None:
        """Do nothing: nothing of the system's is held."""
