"""SCM_TIMESTAMPING_OPT_STATS: netlink attributes by the numbers of TCP_NLA_… (<linux/tcp.h>).

In the machine's byte order.

Not done here: the values (`timestamp_statistics.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from construct import Aligned, Construct, Int8un, Int16un, Int32un, Int64un, Prefixed, Struct


def _attribute(shape: Construct) -> Construct:
    """Declare an attribute: its length, its number, its value, and padding to four octets."""
    return Aligned(
        4, Prefixed(Int16un, Struct("number" / Int16un, "value" / shape), includelength=True)
    )


_WIDE, _WORD = _attribute(Int64un), _attribute(Int32un)
_HALF, _OCTET = _attribute(Int16un), _attribute(Int8un)

_ATTRIBUTES = (
    ("busy_time", 1, _WIDE),
    ("rwnd_limited", 2, _WIDE),
    ("sndbuf_limited", 3, _WIDE),
    ("data_segs_out", 4, _WIDE),
    ("total_retrans", 5, _WIDE),
    ("pacing_rate", 6, _WIDE),
    ("delivery_rate", 7, _WIDE),
    ("snd_cwnd", 8, _WORD),
    ("reordering", 9, _WORD),
    ("min_rtt", 10, _WORD),
    ("retransmits", 11, _OCTET),
    ("app_limited", 12, _OCTET),
    ("snd_ssthresh", 15, _WORD),
    ("delivered", 16, _WORD),
    ("delivered_ce", 17, _WORD),
    ("queued", 13, _WORD),
    ("ca_state", 14, _OCTET),
    ("bytes_sent", 18, _WIDE),
    ("bytes_retrans", 19, _WIDE),
    ("dsack_dups", 20, _WORD),
    ("reord_seen", 21, _WORD),
    ("rtt", 22, _WORD),
    ("rehash", 23, _HALF),
    ("notsent_bytes", 24, _WORD),
    ("departure", 25, _WIDE),
    ("ttl", 26, _OCTET),
    ("moved", 27, _WORD),
)
"""What is told, in Linux's order."""


def build(values: Mapping[str, int]) -> bytes:
    """Lay out those that there are."""
    return b"".join(
        shape.build({"number": number, "value": values[name]})
        for name, number, shape in _ATTRIBUTES
        if name in values
    )
