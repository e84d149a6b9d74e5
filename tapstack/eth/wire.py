"""The Ethernet II header (RFC 894, IEEE 802.3 §3.2).

Not done here: preamble and frame check sequence, which the device keeps to itself.
"""

from typing import NamedTuple

from construct import Bytes, Int16ub, Struct

from tapstack.base.address import MacAddress
from tapstack.base.codec import HeaderCodec
from tapstack.base.contracts import Buffer
from tapstack.base.errors import Drop, MalformedPacket

ETHERTYPE_IPV4 = 0x0800  # RFC 894
ETHERTYPE_ARP = 0x0806  # RFC 826
ETHERTYPE_VLAN = 0x8100  # IEEE 802.1Q §9.6
ETHERTYPE_IPV6 = 0x86DD  # RFC 2464
ETHERTYPE_QINQ = 0x88A8  # IEEE 802.1ad
MIN_ETHERTYPE = 0x0600  # IEEE 802.3 §3.2.6

_TYPE_NAMES = {
    ETHERTYPE_IPV4: "IPv4",
    ETHERTYPE_ARP: "ARP",
    ETHERTYPE_VLAN: "802.1Q",
    ETHERTYPE_QINQ: "802.1ad",
    ETHERTYPE_IPV6: "IPv6",
}

ETHERNET_HEADER = Struct(
    "destination" / Bytes(6),
    "source" / Bytes(6),
    "ethertype" / Int16ub,
)
CODEC = HeaderCodec(ETHERNET_HEADER)
HEADER_LENGTH = CODEC.size


class EthernetHeader(NamedTuple):
    """The addresses of a frame, and the protocol of its payload."""

    destination: MacAddress
    source: MacAddress
    ethertype: int


def parse(octets: Buffer) -> EthernetHeader:
    """Read a frame's header. Raises: MalformedPacket when the frame is shorter."""
    if len(octets) < HEADER_LENGTH:
        raise MalformedPacket(Drop.ETH_TRUNCATED)
    return EthernetHeader._make(CODEC.unpack_from(octets))


def build(header: EthernetHeader) -> bytes:
    """Lay out a header as on the wire."""
    return CODEC.pack(*header)


def type_name(ethertype: int) -> str:
    """Name a type as tcpdump does; below 0x0600 it is a length (IEEE 802.3 §3.2.6)."""
    if ethertype < MIN_ETHERTYPE:
        return "802.3"
    return _TYPE_NAMES.get(ethertype, "Unknown")
