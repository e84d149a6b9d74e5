"""Sequence numbers: arithmetic modulo 2³² (RFC 9293 §3.4).

Two sequence numbers have an order only while they lie less than 2³¹ apart, as all that one
connection has in play do. Nowhere else in `tcp/` are sequence numbers added or compared, but on the
ways that most segments take: in place, with MASK and HALF, as calls are what costs there.
"""

MASK = 0xFFFFFFFF
"""What of a sum or a difference is a sequence number: `(a + n) & MASK`."""
HALF = 1 << 31
"""`b` comes before `a`, or is `a`, where `(a - b) & MASK < HALF`, and only there."""


def add(seq: int, octets: int) -> int:
    """Move a sequence number by some octets of sequence space; they may be negative."""
    return (seq + octets) & MASK


def sub(seq: int, earlier: int) -> int:
    """Count the octets from `earlier` up to `seq`: 0 to 2³²−1."""
    return (seq - earlier) & MASK


def lt(a: int, b: int) -> bool:
    """Tell whether `a` comes before `b`."""
    return ((a - b) & HALF) != 0


def le(a: int, b: int) -> bool:
    """Tell whether `a` comes before `b`, or is `b`."""
    return ((b - a) & HALF) == 0


def gt(a: int, b: int) -> bool:
    """Tell whether `a` comes after `b`."""
    return ((b - a) & HALF) != 0


def ge(a: int, b: int) -> bool:
    """Tell whether `a` comes after `b`, or is `b`."""
    return ((a - b) & HALF) == 0
