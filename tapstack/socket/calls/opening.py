"""Making a socket: which families, types and protocols there are (socket(2)).

Not done here: the sockets.
"""

from __future__ import annotations

import os
import socket as constants
from errno import EAFNOSUPPORT, EINVAL, ESOCKTNOSUPPORT

from tapstack.base.errors import os_error
from tapstack.socket.calls.socket_file import SocketFile
from tapstack.socket.contract import SocketHost

_TYPE_MASK = 0xF
_TYPES = 11
_PROTOCOLS = 263
"""<linux/net.h>: SOCK_TYPE_MASK, SOCK_MAX; <linux/in.h>: IPPROTO_MAX."""
_KNOWN_TYPES = (constants.SOCK_STREAM, constants.SOCK_DGRAM, constants.SOCK_RAW)


def open_socket(host: SocketHost, domain: int, kind: int, protocol: int) -> tuple[SocketFile, bool]:
    """Make a socket; tell whether execve(2) is to close it. Raises: OSError."""
    flags, kind = kind & ~_TYPE_MASK, kind & _TYPE_MASK
    if flags & ~(constants.SOCK_NONBLOCK | constants.SOCK_CLOEXEC) or kind >= _TYPES:
        raise os_error(EINVAL)
    if domain != constants.AF_INET:
        raise os_error(EAFNOSUPPORT)
    if not 0 <= protocol < _PROTOCOLS:
        raise os_error(EINVAL)
    if kind not in _KNOWN_TYPES:
        raise os_error(ESOCKTNOSUPPORT)
    endpoint = host.open(kind, protocol)
    status = os.O_NONBLOCK if flags & constants.SOCK_NONBLOCK else 0
    return SocketFile(host, endpoint, status), bool(flags & constants.SOCK_CLOEXEC)
