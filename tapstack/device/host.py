"""The host's side of a link: MTU and state of an interface, by ioctl (netdevice(7)).

What already is as it should be is left alone, so that an interface that was prepared by root can
be used without rights.

Not done here: its addresses (`host_addresses.py`).
"""

import errno
import socket
from contextlib import suppress
from ctypes import addressof, create_string_buffer
from fcntl import ioctl
from pathlib import Path
from struct import Struct

from tapstack.base.address import MacAddress

# <linux/sockios.h>
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCGIFMTU, _SIOCSIFMTU = 0x8921, 0x8922
_SIOCGIFHWADDR = 0x8927
_SIOCSIFTXQLEN = 0x8943
_SIOCETHTOOL = 0x8946

# <linux/ethtool.h>
_ETHTOOL_STXCSUM = 0x17
_ETHTOOL_SGSO = 0x24
_ETHTOOL_VALUE = Struct("=II")

_IFF_UP = 1  # <linux/if.h>

# The variants of `struct ifreq`: the interface's name, then one of these.
_REQUEST = Struct("=16s24s")
_FLAGS = Struct("=H")
_INTEGER = Struct("=i")
_ETHERNET_SOCKADDR = Struct("=H6s")
_POINTER = Struct("@P")


def bring_up(name: str) -> None:
    """Set an interface up. Raises: OSError when it does not exist, or may not be changed."""
    (flags,) = _FLAGS.unpack_from(_call(_SIOCGIFFLAGS, name))
    if not flags & _IFF_UP:
        _call(_SIOCSIFFLAGS, name, _FLAGS.pack(flags | _IFF_UP))


def mtu_of(name: str) -> int:
    """Tell an interface's MTU in octets. Raises: OSError when it does not exist."""
    return int(_INTEGER.unpack_from(_call(_SIOCGIFMTU, name))[0])


def set_mtu(name: str, mtu: int) -> None:
    """Set an interface's MTU in octets. Raises: as `bring_up`, and for an MTU it cannot have."""
    if mtu_of(name) != mtu:
        _call(_SIOCSIFMTU, name, _INTEGER.pack(mtu), f"an MTU of {mtu}")


def mac_of(name: str) -> MacAddress:
    """Tell an interface's Ethernet address. Raises: OSError when it does not exist."""
    return bytes(_ETHERNET_SOCKADDR.unpack_from(_call(_SIOCGIFHWADDR, name))[1])


def set_queue_length(name: str, frames: int) -> None:
    """Set how many frames may wait on an interface to be sent. Raises: as `bring_up`."""
    _call(_SIOCSIFTXQLEN, name, _INTEGER.pack(frames), f"a queue of {frames}")


def disable_offloads(name: str) -> None:
    """Have the host put whole checksums into segments of wire size. Raises: as `bring_up`."""
    for command in (_ETHTOOL_STXCSUM, _ETHTOOL_SGSO):
        value = create_string_buffer(_ETHTOOL_VALUE.pack(command, 0))
        _call(_SIOCETHTOOL, name, _POINTER.pack(addressof(value)))


def silence_ipv6(name: str) -> None:
    """Keep the host from speaking IPv6 to a stack that has none, where that may be changed."""
    with suppress(OSError):
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")


def _call(request: int, name: str, argument: bytes = b"", setting: str = "this") -> bytes:
    """Ask the kernel, and give the part of its answer that depends on the request.

    `setting` is what an error calls the argument.
    """
    question = _REQUEST.pack(name.encode(), argument)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        try:
            answer = ioctl(any_socket, request, question)
        except OSError as error:
            raise explained(error, name, setting) from None
    return answer[_REQUEST.size - 24 :]


def explained(error: OSError, name: str, setting: str = "this") -> OSError:
    """Give an error of the kernel's as one clear sentence about an interface, and a setting."""
    number = error.errno or 0
    no_right = f"no right to configure {name}: that takes root, or a namespace of your own"
    sentences = {
        errno.EPERM: no_right,
        errno.EACCES: no_right,
        errno.ENODEV: f"there is no interface {name}",
        errno.EINVAL: f"{name} does not take {setting}",
        errno.ERANGE: f"{name} does not take {setting}",
    }
    return OSError(number, sentences.get(number, f"{name}: {error.strerror}"))
