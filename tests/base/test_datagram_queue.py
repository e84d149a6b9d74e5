"""A socket's queue of datagrams: first in, first out, and never more octets than it may hold."""

from collections import deque
from threading import Thread

from hypothesis import given, strategies as st

from tapstack.base.datagram_queue import OVERHEAD, DatagramQueue

LIMIT = 4 * OVERHEAD


@given(st.lists(st.one_of(st.integers(0, 2 * LIMIT), st.sampled_from(["take", "peek", "clear"]))))
def test_it_holds_what_a_model_holds(steps: list[int | str]) -> None:
    queue, model = DatagramQueue[int](), deque[int]()
    queue.limit = LIMIT
    for step in steps:
        if isinstance(step, int):
            fits = not model or sum(model) + step + OVERHEAD * (len(model) + 1) <= LIMIT
            assert queue.put(step, step) is fits
            if fits:
                model.append(step)
        elif step == "clear":
            queue.clear()
            model.clear()
        else:
            assert queue.take(peek=step == "peek") == (model[0] if model else None)
            if model and step == "take":
                model.popleft()
        assert len(queue) == len(model)
    assert queue.octets == sum(model) + OVERHEAD * len(model)


def test_readers_without_a_lock_take_each_once_and_leave_all_room() -> None:
    queue, count = DatagramQueue[int](), 3_000
    taken: list[list[int]] = [[], [], []]

    def read(mine: list[int]) -> None:
        while (item := queue.take()) != -1:
            if item is not None:
                mine.append(item)

    readers = [Thread(target=read, args=(mine,)) for mine in taken]
    for reader in readers:
        reader.start()
    for item in range(count):
        while not queue.put(item, 0):
            pass
    for _ in readers:
        while not queue.put(-1, 0):
            pass
    for reader in readers:
        reader.join()
    assert sorted(item for mine in taken for item in mine) == list(range(count))
    assert all(mine == sorted(mine) for mine in taken)
    assert queue.octets == 0
