"""Making a socket of a kind and a protocol (socket(2))."""

from __future__ import annotations

import socket as constants
from errno import EPROTONOSUPPORT, ESOCKTNOSUPPORT

from tapstack.base.errors import os_error
from tapstack.socket.contract import SocketEndpoint
from tapstack.socket.datagrams import DatagramEndpoint
from tapstack.socket.raw_messages import RawEndpoint
from tapstack.socket.stream import StreamEndpoint
from tapstack.stack import Stack


def open_endpoint(stack: Stack, kind: int, protocol: int) -> SocketEndpoint:
    """Make a socket. Raises: OSError with EPROTONOSUPPORT or ESOCKTNOSUPPORT."""
    if kind == constants.SOCK_RAW:
        if protocol == 0:
            raise os_error(EPROTONOSUPPORT)
        return RawEndpoint(stack.ip.raw, stack, protocol)
    if kind == constants.SOCK_STREAM and protocol in (0, constants.IPPROTO_TCP):
        return StreamEndpoint(stack.tcp, stack)
    if kind == constants.SOCK_DGRAM and protocol in (0, constants.IPPROTO_UDP):
        return DatagramEndpoint(stack.udp, stack)
    if kind in (constants.SOCK_STREAM, constants.SOCK_DGRAM):
        raise os_error(EPROTONOSUPPORT)
    raise os_error(ESOCKTNOSUPPORT)
