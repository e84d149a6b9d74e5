"""The ceiling's arithmetic: what it leaves out is no reason to send bad checksums."""

from hypothesis import assume, given, strategies as st

from bench.ceiling import fold, scale_of, word_sum
from tapstack.base.checksum import checksum


@given(st.binary(max_size=3000))
def test_its_checksum_is_the_stacks(octets: bytes) -> None:
    assume(word_sum(octets))  # a header's is never a multiple of 0xFFFF
    assert ~fold(word_sum(octets)) & 0xFFFF == checksum(octets)


def test_the_scale_of_a_window_is_found_among_options() -> None:
    linux = bytes.fromhex("020405b4 0402080a 12345678 00000000 01 030307")
    assert scale_of(memoryview(linux)) == 7
    assert scale_of(memoryview(b"\x02\x04\x05\xb4")) == 0
    assert scale_of(memoryview(b"\x00\x03\x03\x07")) == 0
