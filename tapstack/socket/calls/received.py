"""What recvmsg(2) gives."""

from __future__ import annotations

from typing import NamedTuple

from tapstack.base.address import Endpoint


class Received(NamedTuple):
    """What recvmsg(2) gives."""

    data: bytes
    source: Endpoint | None
    control: list[tuple[int, int, bytes]]
    """Level, type, data."""
    flags: int
