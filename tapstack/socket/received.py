"""What comes with what is received: control data (cmsg(3), ip(7)), and queued errors.

Not done here: which of it a socket asked for (`ip_options.py`, `timestamping.py`).
"""

from __future__ import annotations

import socket as constants
from collections.abc import Iterable
from errno import EAGAIN

from tapstack.base.address import Endpoint, Ipv4Address
from tapstack.base.contracts import ERROR
from tapstack.base.datagram_socket import Arrival, Origin
from tapstack.base.error_queue import ORIGIN_ICMP, Owner, QueuedError, take_next
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.ip.wire import parse_quoted
from tapstack.socket import structs
from tapstack.socket.contract import Message
from tapstack.socket.flags import MSG_ERRQUEUE, MSG_TRUNC
from tapstack.socket.ip_options import IP, IP_PKTINFO, IP_RECVERR
from tapstack.socket.kept_options import Kept
from tapstack.socket.scattered import Item
from tapstack.socket.timestamping import OPT_CMSG, SCM_TIMESTAMPING_OPT_STATS
from tapstack.socket.udp_options import SOL_UDP, UDP_GRO
from tapstack.stack import Stack


def control_of(arrival: Arrival, kept: Kept, stack: Stack) -> tuple[Item, ...]:
    """Tell of a datagram what its receiver asked for, in Linux's order."""
    origin = arrival.origin
    if not kept.tells_of_datagrams and not origin.segment_size:
        return ()
    items = kept.timestamping.tell(arrival.at + stack.epoch)
    if origin.segment_size:
        items.append((SOL_UDP, UDP_GRO, structs.INT.pack(origin.segment_size)))
    if kept.tells_of_headers:
        items += _of_header(origin, _our_address(origin, stack), kept, stack)
    return tuple(items)


def _of_header(origin: Origin, ours: Ipv4Address, kept: Kept, stack: Stack) -> Iterable[Item]:
    """Tell of an IP header what was asked for, in Linux's order."""
    if kept.pktinfo:
        yield IP, IP_PKTINFO, _packet_info(origin, ours, stack)
    if kept.recvttl:
        yield IP, constants.IP_TTL, structs.INT.pack(origin.ttl)
    if kept.recvtos:
        yield IP, constants.IP_TOS, bytes([origin.tos])


def _our_address(origin: Origin, stack: Stack) -> Ipv4Address:
    """Give the address that something was received by."""
    if stack.ip.is_local(origin.destination):
        return origin.destination
    return stack.interfaces[origin.interface].networks[0].address


def _packet_info(origin: Origin, ours: Ipv4Address, stack: Stack) -> bytes:
    """Make struct in_pktinfo: the interface's index, our address, and the header's."""
    destination = origin.destination
    index = 1 + list(stack.interfaces).index(origin.interface)
    return structs.INT.pack(index) + ours.to_bytes(4, "big") + destination.to_bytes(4, "big")


def take_error_message(
    owner: Owner | None, size: int, kept: Kept, stack: Stack, now: Instant
) -> Message:
    """Take an error from a queue, as recvmsg(2) does with MSG_ERRQUEUE.

    As in Linux, the one behind it is news once more: an edge, for who waits for edges.

    Raises: OSError with EAGAIN when there is none.
    """
    error = take_next(owner) if owner else None
    if error is None:
        raise os_error(EAGAIN)
    if owner and owner.errors:
        stack.report(owner, ERROR)
    flags = MSG_ERRQUEUE | (MSG_TRUNC if size < len(error.payload) else 0)
    control = tuple(_control_of_error(error, kept, stack, now))
    return Message(error.payload[:size], error.destination, flags, control)


def _control_of_error(error: QueuedError, kept: Kept, stack: Stack, now: Instant) -> Iterable[Item]:
    timestamping = kept.timestamping
    at = error.at if error.origin != ORIGIN_ICMP or timestamping.is_of_arrivals else None
    if at is not None or timestamping.unit:
        # As Linux: where nobody took the time when it happened, it is when the user hears of it.
        times = timestamping.tell_of_error((now if at is None else at) + stack.epoch)
        yield from times
        if error.tells_statistics and times:
            yield constants.SOL_SOCKET, SCM_TIMESTAMPING_OPT_STATS, error.payload
    told = structs.EXTENDED_ERROR.pack(
        error.errno, error.origin, error.type, error.code, error.info, error.data
    )
    family, offender = 0, 0
    if error.origin == ORIGIN_ICMP:
        family, offender = constants.AF_INET, error.offender
    elif error.interface and timestamping.flags & OPT_CMSG:
        sent = _origin_of(error.payload, error.interface)
        family, offender = constants.AF_INET, sent.source.address
        yield from _of_header(sent, offender, kept, stack)
    address = structs.SOCKADDR_IN.pack(family, bytes(2), offender.to_bytes(4, "big"))
    yield IP, IP_RECVERR, told + address


def _origin_of(octets: bytes, interface: str) -> Origin:
    """Read the header of what was sent."""
    header = parse_quoted(octets)
    source = Endpoint(header.source, 0)
    return Origin(source, header.destination, header.ttl, header.tos, interface)
