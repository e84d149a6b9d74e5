"""Sockets of the default stack: what a program means that names no stack.

Not done here: the default stack. It belongs to the runtime, which stands above the facade: it is
asked for by name, and only when the first socket is opened.
"""

from __future__ import annotations

import socket as stdlib
from errno import EAFNOSUPPORT
from importlib import import_module
from typing import cast

from tapstack.base.errors import os_error
from tapstack.socket.addresses import Address
from tapstack.socket.contract import SocketHost
from tapstack.socket.facade import Socket
from tapstack.socket.open_socket import OpenSocket, attach
from tapstack.socket.opening import UNSET, connect, listen

_RUNTIME = "tapstack.runtime.default"


def default_host() -> SocketHost:
    """Give the default stack, brought up if need be. Raises: OSError, ValueError."""
    return cast(SocketHost, import_module(_RUNTIME).default_stack.runtime())


class socket(Socket):  # noqa: N801 - the standard library's name
    """A socket of the default stack, made as `socket.socket` is made."""

    __slots__ = ()

    def __init__(
        self,
        family: int = -1,
        type: int = -1,  # noqa: A002 - the standard library's name
        proto: int = -1,
        fileno: int | None = None,
    ) -> None:
        """Open a socket, or take up what `detach` left under a number.

        Raises: OSError with EAFNOSUPPORT for what is not IPv4, EBADF for any other number.
        """
        if family not in (-1, stdlib.AF_INET):
            raise os_error(EAFNOSUPPORT)
        if fileno is not None:
            self._take_up(*attach(fileno), stdlib.getdefaulttimeout())
            return
        super().__init__(
            default_host(),
            stdlib.SOCK_STREAM if type == -1 else type,
            max(proto, 0),
            timeout=stdlib.getdefaulttimeout(),
        )

    def sibling(self, opened: OpenSocket, timeout: float | None) -> socket:
        """Make another socket of the kind that `accept` gives."""
        made = socket.__new__(socket)
        made._take_up(self._host, opened, self.type, self.proto, -1, timeout)
        return made


def create_connection(
    address: Address,
    timeout: float | None = UNSET,
    source_address: Address | None = None,
    *,
    all_errors: bool = False,  # noqa: ARG001 - an address is one address here
) -> socket:
    """Connect to an address, as `socket.create_connection` does. Raises: OSError."""
    return connect(socket(), address, timeout, source_address)


def create_server(
    address: Address,
    *,
    family: int = stdlib.AF_INET,
    backlog: int | None = None,
    reuse_port: bool = False,
    dualstack_ipv6: bool = False,
) -> socket:
    """Listen on an address, as `socket.create_server` does. Raises: OSError, ValueError."""
    if dualstack_ipv6:
        raise ValueError("dualstack_ipv6 not supported on this platform")
    return listen(socket(family), address, backlog, reuse_port)


def has_dualstack_ipv6() -> bool:
    """Tell whether one socket can serve IPv4 and IPv6: there is no IPv6."""
    return False
