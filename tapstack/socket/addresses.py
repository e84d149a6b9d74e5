"""Socket addresses as programs write them: ("10.0.0.1", 80).

Names are never resolved, so that no program waits for a resolver unawares: an address is numeric,
"localhost", "" for any, or "<broadcast>".

Not done here: IPv6.
"""

from __future__ import annotations

import socket as constants
from functools import lru_cache
from typing import Any, TypeAlias

from tapstack.base.address import (
    IPV4_ANY,
    IPV4_LIMITED_BROADCAST,
    IPV4_LOOPBACK,
    Endpoint,
    format_ipv4,
    parse_ipv4,
)

Address: TypeAlias = "tuple[str, int]"

_NAMES = {
    "": IPV4_ANY,
    "<broadcast>": IPV4_LIMITED_BROADCAST,
    "localhost": IPV4_LOOPBACK,
}


@lru_cache(maxsize=256)
def read_host(host: str) -> int:
    """Read a host as programs write it. Raises: gaierror for what is not numeric."""
    if host in _NAMES:
        return _NAMES[host]
    try:
        return parse_ipv4(host)
    except ValueError:
        raise constants.gaierror(
            constants.EAI_NONAME, f"'{host}' is no IPv4 address, and names are not resolved"
        ) from None


def read_address(address: Any) -> Endpoint:
    """Read a socket address. Raises: TypeError, OverflowError, gaierror."""
    if not isinstance(address, tuple):
        raise TypeError(f"AF_INET address must be tuple, not {type(address).__name__}")
    if len(address) != 2:
        raise TypeError("AF_INET address must be a pair (host, port)")
    host, port = address
    if type(host) is str and type(port) is int:
        return _read_usual(host, port)
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str):
        raise TypeError(f"str, bytes or bytearray expected, not {type(host).__name__}")
    if not isinstance(port, int):
        raise TypeError(f"'{type(port).__name__}' object cannot be interpreted as an integer")
    return _read_usual(host, port)


@lru_cache(maxsize=256)
def _read_usual(host: str, port: int) -> Endpoint:
    """Read what nearly every address is; a peer's is written with each datagram."""
    if not 0 <= port <= 65535:
        raise OverflowError("port must be 0-65535.")
    return Endpoint(read_host(host), int(port))


@lru_cache(maxsize=256)
def write_address(endpoint: Endpoint) -> Address:
    """Give a socket address as programs read it; a peer's is asked for with each datagram."""
    return format_ipv4(endpoint.address), endpoint.port


def getaddrinfo(
    host: str | None,
    port: str | int | None,
    family: int = 0,
    type: int = 0,  # noqa: A002 - the standard library's name
    proto: int = 0,
    flags: int = 0,
) -> list[tuple[constants.AddressFamily, constants.SocketKind, int, str, Address]]:
    """List the ways to an address, as `socket.getaddrinfo` does, without resolving names.

    Raises: gaierror for a name, for a service by name, and for a family that is not IPv4.
    """
    if family not in (0, constants.AF_INET):
        raise constants.gaierror(constants.EAI_FAMILY, "only AF_INET is supported")
    try:
        number = int(port or 0)
    except ValueError:
        raise constants.gaierror(constants.EAI_SERVICE, f"'{port}' is no port number") from None
    if host is None:
        address = IPV4_ANY if flags & constants.AI_PASSIVE else IPV4_LOOPBACK
    else:
        address = read_host(host)
    kinds = [
        (constants.SOCK_STREAM, constants.IPPROTO_TCP),
        (constants.SOCK_DGRAM, constants.IPPROTO_UDP),
        (constants.SOCK_RAW, proto),
    ]
    where = write_address(Endpoint(address, number))
    return [
        (constants.AF_INET, kind, protocol, "", where)
        for kind, protocol in kinds
        if type in (0, kind) and proto in (0, protocol)
    ]
