"""Sequence numbers: arithmetic modulo 2³² (RFC 9293 §3.4).

Two sequence numbers have an order only while they lie less than 2³¹ apart, as all that one
connection has in play do. Nowhere else in `tcp/` are sequence numbers added or compared.
"""

_MODULUS_MASK = 0xFFFFFFFF
_HALF = 0x80000000


def add(seq: int, octets: int) -> int:
    """Move a sequence number by some octets of sequence space; they may be negative."""
    return (seq + octets) & _MODULUS_MASK


def sub(seq: int, earlier: int) -> int:
    """Count the octets from `earlier` up to `seq`: 0 to 2³²−1."""
    return (seq - earlier) & _MODULUS_MASK


def lt(a: int, b: int) -> bool:
    """Tell whether `a` comes before `b`."""
    return ((a - b) & _HALF) != 0


def le(a: int, b: int) -> bool:
    """Tell whether `a` comes before `b`, or is `b`."""
    return ((b - a) & _HALF) == 0


def gt(a: int, b: int) -> bool:
    """Tell whether `a` comes after `b`."""
    return ((b - a) & _HALF) != 0


def ge(a: int, b: int) -> bool:
    """Tell whether `a` comes after `b`, or is `b`."""
    return ((a - b) & _HALF) == 0
