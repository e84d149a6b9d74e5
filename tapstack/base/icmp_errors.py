"""What an ICMP error means to a socket: its errno, and whether it is hard (RFC 1122 §4.2.3.9).

The table is Linux's (net/ipv4/icmp.c, icmp_err_convert): a soft error may pass by itself, and only
a hard one reaches a socket that did not ask for all of them.

Not done here: whether to believe the error (each transport checks what it quotes).
"""

import errno
from typing import NamedTuple

from tapstack.base.contracts import IcmpError

DESTINATION_UNREACHABLE = 3  # RFC 792
TIME_EXCEEDED = 11
PARAMETER_PROBLEM = 12
PORT_UNREACHABLE = 3
"""Code of 'destination unreachable' (RFC 1122 §4.1.3.1)."""
FRAGMENTATION_NEEDED = 4
"""Code of 'destination unreachable' (RFC 1191 §4)."""


class Meaning(NamedTuple):
    """What to tell the socket."""

    errno: int
    hard: bool


_UNREACHABLE = (  # by code (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1)
    Meaning(errno.ENETUNREACH, False),
    Meaning(errno.EHOSTUNREACH, False),
    Meaning(errno.ENOPROTOOPT, True),
    Meaning(errno.ECONNREFUSED, True),
    Meaning(errno.EMSGSIZE, False),  # fragmentation needed
    Meaning(errno.EOPNOTSUPP, False),  # source route failed
    Meaning(errno.ENETUNREACH, True),  # network unknown
    Meaning(errno.EHOSTDOWN, True),  # host unknown
    Meaning(errno.ENONET, True),  # host isolated
    Meaning(errno.ENETUNREACH, True),  # network prohibited
    Meaning(errno.EHOSTUNREACH, True),  # host prohibited
    Meaning(errno.ENETUNREACH, False),  # network, for this type of service
    Meaning(errno.EHOSTUNREACH, False),  # host, for this type of service
    Meaning(errno.EHOSTUNREACH, True),  # administratively prohibited
    Meaning(errno.EHOSTUNREACH, True),  # precedence violation
    Meaning(errno.EHOSTUNREACH, True),  # precedence cutoff
)
MAX_UNREACHABLE_CODE = len(_UNREACHABLE) - 1


def is_for_want_of_a_route(error: IcmpError) -> bool:
    """Tell whether a router on the way has none: 'network' or 'host unreachable'."""
    return error.type == DESTINATION_UNREACHABLE and error.code in (0, 1)


def meaning_of(error: IcmpError) -> Meaning:
    """Translate an error of type 3, 11 or 12."""
    if error.type == DESTINATION_UNREACHABLE:
        return _UNREACHABLE[error.code]
    if error.type == PARAMETER_PROBLEM:
        return Meaning(errno.EPROTO, True)
    return Meaning(errno.EHOSTUNREACH, False)
