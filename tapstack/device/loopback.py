"""The loopback: what is sent comes straight back (RFC 1122 §3.2.1.3 (g)).

Not done here: deciding what goes this way (`ip/`).
"""

from collections import deque

from tapstack.base.address import MAC_ZERO
from tapstack.base.contracts import Capabilities, Frame, NetDevice
from tapstack.base.units import Instant

MTU = 65536  # as Linux's lo
QUEUE_LENGTH = 1000  # frames, as Linux's default txqueuelen


class LoopbackDevice(NetDevice):
    """A link of one station. Units come back whole and trusted: no octet crosses a wire."""

    def __init__(self, name: str = "lo") -> None:
        self.name = name
        self.mtu = MTU
        self.mac = MAC_ZERO
        self.capabilities = Capabilities(True, True, udp_segmentation=True)
        self.frames_lost = 0
        """Frames that were written while the queue was full."""
        self._queue: deque[Frame] = deque()

    def fileno(self) -> int:
        """Tell that there is no descriptor: −1. What waits, the stack has sent itself."""
        return -1

    def read(self, now: Instant) -> Frame | None:  # noqa: ARG002 - nothing is on its way for long
        """Take the next frame."""
        return self._queue.popleft() if self._queue else None

    def write(self, frame: Frame, now: Instant) -> None:  # noqa: ARG002
        """Queue a copy of a frame, whose parts are the sender's, or lose it when too many wait."""
        if len(self._queue) >= QUEUE_LENGTH:
            self.frames_lost += 1
            return
        octets = b"".join(frame.parts)
        self._queue.append(Frame((memoryview(octets),), frame.offload))

    def next_deadline(self) -> Instant | None:
        """Tell that nothing comes later: None."""
        return None

    def close(self) -> None:
        """Forget what waits. A second call does nothing."""
        self._queue.clear()
