"""A selector that drives the stack: for event loops, such as asyncio's.

    loop = asyncio.SelectorEventLoop(tapstack.selectors.DefaultSelector())

Any selector can wait for the stack's sockets, as each has a descriptor; but then a thread of the
stack's own reads the frames, and tells of them by system calls. Who waits by this one reads them
himself, and needs neither.

Not done here: the waiting (`runtime/selecting.py`).
"""

from __future__ import annotations

import select
import selectors
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from errno import EDEADLK, ENETDOWN
from selectors import EVENT_READ, EVENT_WRITE, SelectorKey
from typing import Any

from tapstack.runtime.runtime import Runtime
from tapstack.runtime.selecting import Ready, Selection
from tapstack.socket.contract import SocketHost
from tapstack.socket.descriptor import Readiness, find_readiness

_BOTH = select.POLLIN | select.POLLOUT
_EVENTS = {EVENT_READ: select.POLLIN, EVENT_WRITE: select.POLLOUT, EVENT_READ | EVENT_WRITE: _BOTH}
"""What poll(2) has for what selectors wait for."""


class DefaultSelector(selectors.BaseSelector):
    """A selector for sockets of the stack, and any descriptors besides.

    It drives the stack whose socket was the first to be registered; to sockets of others it does
    what any selector does. While a socket is registered, its descriptor tells nobody else.
    """

    def __init__(self) -> None:
        self._descriptors = select.epoll()
        self._keys: dict[int, SelectorKey] = {}
        self._driven: dict[int, Readiness] = {}
        # Sockets that are asked themselves, by their descriptors.
        self._ended: dict[int, Readiness] = {}
        # Those without a descriptor whose stack has been closed: they are ready for what will fail.
        self._stack: tuple[Runtime, Selection] | None = None
        self._map = _Registered(self._keys)

    def fileno(self) -> int:
        """Give the descriptor of the epoll that waits for descriptors."""
        return self._descriptors.fileno()

    def register(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        """Wait for a socket or descriptor. Raises: ValueError, KeyError, OSError."""
        if events not in _EVENTS:
            raise ValueError(f"Invalid events: {events!r}")
        key = SelectorKey(fileobj, _number_of(fileobj), events, data)
        if key.fd in self._keys:
            raise KeyError(f"{fileobj!r} (FD {key.fd}) is already registered")
        if not self._drives(key.fd, events):
            self._descriptors.register(key.fd, _EVENTS[events])
        self._keys[key.fd] = key
        return key

    def _drives(self, number: int, events: int) -> bool:
        """Wait for a socket by driving its stack; False: it is to be waited for as any is."""
        readiness = find_readiness(number)
        if readiness is None:
            return False
        stack = self.drive(readiness.host)
        if stack is None:
            if readiness.has_mere_number and readiness.host.refuses:
                self._ended[number] = readiness
            return number in self._ended
        runtime, selection = stack
        if not runtime.look(selection.begin, readiness, _EVENTS[events]):
            return False
        self._driven[number] = readiness
        return True

    def drive(self, host: SocketHost) -> tuple[Runtime, Selection] | None:
        """Give the stack, if it is the one to be driven: the first asked for, until it is closed.

        Raises: ValueError for a host in a simulated world.
        """
        if not isinstance(host, Runtime):
            raise ValueError(
                "selectors and event loops wait in the system's time, which never passes in a "
                "simulated world: use blocking calls in its processes"
            )
        if host.refuses:
            return None
        if self._stack is None:
            self._stack = host, host.selection(self._descriptors)
        return self._stack if self._stack[0] is host else None

    def unregister(self, fileobj: Any) -> SelectorKey:
        """Wait for it no more, even if it is closed. Raises: KeyError, ValueError."""
        key = self._keys.pop(self.get_key(fileobj).fd)
        readiness = self._driven.pop(key.fd, None)
        if readiness is not None:
            self._tell_stack(Selection.end, readiness)
        elif self._ended.pop(key.fd, None) is None:
            with suppress(OSError):  # it was closed
                self._descriptors.unregister(key.fd)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        """Wait for other events, or with other data. Raises: ValueError, KeyError, OSError."""
        if events not in _EVENTS:
            raise ValueError(f"Invalid events: {events!r}")
        key = self.get_key(fileobj)
        self._keys[key.fd] = changed = key._replace(events=events, data=data)
        if events != key.events:
            readiness = self._driven.get(key.fd)
            if readiness is not None:
                self._tell_stack(Selection.change, readiness, _EVENTS[events])
            elif key.fd not in self._ended:
                self._descriptors.modify(key.fd, _EVENTS[events])
        return changed

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Wait until something is ready, for at most `timeout` seconds, and drive the stack."""
        ready = []
        heard = self._wait_no_more(timeout) if self._ended else self._wait(timeout)
        for number, bits in heard:
            key = self._keys.get(number)
            if key is not None:
                events = EVENT_READ if bits & ~select.POLLOUT else 0
                events |= EVENT_WRITE if bits & ~select.POLLIN else 0
                ready.append((key, events & key.events))
        return ready

    def _wait(self, timeout: float | None) -> list[Ready]:
        if self._stack is not None:
            runtime, selection = self._stack
            if (
                timeout is not None
                and timeout <= 0
                and selection.is_quiet()
                and not runtime.refuses
            ):
                return []  # as most turns of a busy event loop: to enter the stack costs more
            try:
                return runtime.call(selection.wait, timeout)
            except OSError as error:
                if error.errno != ENETDOWN:
                    raise
            self._leave_stack()
            return self._wait_no_more(0 if selection.arrived else timeout)
        return self._descriptors.poll(timeout if timeout is None else max(timeout, 0))

    def _wait_no_more(self, timeout: float | None) -> list[Ready]:
        """Wait only if all those that have ended are closed: any call of theirs would fail."""
        ended = [(number, _BOTH) for number, each in self._ended.items() if each.number >= 0]
        return ended + self._wait(0 if ended else timeout)

    def _tell_stack(self, what: Callable[..., None], *arguments: Any) -> None:
        if self._stack is not None:
            runtime, selection = self._stack
            try:
                runtime.look(what, selection, *arguments)
            except OSError as error:
                if error.errno == EDEADLK:
                    runtime.call_soon(what, selection, *arguments)
                elif error.errno == ENETDOWN:
                    self._leave_stack()
                else:
                    raise

    def _leave_stack(self) -> None:
        """Wait for sockets of a stack that has been closed as for any descriptors."""
        assert self._stack is not None
        runtime, selection = self._stack
        self._stack = None
        if not runtime.is_parents:  # with whom a child of fork(2) shares the epoll, too
            selection.close(now=runtime.now())
            for number, readiness in self._driven.items():
                if readiness.has_mere_number:
                    self._ended[number] = readiness
                else:
                    with suppress(OSError):  # its socket was closed
                        self._descriptors.register(number, _EVENTS[self._keys[number].events])
        self._driven.clear()

    def __del__(self) -> None:
        """Give back what nobody has closed, as other selectors do."""
        if not self._descriptors.closed:
            self.close()

    def close(self) -> None:
        """Give everything back."""
        self._tell_stack(Selection.close)
        self._stack = None
        self._keys.clear()
        self._driven.clear()
        self._ended.clear()
        self._descriptors.close()

    def get_key(self, fileobj: Any) -> SelectorKey:
        """Give what was registered. Raises: KeyError, ValueError; RuntimeError once closed."""
        if self._descriptors.closed:
            raise RuntimeError("Selector is closed")
        key = self._keys.get(fileobj)  # event loops have numbers
        return self._map[fileobj] if key is None else key

    def get_map(self) -> Mapping[Any, SelectorKey]:
        """Give all that is registered, by socket or descriptor."""
        return self._map


class _Registered(Mapping[Any, SelectorKey]):
    """What is registered, by the object or its descriptor."""

    def __init__(self, keys: Mapping[int, SelectorKey]) -> None:
        self._keys = keys

    def __getitem__(self, fileobj: Any) -> SelectorKey:
        try:
            key = self._keys.get(_number_of(fileobj))
        except ValueError:
            key = self._find(fileobj)  # it was closed since
            if key is None:
                raise
        if key is None:
            raise KeyError(f"{fileobj!r} is not registered")
        return key

    def _find(self, fileobj: Any) -> SelectorKey | None:
        return next((key for key in self._keys.values() if key.fileobj is fileobj), None)

    def __iter__(self) -> Iterator[int]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _number_of(fileobj: Any) -> int:
    """Give the descriptor of an object that has one. Raises: ValueError."""
    try:
        number = fileobj if isinstance(fileobj, int) else int(fileobj.fileno())
    except (AttributeError, TypeError, ValueError):
        raise ValueError(f"Invalid file object: {fileobj!r}") from None
    if number < 0:
        raise ValueError(f"Invalid file descriptor: {number}")
    return number
