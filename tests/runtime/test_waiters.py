"""Who waits for events of an endpoint is woken by them, and by nothing else."""

from types import SimpleNamespace
from typing import Any

from tapstack.base.contracts import CLOSED, READABLE, WRITABLE, SocketEvent
from tapstack.runtime.waiters import Bell, Waiter
from tapstack.socket.watching import Listening, Watchers


def woken(waiter: Waiter) -> bool:
    has_happened, waiter.has_happened = waiter.has_happened, False
    return has_happened


def added(waiters: Watchers, endpoint: object, events: int) -> Waiter:
    waiter = Waiter(endpoint, events)
    waiters.add(waiter)
    return waiter


def tell(waiters: Watchers, happened: list[SocketEvent]) -> None:
    stack: Any = SimpleNamespace(events=happened)
    waiters.tell(stack)
    assert not stack.events


def test_an_event_wakes_who_waits_for_it() -> None:
    waiters, here, there = Watchers(), object(), object()
    reader = added(waiters, here, READABLE | CLOSED)
    writer = added(waiters, here, WRITABLE)
    other = added(waiters, there, READABLE)
    tell(waiters, [(here, READABLE)])
    assert [woken(each) for each in (reader, writer, other)] == [True, False, False]
    tell(waiters, [(here, WRITABLE), (there, READABLE)])
    assert [woken(each) for each in (reader, writer, other)] == [False, True, True]


def test_who_sleeps_is_roused_once() -> None:
    waiters, here, roused = Watchers(), object(), []
    waiter = added(waiters, here, READABLE)
    waiter.rouse = lambda: roused.append(1)
    for _ in range(3):  # however often
        tell(waiters, [(here, READABLE)])
    assert roused == [1]
    assert woken(waiter)


def test_a_bell_ends_a_sleep_that_may_be_longer_than_a_lock_can_be_told() -> None:
    bell = Bell()
    bell.sleep(0)
    bell.ring()
    bell.sleep(1e12)


def test_who_has_gone_is_not_woken() -> None:
    waiters, here = Watchers(), object()
    gone, stays = added(waiters, here, READABLE), added(waiters, here, READABLE)
    waiters.remove(gone)
    tell(waiters, [(here, READABLE)])
    assert [woken(gone), woken(stays)] == [False, True]
    waiters.remove(stays)
    tell(waiters, [(here, READABLE)])
    assert not woken(stays)


def test_the_end_wakes_everybody() -> None:
    waiters = Watchers()
    all_of_them = [added(waiters, object(), READABLE) for _ in range(3)]
    waiters.wake_all()
    assert all(woken(each) for each in all_of_them)


def test_a_listener_hears_every_event() -> None:
    waiters, here, heard = Watchers(), object(), []
    listening = Listening(here, heard.append)
    waiters.add(listening)
    tell(waiters, [(here, READABLE), (object(), READABLE)])
    tell(waiters, [(here, CLOSED)])
    assert heard == [READABLE, CLOSED]
    waiters.remove(listening)
    tell(waiters, [(here, CLOSED)])
    assert len(heard) == 2
