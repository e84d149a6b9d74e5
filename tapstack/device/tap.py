"""A Linux TAP device: an Ethernet link to the host's kernel (Documentation/networking/tuntap.rst).

With offload the kernel passes units of up to 64 KB both ways and leaves their checksums out: the
cost of a Python stack is the frame, not the octet.

Not done here: the host's side of the link (`host.py`).
"""

import errno
import os
from contextlib import suppress
from fcntl import ioctl
from typing import Any

import pytun

from tapstack.base.address import MacAddress
from tapstack.device import host
from tapstack.device.descriptor import DescriptorDevice, derive_mac

# <linux/if_tun.h>
_TUNSETOFFLOAD = 0x400454D0
_TUN_F_CSUM = 1
_TUN_F_TSO4 = 2

_QUEUE_WITHOUT_OFFLOAD = 10_000
"""Frames: the ring's usual 1000 lose a part of any window beyond 1.4 MB."""

_MAX_NAME_LENGTH = 15  # IFNAMSIZ of <linux/if.h>, without the terminating zero


class TapDevice(DescriptorDevice):
    """Our end of a TAP device, which is made when it does not exist, and then ends with us."""

    def __init__(
        self,
        name: str,
        *,
        mac: MacAddress | None = None,
        mtu: int | None = None,
        offload: bool = True,
    ) -> None:
        """Open the device; `mac` is the stack's own, `mtu` None keeps the one it has.

        Raises: OSError with one clear sentence; ValueError for a name that cannot be one.
        """
        if not 0 < len(name.encode()) <= _MAX_NAME_LENGTH or "/" in name:
            raise ValueError(f"'{name}' is not a device name: 1 to 15 letters such as tap0")
        self._tap = _open(name, offload)
        try:
            if mtu is not None:
                host.set_mtu(name, mtu)
            if not offload:
                with suppress(PermissionError):
                    host.set_queue_length(name, _QUEUE_WITHOUT_OFFLOAD)
            super().__init__(
                self._tap.fileno(),
                name,
                host.mtu_of(name),
                mac or derive_mac(name),
                offload=offload,
            )
        except OSError:
            self._tap.close()
            raise

    def close(self) -> None:
        """Close the device: one that we made is gone then. A second call does nothing."""
        self._fd = -1
        self._tap.close()


def _open(name: str, offload: bool) -> Any:
    flags = pytun.IFF_TAP | pytun.IFF_NO_PI | (pytun.IFF_VNET_HDR if offload else 0)
    try:
        tap = pytun.TunTapDevice(name=name, flags=flags)
    except pytun.Error as error:
        raise _explained(error.errno, name, error.strerror) from None
    fd = tap.fileno()
    os.set_inheritable(fd, False)
    os.set_blocking(fd, False)
    # A device that outlives its user keeps the offloads of the one before: set them either way.
    ioctl(fd, _TUNSETOFFLOAD, _TUN_F_CSUM | _TUN_F_TSO4 if offload else 0)
    return tap


def _explained(number: int, name: str, reason: str) -> OSError:
    no_tun = "there is no /dev/net/tun here: the kernel module tun makes it (modprobe tun)"
    sentences = {
        errno.EACCES: "no right to open /dev/net/tun: that takes root, or mode 0666 on it",
        errno.EPERM: f"no right to attach to {name} by /dev/net/tun: that takes root, "
        "a namespace of your own, or a device that is yours",
        errno.ENOENT: no_tun,
        errno.ENODEV: no_tun,
        errno.ENXIO: no_tun,
        errno.EBUSY: f"the device {name} is in use by another program",
        errno.EINVAL: f"{name} exists and is not a TAP device",
    }
    return OSError(number, sentences.get(number, f"cannot open the TAP device {name}: {reason}"))
