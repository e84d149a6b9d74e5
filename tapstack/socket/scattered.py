"""Many buffers as one: what `sendmsg` gathers, and what `recvmsg_into` scatters.

Not done here: sending and receiving (`facade.py`).
"""

from __future__ import annotations

import socket as constants
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

Item: TypeAlias = "tuple[int, int, bytes]"
"""One item of ancillary data, which C calls control data: level, type, data (cmsg(3))."""
Ancillary: TypeAlias = "list[Item]"

_HEADER = constants.CMSG_LEN(0)


def octets_of(data: Any) -> memoryview:
    """View any buffer as octets. Raises: TypeError for what is none."""
    view = memoryview(data)
    if type(data) is bytes:  # what nearly all is
        return view
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def gather(buffers: Iterable[Any]) -> memoryview:
    """Join buffers. Raises: TypeError for what is none."""
    parts = [octets_of(each) for each in buffers]
    return parts[0] if len(parts) == 1 else memoryview(b"".join(parts))


def room_of(buffers: Iterable[Any]) -> list[memoryview]:
    """View buffers as octets to be written. Raises: TypeError for what cannot be."""
    views = [octets_of(each) for each in buffers]
    if any(view.readonly for view in views):
        raise TypeError("read-write bytes-like object expected")
    return views


def scatter(data: bytes, views: Sequence[memoryview]) -> None:
    """Write `data` into one buffer after the other, as far as they go."""
    for view in views:
        part, data = data[: len(view)], data[len(view) :]
        view[: len(part)] = part


def check_ancillary(items: Iterable[Any]) -> Ancillary:
    """See that ancillary data are well formed. Raises: TypeError."""
    checked: Ancillary = []
    for item in items:
        if not isinstance(item, Sequence) or len(item) != 3:
            raise TypeError("sendmsg() argument 2 must be an iterable of (level, type, data)")
        level, kind, data = item
        if not isinstance(level, int) or not isinstance(kind, int):
            raise TypeError("level and type of ancillary data must be integers")
        checked.append((level, kind, bytes(octets_of(data))))
    return checked


def cut_control(items: Sequence[Item], room: int) -> tuple[Ancillary, int]:
    """Give the items that fit into so many octets, the last one cut, and MSG_CTRUNC if so."""
    fitting: Ancillary = []
    for level, kind, data in items:
        if room < _HEADER:
            return fitting, constants.MSG_CTRUNC
        part = data[: room - _HEADER]
        fitting.append((level, kind, part))
        if len(part) < len(data):
            return fitting, constants.MSG_CTRUNC
        room -= constants.CMSG_SPACE(len(data))
    return fitting, 0
