"""A Linux TAP device: an Ethernet link to the host's kernel (Documentation/networking/tuntap.rst).

And a TUN device, the same for datagrams, as a mere descriptor: no stack of ours is behind one.

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
from tapstack.device import host, netlink
from tapstack.device.descriptor import DescriptorDevice, derive_mac
from tapstack.device.name import check_device_name

# <linux/if_tun.h>
_TUNSETOFFLOAD = 0x400454D0
_TUN_F_CSUM = 1
_TUN_F_TSO4 = 2
_TUN_F_TSO_ECN = 8  # units that have CWR, too
_TUN_F_USO = 0x20 | 0x40  # units of UDP, for both versions of IP or for none; since Linux 6.2

# <linux/if_link.h>
_IFLA_TUN_TYPE, _IFLA_TUN_MULTI_QUEUE, _IFLA_TUN_NUM_QUEUES = 3, 7, 8

_QUEUE_WITHOUT_OFFLOAD = 10_000
"""Frames: the ring's usual 1000 lose a part of any window beyond 1.4 MB."""

_TUN = "/dev/net/tun"


class TunUnavailableError(OSError):
    """/dev/net/tun does not open for us, whatever the device: another means may do."""


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

        Raises: TunUnavailableError, or OSError where /dev/net/tun opens and the device does not,
        each with one clear sentence; ValueError for a name that cannot be one.
        """
        check_device_name(name)
        _check_tun()
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
                udp_units=self._ask_for_offload(offload),
            )
        except OSError:
            self._tap.close()
            raise

    def _ask_for_offload(self, wanted: bool) -> bool:
        """Have the kernel hand units over, or none; tell whether it does so with those of UDP."""
        fd = self._tap.fileno()
        # A device that outlives its user keeps the offloads of the one before: set them either way.
        features = _TUN_F_CSUM | _TUN_F_TSO4 | _TUN_F_TSO_ECN if wanted else 0
        if wanted:
            with suppress(OSError):
                ioctl(fd, _TUNSETOFFLOAD, features | _TUN_F_USO)
                return True
        ioctl(fd, _TUNSETOFFLOAD, features)
        return False

    def close(self) -> None:
        """Close the device: one that we made is gone then. A second call does nothing."""
        self._fd = -1
        self._tap.close()


def open_tun(name: str) -> int:
    """Make a TUN device, and give its non-blocking descriptor: it ends with the last of those.

    A datagram is read and written whole, from the IP header on, never longer than the MTU.
    Raises: as `TapDevice`.
    """
    check_device_name(name)
    _check_tun()
    tun = _attach(name, pytun.IFF_TUN | pytun.IFF_NO_PI)
    fd = os.dup(tun.fileno())
    tun.close()
    os.set_blocking(fd, False)
    return fd


def _check_tun() -> None:
    """See that /dev/net/tun opens for us. Raises: TunUnavailableError."""
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        number = error.errno or 0
        forbidden = f"no right to open {_TUN}: that takes root, or mode 0666 on it"
        absent = f"there is no {_TUN} here: the kernel module tun makes it (modprobe tun)"
        sentences = {
            errno.EACCES: forbidden,
            errno.EPERM: forbidden,
            errno.ENOENT: absent,
            errno.ENODEV: absent,
            errno.ENXIO: absent,
        }
        reason = f"cannot open {_TUN}: {error.strerror}"
        raise TunUnavailableError(number, sentences.get(number, reason)) from None


def _open(name: str, offload: bool) -> Any:
    flags = pytun.IFF_TAP | pytun.IFF_NO_PI | (pytun.IFF_VNET_HDR if offload else 0)
    if _has_many_queues(name):
        flags |= pytun.IFF_MULTI_QUEUE
    tap = _attach(name, flags)
    fd = tap.fileno()
    os.set_inheritable(fd, False)
    os.set_blocking(fd, False)
    return tap


def _has_many_queues(name: str) -> bool:
    """Tell whether a TAP was made for many queues, of which we are to take the only one.

    The kernel deals frames out among those that are open. Raises: OSError with EBUSY for a second.
    """
    try:
        info = netlink.read_attributes(netlink.link_attributes(name)[netlink.IFLA_LINKINFO])
        tun = netlink.read_attributes(info[netlink.IFLA_INFO_DATA])
        many = tun[_IFLA_TUN_TYPE] == bytes([pytun.IFF_TAP]) and any(tun[_IFLA_TUN_MULTI_QUEUE])
    except (OSError, KeyError):  # no such device, or it is no TUN
        return False
    if many and any(tun[_IFLA_TUN_NUM_QUEUES]):
        raise _explained(errno.EBUSY, name, "")
    return many


def _attach(name: str, flags: int) -> Any:
    try:
        return pytun.TunTapDevice(name=name, flags=flags)
    except pytun.Error as error:
        raise _explained(error.errno, name, error.strerror) from None


def _explained(number: int, name: str, reason: str) -> OSError:
    sentences = {
        errno.EPERM: f"no right to attach to {name} by {_TUN}: that takes root, "
        "a namespace of your own, or a device that is yours",
        errno.EBUSY: f"the device {name} is in use by another program: "
        "end that, or choose another device (--dev or TAPSTACK_DEV)",
        errno.EINVAL: f"{name} exists and is not a TAP device",
    }
    return OSError(number, sentences.get(number, f"cannot open the TAP device {name}: {reason}"))
