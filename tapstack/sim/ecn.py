"""Marking instead of dropping: the Congestion Experienced codepoint (RFC 3168 §5).

Not done here: deciding when (`queues.py`).
"""

from tapstack.base.errors import MalformedPacket
from tapstack.device.parcel import Parcel
from tapstack.eth import wire as eth
from tapstack.ip import wire as ip

NOT_ECT = 0b00
CE = 0b11
_ECN_MASK = 0b11


def mark(parcel: Parcel) -> Parcel | None:
    """Give a frame with the CE codepoint set; None for one whose sender does not want that.

    RFC 3168 §5: only "if the ECT codepoint is set in the packet's IP header".
    """
    octets = parcel.octets
    try:
        if eth.parse(octets).ethertype != eth.ETHERTYPE_IPV4:
            return None
        header = ip.parse(octets[eth.HEADER_LENGTH :])
    except MalformedPacket:
        return None
    if header.tos & _ECN_MASK == NOT_ECT:
        return None
    marked = ip.build(header._replace(tos=header.tos | CE))
    rest = octets[eth.HEADER_LENGTH + header.length :]
    return parcel._replace(octets=octets[: eth.HEADER_LENGTH] + marked + rest)
