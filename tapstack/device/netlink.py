"""Talking with the kernel's rtnetlink; making a veth pair, and a route (rtnetlink(7), veth(4)).

Not done here: addresses (`host_addresses.py`), and what a TUN device tells of itself (`tap.py`).
"""

import os
import socket

from construct import (
    Aligned,
    GreedyBytes,
    GreedyRange,
    Int8un,
    Int16un,
    Int32sn,
    Int32un,
    Padding,
    Prefixed,
    Struct,
)

from tapstack.base.address import Ipv4Address, Network

# <linux/netlink.h>
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_REQUEST, _NLM_F_ACK = 0x001, 0x004
NLM_F_DUMP, NLM_F_EXCL, NLM_F_CREATE = 0x300, 0x200, 0x400
# <linux/rtnetlink.h>
_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK = 16, 17, 18
_RTM_NEWROUTE = 24
RTA_DST, RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST = 254, 3, 0, 1
# <linux/if_link.h>, <linux/veth.h>
_IFLA_IFNAME, _IFLA_MTU, IFLA_LINKINFO = 3, 4, 18
_IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
_VETH_INFO_PEER = 1
_NLA_TYPE_MASK = 0x3FFF  # <linux/netlink.h>: the other two bits are flags

MESSAGE = Prefixed(
    Int32un,
    Struct(
        "type" / Int16un,
        "flags" / Int16un,
        "sequence" / Int32un,
        "port" / Int32un,
        "body" / GreedyBytes,
    ),
    includelength=True,
)
LINK = Struct(
    "family" / Int8un,
    Padding(1),
    "hardware_type" / Int16un,
    "index" / Int32sn,
    "flags" / Int32un,
    "changed_flags" / Int32un,
)
ROUTE = Struct(
    "family" / Int8un,
    "prefix_length" / Int8un,
    "source_prefix_length" / Int8un,
    "tos" / Int8un,
    "table" / Int8un,
    "protocol" / Int8un,
    "scope" / Int8un,
    "type" / Int8un,
    "flags" / Int32un,
)
ATTRIBUTE = Aligned(
    4,
    Prefixed(Int16un, Struct("type" / Int16un, "value" / GreedyBytes), includelength=True),
)
_MESSAGES = GreedyRange(Aligned(4, MESSAGE))
_ATTRIBUTES = GreedyRange(ATTRIBUTE)

_ANY_LINK = LINK.build(
    {"family": 0, "hardware_type": 0, "index": 0, "flags": 0, "changed_flags": 0}
)
_ANSWER_SIZE = 32 * 1024  # octets: the kernel puts no more into one answer (netlink_dump)


def create_veth(name: str, peer: str, mtu: int) -> None:
    """Make a pair of interfaces: what enters one comes out of the other. Raises: OSError."""
    details = attribute(
        IFLA_LINKINFO,
        attribute(_IFLA_INFO_KIND, b"veth"),
        attribute(IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, _link(peer, mtu))),
    )
    ask(_RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, _link(name, mtu) + details)


def link_attributes(name: str) -> dict[int, bytes]:
    """Give what the kernel tells of an interface. Raises: OSError."""
    (answer,) = ask(_RTM_GETLINK, 0, _ANY_LINK + _name(name))
    return read_attributes(answer[LINK.sizeof() :])


def delete_link(name: str) -> None:
    """Remove an interface, and with it its peer. Raises: OSError."""
    ask(_RTM_DELLINK, 0, _ANY_LINK + _name(name))


def add_route(network: Network, gateway: Ipv4Address, name: str) -> None:
    """Have a network reached by a gateway on an interface, as `ip route add` does. Raises: OSError.

    The gateway may be the host itself: what the interface carries needs no neighbour then.
    """
    attributes = (
        attribute(RTA_DST, network.prefix.to_bytes(4, "big")),
        attribute(_RTA_GATEWAY, gateway.to_bytes(4, "big")),
        attribute(RTA_OIF, Int32un.build(socket.if_nametoindex(name))),
    )
    head = build_route(network.prefix_length, table=_RT_TABLE_MAIN, protocol=_RTPROT_BOOT)
    body = head + b"".join(attributes)
    ask(_RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, body)


def build_route(prefix_length: int, *, table: int = 0, protocol: int = 0, flags: int = 0) -> bytes:
    """Build the head of a route of IPv4 to somebody's hosts; the default is one asked for."""
    route = {
        "family": socket.AF_INET,
        "prefix_length": prefix_length,
        "source_prefix_length": 0,
        "tos": 0,
        "table": table,
        "protocol": protocol,
        "scope": _RT_SCOPE_UNIVERSE,
        "type": _RTN_UNICAST,
        "flags": flags,
    }
    return bytes(ROUTE.build(route))


def _link(name: str, mtu: int) -> bytes:
    return b"".join((_ANY_LINK, _name(name), attribute(_IFLA_MTU, Int32un.build(mtu))))


def _name(name: str) -> bytes:
    return attribute(_IFLA_IFNAME, name.encode() + b"\0")


def attribute(kind: int, *values: bytes) -> bytes:
    """Build one attribute."""
    return bytes(ATTRIBUTE.build({"type": kind, "value": b"".join(values)}))


def read_attributes(octets: bytes) -> dict[int, bytes]:
    """Read attributes, by their types."""
    return {each.type & _NLA_TYPE_MASK: each.value for each in _ATTRIBUTES.parse(octets)}


def ask(kind: int, flags: int, body: bytes) -> list[bytes]:
    """Ask the kernel, wait for its word, and give the bodies of what it answers. Raises: OSError.

    The word is an error, which is 0 for a success, or the end of a dump.
    """
    flags |= _NLM_F_REQUEST | _NLM_F_ACK
    message = {"type": kind, "flags": flags, "sequence": 1, "port": 0, "body": body}
    bodies: list[bytes] = []
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    ) as kernel:
        kernel.send(MESSAGE.build(message))
        while True:
            for answer in _MESSAGES.parse(kernel.recv(_ANSWER_SIZE)):
                if answer.type not in (_NLMSG_ERROR, _NLMSG_DONE):
                    bodies.append(answer.body)
                    continue
                number = -Int32sn.parse(answer.body) if answer.type == _NLMSG_ERROR else 0
                if number:
                    raise OSError(number, os.strerror(number))
                return bodies
