"""The options of an IPv4 header: are they well formed, which go with every fragment (RFC 791 §3.1).

Not done here: acting on any. Source routes are refused, as Linux refuses them; a recorded route or
timestamp passes through us as it is.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tapstack.base.contracts import Buffer
from tapstack.ip.wire import HEADER_LENGTH

END = 0  # RFC 791 §3.1: the two options of a single octet
NO_OPERATION = 1
RECORD_ROUTE = 7
TIMESTAMP = 68
LOOSE_SOURCE_ROUTE = 131
STRICT_SOURCE_ROUTE = 137

_COPIED = 0x80  # "the copied flag indicates that this option is copied into all fragments"
_FIRST_POINTER = {  # the smallest value that each option's pointer may have
    RECORD_ROUTE: 4,
    LOOSE_SOURCE_ROUTE: 4,
    STRICT_SOURCE_ROUTE: 4,
    TIMESTAMP: 5,
}


class Options(NamedTuple):
    """What one walk over the options finds."""

    error: int | None
    """Where the header is malformed, in octets from its first: an ICMP pointer (RFC 792)."""
    source_route: bool
    """Whether the sender asks for a source route."""
    copied: bytes
    """What the second and later fragments carry, padded to a multiple of 4 octets."""


def walk(options: Buffer) -> Options:
    """Go through all options, up to the first that is malformed."""
    copied = b""
    source_route = False
    for offset, kind, option in _split(options):
        error = _find_error(kind, option)
        if error is not None:
            return Options(HEADER_LENGTH + offset + error, source_route, b"")
        source_route |= kind in (LOOSE_SOURCE_ROUTE, STRICT_SOURCE_ROUTE)
        if kind & _COPIED:
            copied += option
    return Options(None, source_route, copied + bytes(-len(copied) % 4))


def _split(options: Buffer) -> Iterator[tuple[int, int, bytes]]:
    """Give (offset, kind, octets) of each option; the octets end where the header does."""
    offset = 0
    while offset < len(options) and options[offset] != END:
        kind = options[offset]
        length = 1
        if kind != NO_OPERATION:
            # A length that lets the walk stand still is an error, which ends it.
            length = max(options[offset + 1], 1) if offset + 1 < len(options) else 1
            yield offset, kind, bytes(options[offset : offset + length])
        offset += length


def _find_error(kind: int, option: bytes) -> int | None:
    """Tell where an option is malformed, in octets from its first, or None."""
    if len(option) < 2 or option[1] != len(option):
        return 0
    smallest = _FIRST_POINTER.get(kind)
    if smallest is None:
        return None
    if len(option) < 3:
        return 1
    return 2 if option[2] < smallest else None
