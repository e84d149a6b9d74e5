"""Addresses: IPv4 as an int in host order, Ethernet as six octets (RFC 791 §3.2, IEEE 802.3).

Not done here: name resolution, and which of our addresses to use (`ip/routing.py`).
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias

Ipv4Address: TypeAlias = int
"""An IPv4 address, 32 bits in host order."""

MacAddress: TypeAlias = bytes
"""An Ethernet address, six octets as on the wire."""

IPV4_ANY: Ipv4Address = 0
IPV4_LIMITED_BROADCAST: Ipv4Address = 0xFFFFFFFF  # RFC 919 §7
IPV4_ALL_HOSTS: Ipv4Address = 0xE0000001  # RFC 1112 §4: 224.0.0.1, which every host listens to
IPV4_LOOPBACK: Ipv4Address = 0x7F000001
MAC_BROADCAST: MacAddress = b"\xff" * 6
MAC_ZERO: MacAddress = b"\x00" * 6


class Endpoint(NamedTuple):
    """One end of a conversation: an address and a port, both in host order."""

    address: Ipv4Address
    port: int

    def __str__(self) -> str:
        """Render as `10.0.0.1:80`."""
        return f"{format_ipv4(self.address)}:{self.port}"


make_endpoint: Callable[[tuple[Ipv4Address, int]], Endpoint] = partial(tuple.__new__, Endpoint)
"""Make an endpoint of both, without the call of Python's that `Endpoint(…)` takes."""
ANY_ENDPOINT = Endpoint(IPV4_ANY, 0)


def ourselves_for_any(remote: Endpoint) -> Endpoint:
    """Take the address 0 of who is to be reached to mean this host, as every BSD does."""
    return remote if remote.address else Endpoint(IPV4_LOOPBACK, remote.port)


class Network(NamedTuple):
    """An IPv4 address with the length of its prefix, as `10.0.0.1/24` says it."""

    address: Ipv4Address
    prefix_length: int

    @property
    def mask(self) -> int:
        """The netmask, 32 bits in host order."""
        return (0xFFFFFFFF << (32 - self.prefix_length)) & 0xFFFFFFFF

    @property
    def prefix(self) -> Ipv4Address:
        """The network's own address: the host bits are zero."""
        return self.address & self.mask

    @property
    def broadcast(self) -> Ipv4Address:
        """The directed broadcast address: the host bits are one (RFC 919 §7)."""
        return self.prefix | (~self.mask & 0xFFFFFFFF)

    def __contains__(self, address: object) -> bool:
        """Tell whether an address lies in this network."""
        return isinstance(address, int) and address & self.mask == self.prefix

    def __str__(self) -> str:
        """Render as `10.0.0.1/24`."""
        return f"{format_ipv4(self.address)}/{self.prefix_length}"


LOOPBACK_NETWORK = Network(IPV4_LOOPBACK, 8)
"""What the loopback interface has (RFC 1122 §3.2.1.3 (g))."""


def parse_ipv4(text: str) -> Ipv4Address:
    """Read a dotted quad. Raises: ValueError with one clear sentence."""
    parts = text.split(".")
    if len(parts) != 4 or not all(p.isascii() and p.isdigit() and len(p) <= 3 for p in parts):
        raise ValueError(f"'{text}' is not an IPv4 address such as 10.0.0.1")
    octets = [int(part) for part in parts]
    if max(octets) > 255:
        raise ValueError(f"'{text}' is not an IPv4 address: each part is at most 255")
    return int.from_bytes(bytes(octets), "big")


@lru_cache(maxsize=256)
def format_ipv4(address: Ipv4Address) -> str:
    """Render a dotted quad: one string for all who ask, as an address is asked for often."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def parse_network(text: str) -> Network:
    """Read `10.0.0.1/24`. Raises: ValueError with one clear sentence."""
    address, slash, length = text.partition("/")
    if not slash or not (length.isascii() and length.isdigit()) or int(length) > 32:
        raise ValueError(f"'{text}' is not an address with a prefix length such as 10.0.0.1/24")
    return Network(parse_ipv4(address), int(length))


def parse_endpoint(text: str) -> Endpoint:
    """Read `10.0.0.1:80`. Raises: ValueError with one clear sentence."""
    address, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(f"'{text}' is not an address with a port such as 10.0.0.1:80")
    return Endpoint(parse_ipv4(address), parse_port(port))


def parse_port(text: str) -> int:
    """Read a port number, 0 to 65535. Raises: ValueError with one clear sentence."""
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise ValueError(f"'{text}' is not a port number from 0 to 65535")
    return int(text)


def parse_mac(text: str) -> MacAddress:
    """Read `02:00:00:00:00:01`. Raises: ValueError with one clear sentence."""
    parts = text.split(":")
    try:
        octets = bytes(int(part, 16) for part in parts)
    except ValueError:
        octets = b""
    if len(octets) != 6 or any(len(part) != 2 for part in parts):
        raise ValueError(f"'{text}' is not an Ethernet address such as 02:00:00:00:00:01")
    return octets


def format_mac(address: MacAddress) -> str:
    """Render as `02:00:00:00:00:01`."""
    return address.hex(":")


def is_group_mac(address: MacAddress) -> bool:
    """Tell whether an Ethernet address is a group's, the broadcast included (IEEE 802.3 §3.2.3)."""
    return bool(address[0] & 1)


def is_multicast(address: Ipv4Address) -> bool:
    """Tell whether an address is of class D, 224.0.0.0/4 (RFC 1112 §4)."""
    return address >> 28 == 0xE


def is_loopback(address: Ipv4Address) -> bool:
    """Tell whether an address lies in 127.0.0.0/8 (RFC 1122 §3.2.1.3 (g))."""
    return address >> 24 == 127


def is_reserved(address: Ipv4Address) -> bool:
    """Tell whether an address is of class E, 240.0.0.0/4, the limited broadcast included."""
    return address >> 28 == 0xF
