"""What a script's packets are about follows from its system calls: who listens on the calls.

Not done here: which conversation a packet belongs to (`conversations.py`).
"""

from __future__ import annotations

import socket as constants
from typing import Any

from tapstack.base.address import Endpoint
from tapstack.drill.contract import Calls
from tapstack.drill.wire.conversations import Conversations
from tapstack.socket.flags import MSG_FASTOPEN
from tapstack.tcp.wire import PROTOCOL_TCP
from tapstack.udp.wire import PROTOCOL_UDP

_PROTOCOLS: dict[int, int] = {
    constants.SOCK_STREAM: PROTOCOL_TCP,
    constants.SOCK_DGRAM: PROTOCOL_UDP,
}
_KIND_MASK = 0xF  # socket(2): SOCK_NONBLOCK and SOCK_CLOEXEC are bits beyond


class Overheard:
    """System calls that are passed on, some of them told to the conversations."""

    def __init__(self, calls: Calls, conversations: Conversations) -> None:
        self._calls = calls
        self._conversations = conversations

    def __getattr__(self, name: str) -> Any:
        """Pass every other call on as it is."""
        return getattr(self._calls, name)

    def socket(self, domain: int, kind: int, protocol: int) -> int:
        """As socket(2); what begins from now on is about this socket."""
        fd = self._calls.socket(domain, kind, protocol)
        self._conversations.on_socket(_PROTOCOLS.get(kind & _KIND_MASK, protocol))
        return fd

    def bind(self, fd: int, local: Endpoint) -> None:
        """As bind(2)."""
        self._calls.bind(fd, local)
        self._conversations.on_bind(self._calls.getsockname(fd))

    def listen(self, fd: int, backlog: int) -> None:
        """As listen(2)."""
        self._calls.listen(fd, backlog)
        self._conversations.on_listen()

    def connect(self, fd: int, remote: Endpoint | None) -> None:
        """As connect(2)."""
        self._will_connect(remote)
        self._calls.connect(fd, remote)
        self._conversations.on_bind(self._calls.getsockname(fd))

    def sendto(self, fd: int, data: bytes, flags: int, to: Endpoint | None) -> int:
        """As sendto(2), which connects, too (MSG_FASTOPEN)."""
        if flags & MSG_FASTOPEN:
            self._will_connect(to)
        return self._calls.sendto(fd, data, flags, to)

    def sendmsg(
        self,
        fd: int,
        parts: Any,
        control: Any,
        flags: int,
        to: Endpoint | None,
    ) -> int:
        """As sendmsg(2), which connects, too (MSG_FASTOPEN)."""
        if flags & MSG_FASTOPEN:
            self._will_connect(to)
        return self._calls.sendmsg(fd, parts, control, flags, to)

    def _will_connect(self, remote: Endpoint | None) -> None:
        if remote is not None:
            self._conversations.on_connect(remote)
