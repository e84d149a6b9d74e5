"""The SACK blocks that are reported: RFC 2018 §4, and Linux's four."""

from __future__ import annotations

from hypothesis import given, strategies as st

from tapstack.tcp.sack_list import SackList, extended
from tapstack.tcp.segment import SackBlock
from tapstack.tcp.seq import add, sub


def list_of(*ranges: tuple[int, int]) -> SackList:
    blocks = SackList()
    for left, right in ranges:
        blocks.note(left, right)
    return blocks


def test_the_block_that_grew_last_is_told_first() -> None:
    blocks = list_of((10, 15), (30, 35), (50, 55))
    assert blocks.first(3) == [SackBlock(50, 55), SackBlock(30, 35), SackBlock(10, 15)]
    blocks.note(15, 17)
    assert blocks.first(2) == [SackBlock(10, 17), SackBlock(50, 55)]


def test_a_range_between_two_makes_them_one() -> None:
    assert list_of((10, 20), (30, 40), (20, 30)).first(4) == [SackBlock(10, 40)]


def test_a_fifth_displaces_the_oldest_for_good() -> None:
    blocks = list_of((10, 11), (20, 21), (30, 31), (40, 41), (50, 51))
    assert [block.left for block in blocks.first(9)] == [50, 40, 30, 20]
    blocks.forget(20)
    assert [block.left for block in blocks.first(9)] == [50, 40, 30]


def test_the_rank_is_that_of_the_block_that_would_grow() -> None:
    blocks = list_of((10, 11), (20, 21), (30, 31))
    assert [blocks.rank(left, left + 1) for left in (31, 21, 11, 90)] == [0, 1, 2, 3]


def test_a_duplicate_grows_by_what_it_touches_alone() -> None:
    assert extended(None, SackBlock(1, 2)) == (1, 2)
    assert extended(SackBlock(1, 2), SackBlock(2, 5)) == (1, 5)
    assert extended(SackBlock(1, 2), SackBlock(3, 5)) == (1, 2)


@given(
    st.sampled_from([0, 2**31 - 20, 2**32 - 30]),
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 15)), max_size=30),
)
def test_blocks_never_touch_and_the_last_range_is_in_the_first(
    base: int, ranges: list[tuple[int, int]]
) -> None:
    blocks, told = SackList(), set[int]()
    for left, length in ranges:
        blocks.note(add(base, left), add(base, left + length))
        told |= set(range(left, left + length))
        edges = [(sub(block.left, base), sub(block.right, base)) for block in blocks.first(4)]
        assert edges[0][0] <= left
        assert edges[0][1] >= left + length
        for first, last in edges:
            assert set(range(first, last)) <= told
            assert not {first, last} & {
                edge for other in edges if other != (first, last) for edge in other
            }
