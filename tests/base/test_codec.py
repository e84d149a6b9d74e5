"""A derived codec and the construct declaration that it came from tell the same of any octets."""

import pytest
from construct import (
    BitsInteger,
    BitStruct,
    Bytes,
    Const,
    Construct as Shape,
    Flag,
    Float32b,
    GreedyBytes,
    Int8ub,
    Int16ub,
    Int16ul,
    Int32ub,
    Int64ub,
    Rebuild,
    Struct,
)
from hypothesis import given, strategies as st

from tapstack.base.codec import HeaderCodec
from tapstack.eth import wire as eth_wire

# Every shape that the codec understands, with bit words of each width, first, last and between.
EVERYTHING = Struct(
    "version" / BitStruct("version" / BitsInteger(4), "length" / BitsInteger(4)),
    "kind" / Int8ub,
    "total" / Int16ub,
    "fragment"
    / BitStruct(
        "reserved" / Flag, "dont" / BitsInteger(1), "more" / Flag, "offset" / BitsInteger(13)
    ),
    "address" / Bytes(6),
    "big" / Int64ub,
    "wide" / BitStruct("high" / BitsInteger(20), "low" / BitsInteger(12)),
    "last" / Int32ub,
)
CODEC = HeaderCodec(EVERYTHING)
BITS = ["version", "fragment", "wide"]

values = st.fixed_dictionaries(
    {
        "version": st.integers(0, 15),
        "length": st.integers(0, 15),
        "kind": st.integers(0, 2**8 - 1),
        "total": st.integers(0, 2**16 - 1),
        "reserved": st.integers(0, 1),
        "dont": st.integers(0, 1),
        "more": st.integers(0, 1),
        "offset": st.integers(0, 2**13 - 1),
        "address": st.binary(min_size=6, max_size=6),
        "big": st.integers(0, 2**64 - 1),
        "high": st.integers(0, 2**20 - 1),
        "low": st.integers(0, 2**12 - 1),
        "last": st.integers(0, 2**32 - 1),
    }
)


def flat_by_construct(octets: bytes) -> dict[str, int | bytes]:
    """What construct reads, with the bit words' fields beside the others."""
    parsed = EVERYTHING.parse(octets)
    flat: dict[str, int | bytes] = {}
    for name in [subcon.name for subcon in EVERYTHING.subcons]:
        fields = parsed[name] if name in BITS else {name: parsed[name]}
        flat.update({key: value for key, value in fields.items() if key != "_io"})
    return flat


def test_size_is_the_declared_size() -> None:
    assert CODEC.size == EVERYTHING.sizeof() == 28


@given(st.binary(min_size=28, max_size=28))
def test_any_octets_read_alike_and_build_back(octets: bytes) -> None:
    fields = CODEC.parse(octets)
    assert fields == flat_by_construct(octets)
    assert CODEC.build(**fields) == octets


@given(values)
def test_any_values_build_alike(fields: dict[str, int | bytes]) -> None:
    nested = dict(fields)
    for name, codec_fields in (
        ("wide", ("high", "low")),
        ("fragment", ("reserved", "dont", "more", "offset")),
        ("version", ("version", "length")),
    ):
        nested[name] = {key: nested.pop(key) for key in codec_fields}  # type: ignore[assignment]
    assert CODEC.build(**fields) == EVERYTHING.build(nested)


@given(st.binary(min_size=5, max_size=5), values)
def test_a_header_is_read_at_an_offset(before: bytes, fields: dict[str, int | bytes]) -> None:
    assert CODEC.parse(before + CODEC.build(**fields), len(before)) == fields


def test_value_rules_do_not_change_the_layout() -> None:
    ruled = HeaderCodec(Struct("type" / Const(1, Int16ub), "sum" / Rebuild(Int16ub, 0)))
    assert ruled.parse(b"\0\1\0\2") == {"type": 1, "sum": 2}


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(Int16ul, id="little-endian"),
        pytest.param(GreedyBytes, id="no fixed length"),
        pytest.param(Bytes(lambda this: 4), id="computed length"),
        pytest.param(BitStruct("a" / BitsInteger(4), "b" / Bytes(4)), id="not bits"),
    ],
)
def test_a_shape_that_headers_do_not_have_is_refused_by_name(shape: Shape) -> None:
    with pytest.raises(TypeError, match=r"^(odd|b): "):
        HeaderCodec(Struct("odd" / shape))


def test_a_float_is_not_an_unsigned_integer() -> None:
    with pytest.raises(TypeError, match="odd: "):
        HeaderCodec(Struct("odd" / Float32b))


@given(st.binary(min_size=14, max_size=40))
def test_ethernets_codec_and_declaration_agree(octets: bytes) -> None:
    fields = eth_wire.CODEC.parse(octets)
    declared = eth_wire.ETHERNET_HEADER.parse(octets)
    assert fields == {name: declared[name] for name in fields}
    assert eth_wire.CODEC.build(**fields) == eth_wire.ETHERNET_HEADER.build(fields) == octets[:14]
