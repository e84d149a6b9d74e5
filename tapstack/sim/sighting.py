"""What is seen at the ends of a link: each frame as it leaves a host, and as it arrives.

Not done here: capture files (`link.py` writes them).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from tapstack.base.address import Endpoint, format_ipv4
from tapstack.base.contracts import Offload
from tapstack.base.errors import MalformedPacket
from tapstack.base.units import Instant, format_seconds
from tapstack.eth import wire as eth
from tapstack.ip import wire as ip
from tapstack.tcp import wire as tcp
from tapstack.tcp.segment import Segment


class Direction(Enum):
    """Which way a frame goes, as seen from a host."""

    OUT = ">"
    IN = "<"


class Sighting(NamedTuple):
    """A frame, seen at one end of a link."""

    time: Instant
    host: str
    """The name of the host that it was seen at."""
    direction: Direction
    octets: bytes
    """From the Ethernet header on."""
    offload: Offload | None
    """What of it is yet to be done, on a link with offload."""

    @property
    def datagram(self) -> ip.Header | None:
        """The IP header; None for what is no IP datagram."""
        try:
            if eth.parse(self.octets).ethertype != eth.ETHERTYPE_IPV4:
                return None
            return ip.parse(self.octets[eth.HEADER_LENGTH :])
        except MalformedPacket:
            return None

    @property
    def segment(self) -> Segment | None:
        """The TCP segment; None for what is none, or no whole one."""
        header = self.datagram
        if header is None or header.protocol != tcp.PROTOCOL_TCP or header.fragment_offset:
            return None
        start, end = eth.HEADER_LENGTH + header.length, eth.HEADER_LENGTH + header.total_length
        try:
            return tcp.parse(self.octets[start:end])
        except MalformedPacket:
            return None

    def __str__(self) -> str:
        """Render in one line, with the time in seconds."""
        kind = eth.type_name(eth.parse(self.octets).ethertype)
        what = f"{kind}, {len(self.octets)} octets"
        header, segment = self.datagram, self.segment
        if header is not None and segment is not None:
            source = Endpoint(header.source, segment.source_port)
            what = f"{source} > {Endpoint(header.destination, segment.destination_port)}: {segment}"
        elif header is not None:
            what = f"{format_ipv4(header.source)} > {format_ipv4(header.destination)}: "
            what += f"protocol {header.protocol}"
        return f"{format_seconds(self.time)} {self.host} {self.direction.value} {what}"
