"""An Ethernet link to the host's kernel without a TAP: a veth pair and a packet socket on one end.

For where /dev/net/tun is closed to us: packet(7) asks for rights over the network alone, which a
namespace of our own gives. Frames carry a virtio_net_hdr, so that units pass whole here too.

Not done here: units of anything but TCP and UDP over IPv4: they are lost.
"""

import errno
import socket
from contextlib import suppress

from tapstack.base.address import MacAddress
from tapstack.base.contracts import Frame, NetDevice
from tapstack.base.units import Instant
from tapstack.device import host, netlink, vnet
from tapstack.device.descriptor import DescriptorDevice, derive_mac
from tapstack.device.name import MAX_NAME_LENGTH, check_device_name

# <linux/if_packet.h>, <linux/if_ether.h>
_SOL_PACKET = 263
_PACKET_VNET_HDR = 15
_PACKET_IGNORE_OUTGOING = 23
_ETH_P_ALL = 3

_SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>
_RECEIVE_BUFFER = 16 * 1024 * 1024
"""Octets: the usual 200 KB hold three units."""

_OUR_END = "-stack"
_DEFAULT_MTU = 1500


class PacketDevice(DescriptorDevice):
    """Our end of a veth pair whose other end, the host's, has the device's name."""

    def __init__(
        self,
        name: str,
        *,
        mac: MacAddress | None = None,
        mtu: int | None = None,
        offload: bool = True,
    ) -> None:
        """Make the pair and open our end; `mac` is the stack's own.

        The kernel does not answer for the stack: the interface at our end has no IPv4 address, and
        another Ethernet address than the stack.

        Raises: OSError with one clear sentence; ValueError for a name that cannot be one.
        """
        check_device_name(name)
        peer = name[: MAX_NAME_LENGTH - len(_OUR_END)] + _OUR_END
        mtu = mtu or _DEFAULT_MTU
        _create(name, peer, mtu)
        try:
            host.silence_ipv6(peer)
            host.bring_up(peer)
            if not offload:
                host.disable_offloads(name)
            fd = _open_socket(peer, offload).detach()
        except OSError:
            netlink.delete_link(name)
            raise
        super().__init__(fd, name, mtu, mac or derive_mac(name), offload=offload)

    def read(self, now: Instant) -> Frame | None:
        """Take the next frame. Raises: OSError when the device is gone."""
        while frame := super().read(now):
            if not self._offload or vnet.is_understood(self._header):
                return frame
            self.frames_lost += 1
        return None

    read_run = NetDevice.read_run  # one by one, as this is what `read` looks at

    def close(self) -> None:
        """Close our end, and remove the pair. A second call does nothing."""
        if self._fd >= 0:
            super().close()
            with suppress(OSError):  # somebody else may have removed it
                netlink.delete_link(self.name)


def _create(name: str, peer: str, mtu: int) -> None:
    try:
        netlink.create_veth(name, peer, mtu)
    except OSError as error:
        number = error.errno or 0
        sentences = {
            errno.EPERM: f"no right to make {name}: that takes root, or a namespace of your own",
            errno.EEXIST: f"the device {name} exists already",
            errno.EOPNOTSUPP: "the kernel has no veth devices (modprobe veth)",
        }
        reason = f"cannot make the veth pair of {name}: {error.strerror}"
        raise OSError(number, sentences.get(number, reason)) from None


def _open_socket(interface: str, offload: bool) -> socket.socket:
    # Protocol 0 keeps it deaf until it is bound to the one interface.
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        opened.setblocking(False)
        opened.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, int(offload))
        opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        with suppress(PermissionError):
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        opened.bind((interface, _ETH_P_ALL))
    except OSError:
        opened.close()
        raise
    return opened
