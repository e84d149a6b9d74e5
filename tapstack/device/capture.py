"""Middleware that records what crosses the wire, both ways, as an analyser expects to see it.

A unit that the device has yet to cut is recorded as the segments that it becomes, and a checksum
that is left to the device is recorded as it will be.

Not done here: the file's format (`capture/pcap.py`).
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from tapstack.base.address import MAC_ZERO
from tapstack.base.contracts import Buffer, Frame, NetDevice
from tapstack.base.units import Duration, Instant
from tapstack.device.middleware import Middleware
from tapstack.device.segmentation import cut

_log = logging.getLogger("tapstack")


class FrameWriter(Protocol):
    """Where captured frames go."""

    def write(self, time: Instant, parts: Sequence[Buffer]) -> None:
        """Write a frame, seen at `time` µs since 1970, UTC. Raises: OSError."""

    def flush(self) -> None:
        """Hand to the system what is still with this process. Raises: OSError."""

    def close(self) -> None:
        """Give everything back. Raises: OSError."""


class CaptureDevice(Middleware):
    """A device whose frames are recorded.

    A writer that fails (the disk is full, the reader of a pipe has gone) ends the capture, with one
    warning, and nothing else.
    """

    def __init__(self, device: NetDevice, writer: FrameWriter, epoch_offset: Duration) -> None:
        """Wrap a device, and own it and the writer; µs since 1970 are `now + epoch_offset`."""
        super().__init__(device)
        self.failure: OSError | None = None
        """What ended the capture early."""
        self._writer: FrameWriter | None = writer
        """None once the capture has ended."""
        self._epoch_offset = epoch_offset
        # What a loopback takes it gives back: recorded once, as by libpcap on Linux.
        self._records_outbound = device.mac != MAC_ZERO

    def read(self, now: Instant) -> Frame | None:
        """Take the next frame, and record it. Raises: OSError when the device is gone."""
        frame = self.device.read(now)
        if frame is not None:
            self._record(frame, now)
        return frame

    def write(self, frame: Frame, now: Instant) -> None:
        """Record a frame, and send it."""
        if self._records_outbound:
            self._record(frame, now)
        self.device.write(frame, now)

    def _record(self, unit: Frame, now: Instant) -> None:
        """Write a unit's frames, and have them out of this process, lest it be killed."""
        if self._writer is None:
            return
        try:
            for frame in cut(unit):
                self._writer.write(now + self._epoch_offset, frame.parts)
            self._writer.flush()
        except OSError as error:
            self._fail(error)
            self._end()

    def close(self) -> None:
        """Close the device and the writer. A second call does nothing."""
        self.device.close()
        self._end()

    def _end(self) -> None:
        """Close the writer: what crosses the wire from now on is not recorded."""
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        """Keep and tell the first failure: what the writer says after it is more of the same."""
        if self.failure is None:
            self.failure = error
            where = f" in {error.filename}" if error.filename else ""
            _log.warning("the capture of %s%s ended early: %s", self.name, where, error.strerror)
