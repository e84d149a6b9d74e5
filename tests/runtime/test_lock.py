"""The stack's lock: what a finalizer leaves to be done is done, and nobody waits for himself."""

import threading
from errno import EDEADLK
from functools import partial
from threading import get_ident

import pytest

from tapstack.runtime.lock import StackLock
from tests.socket.nets import PATIENCE, Background


def test_a_free_lock_lets_the_task_be_done_at_once() -> None:
    lock, done = StackLock(), []
    lock.do_soon(lambda: done.append(1))
    assert done == [1]


def test_the_holder_does_it_after_he_has_released() -> None:
    lock, done = StackLock(), []

    def work() -> None:
        lock.do_soon(lambda: done.append(1))
        lock.do_soon(lambda: done.append(2))
        assert done == []

    lock.run(work)
    assert done == [1, 2]


def test_a_task_may_leave_another() -> None:
    lock, done = StackLock(), []

    def first() -> None:
        lock.do_soon(lambda: done.append("second"))
        done.append("first")

    lock.do_soon(first)
    assert done == ["first", "second"]


def test_what_a_task_raises_leaves_the_lock_free() -> None:
    lock, done = StackLock(), []
    with pytest.raises(ZeroDivisionError):
        lock.do_soon(lambda: 1 // 0)
    with pytest.raises(KeyError):
        lock.run({}.pop, "nothing")
    lock.do_soon(lambda: done.append(1))
    assert done == [1]


def test_tasks_are_done_one_at_a_time_and_none_is_lost() -> None:
    lock = StackLock()
    inside, done = [], []
    start = threading.Barrier(4)

    def task() -> None:
        inside.append(1)
        done.append(len(inside))
        inside.pop()

    def leave_tasks() -> None:
        start.wait(PATIENCE)
        for _ in range(500):
            lock.do_soon(task)
            lock.run(task)

    threads = [threading.Thread(target=leave_tasks, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert done == [1] * 4000


def test_who_has_the_lock_is_told_so_and_has_it_still() -> None:
    lock, done = StackLock(), []

    def work() -> None:
        for _ in range(2):
            with pytest.raises(OSError, match="interrupted") as caught:
                lock.run(done.append, 0)
            assert caught.value.errno == EDEADLK
        other = threading.Thread(target=lambda: lock.do_soon(lambda: done.append(1)))
        other.start()
        other.join(PATIENCE)
        assert done == []

    lock.run(work)
    assert done == [1]


def test_others_have_it_while_its_holder_sleeps() -> None:
    lock, done = StackLock(), []

    def sleep() -> None:
        other = threading.Thread(target=lock.run, args=(done.append, 1))
        other.start()
        other.join(PATIENCE)
        lock.run(done.append, 2)

    lock.run(lock.leave, sleep)
    assert done == [1, 2]
    with pytest.raises(KeyError):
        lock.run(lock.leave, {}.pop, "nothing")
    lock.run(done.append, 3)
    assert done == [1, 2, 3]


def test_who_waits_is_the_next_to_have_it() -> None:
    lock, done = StackLock(), []
    other = threading.Thread(target=lock.run, args=(done.append, "other"))

    def start_other() -> None:
        other.start()
        while not lock.is_awaited:
            pass

    lock.run(start_other)
    lock.run(done.append, "again")
    other.join(PATIENCE)
    assert done == ["other", "again"]


def test_a_task_is_passed_on_to_who_has_the_lock() -> None:
    lock, done = StackLock(), []

    def hold() -> bool:
        return Background(lock.pass_on, lambda: done.append(get_ident())).result()

    assert lock.run(hold)
    assert done == [get_ident()]


def test_a_task_passed_on_twice_is_done_once() -> None:
    lock, done = StackLock(), []

    def hold() -> list[bool]:
        task = partial(done.append, 1)
        return [Background(lock.pass_on, task).result() for _ in range(2)]

    assert lock.run(hold) == [True, True]
    assert done == [1]


def test_who_passes_on_a_task_while_the_lock_is_free_has_it_and_the_task() -> None:
    lock, done = StackLock(), []

    def sleep() -> None:
        assert not lock.pass_on(lambda: done.append(1))
        assert Background(lock.pass_on, lambda: done.append(2)).result()

    lock.run(lock.leave, sleep)
    assert done == [2]
