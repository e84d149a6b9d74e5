"""Frames through a file descriptor of the kernel's, each behind a virtio_net_hdr where it has one.

Nothing long is joined or copied here: a frame is gathered from its parts as it is written, and what
is read is a `bytes` of its own, so that its text can be kept as it lies there.

Not done here: how a descriptor is opened (`tap.py`, `packet.py`).
"""

import errno
import os
from collections.abc import Sequence
from functools import partial
from hashlib import blake2s
from io import FileIO
from itertools import islice

from tapstack.base.address import MacAddress
from tapstack.base.contracts import Buffer, Capabilities, Frame, NetDevice, Offload, make_frame
from tapstack.base.units import Instant
from tapstack.device import vnet

BUFFER_SIZE = 68 * 1024
"""Octets: the longest datagram, 65535, with its Ethernet header and VLAN tags."""

_HEADER, _BEHIND_HEADER = slice(vnet.HEADER_LENGTH), slice(vnet.HEADER_LENGTH, None)

_SHORT = 512
"""Octets of a frame, or of the text behind its headers, that are copied at less than a view costs.
"""
_FEW = 2
"""Parts of a frame that has its headers in one piece."""
_MAX_PARTS = os.sysconf("SC_IOV_MAX") - 1  # one is the header's

_NOT_TAKEN = frozenset(
    {
        errno.EAGAIN,
        errno.EINVAL,  # the kernel dislikes the frame
        errno.EIO,  # a TAP that is down
        errno.EMSGSIZE,
        errno.ENETDOWN,  # a packet socket's interface that is down
        errno.ENOBUFS,
        errno.ENOMEM,
    }
)
"""A write that meets one of these says nothing of the next; the device is gone if it is another."""


def derive_mac(name: str) -> MacAddress:
    """Make the stack's own address on a link: always the same one for a device's name.

    It is individual and locally administered (IEEE 802 §8.2), as is the host's own on a TAP, which
    is random.
    """
    return b"\x02" + blake2s(name.encode(), digest_size=5).digest()


class DescriptorDevice(NetDevice):
    """A device on a non-blocking descriptor, which it owns."""

    def __init__(
        self,
        fd: int,
        name: str,
        mtu: int,
        mac: MacAddress,
        *,
        offload: bool,
        udp_units: bool = False,
    ) -> None:
        """Take over a descriptor; with `offload` each frame has a virtio_net_hdr in front.

        `udp_units` tells that it takes units of UDP, too.
        """
        self.name = name
        self.mtu = mtu
        self.mac = mac
        self.capabilities = Capabilities(offload, offload, udp_units)
        self.frames_lost = 0
        """Frames that were written and not taken."""
        self._is_gone = False
        """Whether a write has met an error that will not pass."""
        self._fd = fd
        self._take = partial(FileIO(fd, closefd=False).read, BUFFER_SIZE)
        # As `os.read`, but it tells, rather than raises, that there is nothing: at half the price.
        self._offload = offload
        self._header = b""
        """The virtio_net_hdr of what was read last."""
        self._usual: tuple[Offload | None, bytes] = (None, vnet.NOTHING_LEFT if offload else b"")
        # What all frames but units of many segments were left to do of late, and what says so.

    def fileno(self) -> int:
        """Give the descriptor; −1 when closed."""
        return self._fd

    def read(self, now: Instant) -> Frame | None:  # noqa: ARG002 - frames here know no time
        """Take the next frame. Raises: OSError when the device is gone."""
        if self._is_gone:
            raise self._gone()
        try:
            octets = self._take()
        except OSError as error:
            self._pass_over(error)
            return None
        if not octets:
            if octets is None:
                return None
            raise self._gone()  # what a packet socket pair says whose other end was closed
        whole: Buffer = octets if len(octets) < _SHORT else memoryview(octets)
        if not self._offload:
            return make_frame(((whole,), None))
        header = self._header = octets[_HEADER]
        return make_frame(((whole[_BEHIND_HEADER],), vnet.parse(header)))

    def read_run(self, now: Instant, most: int) -> list[Frame]:  # noqa: ARG002
        """Take frames as `read` does, with as little between two of them as can be."""
        if self._is_gone:
            raise self._gone()
        frames, offload = [], self._offload
        try:
            for octets in islice(iter(self._take, None), most):
                if not octets:
                    raise self._gone()
                whole: Buffer = octets if len(octets) < _SHORT else memoryview(octets)
                if offload:
                    left = vnet.parse(octets[_HEADER])
                    frames.append(make_frame(((whole[_BEHIND_HEADER],), left)))
                else:
                    frames.append(make_frame(((whole,), None)))
        except OSError as error:
            self._pass_over(error)
        return frames

    def _pass_over(self, error: OSError) -> None:
        """Take it that there was nothing to read. Raises: OSError if the device is gone."""
        _let_through(error)
        if error.errno != errno.ENETDOWN:  # of a packet socket's interface
            raise self._gone() from error

    def write(self, frame: Frame, now: Instant) -> None:  # noqa: ARG002
        """Send a frame, or count it as lost: that the device is gone, the next `read` says."""
        parts, offload = frame
        usual, header = self._usual
        if offload is not usual:
            header = vnet.build(frame) if self._offload else b""
            if offload is None or not offload.segment_size:
                self._usual = offload, header
        try:
            if (len(parts) <= _FEW and len(parts[-1]) < _SHORT) or len(parts) >= _MAX_PARTS:
                os.write(self._fd, b"".join((header, *parts)))
            else:
                os.writev(self._fd, (header, *parts))
        except OSError as error:
            self._lose(error)

    def write_train(
        self,
        units: Sequence[Sequence[Buffer]],
        offload: Offload,
        now: Instant,  # noqa: ARG002
    ) -> None:
        """Send frames of a connection, with as little between two of them as can be.

        The host wakes who reads them: what follows close behind finds him awake.
        """
        fd, writev = self._fd, os.writev
        header = vnet.build(make_frame((units[0], offload))) if self._offload else b""
        for parts in units:
            try:
                writev(fd, (header, *parts))
            except OSError as error:
                self._lose(error)

    def _lose(self, error: OSError) -> None:
        """Count a frame that was not taken, and see whether any will be."""
        _let_through(error)
        self.frames_lost += 1
        self._is_gone = self._is_gone or error.errno not in _NOT_TAKEN

    def _gone(self) -> OSError:
        return OSError(errno.ENODEV, f"the device {self.name} is gone")

    def next_deadline(self) -> Instant | None:
        """Tell that the descriptor says all: None."""
        return None

    def close(self) -> None:
        """Close the descriptor. A second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._is_gone = True
            os.close(fd)


def _let_through(error: OSError) -> None:
    """Raise what a signal handler has raised behind a system call, of which it tells nothing.

    That comes from a frame of its own, and what the call raises from none.
    """
    traceback = error.__traceback__
    if traceback is not None and traceback.tb_next is not None:
        raise error
