"""One truth per wire format: hot codecs derived from a construct declaration.

A header is declared once with `construct`, which can parse, build and explain it, and costs tens
of microseconds to do so. `HeaderCodec` walks that declaration and derives a precompiled
`struct.Struct` of the same layout, which takes half a microsecond. Whatever the declaration says,
the codec does: there is no second place to change.

Understood are the shapes that fixed headers are made of: unsigned integers of 8, 16, 32 and 64
bits, `Bytes(n)`, and a `BitStruct` of 8, 16 or 32 bits, which is one word for `struct` and named
bit fields within it. A header has one byte order: the network's, unless it is no protocol's (the
kernel's own structures are in the machine's order, capture files in their writer's).

Not done here: variable parts such as options.
"""

from struct import Struct
from typing import Any, NamedTuple

from construct import (
    BitsInteger,
    Bytes,
    Const,
    Construct,
    FormatField,
    Rebuild,
    Renamed,
    Struct as Declaration,
    Transformed,
)

from tapstack.base.contracts import Buffer

_UNSIGNED = "BHLQ"  # as construct spells Int8ub to Int64ub, behind the byte order
_WORDS = {8: "B", 16: "H", 32: "I"}


class BitField(NamedTuple):
    """Where a bit field lies: `word` of the unpacked tuple, shifted right, then masked."""

    word: int
    shift: int
    mask: int


class HeaderCodec:
    """A fixed header's layout as a precompiled `struct.Struct`, derived from its declaration."""

    def __init__(self, declaration: Declaration, byte_order: str = ">") -> None:
        """Derive the codec; `byte_order` is of each field, as `struct` spells it.

        Raises: TypeError for a shape that fixed headers do not have, or of another order.
        """
        self.declaration = declaration
        self._byte_order = byte_order
        self.words: list[str] = []
        """The name of each unpacked word; a BitStruct is one word under its own name."""
        self.bit_fields: dict[str, BitField] = {}
        """Every named bit field."""
        layout = byte_order
        for subcon in declaration.subcons:
            layout += self._derive(subcon.name, _bare(subcon))
            self.words.append(subcon.name)
        struct = Struct(layout)
        self.size = struct.size
        """Octets of the header."""
        self.unpack_from = struct.unpack_from
        self.pack = struct.pack

    def _derive(self, name: str, shape: Construct) -> str:
        if isinstance(shape, FormatField) and self._is_unsigned(shape.fmtstr):
            return str(shape.fmtstr[1:])
        if isinstance(shape, Bytes) and isinstance(shape.length, int):
            return f"{shape.length}s"
        # What BitStruct makes is Transformed: bits in network order, read as a Struct.
        if isinstance(shape, Transformed) and self._byte_order == ">":
            return self._derive_bits(_bare(shape.subcon))
        raise TypeError(f"{name}: no fixed layout can be derived from {shape!r}")

    def _is_unsigned(self, format_string: str) -> bool:
        return format_string[0] == self._byte_order and format_string[1] in _UNSIGNED

    def _derive_bits(self, bits: Declaration) -> str:
        fields = [(field.name, _bare(field)) for field in bits.subcons]
        for name, shape in fields:
            if not isinstance(shape, BitsInteger) and shape.sizeof() != 1:
                raise TypeError(f"{name}: no bit field can be derived from {shape!r}")
        remaining = total = sum(shape.sizeof() for _, shape in fields)
        for name, shape in fields:
            width = shape.sizeof()
            remaining -= width
            self.bit_fields[name] = BitField(len(self.words), remaining, (1 << width) - 1)
        return _WORDS[total]

    def parse(self, octets: Buffer, offset: int = 0) -> dict[str, Any]:
        """Read a header into a flat dict of plain and bit fields: for tests and tools."""
        unpacked = self.unpack_from(octets, offset)
        fields = dict(zip(self.words, unpacked, strict=True))
        for name in self._bit_words():
            del fields[name]
        for name, field in self.bit_fields.items():
            fields[name] = unpacked[field.word] >> field.shift & field.mask
        return fields

    def build(self, **fields: Any) -> bytes:
        """Build a header from a flat set of plain and bit fields: for tests and tools."""
        bit_words = self._bit_words()
        words = [0 if word in bit_words else fields.get(word, 0) for word in self.words]
        for name, field in self.bit_fields.items():
            words[field.word] |= (fields[name] & field.mask) << field.shift
        return self.pack(*words)

    def _bit_words(self) -> set[str]:
        return {self.words[field.word] for field in self.bit_fields.values()}


def _bare(shape: Construct) -> Construct:
    """Strip the name and the value rules: they do not change the layout."""
    while isinstance(shape, (Renamed, Const, Rebuild)):
        shape = shape.subcon
    return shape
