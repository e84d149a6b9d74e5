"""The ARP packet, for IPv4 addresses on Ethernet (RFC 826).

Not done here: other hardware and other protocols; the rules of who is believed (`protocol.py`).
"""

from typing import NamedTuple

from construct import Bytes, Int8ub, Int16ub, Int32ub, Struct

from tapstack.base.address import (
    IPV4_ANY,
    MAC_ZERO,
    Ipv4Address,
    MacAddress,
    format_ipv4,
    format_mac,
)
from tapstack.base.codec import HeaderCodec
from tapstack.base.contracts import Buffer
from tapstack.base.errors import Drop, MalformedPacket

ETHERTYPE_ARP = 0x0806
"""RFC 826: ether_type$ADDRESS_RESOLUTION."""
HARDWARE_ETHERNET = 1
"""RFC 826: ares_hrd$Ethernet."""
PROTOCOL_IPV4 = 0x0800
"""RFC 826: "from the set of type fields ether_typ$<protocol>", so that it is an EtherType too."""
REQUEST = 1
"""RFC 826: ares_op$REQUEST."""
REPLY = 2
"""RFC 826: ares_op$REPLY."""

ARP_PACKET = Struct(
    "hardware_type" / Int16ub,
    "protocol_type" / Int16ub,
    "hardware_length" / Int8ub,
    "protocol_length" / Int8ub,
    "operation" / Int16ub,
    "sender_mac" / Bytes(6),
    "sender_ip" / Int32ub,
    "target_mac" / Bytes(6),
    "target_ip" / Int32ub,
)
CODEC = HeaderCodec(ARP_PACKET)
LENGTH = CODEC.size

_FORMAT = (HARDWARE_ETHERNET, PROTOCOL_IPV4, 6, 4)
"""What the first four fields hold: both types, both lengths of an address in octets."""


class ArpPacket(NamedTuple):
    """An ARP packet about IPv4 on Ethernet: the RFC's ar$op, ar$sha, ar$spa, ar$tha, ar$tpa."""

    operation: int
    """REQUEST or REPLY."""
    sender_mac: MacAddress
    sender_ip: Ipv4Address
    target_mac: MacAddress
    """Unknown, and by custom zero, in a request."""
    target_ip: Ipv4Address

    @property
    def is_probe(self) -> bool:
        """Whether it asks if anyone has an address, for one that has none yet (RFC 5227 §1.1)."""
        return self.operation == REQUEST and self.sender_ip == IPV4_ANY

    @property
    def is_gratuitous(self) -> bool:
        """Whether it tells of its sender what nobody asked: an announcement (RFC 5227 §1.1)."""
        return self.sender_ip == self.target_ip

    def __str__(self) -> str:
        """Render as tcpdump does: `Request who-has 10.0.0.1 tell 10.0.0.2, length 28`."""
        sender, target = format_ipv4(self.sender_ip), format_ipv4(self.target_ip)
        if self.operation == REPLY:
            words = f"Reply {sender} is-at {format_mac(self.sender_mac)}"
        elif self.is_probe:
            words = f"Probe {target}"
        elif self.is_gratuitous:
            words = f"Announcement {target}"
        else:
            words = f"Request who-has {target}{self._known_target()} tell {sender}"
        return f"{words}, length {LENGTH}"

    def _known_target(self) -> str:
        return "" if self.target_mac == MAC_ZERO else f" ({format_mac(self.target_mac)})"


def parse(octets: Buffer) -> ArpPacket:
    """Read a packet, padding behind it ignored.

    Raises: MalformedPacket when it is shorter, of other address types, or no request and no reply.
    """
    if len(octets) < LENGTH:
        raise MalformedPacket(Drop.ARP_TRUNCATED)
    words = CODEC.unpack_from(octets)
    # RFC 826, Packet Reception: the hardware type, the protocol type and their lengths come first.
    if words[:4] != _FORMAT:
        raise MalformedPacket(Drop.ARP_BAD_FORMAT)
    packet = ArpPacket._make(words[4:])
    # Deviation: RFC 826 looks at the opcode only once the sender is learnt. Linux drops an unknown
    # one before, and so learns nothing from a packet that it does not understand.
    if packet.operation not in (REQUEST, REPLY):
        raise MalformedPacket(Drop.ARP_BAD_OPERATION)
    return packet


def build(packet: ArpPacket) -> bytes:
    """Lay out a packet as on the wire."""
    return CODEC.pack(*_FORMAT, *packet)
