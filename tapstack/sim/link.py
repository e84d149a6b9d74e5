"""A link between two hosts: a port at each end, and a pipe each way.

Not done here: what a pipe does to frames (`pipe.py`), and giving the ports to hosts (`world.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from tapstack.base.checks import check_function
from tapstack.base.timers import TimerQueue
from tapstack.capture.pcap import create_capture
from tapstack.sim.pipe import Pipe
from tapstack.sim.port import Port, Watch
from tapstack.sim.recording import Recording
from tapstack.sim.sighting import Sighting
from tapstack.sim.way import Way


class End(NamedTuple):
    """Where a link ends."""

    host: str
    interface: str


class Link:
    """A link that runs: its parameters may be changed at any time, each for frames from then on."""

    def __init__(
        self,
        ends: tuple[End, End],
        there: Way,
        back: Way,
        *,
        mtu: int,
        offload: bool,
        timers: TimerQueue,
        seed: str,
    ) -> None:
        self.there = Pipe(there, timers=timers, chance=Random(f"{seed} there"))
        """From the first host to the second."""
        self.back = Pipe(back, timers=timers, chance=Random(f"{seed} back"))
        """From the second host to the first."""
        self.ports = (
            Port(self.there, *ends[0], mtu, offload=offload),
            Port(self.back, *ends[1], mtu, offload=offload),
        )
        """The ends, the first host's first."""
        self.there.deliver = self.ports[1].take
        self.back.deliver = self.ports[0].take
        self._recordings: list[Recording] = []

    def down(self) -> None:
        """Cut the link: whatever is on it is lost, and so is all that is sent."""
        self.there.up = self.back.up = False

    def up(self) -> None:
        """Mend the link."""
        self.there.up = self.back.up = True

    def watch(self, watch: Watch) -> Callable[[], None]:
        """Have a function called with every frame, as it leaves a host and as it arrives.

        Give what ends that. Raises: TypeError.
        """
        check_function("what watches a link", watch)
        for port in self.ports:
            port.watches.append(watch)

        def stop() -> None:
            for port in self.ports:
                port.watches.remove(watch)

        return stop

    def log(self) -> list[Sighting]:
        """Begin to list every frame, as it leaves a host and as it arrives; give the list."""
        sightings: list[Sighting] = []
        self.watch(sightings.append)
        return sightings

    def capture(self, path: str | Path, at: int = 0) -> Recording:
        """Begin to write what one end sees to a capture file, as `tcpdump` there would.

        `at` is 0 for the first host's end and 1 for the second's. Times are the world's, which
        begins in 1970. The file is complete once the recording, or the world, is closed.
        Raises: OSError, ValueError.
        """
        if at not in (0, 1):
            raise ValueError(f"the ends of a link are 0 and 1, and not {at!r}")
        recording = Recording(create_capture(path))
        self.ports[at].watches.append(recording.write)
        self._recordings.append(recording)
        return recording

    def close(self) -> None:
        """Complete the capture files. A second call does nothing. Raises: OSError."""
        for recording in self._recordings:
            recording.close()
