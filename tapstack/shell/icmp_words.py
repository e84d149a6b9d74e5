"""ICMP errors in the words of ping (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1).

Not done here: what they mean to a socket (`base/icmp_errors.py`).
"""

from tapstack.base.address import format_ipv4
from tapstack.base.icmp_errors import (
    DESTINATION_UNREACHABLE,
    PARAMETER_PROBLEM,
    TIME_EXCEEDED,
)
from tapstack.ip.icmp_wire import REDIRECT, SOURCE_QUENCH, Message

_UNREACHABLE = (
    "Destination Net Unreachable",
    "Destination Host Unreachable",
    "Destination Protocol Unreachable",
    "Destination Port Unreachable",
    "Frag needed and DF set (mtu = {mtu})",
    "Source Route Failed",
    "Destination Net Unknown",
    "Destination Host Unknown",
    "Source Host Isolated",
    "Destination Net Prohibited",
    "Destination Host Prohibited",
    "Destination Net Unreachable for Type of Service",
    "Destination Host Unreachable for Type of Service",
    "Packet filtered",
    "Precedence Violation",
    "Precedence Cutoff",
)
_REDIRECT = ("Network", "Host", "Type of Service and Network", "Type of Service and Host")
_TIME_EXCEEDED = ("Time to live exceeded", "Frag reassembly time exceeded")


def describe(message: Message) -> str:
    """Tell what an ICMP error says."""
    type_, code, rest, _ = message
    if type_ == DESTINATION_UNREACHABLE and code < len(_UNREACHABLE):
        return _UNREACHABLE[code].format(mtu=rest & 0xFFFF)
    if type_ == TIME_EXCEEDED and code < len(_TIME_EXCEEDED):
        return _TIME_EXCEEDED[code]
    if type_ == REDIRECT and code < len(_REDIRECT):
        return f"Redirect {_REDIRECT[code]}(New nexthop: {format_ipv4(rest)})"
    if type_ == PARAMETER_PROBLEM:
        return f"Parameter problem: pointer = {rest >> 24}"
    if type_ == SOURCE_QUENCH:
        return "Source Quench"
    return f"ICMP type {type_}, code {code}"
