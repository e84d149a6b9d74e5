"""SO_BINDTODEVICE (socket(7)): the device that a socket is bound to, by its name.

It is remembered as its index, as SO_BINDTOIFINDEX has it. Nothing depends on it: each network that
is reached is reached by one device alone.

Not done here: keeping out what comes in by another.
"""

from __future__ import annotations

import socket as constants
from errno import EINVAL, ENODEV
from typing import TYPE_CHECKING

from tapstack.base.errors import os_error
from tapstack.socket.remembered_options import SO_BINDTOIFINDEX

if TYPE_CHECKING:
    from tapstack.socket.kept_options import Kept
    from tapstack.socket.options import Value
    from tapstack.stack import Stack

KEY = constants.SOL_SOCKET, constants.SO_BINDTODEVICE
_BY_INDEX = constants.SOL_SOCKET, SO_BINDTOIFINDEX
_NAME_SIZE = 16  # <linux/if.h>: IFNAMSIZ, its zero included


def name_of(kept: Kept, stack: Stack, size: int) -> bytes:
    """Give the name, with a zero behind it; b"" while there is none. Raises: OSError."""
    index = kept.remembered.get(_BY_INDEX, 0)
    if not index:
        return b""
    if size < _NAME_SIZE:
        raise os_error(EINVAL)
    names = list(stack.interfaces)
    if index > len(names):
        raise os_error(ENODEV)
    return names[index - 1].encode() + b"\0"


def bind_to(kept: Kept, stack: Stack, value: Value) -> None:
    """Bind a socket to a device, or with no name to none. Raises: OSError with EINVAL, ENODEV."""
    if isinstance(value, int):
        raise os_error(EINVAL)
    name = value[: _NAME_SIZE - 1].split(b"\0")[0].decode(errors="replace")
    if name and name not in stack.interfaces:
        raise os_error(ENODEV)
    kept.remembered[_BY_INDEX] = 1 + list(stack.interfaces).index(name) if name else 0
