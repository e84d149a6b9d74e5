"""The Internet checksum (RFC 1071), fast in Python: one big integer, reduced modulo 2¹⁶−1.

A sum of 16-bit words in ones' complement arithmetic is the big-endian number that the octets
spell, modulo 65535. Folding the number in halves first makes the division cheap.

Not done here: where a checksum lies in a header (each protocol's own file knows).
"""

from tapstack.base.contracts import Buffer, Offload

_FOLD_BITS = 4096
ALL_ONES = 0xFFFF
"""What a checksum of 0 is sent as: in UDP that is none (RFC 768), for TCP the two mean the same."""


def ones_complement_sum(data: Buffer, initial: int = 0) -> int:
    """Sum the 16-bit words of `data` onto `initial`, folded to 16 bits; an odd last octet is high.

    A sum over any nonzero octets is never 0: ones' complement has two zeros, and this is 0xFFFF.
    """
    number = int.from_bytes(data, "big")
    if len(data) & 1:
        number <<= 8
    bits = len(data) * 8
    while bits > _FOLD_BITS:
        # Halves cut on a word boundary keep the residue: 2^(16k) is 1 modulo 65535.
        bits = (bits // 2 + 15) & ~15
        number = (number >> bits) + (number & ((1 << bits) - 1))
        bits += 16
    total = number + initial
    return total % ALL_ONES or (ALL_ONES if total else 0)


def checksum(data: Buffer, initial: int = 0) -> int:
    """Compute the checksum field's value: the complement of the sum (RFC 1071 §1)."""
    return ~ones_complement_sum(data, initial) & ALL_ONES


def pseudo_header_sum(source: int, destination: int, protocol: int, length: int) -> int:
    """Sum the pseudo-header of TCP and UDP (RFC 9293 §3.1, RFC 768): `length` is the segment's."""
    # 2¹⁶ is 1 modulo 65535: whole addresses add up like their halves.
    return (source + destination + protocol + length) % ALL_ONES or ALL_ONES


def is_checksum_right(source: int, destination: int, protocol: int, octets: Buffer) -> bool:
    """Verify the checksum of TCP or UDP: `octets` are header and text behind the IP header."""
    initial = pseudo_header_sum(source, destination, protocol, len(octets))
    return ones_complement_sum(octets, initial) == ALL_ONES


def complete_checksum(parts: tuple[Buffer, ...] | list[Buffer], offload: Offload) -> bytes:
    """Join the parts and do in software what `offload` left to the device's checksum unit.

    The field holds the pseudo-header's sum; it and everything behind `checksum_start` is summed.
    """
    octets = bytearray(b"".join(parts))
    start, field = offload.checksum_start, offload.checksum_start + offload.checksum_offset
    value = checksum(memoryview(octets)[start:])
    octets[field : field + 2] = (value or ALL_ONES).to_bytes(2, "big")
    return bytes(octets)
