"""A datagram that several calls make: UDP_CORK, and MSG_MORE of send(2) (udp(7)).

As in Linux, it goes where its first call said, and in its manner. What it grows too long for is
thrown away with all that was gathered.

Not done here: sending it (`messages.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from errno import EMSGSIZE
from typing import TYPE_CHECKING

from tapstack.base.errors import os_error
from tapstack.udp.protocol import MAX_DATA

if TYPE_CHECKING:
    from tapstack.base.address import Endpoint
    from tapstack.base.contracts import Buffer
    from tapstack.socket.sent_control import SentControl


@dataclass(slots=True)
class Gathered:
    """What there is of a datagram until it leaves."""

    to: Endpoint | None
    said: SentControl
    data: bytearray = field(default_factory=bytearray)

    def add(self, data: Buffer) -> None:
        """Take the data of one more call. Raises: OSError with EMSGSIZE."""
        if len(self.data) + len(data) > MAX_DATA:
            raise os_error(EMSGSIZE)
        self.data += data
