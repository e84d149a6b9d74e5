"""The one place that blocks: try; where that would block, wait for an event; try again.

Not done here: the attempts (`stream.py`, `messages.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EINPROGRESS
from typing import Any, Protocol, TypeVar

from tapstack.base.address import Endpoint
from tapstack.base.contracts import ACCEPTABLE, CLOSED, READABLE, WRITABLE
from tapstack.base.units import SECOND, Instant
from tapstack.socket.contract import SocketEndpoint, SocketHost

T = TypeVar("T")

_INCOMING = READABLE | CLOSED
_ARRIVING = ACCEPTABLE | CLOSED


class Watchable(Protocol):
    """What can be waited for: a socket, or whatever else a host tells events of."""

    def watched(self) -> object:
        """Give the object whose events tell of it."""


def block(
    host: SocketHost,
    endpoint: Watchable,
    events: int,
    timeout: float | None,
    attempt: Callable[..., T],
    *arguments: Any,
) -> T:
    """Repeat an attempt on an endpoint's events until it succeeds, or `timeout` seconds are over.

    A timeout of 0 tries once, None waits for ever. Raises: BlockingIOError for a timeout of 0, or
    with EINPROGRESS, TimeoutError, and what the attempt raises.
    """
    if timeout == 0:
        return host.call(attempt, *arguments)
    done: T = host.call(repeat, host, endpoint, events, timeout, attempt, arguments)
    return done


def repeat(
    host: SocketHost,
    endpoint: Watchable,
    events: int,
    timeout: float | None,
    attempt: Callable[..., T],
    arguments: tuple[Any, ...],
    *,
    now: Instant,
) -> T:
    """Do what `block` promises, within the stack, which is left to others while this waits.

    A timeout of 0 is not for this.
    """
    try:
        done = attempt(*arguments, now=now)
    except BlockingIOError as blocked:
        if blocked.errno == EINPROGRESS:
            raise  # something was begun: to begin it again would be wrong
    else:
        if events & WRITABLE:
            host.take_answers()
        return done
    return _await(host, endpoint, events, timeout, attempt, arguments, now, was_tried=True)


def repeat_read(
    host: SocketHost,
    endpoint: SocketEndpoint,
    events: int,
    timeout: float | None,
    attempt: Callable[..., T],
    arguments: tuple[Any, ...],
    *,
    now: Instant,
) -> T:
    """Do what `repeat` does with an attempt to read, but for what would surely be in vain.

    Who talks to and fro reads before the answer has come, and to raise that costs as much as a
    frame does.
    """
    present, is_worth_trying = now, not endpoint.has_nothing_to_read()
    if not is_worth_trying and host.take_arrivals():
        present, is_worth_trying = host.now(), not endpoint.has_nothing_to_read()
    if is_worth_trying:
        try:
            return attempt(*arguments, now=present)
        except BlockingIOError:
            pass
    return _await(
        host, endpoint, events, timeout, attempt, arguments, now, was_tried=is_worth_trying
    )


def read(
    host: SocketHost, endpoint: SocketEndpoint, size: int, timeout: float | None, now: Instant
) -> bytes:
    """Wait for text or a message, as `repeat_read` does with `receive`, and give it alone.

    Plain text, which it nearly always is, is had with fewer calls. What has come already is asked
    for before this.
    """
    deadline, present = None if timeout is None else now + round(timeout * SECOND), now
    if endpoint.has_nothing_to_read():
        if not host.take_arrivals() and not host.wait_for(endpoint.watched(), _INCOMING, deadline):
            raise TimeoutError("timed out")
        present = host.now()
    text = endpoint.take_text(size, present)
    if text is not None:
        return text
    left = None if deadline is None else max(deadline - present, 0) / SECOND
    receive = endpoint.receive
    return repeat_read(host, endpoint, _INCOMING, left, receive, (size, 0), now=present).data


def accept(
    host: SocketHost, listener: SocketEndpoint, timeout: float | None, now: Instant
) -> tuple[SocketEndpoint, Endpoint]:
    """Wait for a connection, as `repeat` does with `accept`, but for an attempt while none waits.

    So the first attempt that is made does not block.
    """
    queue, attempt = listener.accept_queue, listener.accept
    if queue is not None and not queue and not (host.take_arrivals() and queue):
        return _await(host, listener, _ARRIVING, timeout, attempt, (), now, was_tried=False)
    return attempt(now=now)


def _await(
    host: SocketHost,
    endpoint: Watchable,
    events: int,
    timeout: float | None,
    attempt: Callable[..., T],
    arguments: tuple[Any, ...],
    now: Instant,
    *,
    was_tried: bool,
) -> T:
    """Repeat an attempt that was in vain, or would have been, on the events."""
    if was_tried and host.take_arrivals():
        try:
            return attempt(*arguments, now=host.now())
        except BlockingIOError:
            pass  # what had come was for others
    deadline = None if timeout is None else now + round(timeout * SECOND)
    waiter = host.watch(endpoint.watched(), events)
    try:
        if was_tried:
            host.flush()
        while host.wait(waiter, deadline):
            try:
                return attempt(*arguments, now=host.now())
            except BlockingIOError:
                host.flush()
    finally:
        host.forget(waiter)
    raise TimeoutError("timed out")
