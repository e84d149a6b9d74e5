"""The fast checksum against RFC 1071's definition, spelt out word by word."""

from hypothesis import example, given, strategies as st

from tapstack.base.checksum import (
    checksum,
    complete_checksum,
    ones_complement_sum,
    pseudo_header_sum,
)
from tapstack.base.contracts import Offload

octets = st.binary(max_size=3000)
word = st.integers(0, 0xFFFF)


def sum_by_words(data: bytes, initial: int = 0) -> int:
    """RFC 1071 §4.1, in Python: add 16-bit words, then fold the carries back in."""
    padded = data + b"\0" * (len(data) % 2)
    total = initial + sum(
        int.from_bytes(padded[i : i + 2], "big") for i in range(0, len(padded), 2)
    )
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return total


@given(octets, word)
@example(b"", 0)
@example(b"\xff", 0)
@example(b"\xff\xff", 0)
@example(b"\xff\xff", 0xFFFF)
@example(b"\0" * 600, 0)
@example(bytes(range(256)) * 257, 0)
@example(b"\xff" * 65535, 0xFFFF)
def test_sum_is_the_sum_of_the_words(data: bytes, initial: int) -> None:
    assert ones_complement_sum(data, initial) == sum_by_words(data, initial)


@given(octets)
def test_views_and_bytearrays_sum_alike(data: bytes) -> None:
    expected = ones_complement_sum(data)
    assert ones_complement_sum(bytearray(data)) == expected
    assert ones_complement_sum(memoryview(data)) == expected


@given(octets.filter(lambda data: len(data) % 2 == 0))
def test_octets_with_their_checksum_verify(data: bytes) -> None:
    assert checksum(data + checksum(data).to_bytes(2, "big")) == 0


def test_the_worked_example_of_rfc_1071() -> None:
    # RFC 1071 §3: the words sum to 2ddf0, which folds to ddf2.
    data = bytes.fromhex("0001 f203 f4f5 f6f7")
    assert ones_complement_sum(data) == 0xDDF2
    assert checksum(data) == 0x220D


@given(
    st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(1, 255), st.integers(0, 65535)
)
def test_pseudo_header_is_summed_as_laid_out(
    source: int, destination: int, protocol: int, length: int
) -> None:
    laid_out = (
        source.to_bytes(4, "big")
        + destination.to_bytes(4, "big")
        + bytes((0, protocol))
        + length.to_bytes(2, "big")
    )
    assert pseudo_header_sum(source, destination, protocol, length) == sum_by_words(laid_out)


@given(st.binary(max_size=40), st.binary(min_size=8, max_size=200), st.data())
def test_completed_checksum_verifies(header: bytes, summed: bytes, data: st.DataObject) -> None:
    pseudo = data.draw(word, label="pseudo-header sum")
    field = data.draw(st.integers(0, len(summed) // 2 - 1), label="word of the field") * 2
    summed = summed[:field] + pseudo.to_bytes(2, "big") + summed[field + 2 :]
    octets = header + summed
    cut = data.draw(st.integers(0, len(octets)), label="where the parts meet")

    whole = complete_checksum((octets[:cut], octets[cut:]), Offload(len(header), field, 0))

    start = len(header)
    assert whole[:start] == header
    assert whole[start : start + field] + whole[start + field + 2 :] == (
        summed[:field] + summed[field + 2 :]
    )
    # A receiver sums the pseudo-header and all octets, the checksum among them: all ones is right.
    assert sum_by_words(whole[start:], pseudo) == 0xFFFF


def test_a_checksum_of_zero_is_sent_as_all_ones() -> None:
    # RFC 768: zero would say that there is no checksum. The one word here sums to 0xFFFF.
    assert complete_checksum((b"\0\0\xff\xff",), Offload(0, 0, 0)) == b"\xff\xff\xff\xff"
