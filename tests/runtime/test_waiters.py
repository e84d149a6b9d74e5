"""Who waits for events of an endpoint is woken by them, and by nothing else."""

from tapstack.base.contracts import CLOSED, READABLE, WRITABLE, SocketEvent
from tapstack.runtime.waiters import Waiter
from tapstack.socket.watching import Listening, Watchers


def woken(waiter: Waiter) -> bool:
    return waiter.wait(0)


def armed(waiters: Watchers, endpoint: object, events: int) -> Waiter:
    waiter = Waiter(endpoint, events)
    waiters.add(waiter)
    waiter.arm()
    return waiter


def test_an_event_wakes_who_waits_for_it() -> None:
    waiters, here, there = Watchers(), object(), object()
    reader = armed(waiters, here, READABLE | CLOSED)
    writer = armed(waiters, here, WRITABLE)
    other = armed(waiters, there, READABLE)
    waiters.wake([SocketEvent(here, READABLE)])
    assert [woken(each) for each in (reader, writer, other)] == [True, False, False]
    waiters.wake([SocketEvent(here, WRITABLE | CLOSED), SocketEvent(there, READABLE)])
    assert [woken(each) for each in (reader, writer, other)] == [False, True, True]


def test_what_happens_before_the_wait_ends_it() -> None:
    waiters, here = Watchers(), object()
    waiter = armed(waiters, here, READABLE)
    for _ in range(3):  # however often
        waiters.wake([SocketEvent(here, READABLE)])
    assert woken(waiter)
    assert not woken(waiter)
    waiter.arm()
    assert not woken(waiter)
    waiters.wake([SocketEvent(here, READABLE)])
    assert woken(waiter)


def test_a_wait_may_be_longer_than_a_lock_can_be_told() -> None:
    waiters, here = Watchers(), object()
    waiter = armed(waiters, here, READABLE)
    waiters.wake([SocketEvent(here, READABLE)])
    assert waiter.wait(1e12)


def test_what_happens_before_arming_is_not_heard() -> None:
    waiters, here = Watchers(), object()
    waiter = Waiter(here, READABLE)
    waiters.add(waiter)
    waiters.wake([SocketEvent(here, READABLE)])
    waiter.arm()
    assert not woken(waiter)


def test_who_has_gone_is_not_woken() -> None:
    waiters, here = Watchers(), object()
    gone, stays = armed(waiters, here, READABLE), armed(waiters, here, READABLE)
    waiters.remove(gone)
    waiters.wake([SocketEvent(here, READABLE)])
    assert [woken(gone), woken(stays)] == [False, True]
    waiters.remove(stays)
    waiters.wake([SocketEvent(here, READABLE)])
    assert not woken(stays)


def test_the_end_wakes_everybody() -> None:
    waiters = Watchers()
    all_of_them = [armed(waiters, object(), READABLE) for _ in range(3)]
    waiters.wake_all()
    assert all(woken(each) for each in all_of_them)


def test_a_listener_hears_every_event() -> None:
    waiters, here, heard = Watchers(), object(), []
    listening = Listening(here, heard.append)
    waiters.add(listening)
    waiters.wake([SocketEvent(here, READABLE), SocketEvent(object(), READABLE)])
    waiters.wake([SocketEvent(here, CLOSED)])
    assert heard == [READABLE, CLOSED]
    waiters.remove(listening)
    waiters.wake([SocketEvent(here, CLOSED)])
    assert len(heard) == 2
