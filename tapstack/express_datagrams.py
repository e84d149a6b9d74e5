"""The express lane's other track: plain datagrams of UDP, from the frame to the socket in one go.

As with segments (`express.py`), the layers are the truth: whatever is not plain, or is for nobody,
is left to them before anything has changed, and a property test holds both together.

Not done here: what becomes of a datagram (`udp/protocol.py`).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from tapstack.base.address import Endpoint
from tapstack.base.checksum import is_checksum_right
from tapstack.base.datagram_socket import Arrival
from tapstack.eth.wire import ETHERTYPE_IPV4, HEADER_LENGTH as ETHERNET_LENGTH
from tapstack.express import PROTOCOL_AT, count_taken, is_from_host_to
from tapstack.ip.wire import FRAGMENT_MASK, HEADER_LENGTH as IP_LENGTH, PLAIN
from tapstack.udp.wire import PROTOCOL_UDP

if TYPE_CHECKING:
    from tapstack.base.contracts import Frame
    from tapstack.base.units import Instant
    from tapstack.interface import NetworkInterface
    from tapstack.stack import Stack

_ALL_HEADERS = Struct("!12sH BBHHHBBHII HHHH")
"""Ethernet, IPv4 without options, UDP."""
_LENGTH = _ALL_HEADERS.size
_UDP_START = ETHERNET_LENGTH + IP_LENGTH
_ONES = 0xFFFF


class DatagramLane:
    """The way in for all UDP sockets of one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._raw_protocols = stack.ip.raw.by_protocol

    def receive(self, interface: NetworkInterface, frame: Frame, now: Instant) -> bool:
        """Take a frame if it is a plain datagram for one of our sockets; False: decline."""
        octets, stack = frame.parts[0], self._stack
        if len(octets) < _LENGTH or octets[PROTOCOL_AT] != PROTOCOL_UDP or stack.tracer.on:
            return False
        (
            addresses, ethertype,
            first, tos, total_length, number, fragment, ttl, _, check, source, destination,
            port, our_port, length, checksum,
        ) = _ALL_HEADERS.unpack_from(octets)  # fmt: skip
        if (
            first != PLAIN
            or tos & 3
            or fragment & FRAGMENT_MASK
            or ethertype != ETHERTYPE_IPV4
            or total_length != len(octets) - ETHERNET_LENGTH
            or length != total_length - IP_LENGTH
        ):
            return False
        if not is_from_host_to(interface.mac, addresses):
            return False
        total = (PLAIN << 8) + tos + total_length + number + fragment + (ttl << 8) + PROTOCOL_UDP
        if (total + check + source + destination) % _ONES or PROTOCOL_UDP in self._raw_protocols:
            return False
        if not stack.ip.is_local(destination) or stack.ip.is_martian(
            source, destination, interface
        ):
            return False
        offload = frame.offload
        if (
            checksum
            and offload is None
            and not is_checksum_right(
                source, destination, PROTOCOL_UDP, memoryview(octets)[_UDP_START:]
            )
        ):
            return False
        data, remote = bytes(octets[_LENGTH:]), Endpoint(source, port)
        size = offload.segment_size if offload else 0
        name = interface.name
        arrival = Arrival(data, remote, destination, ttl, tos, name, now, size)
        if not stack.udp.take(arrival, our_port):
            return False
        count_taken(stack, interface, len(octets))
        return True
