"""The queues that hold text: sending, receiving, reassembly; each against a plain model."""

from __future__ import annotations

import tracemalloc
from time import process_time

import pytest
from hypothesis import given, strategies as st

from tapstack.tcp.reassembly import ReassemblyQueue
from tapstack.tcp.receive_queue import ReceiveQueue
from tapstack.tcp.segment import SackBlock
from tapstack.tcp.send_buffer import SendBuffer
from tapstack.tcp.seq import add, sub

BASES = st.sampled_from([0, 1, 2**31 - 20, 2**32 - 1, 2**32 - 30])


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=50), st.integers(0, 80)), max_size=60))
def test_the_send_buffer_gives_any_range_and_lets_go_of_the_oldest(
    steps: list[bytes | int],
) -> None:
    buffer, model = SendBuffer(), b""
    for step in steps:
        if isinstance(step, bytes):
            buffer.append(bytearray(step))
            model += step
        else:
            count = min(step, len(model))
            buffer.release(count)
            model = model[count:]
        assert len(buffer) == len(model)
        for offset in (0, len(model) // 3):
            for length in (0, 1, len(model) // 2, len(model) - offset):
                if 0 <= offset + length <= len(model):
                    got = b"".join(buffer.views(offset, length)) if length else b""
                    assert got == model[offset : offset + length]


def test_what_the_user_does_to_his_own_buffer_later_does_not_matter() -> None:
    buffer = SendBuffer()
    mine = bytearray(b"before")
    buffer.append(mine)
    mine[:] = b"after!"
    assert b"".join(buffer.views(0, 6)) == b"before"


def test_many_small_writes_are_joined_rather_than_gathered() -> None:
    buffer = SendBuffer()
    for octet in range(200):
        buffer.append(bytes([octet]))
    views = buffer.views(10, 150)
    assert b"".join(views) == bytes(range(10, 160))
    assert len(views) <= 16


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=50), st.integers(1, 80)), max_size=60))
def test_the_receive_queue_gives_octets_in_order(steps: list[bytes | int]) -> None:
    queue, model = ReceiveQueue(), b""
    for step in steps:
        if isinstance(step, bytes):
            queue.append(step)
            model += step
        elif model:
            assert queue.peek(step) == model[:step]
            assert queue.take(step) == model[:step]
            model = model[step:]
        assert len(queue) == len(model)


def test_small_texts_cost_little_more_memory_than_they_hold() -> None:
    queue = ReceiveQueue()
    tracemalloc.start()
    try:
        for number in range(100_000):
            queue.append(number.to_bytes(3, "big"))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * len(queue)


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[int, int]]:
    return draw(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 15)), max_size=40))


@given(BASES, arrivals())
def test_reassembly_is_a_set_of_octets(base: int, pieces: list[tuple[int, int]]) -> None:
    data = bytes(range(100))
    queue = ReassemblyQueue()
    held: set[int] = set()
    received = 0
    for begin, length in pieces:
        begin, end = max(begin, received), begin + length
        if begin >= end:
            continue
        if begin > received:
            again = set(range(begin, end)) & held
            duplicate = queue.insert(add(base, begin), data[begin:end], add(base, received))
            assert (duplicate is None) == (not again)
            if duplicate:
                first, last = sub(duplicate.left, base), sub(duplicate.right, base)
                assert set(range(first, last)) <= again
                assert first == min(again)
                assert last not in again
            held |= set(range(begin, end))
            block = queue.sack_blocks(1)[0]
            assert sub(block.left, base) <= begin
            assert sub(block.right, base) >= end
        else:
            received = end
            for text in queue.take(add(base, received)):
                assert text == data[received : received + len(text)]
                received += len(text)
            held = {octet for octet in held if octet >= received}
        assert queue.octets == len(held)
        edges = {octet for octet in held if octet - 1 not in held}
        assert len(queue) == len(edges)
        for left, right in queue.sack_blocks(4):
            first, last = sub(left, base), sub(right, base) - 1
            assert first in edges
            assert set(range(first, last + 1)) <= held
            assert last + 1 not in held


def test_the_block_that_grew_last_is_reported_first() -> None:
    queue = ReassemblyQueue()
    for left in (10, 30, 50, 70, 90):
        queue.insert(left, b"x" * 5, 0)
    assert queue.sack_blocks(3) == [SackBlock(90, 95), SackBlock(70, 75), SackBlock(50, 55)]
    queue.insert(15, b"x" * 2, 0)
    assert queue.sack_blocks(2) == [SackBlock(10, 17), SackBlock(90, 95)]


@pytest.mark.parametrize("order", ["up", "down", "apart"])
def test_single_octets_beyond_a_gap_cost_no_more_the_more_there_are(order: str) -> None:
    """SegmentSmack: a hundred thousand of them, in whatever order is worst."""
    queue = ReassemblyQueue()
    octets = {"up": range(1, 100_001), "down": range(100_000, 0, -1), "apart": range(1, 200_001, 2)}
    start = process_time()
    for seq in octets[order]:
        queue.insert(seq, b"x", 0)
        queue.sack_blocks(4)
    assert process_time() - start < 10, "100 µs each"
    assert len(queue) <= 4096
    if order != "apart":
        assert queue.octets == 100_000
        assert b"".join(queue.take(1)) == b"x" * 100_000
