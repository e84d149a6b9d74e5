"""The two usual ways to begin, on any socket: connect it, or have it listen (Python's `socket`).

Not done here: making the socket, which each host does.
"""

from __future__ import annotations

import socket as stdlib
from typing import Any, TypeVar

from tapstack.socket.addresses import Address
from tapstack.socket.facade import Socket

S = TypeVar("S", bound=Socket)

UNSET: Any = stdlib._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]
"""What http.client and others hand on when their user set no timeout."""


def connect(connection: S, address: Address, timeout: float | None, source: Address | None) -> S:
    """Connect a new socket, as `socket.create_connection` does; close it if that fails.

    Raises: OSError.
    """
    try:
        if timeout is not UNSET:
            connection.settimeout(timeout)
        if source is not None:
            connection.bind(source)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def listen(server: S, address: Address, backlog: int | None, reuse_port: bool) -> S:
    """Have a new socket listen, as `socket.create_server` does; close it if that fails.

    Raises: OSError.
    """
    try:
        server.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_REUSEADDR, 1)
        if reuse_port:
            server.setsockopt(stdlib.SOL_SOCKET, stdlib.SO_REUSEPORT, 1)
        server.bind(address)
        server.listen(128 if backlog is None else backlog)
    except BaseException:
        server.close()
        raise
    return server
