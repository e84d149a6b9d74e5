"""What scripts say of IPv6's sockets whose peers are IPv4's, said of IPv4's own.

With `--ip_version=ipv4_mapped_ipv6` such sockets are meant (RFC 4291 §2.5.5.2), and what is on the
wire is IPv4. So are the sockets here: the names of IPv6's levels, options and control messages mean
those of IPv4 that say the same.

Not done here: addresses of IPv6 that are written out.
"""

from __future__ import annotations

from tapstack.drill.language.syntax import (
    Applied,
    Either,
    Expression,
    Field,
    Items,
    SystemCall,
    UnsupportedError,
    Word,
)

_OF_IPV4 = {
    "AF_INET6": "AF_INET",
    "PF_INET6": "PF_INET",
    "SOL_IPV6": "SOL_IP",
    "IPPROTO_IPV6": "IPPROTO_IP",
    "IPV6_RECVERR": "IP_RECVERR",
    "IPV6_TCLASS": "IP_TOS",
    "IPV6_RECVTCLASS": "IP_RECVTOS",
    "IPV6_UNICAST_HOPS": "IP_TTL",
    "IPV6_HOPLIMIT": "IP_TTL",
    "IPV6_RECVHOPLIMIT": "IP_RECVTTL",
    "IPV6_MTU": "IP_MTU",
    "IPV6_MTU_DISCOVER": "IP_MTU_DISCOVER",
}


def as_of_ipv4(call: SystemCall) -> SystemCall:
    """Give a call with IPv4's names. Raises: UnsupportedError for what IPv4 has not."""
    return call._replace(arguments=tuple(map(_translated, call.arguments)))


def _translated(expression: Expression) -> Expression:
    match expression:
        case Word(name=name):
            if name.startswith("IPV6_") and name not in _OF_IPV4:
                raise UnsupportedError(name, expression.position)
            return expression._replace(name=_OF_IPV4.get(name, name))
        case Either(terms=terms):
            return expression._replace(terms=tuple(map(_translated, terms)))
        case Items(items=items):
            return expression._replace(items=tuple(map(_translated, items)))
        case Applied(arguments=arguments):
            return expression._replace(arguments=tuple(map(_translated, arguments)))
        case Field(name=name, value=value) if name != "sa_family":
            return expression._replace(value=_translated(value))
        case _:
            return expression
