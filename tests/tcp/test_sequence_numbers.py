"""Sequence numbers are a circle of 2³²: order holds within half of it."""

from hypothesis import given, strategies as st

from tapstack.tcp import seq

SEQ = st.integers(0, 2**32 - 1)
NEAR = st.integers(1, 2**31 - 1)


@given(SEQ, NEAR)
def test_what_is_ahead_by_less_than_half_the_circle_is_later(a: int, step: int) -> None:
    b = (a + step) % 2**32
    assert seq.lt(a, b)
    assert seq.le(a, b)
    assert seq.gt(b, a)
    assert seq.ge(b, a)
    assert not seq.lt(b, a)


@given(SEQ)
def test_a_number_is_neither_before_nor_after_itself(a: int) -> None:
    assert not seq.lt(a, a)
    assert not seq.gt(a, a)
    assert seq.le(a, a)
    assert seq.ge(a, a)


@given(SEQ, st.integers(-(2**31), 2**32 - 1))
def test_adding_and_counting_are_inverse(a: int, octets: int) -> None:
    assert seq.sub(seq.add(a, octets), a) == octets % 2**32
