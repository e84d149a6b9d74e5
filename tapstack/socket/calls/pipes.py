"""Pipes (pipe(7)): octets from one end to the other, in as many pages as fit.

Not done here: packets (O_DIRECT), and waiting (`socket/blocking.py`).
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable
from errno import EAGAIN, EBUSY, EINVAL, ENOTTY, EPERM, EPIPE

from tapstack.base.contracts import CLOSED, READABLE, WRITABLE
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.socket.blocking import block
from tapstack.socket.calls.open_file import IN, OUT, OpenFile
from tapstack.socket.contract import SocketHost
from tapstack.socket.ioctl import SIOCINQ

PAGE = 4096
_PAGES = 16
"""pipe(7): 65536 octets, unless F_SETPIPE_SZ says otherwise."""
_LARGEST = 1 << 20
"""/proc/sys/fs/pipe-max-size."""


class Pipe:
    """What lies between the two ends."""

    def __init__(self, host: SocketHost) -> None:
        self.host = host
        self.pages: deque[bytearray] = deque()
        """What was written, no more than a page in each."""
        self.capacity = _PAGES
        self.readers = 1
        self.writers = 1

    def watched(self) -> object:
        """Give what events tell of this: itself."""
        return self

    def __len__(self) -> int:
        return sum(map(len, self.pages))

    @property
    def size(self) -> int:
        """Octets that find room in all."""
        return self.capacity * PAGE

    def room(self) -> int:
        """Count the octets that find room in pages of their own."""
        return max(self.capacity - len(self.pages), 0) * PAGE

    def look(self, size: int, *, now: Instant) -> bytes:  # noqa: ARG002 - every attempt's form
        """Give up to `size` octets, and keep them; b"" at the end. Raises: OSError with EAGAIN."""
        if not self.pages and self.writers and size:
            raise os_error(EAGAIN)
        return b"".join(self.pages)[:size]

    def take(self, size: int, *, now: Instant) -> bytes:
        """Take up to `size` octets; b"" at the end. Raises: OSError with EAGAIN."""
        self.look(size, now=now)
        taken = bytearray()
        while self.pages and len(taken) < size:
            page = self.pages[0]
            part = page[: size - len(taken)]
            taken += part
            del page[: len(part)]
            if not page:
                self.pages.popleft()
        self.host.report(self, WRITABLE)
        return bytes(taken)

    def put(self, data: memoryview, *, now: Instant) -> int:  # noqa: ARG002
        """Put in what finds room; no more than a page goes in whole. Raises: OSError."""
        if not self.readers:
            raise os_error(EPIPE)
        taken = self._fill_last(data)
        while taken < len(data) and len(self.pages) < self.capacity:
            self.pages.append(bytearray(data[taken : taken + PAGE]))
            taken += len(self.pages[-1])
        if not taken and len(data):
            raise os_error(EAGAIN)
        self.host.report(self, READABLE)
        return taken

    def _fill_last(self, data: memoryview) -> int:
        """Put what is less than a page behind what is in the last one, as Linux does."""
        odd = len(data) % PAGE
        if not odd or not self.pages or len(self.pages[-1]) + odd > PAGE:
            return 0
        self.pages[-1] += data[:odd]
        return odd

    def resize(self, size: int) -> int:
        """Set how many octets find room (F_SETPIPE_SZ); give how many do. Raises: OSError."""
        if not 0 <= size <= 1 << 31:
            raise os_error(EINVAL)
        pages = 1 << max(-(-size // PAGE) - 1, 0).bit_length()
        if pages * PAGE > _LARGEST:
            raise os_error(EPERM)
        if pages < len(self.pages):
            raise os_error(EBUSY)
        self.capacity = pages
        return pages * PAGE


class PipeEnd(OpenFile):
    """One end of a pipe."""

    can_be_awaited = True

    def __init__(self, pipe: Pipe, flags: int) -> None:
        super().__init__(flags)
        self.pipe = pipe

    @property
    def is_reader(self) -> bool:
        """Tell whether it is the end to read from."""
        return self.flags & os.O_ACCMODE == os.O_RDONLY

    def read(self, size: int) -> bytes:
        """As read(2). Raises: OSError."""
        return self.wait_for(self.pipe.take, size, wait=self.may_block)

    def wait_for(self, attempt: Callable[..., bytes], size: int, *, wait: bool) -> bytes:
        """Take octets or look at them, waiting for some or not. Raises: OSError."""
        timeout = None if wait else 0
        return block(self.pipe.host, self.pipe, READABLE | CLOSED, timeout, attempt, size)

    def write(self, data: bytes) -> int:
        """As write(2). Raises: OSError."""
        if not data:
            return 0
        pipe, timeout = self.pipe, None if self.may_block else 0
        rest = memoryview(data)
        try:
            while rest:
                taken = block(pipe.host, pipe, WRITABLE | CLOSED, timeout, pipe.put, rest)
                rest = rest[taken:]
        except OSError:
            if len(rest) == len(data):
                raise
        return len(data) - len(rest)

    def ioctl(self, request: int) -> int:
        """As ioctl(2): FIONREAD. Raises: OSError with ENOTTY."""
        if request != SIOCINQ:
            raise os_error(ENOTTY)
        return len(self.pipe)

    def readiness(self, *, now: Instant) -> int:  # noqa: ARG002 - every attempt's form
        """Tell what poll(2) would."""
        pipe = self.pipe
        if self.is_reader:
            return (IN if pipe.pages else 0) | (0 if pipe.writers else select.POLLHUP)
        is_full = len(pipe.pages) >= pipe.capacity
        return (0 if is_full else OUT) | (0 if pipe.readers else select.POLLERR)

    def notify(self, on_event: Callable[[int], None]) -> Callable[[], None]:
        """Have `on_event` called when there may be octets or room; give what ends that."""
        wanted, key = (READABLE, IN) if self.is_reader else (WRITABLE, OUT)

        def listener(events: int) -> None:
            if events & CLOSED:
                on_event(0)
            elif events & wanted:
                on_event(key)

        return self.pipe.host.notify(self.pipe, listener)

    def close(self) -> None:
        """Let the other end know."""
        self.pipe.host.call(self._close)

    def _close(self, *, now: Instant) -> None:  # noqa: ARG002 - every attempt's form
        if self.is_reader:
            self.pipe.readers = 0
        else:
            self.pipe.writers = 0
        self.pipe.host.report(self.pipe, CLOSED)


def make_pipe(host: SocketHost) -> tuple[PipeEnd, PipeEnd]:
    """Make a pipe: the end to read from, the end to write to."""
    pipe = Pipe(host)
    return PipeEnd(pipe, os.O_RDONLY), PipeEnd(pipe, os.O_WRONLY)
