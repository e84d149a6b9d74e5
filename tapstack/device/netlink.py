"""Making and removing a veth pair, and making a route (rtnetlink(7), veth(4)).

Not done here: everything else that rtnetlink can.
"""

import errno
import os
import socket

from construct import (
    Aligned,
    GreedyBytes,
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
_NLMSG_ERROR = 2
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_EXCL, _NLM_F_CREATE = 0x001, 0x004, 0x200, 0x400
# <linux/rtnetlink.h>
_RTM_NEWLINK, _RTM_DELLINK = 16, 17
_RTM_NEWROUTE = 24
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST = 254, 3, 0, 1
# <linux/if_link.h>, <linux/veth.h>
_IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO = 3, 4, 18
_IFLA_INFO_KIND, _IFLA_INFO_DATA = 1, 2
_VETH_INFO_PEER = 1

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

_ANY_LINK = LINK.build(
    {"family": 0, "hardware_type": 0, "index": 0, "flags": 0, "changed_flags": 0}
)
_ANSWER_SIZE = 8192  # octets, as netlink(7) advises


def create_veth(name: str, peer: str, mtu: int) -> None:
    """Make a pair of interfaces: what enters one comes out of the other. Raises: OSError."""
    details = _attribute(
        _IFLA_LINKINFO,
        _attribute(_IFLA_INFO_KIND, b"veth"),
        _attribute(_IFLA_INFO_DATA, _attribute(_VETH_INFO_PEER, _link(peer, mtu))),
    )
    _request(_RTM_NEWLINK, _NLM_F_CREATE | _NLM_F_EXCL, _link(name, mtu) + details)


def delete_link(name: str) -> None:
    """Remove an interface, and with it its peer. Raises: OSError."""
    _request(_RTM_DELLINK, 0, _ANY_LINK + _name(name))


def add_route(network: Network, gateway: Ipv4Address, name: str) -> None:
    """Have a network reached by a gateway on an interface, as `ip route add` does. Raises: OSError.

    The gateway may be the host itself: what the interface carries needs no neighbour then.
    """
    route = {
        "family": socket.AF_INET,
        "prefix_length": network.prefix_length,
        "source_prefix_length": 0,
        "tos": 0,
        "table": _RT_TABLE_MAIN,
        "protocol": _RTPROT_BOOT,
        "scope": _RT_SCOPE_UNIVERSE,
        "type": _RTN_UNICAST,
        "flags": 0,
    }
    attributes = (
        _attribute(_RTA_DST, network.prefix.to_bytes(4, "big")),
        _attribute(_RTA_GATEWAY, gateway.to_bytes(4, "big")),
        _attribute(_RTA_OIF, Int32un.build(socket.if_nametoindex(name))),
    )
    body = ROUTE.build(route) + b"".join(attributes)
    _request(_RTM_NEWROUTE, _NLM_F_CREATE | _NLM_F_EXCL, body)


def _link(name: str, mtu: int) -> bytes:
    return b"".join((_ANY_LINK, _name(name), _attribute(_IFLA_MTU, Int32un.build(mtu))))


def _name(name: str) -> bytes:
    return _attribute(_IFLA_IFNAME, name.encode() + b"\0")


def _attribute(kind: int, *values: bytes) -> bytes:
    return bytes(ATTRIBUTE.build({"type": kind, "value": b"".join(values)}))


def _request(kind: int, flags: int, body: bytes) -> None:
    """Ask the kernel, and wait for its word. Raises: OSError."""
    flags |= _NLM_F_REQUEST | _NLM_F_ACK
    message = {"type": kind, "flags": flags, "sequence": 1, "port": 0, "body": body}
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    ) as kernel:
        kernel.send(MESSAGE.build(message))
        answer = MESSAGE.parse(kernel.recv(_ANSWER_SIZE))
    # The kernel answers every request so, and a success with error 0.
    number = -Int32sn.parse(answer.body) if answer.type == _NLMSG_ERROR else errno.EPROTO
    if number:
        raise OSError(number, os.strerror(number))
