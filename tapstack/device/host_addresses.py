"""The host's addresses on its interfaces, and the way it takes to one of ours (rtnetlink(7)).

Not done here: changing the host's routes and rules, which an address brings along or the user
makes.
"""

import errno
import socket
from typing import NamedTuple

from construct import Int8un, Int32un, Struct

from tapstack.base.address import Ipv4Address, Network
from tapstack.device import host, netlink

# <linux/rtnetlink.h>
_RTM_NEWADDR, _RTM_GETADDR, _RTM_GETROUTE = 20, 22, 26
_RTM_F_FIB_MATCH = 0x2000  # the route, rather than what comes of it; since Linux 4.13
_RTN_LOCAL = 2
# <linux/if_addr.h>
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4

ADDRESS = Struct(
    "family" / Int8un,
    "prefix_length" / Int8un,
    "flags" / Int8un,
    "scope" / Int8un,
    "index" / Int32un,
)

_HAS_BROADCAST = range(31)
"""Lengths of a prefix that has an address for all its hosts (RFC 3021 §2.2)."""


class HostRoute(NamedTuple):
    """The route by which the host sends to an address."""

    network: Network
    """All that the route is for."""
    device: str
    """Where it leads; empty where there is more than one."""
    is_own: bool
    """Whether the address is the host's own."""


def addresses_of(name: str) -> list[Network]:
    """Tell an interface's IPv4 addresses. Raises: OSError when it does not exist."""
    index = _index_of(name)
    any_address = _address_message(0, 0)
    answers = netlink.ask(_RTM_GETADDR, netlink.NLM_F_DUMP, any_address)
    told = [(ADDRESS.parse(each), each[ADDRESS.sizeof() :]) for each in answers]
    return [
        Network(_address(netlink.read_attributes(attributes)[_IFA_LOCAL]), head.prefix_length)
        for head, attributes in told
        if head.index == index
    ]


def add_address(name: str, network: Network) -> None:
    """Give an interface an IPv4 address, beside those that it has. Raises: OSError."""
    if network in addresses_of(name):
        return
    own = network.address.to_bytes(4, "big")
    body = _address_message(network.prefix_length, _index_of(name))
    body += netlink.attribute(_IFA_LOCAL, own) + netlink.attribute(_IFA_ADDRESS, own)
    if network.prefix_length in _HAS_BROADCAST:
        body += netlink.attribute(_IFA_BROADCAST, network.broadcast.to_bytes(4, "big"))
    try:
        netlink.ask(_RTM_NEWADDR, netlink.NLM_F_CREATE | netlink.NLM_F_EXCL, body)
    except OSError as error:
        raise host.explained(error, name, f"the address {network}") from None


def route_to(address: Ipv4Address) -> HostRoute | None:
    """Tell by which route the host sends to an address; None: by none, or it does not tell."""
    octets = address.to_bytes(4, "big")
    question = netlink.build_route(prefix_length=32, flags=_RTM_F_FIB_MATCH)
    try:
        (answer,) = netlink.ask(
            _RTM_GETROUTE, 0, question + netlink.attribute(netlink.RTA_DST, octets)
        )
    except OSError:
        return None
    route = netlink.ROUTE.parse(answer)
    attributes = netlink.read_attributes(answer[netlink.ROUTE.sizeof() :])
    network = Network(_address(attributes.get(netlink.RTA_DST, bytes(4))), route.prefix_length)
    index = attributes.get(netlink.RTA_OIF)
    device = socket.if_indextoname(Int32un.parse(index)) if index else ""
    return HostRoute(network, device, is_own=route.type == _RTN_LOCAL)


def _index_of(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        raise host.explained(OSError(errno.ENODEV, ""), name) from None


def _address_message(prefix_length: int, index: int) -> bytes:
    head = {
        "family": socket.AF_INET,
        "prefix_length": prefix_length,
        "flags": 0,
        "scope": 0,  # RT_SCOPE_UNIVERSE: anybody may be sent to from it
        "index": index,
    }
    return bytes(ADDRESS.build(head))


def _address(octets: bytes) -> Ipv4Address:
    return int.from_bytes(octets, "big")
