"""Cutting a datagram to fit a link (RFC 791 §3.2).

Not done here: whether it may be cut (`protocol.py`, `forwarding.py`).
"""

from collections.abc import Iterator

from tapstack.base.contracts import Buffer
from tapstack.base.counters import Counters
from tapstack.base.units import Instant
from tapstack.ip.options import walk
from tapstack.ip.paths import Hop
from tapstack.ip.wire import MORE_FRAGMENTS, Header, build


def fragments(header: Header, payload: Buffer, mtu: int) -> Iterator[list[Buffer]]:
    """Give the fragments, first to last, as header and a view of the payload; none is over `mtu`.

    A fragment can be cut again: offsets go on from its own, and only the last piece of a last
    fragment is without MORE_FRAGMENTS.
    """
    payload = memoryview(payload)
    offset = 0
    while offset < len(payload):
        room = (mtu - header.length) & ~7  # octets: RFC 791 §3.2 has them as NFB, in words of 8
        if len(payload) - offset <= mtu - header.length:
            room = len(payload) - offset
        piece = payload[offset : offset + room]
        more = offset + len(piece) < len(payload)
        fragment = header._replace(
            total_length=header.length + len(piece),
            flags=header.flags | MORE_FRAGMENTS if more else header.flags,
            fragment_offset=header.fragment_offset + offset,
        )
        yield [build(fragment), piece]
        offset += len(piece)
        if header.options:
            header = header._replace(options=walk(header.options).copied)


def send_fragments(
    hop: Hop, header: Header, payload: Buffer, mtu: int, counters: Counters, now: Instant
) -> None:
    """Send a datagram in fragments of at most `mtu` octets."""
    for parts in fragments(header, payload, mtu):
        counters["IpFragCreates"] += 1
        hop.interface.send_datagram(hop.next_hop, parts, None, now)
    counters["IpFragOKs"] += 1
