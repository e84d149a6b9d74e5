"""The express lane's other track: plain datagrams of UDP, from the frame to the socket in one go.

As with segments (`express.py`), the layers are the truth: whatever is not plain, or is for nobody,
is left to them before anything has changed, and a property test holds both together.

Not done here: what becomes of a datagram (`udp/protocol.py`).
"""

from __future__ import annotations

from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tapstack.base.address import Endpoint
from tapstack.base.checksum import is_checksum_right
from tapstack.base.datagram_socket import Arrival, Origin
from tapstack.eth.wire import ETHERTYPE_IPV4, HEADER_LENGTH as ETHERNET_LENGTH
from tapstack.express_headers import ONES, PROTOCOL_AT, is_from_host_to
from tapstack.ip.wire import FRAGMENT_MASK, HEADER_LENGTH as IP_LENGTH, PLAIN
from tapstack.udp.wire import PROTOCOL_UDP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tapstack.base.contracts import Buffer, Frame
    from tapstack.base.units import Instant
    from tapstack.interface import NetworkInterface
    from tapstack.stack import Stack
    from tapstack.udp.sockets import UdpSocket

_ALL_HEADERS = Struct("!16sHH4sH12sHH")
"""Ethernet, IPv4 without options, UDP: in pieces what is mostly as it was before, else in words.

The pieces are the link addresses up to the type of service, fragmentation up to the protocol, and
addresses with ports. Words: total length, identification, checksum; length and checksum of UDP.
"""
_HEAD, _MIDDLE, _ENDS = Struct("!12sHBB"), Struct("!HBB"), Struct("!IIHH")
"""The same pieces once more."""
_LENGTH = _ALL_HEADERS.size
_UDP_START = ETHERNET_LENGTH + IP_LENGTH
_DATA = slice(_LENGTH, None)
_MOST_TRACKS = 256
"""Senders that a track is kept for: others can be made up, and must not cost memory."""
_arrival: Callable[[tuple[bytes, Origin, Instant]], Arrival] = partial(tuple.__new__, Arrival)
"""All that `Arrival(…)` does, without a call of Python's."""


class Track(NamedTuple):
    """What the datagrams of one sender to one of our sockets have in common."""

    interface: NetworkInterface
    head: bytes
    middle: bytes
    sum: int
    """Of the words of the IP header that are in the pieces."""
    origin: Origin
    socket: UdpSocket


class DatagramLane:
    """The way in for all UDP sockets of one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._raw_protocols = stack.ip.raw.by_protocol
        self._tracks: dict[bytes, Track] = {}
        stack.udp.on_change = stack.ip.on_address_added = self._tracks.clear

    def receive(self, interface: NetworkInterface, frames: Sequence[Frame], now: Instant) -> int:
        """Take frames, as far as they are plain datagrams for our sockets; tell how many."""
        octets = frames[0].parts[0]
        if len(octets) < _LENGTH or octets[PROTOCOL_AT] != PROTOCOL_UDP:
            return 0
        if self._stack.tracer.on or PROTOCOL_UDP in self._raw_protocols:
            return 0
        find_track, unpack, taken = self._tracks.get, _ALL_HEADERS.unpack_from, 0
        socket: UdpSocket | None = None
        data: list[bytes] = []
        arrivals: list[Arrival] = []
        for (octets,), offload in frames:
            size = len(octets)
            if size < _LENGTH:
                break
            head, total, number, middle, check, ends, length, checksum = unpack(octets)
            track = find_track(ends)
            if (
                track is None
                or track.head != head
                or track.middle != middle
                or track.interface is not interface
            ):
                track = self._lay_track(interface, head, middle, ends)
                if track is None:
                    break
            if (
                total != size - ETHERNET_LENGTH
                or length != size - _UDP_START
                or (track.sum + total + number + check) % ONES
            ):
                break
            if offload is not None:
                if offload.segment_size:
                    break
            elif checksum and not _is_right(track.origin, octets):
                break
            if track.socket is not socket:
                taken += self._hand_over(socket, interface, arrivals, data)
                socket, arrivals, data = track.socket, [], []
            data.append(own := bytes(octets[_DATA]))
            arrivals.append(_arrival((own, track.origin, now)))
        return taken + self._hand_over(socket, interface, arrivals, data)

    def _hand_over(
        self,
        socket: UdpSocket | None,
        interface: NetworkInterface,
        arrivals: list[Arrival],
        data: list[bytes],
    ) -> int:
        """Give a socket what came for it, with the same data once more; tell how many they are."""
        if socket is None:
            return 0
        count, lengths = len(data), list(map(len, data))
        interface.count_plain(sum(lengths) + _LENGTH * count, count)
        self._stack.udp.take_all(socket, arrivals, lengths)
        return count

    def _lay_track(
        self, interface: NetworkInterface, head: bytes, middle: bytes, ends: bytes
    ) -> Track | None:
        """Find whose the datagrams with these headers are, and keep it for the next one.

        None: they are not plain, or nobody's.
        """
        (addresses, ethertype, first, tos), (fragment, ttl, protocol) = (
            _HEAD.unpack(head),
            _MIDDLE.unpack(middle),
        )
        source, destination, port, our_port = _ENDS.unpack(ends)
        stack, tracks = self._stack, self._tracks
        if (
            protocol != PROTOCOL_UDP
            or first != PLAIN
            or tos & 3
            or fragment & FRAGMENT_MASK
            or ethertype != ETHERTYPE_IPV4
            or not is_from_host_to(interface.mac, addresses)
            or not stack.ip.is_local(destination)
            or stack.ip.is_martian(source, destination, interface)
        ):
            return None
        origin = Origin(Endpoint(source, port), destination, ttl, tos, interface.name)
        socket = stack.udp.receiver(origin, our_port)
        if socket is None:
            return None
        words = (PLAIN << 8) + tos + fragment + (ttl << 8) + PROTOCOL_UDP + source + destination
        track = Track(interface, head, middle, words, origin, socket)
        if stack.udp.is_alone(socket):
            if len(tracks) >= _MOST_TRACKS:
                tracks.clear()
            tracks[ends] = track
        return track


def _is_right(origin: Origin, octets: Buffer) -> bool:
    source, destination = origin.source.address, origin.destination
    return is_checksum_right(source, destination, PROTOCOL_UDP, memoryview(octets)[_UDP_START:])
