"""The queues that hold text: sending, receiving, reassembly; each against a plain model."""

from __future__ import annotations

import tracemalloc
from time import process_time

import pytest
from hypothesis import given, strategies as st
from hypothesis.strategies import DataObject as Data

from tapstack.tcp.reassembly import ReassemblyQueue
from tapstack.tcp.receive_memory import Memory, memory_of
from tapstack.tcp.receive_queue import ReceiveQueue
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
        assert buffer.octets == len(model)
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


@pytest.mark.slow
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9000)), max_size=12), st.data())
def test_large_texts_come_out_as_they_went_in(texts: list[tuple[bool, int]], data: Data) -> None:
    queue, model = ReceiveQueue(), b""
    for number, (is_frames_own, length) in enumerate(texts):
        frame = bytes([number]) * (length + 10)
        queue.append(memoryview(frame)[10:] if is_frames_own else bytearray(frame[10:]))
        model += frame[10:]
    while model:
        size = data.draw(st.integers(1, len(model) + 5))
        assert queue.peek(size) == model[:size]
        assert queue.take(size) == model[:size]
        model = model[size:]
        assert len(queue) == len(model)


def test_what_becomes_of_a_device_s_buffer_later_does_not_matter() -> None:
    queue, buffer = ReceiveQueue(), bytearray(b"a" * 20_000)
    queue.append(memoryview(buffer)[10:])
    queue.append(memoryview(buffer).toreadonly()[10:])
    buffer[:] = b"b" * 20_000
    assert queue.take(50_000) == b"a" * 39_980


def test_a_large_text_of_a_frame_is_copied_but_once() -> None:
    queue, frame = ReceiveQueue(), bytes(60_000)
    tracemalloc.start()
    try:
        queue.append(memoryview(frame)[66:])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2000


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
def arrivals(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    return draw(
        st.lists(
            st.tuples(st.integers(0, 60), st.integers(1, 15), st.sampled_from([0, 5, 20])),
            max_size=40,
        )
    )


@given(BASES, arrivals())
def test_reassembly_is_a_set_of_octets(base: int, pieces: list[tuple[int, int, int]]) -> None:
    data = bytes(range(100))
    queue = ReassemblyQueue()
    held: set[int] = set()
    received = 0
    for begin, length, room in pieces:
        begin, end = max(begin, received), begin + length
        if begin >= end:
            continue
        if begin > received:
            again = set(range(begin, end)) & held
            text, memory = data[begin:end], Memory(100, room)
            duplicate = queue.insert(add(base, begin), text, memory, add(base, received))
            assert (duplicate is None) == (not again)
            if duplicate:
                first, last = sub(duplicate.left, base), sub(duplicate.right, base)
                assert set(range(first, last)) <= again
                assert first == min(again)
                assert last not in again
            held |= set(range(begin, end))
        else:
            received = end
            for piece in queue.take(add(base, received)):
                left = sub(piece.left, base)
                assert piece.text == data[left : left + len(piece.text)]
                received = max(received, left + len(piece.text))
            held = {octet for octet in held if octet >= received}
        assert queue.octets == len(held)
        assert bool(held) == bool(len(queue)) == bool(queue.charge)
        assert queue.charge >= 100 * len(queue)
        assert not held or queue.span(add(base, received)) == max(held) + 1 - received


def test_pieces_share_memory_that_has_room_and_no_other() -> None:
    queue = ReassemblyQueue()
    queue.insert(10, b"x" * 5, Memory(100, 8), 0)
    queue.insert(15, b"x" * 8, Memory(100, 8), 0)
    assert (len(queue), queue.charge) == (1, 100)
    queue.insert(23, b"x", Memory(100, 8), 0)
    queue.insert(5, b"x" * 5, Memory(100, 8), 0)
    assert (len(queue), queue.charge) == (3, 300)


def test_what_is_packed_is_the_same_text_in_less_memory() -> None:
    queue = ReassemblyQueue()
    for number in range(1000):
        queue.insert(
            10 + 10 * number, bytes([number % 256]) * 10, memory_of(50)._replace(room=0), 0
        )
    queue.insert(20_000, b"apart", memory_of(45), 0)
    before = queue.charge
    queue.collapse()
    assert queue.charge < before // 10
    assert queue.octets == 10_005
    text = b"".join(piece.text for piece in queue.take(10))
    assert text == b"".join(bytes([number % 256]) * 10 for number in range(1000))
    assert queue.octets == 5


@pytest.mark.parametrize("order", ["up", "down", "apart"])
def test_single_octets_beyond_a_gap_cost_no_more_the_more_there_are(order: str) -> None:
    """SegmentSmack: ten thousand of them, in whatever order is worst."""
    queue = ReassemblyQueue()
    octets = {"up": range(1, 10_001), "down": range(10_000, 0, -1), "apart": range(1, 20_001, 2)}
    start = process_time()
    for seq in octets[order]:
        queue.insert(seq, b"x", memory_of(41), 0)
    assert process_time() - start < 1, "100 µs each"
    assert queue.octets == 10_000
