"""Options of the UDP level (udp(7)): units, each of which stands for many datagrams.

Not done here: what they do (`udp/protocol.py`).
"""

from __future__ import annotations

import socket as constants

from tapstack.socket import options
from tapstack.socket.options import Table

SOL_UDP = constants.IPPROTO_UDP
UDP_CORK, UDP_SEGMENT, UDP_GRO = 1, 103, 104  # <linux/udp.h>

UDP_OPTIONS: Table = {
    (SOL_UDP, UDP_SEGMENT): options.integer("segment_size", 0, 65_535),
    (SOL_UDP, UDP_GRO): options.flag("takes_units"),
}
