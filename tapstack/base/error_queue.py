"""What a socket is told of beside its datagrams: errors, one by one (IP_RECVERR of ip(7)).

Not done here: what they mean, and to whom.
"""

from __future__ import annotations

from errno import ENOMSG
from typing import NamedTuple, Protocol

from tapstack.base.address import IPV4_ANY, Endpoint, Ipv4Address
from tapstack.base.contracts import Buffer, IcmpError
from tapstack.base.datagram_queue import DatagramQueue
from tapstack.base.units import Instant

# <linux/errqueue.h>: SO_EE_ORIGIN_LOCAL, _ICMP, _TIMESTAMPING, _ZEROCOPY
ORIGIN_LOCAL, ORIGIN_ICMP, ORIGIN_TIMESTAMPING, ORIGIN_ZEROCOPY = 1, 2, 4, 5
_COPIED = 1
"""SO_EE_CODE_ZEROCOPY_COPIED."""


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
    interface: str = ""
    """The name of where the payload left, which is a datagram with its headers then."""
    tells_statistics: bool = False
    """Whether the payload is how the connection stood then (SOF_TIMESTAMPING_OPT_STATS)."""

    def follows(self, other: QueuedError) -> bool:
        """Tell whether both are completions, and the other's numbers come before."""
        both = self.origin == other.origin == ORIGIN_ZEROCOPY
        return both and other.data + 1 == self.info


class ErrorQueue(DatagramQueue[QueuedError]):
    """A socket's queue of them."""

    __slots__ = ()

    def add(self, error: QueuedError) -> bool:
        """Append one, or tell that there is no room.

        The completion of calls that follow those of the last one joins it, as in Linux.
        """
        last = self.items[-1] if self.items else None
        if last is not None and error.follows(last):
            self.items[-1] = last._replace(data=error.data)
            return True
        return self.put(error, len(error.payload))

    def forget_errors(self) -> None:
        """Throw away all but what the user is told of what he sends."""
        kept = [
            each for each in self.items if each.origin in (ORIGIN_TIMESTAMPING, ORIGIN_ZEROCOPY)
        ]
        self.clear()
        for each in kept:
            self.add(each)


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


def completion(first: int, last: int, *, copied: bool) -> QueuedError:
    """Make what tells that the text of some calls, from number to number, is not needed any more.

    `copied` says that it was copied on its way out.
    """
    return QueuedError(0, ORIGIN_ZEROCOPY, code=_COPIED * copied, info=first, data=last)


def timestamp(
    moment: int,
    number: int,
    payload: bytes,
    at: Instant,
    interface: str = "",
    *,
    tells_statistics: bool = False,
) -> QueuedError:
    """Make what tells of the moment that what was sent has come to, by its number."""
    return QueuedError(
        ENOMSG,
        ORIGIN_TIMESTAMPING,
        info=moment,
        data=number,
        payload=payload,
        at=at,
        interface=interface,
        tells_statistics=tells_statistics,
    )


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
