"""The calls that wait for one of several: poll, and epoll's three.

Not done here: waiting.
"""

from __future__ import annotations

from collections.abc import Sequence

from tapstack.drill.calls.arguments import Arguments, Live
from tapstack.drill.calls.messages import check_count
from tapstack.drill.calls.results import Body, Returned, differ_bits
from tapstack.drill.calls.structs import EpollEvent, epoll_event, watched_of
from tapstack.drill.contract import Calls
from tapstack.drill.language.syntax import Anything, Expression, Items
from tapstack.drill.reports.failure import Difference

_NOT_OPEN = 0x3FFFFFFF
"""No process has this descriptor: poll(2) says POLLNVAL of it."""


def read_poll(arguments: Arguments) -> Body:
    """`poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 0)`."""
    arguments.count(3)
    items = arguments.items(0, "an array such as [{fd=4, events=POLLIN, revents=POLLIN}]")
    check_count(arguments, arguments[1], items)
    watched = [watched_of(arguments, item) for item in items]
    timeout = arguments.number(2)

    def body(calls: Calls) -> Returned:
        revents = calls.poll(
            [(_live_or_not_open(each.fd), each.events) for each in watched], timeout
        )
        found: list[Difference] = []
        for each, actual in zip(watched, revents, strict=True):
            found += differ_bits(f"revents of fd {each.number}", each.revents, actual, "POLL")
        return Returned(sum(map(bool, revents)), found)

    return body


def _live_or_not_open(fd: Live) -> int:
    """Give the live descriptor: what is not open is no error of poll's."""
    try:
        return fd()
    except OSError:
        return _NOT_OPEN


def read_epoll_create(arguments: Arguments) -> Body:
    """`epoll_create(1)`."""
    arguments.count(1)
    size = arguments.number(0)
    return lambda calls: Returned(calls.epoll_create(size))


def read_epoll_ctl(arguments: Arguments) -> Body:
    """`epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, fd=4})`: to delete, the last may be NULL."""
    count = arguments.count(3, 4)
    epoll, operation, fd = arguments.fd(0), arguments.number(1), arguments.fd(2)
    event = EpollEvent(None, "u64", None)
    if count == 4 and not arguments.is_null(3):
        event = epoll_event(arguments, arguments[3])
    events, data = event.events or 0, event.data or 0

    def body(calls: Calls) -> Returned:
        calls.epoll_ctl(epoll(), operation, fd(), events, data)
        return Returned(0)

    return body


def read_epoll_wait(arguments: Arguments) -> Body:
    """`epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0)`: one event, or an array of them."""
    arguments.count(4)
    epoll, most, timeout = arguments.fd(0), arguments.number(2), arguments.number(3)
    wanted = [epoll_event(arguments, item) for item in _one_or_many(arguments[1])]

    def body(calls: Calls) -> Returned:
        ready = calls.epoll_wait(epoll(), most, timeout)
        found = [
            difference
            for event, (events, data) in zip(wanted, ready, strict=False)
            for difference in _differences(event, events, data)
        ]
        return Returned(len(ready), found)

    return body


def _one_or_many(expression: Expression) -> Sequence[Expression]:
    if isinstance(expression, Items) and not expression.is_struct:
        return expression.items
    return () if isinstance(expression, Anything) else (expression,)


def _differences(wanted: EpollEvent, events: int, data: int) -> list[Difference]:
    found = differ_bits("events", wanted.events, events, "EPOLL")
    if wanted.data is not None and wanted.data != wanted.masked(data):
        shown = str(wanted.data), str(wanted.masked(data))
        found.append(Difference(wanted.member, *shown))
    return found
