"""The common face of middleware: a device around a device, which changes what it wants to.

Not done here: anything but handing on.
"""

from tapstack.base.contracts import Frame, NetDevice
from tapstack.base.units import Instant


class Middleware(NetDevice):
    """A device that does all as the one it wraps."""

    def __init__(self, device: NetDevice) -> None:
        """Wrap a device, and own it: `close` closes it."""
        self.name = device.name
        self.mtu = device.mtu
        self.mac = device.mac
        self.capabilities = device.capabilities
        self.device = device

    def fileno(self) -> int:
        """Give the wrapped device's descriptor."""
        return self.device.fileno()

    def read(self, now: Instant) -> Frame | None:
        """Take the next frame. Raises: OSError when the device is gone."""
        return self.device.read(now)

    def write(self, frame: Frame, now: Instant) -> None:
        """Send a frame."""
        self.device.write(frame, now)

    def next_deadline(self) -> Instant | None:
        """Tell when the wrapped device is to be read although its descriptor is silent."""
        return self.device.next_deadline()

    def close(self) -> None:
        """Close the wrapped device."""
        self.device.close()
