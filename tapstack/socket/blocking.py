"""The one place that blocks: try; where that would block, wait for an event; try again.

Not done here: the attempts (`stream.py`, `messages.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EINPROGRESS
from typing import Any, Protocol, TypeVar

from tapstack.base.units import SECOND
from tapstack.socket.contract import SocketHost

T = TypeVar("T")


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
    try:
        return host.call(attempt, *arguments)
    except BlockingIOError as blocked:
        if timeout == 0 or blocked.errno == EINPROGRESS:
            raise  # something was begun: to begin it again would be wrong
    deadline = None if timeout is None else host.now() + round(timeout * SECOND)
    with host.watch(endpoint.watched(), events) as waiter:
        while True:
            waiter.arm()
            try:
                return host.call(attempt, *arguments)
            except BlockingIOError:
                left = None if deadline is None else (deadline - host.now()) / SECOND
                if (left is not None and left <= 0) or not waiter.wait(left):
                    raise TimeoutError("timed out") from None
