"""What a socket is told of beside its datagrams: errors, one by one (IP_RECVERR of ip(7)).

Not done here: what they mean, and to whom.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from tapstack.base.address import IPV4_ANY, Endpoint, Ipv4Address
from tapstack.base.contracts import Buffer, IcmpError
from tapstack.base.datagram_queue import DatagramQueue
from tapstack.base.units import Instant

# <linux/errqueue.h>: SO_EE_ORIGIN_LOCAL, _ICMP, _TIMESTAMPING
ORIGIN_LOCAL, ORIGIN_ICMP, ORIGIN_TIMESTAMPING = 1, 2, 4


class QueuedError(NamedTuple):
    """One of them: `struct sock_extended_err`, and what comes with it."""

    errno: int
    origin: int
    type: int = 0
    """Of the ICMP message; so is the code."""
    code: int = 0
    info: int = 0
    """The MTU that would have done."""
    data: int = 0
    destination: Endpoint | None = None
    """Where what met the error was to go."""
    offender: Ipv4Address = IPV4_ANY
    """Who reported it."""
    payload: bytes = b""
    """What met the error, as far as it is known."""
    at: Instant | None = None
    """When it happened, if somebody asked for that."""


class ErrorQueue(DatagramQueue[QueuedError]):
    """A socket's queue of them."""

    __slots__ = ()


class Owner(Protocol):
    """Who has such a queue, and an error that is pending."""

    error: int
    errors: ErrorQueue | None


def take_next(owner: Owner) -> QueuedError | None:
    """Take the next error from a queue; None: there is none.

    As in Linux, the pending error is that of the one behind it from then on.
    """
    if owner.errors is None:
        return None
    taken = owner.errors.take()
    following = owner.errors.take(peek=True)
    if following is not None and following.origin == ORIGIN_ICMP:
        owner.error = following.errno
    elif taken is not None and taken.origin == ORIGIN_ICMP:
        owner.error = 0
    return taken


def from_icmp(error: IcmpError, number: int, port: int, payload: Buffer) -> QueuedError:
    """Make one of an ICMP error: what met it was for a port, and had that payload."""
    return QueuedError(
        number,
        ORIGIN_ICMP,
        error.type,
        error.code,
        info=error.mtu,
        destination=Endpoint(error.destination, port),
        offender=error.reporter,
        payload=bytes(payload),
    )
