"""What the express lane's ways in look at alike, of Ethernet's and IP's headers.

Not done here: reading them, which each does together with the headers above (`express.py`).
"""

from tapstack.base.address import MacAddress
from tapstack.base.checksum import is_checksum_right
from tapstack.eth.wire import ETHERTYPE_IPV4, HEADER_LENGTH as ETHERNET_LENGTH
from tapstack.ip.wire import FRAGMENT_MASK, HEADER_LENGTH as IP_LENGTH, PLAIN
from tapstack.tcp.options import TIMESTAMPS_LENGTH, USUAL_SYN_LENGTH
from tapstack.tcp.segment import SYN
from tapstack.tcp.wire import HEADER_LENGTH as TCP_LENGTH, PROTOCOL_TCP

TCP_START = ETHERNET_LENGTH + IP_LENGTH
PROTOCOL_AT = ETHERNET_LENGTH + 9  # RFC 791 §3.1
PLAIN_IPV4 = ETHERTYPE_IPV4 << 16 | PLAIN << 8
"""EtherType, version and header length, and type of service, if there is no mark (RFC 3168)."""
WAY_MASK = FRAGMENT_MASK << 16 | 0xFF
"""Of fragment, TTL and protocol: what tells a fragment, and the protocol."""
NO_DSCP = ~(0x3F << 2)
"""All of these but the DSCP (RFC 2474 §3)."""
SYN_ALONE = (TCP_LENGTH + USUAL_SYN_LENGTH) // 4 << 12 | SYN
"""The word with the length of TCP's header and its flags, of a SYN with the usual options."""
SYN_LONGER = USUAL_SYN_LENGTH - TIMESTAMPS_LENGTH
"""Octets that such a SYN has more than a segment with timestamps alone, and no text."""
FLAGS_AT = TCP_START + 13  # RFC 9293 §3.1
ONES = 0xFFFF
"""Sums of one's complement are remainders of this (RFC 1071)."""


def is_from_host_to(mac: MacAddress, addresses: bytes) -> bool:
    """Tell whether a frame's two link addresses say that another host sent it to us alone."""
    return addresses[:6] == mac and not addresses[6] & 1 and addresses[6:] != mac


def is_segment_intact(source: int, destination: int, octets: memoryview) -> bool:
    """Verify the checksum of the segment in a frame."""
    return is_checksum_right(source, destination, PROTOCOL_TCP, octets[TCP_START:])
