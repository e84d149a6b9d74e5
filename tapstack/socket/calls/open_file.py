"""An open file description: what one descriptor, or several, stand for (open(2)).

Not done here: numbers (`descriptors.py`), and what each kind of file does.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from errno import EINVAL, ENOTTY

from tapstack.base.errors import os_error
from tapstack.base.units import Instant

IN = select.POLLIN | select.POLLRDNORM
OUT = select.POLLOUT | select.POLLWRNORM
"""What poll(2) says of a file that can be read, and of one that can be written."""
EVERYTHING = IN | OUT
"""What is said of a file that never blocks (poll(2))."""
_SETTABLE = os.O_APPEND | os.O_ASYNC | os.O_DIRECT | os.O_NOATIME | os.O_NONBLOCK
"""Flags that F_SETFL heeds (fcntl(2)); it passes over all others."""


class OpenFile:
    """What every kind of open file has; what it does not have raises what Linux says."""

    can_be_awaited = False
    """Whether epoll takes it: what never blocks, it does not."""

    def __init__(self, flags: int) -> None:
        self.flags = flags
        """Access mode and status flags, as F_GETFL tells them."""
        self.holders = 0
        """Descriptors that stand for it."""
        self.released: list[Callable[[], None]] = []
        """Whom to tell, within the stack, that the last of them is closed."""

    @property
    def may_block(self) -> bool:
        """Tell whether O_NONBLOCK is off."""
        return not self.flags & os.O_NONBLOCK

    def set_flags(self, flags: int) -> None:
        """Set the status flags (F_SETFL)."""
        self.flags = self.flags & ~_SETTABLE | flags & _SETTABLE

    def read(self, size: int) -> bytes:  # noqa: ARG002
        """As read(2). Raises: OSError."""
        raise os_error(EINVAL)

    def write(self, data: bytes) -> int:  # noqa: ARG002
        """As write(2). Raises: OSError."""
        raise os_error(EINVAL)

    def ioctl(self, request: int) -> int:  # noqa: ARG002
        """As ioctl(2). Raises: OSError with ENOTTY."""
        raise os_error(ENOTTY)

    def readiness(self, *, now: Instant) -> int:  # noqa: ARG002 - not every file's is constant
        """Tell what poll(2) would. To be called within the stack."""
        return EVERYTHING

    def notify(self, on_event: Callable[[int], None]) -> Callable[[], None]:  # noqa: ARG002
        """Have `on_event` called with poll(2)'s events when they may have come about, 0: any.

        Give what ends that. To be called within the stack.
        """
        return _nothing

    def close(self) -> None:
        """Give it back: nothing stands for it any more. Raises: OSError."""


def release(file: OpenFile, *, now: Instant) -> None:  # noqa: ARG001 - every attempt's form
    """Tell all who know of a file that it is about to be closed."""
    for forget in list(file.released):
        forget()


def _nothing() -> None:
    """Nothing was asked for, and nothing is to be ended."""
