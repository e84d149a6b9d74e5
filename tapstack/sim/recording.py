"""A capture file that grows while the world runs.

Not done here: the file's format (`capture/pcap.py`).
"""

from __future__ import annotations

from tapstack.base.contracts import Frame
from tapstack.capture.pcap import PcapWriter
from tapstack.device.segmentation import cut
from tapstack.sim.sighting import Sighting


class Recording:
    """Writes what it is shown, until it is closed."""

    def __init__(self, writer: PcapWriter) -> None:
        """Take a writer, and own it."""
        self._writer = writer
        self._closed = False

    def write(self, sighting: Sighting) -> None:
        """Write a frame as an analyser expects to see it: complete, in pieces as on a wire."""
        if self._closed:
            return
        for frame in cut(Frame((sighting.octets,), sighting.offload)):
            self._writer.write(sighting.time, frame.parts)

    def close(self) -> None:
        """End it, and complete the file. A second call does nothing. Raises: OSError."""
        self._closed = True
        self._writer.close()
