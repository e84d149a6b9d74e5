"""A listening socket: the SYN queue of half-open connections, and the accept queue (§3.10.1).

Not done here: the segments (`handshake.py`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tapstack.base.address import Endpoint
from tapstack.tcp.user_options import UserOptions

if TYPE_CHECKING:
    from tapstack.tcp.connections import PortBinding
    from tapstack.tcp.tcb import Tcb


@dataclass(slots=True, eq=False)
class Listener:
    """A passive open. There is no control block before a SYN comes."""

    binding: PortBinding
    backlog: int
    """Connections that may wait to be accepted; like Linux, one more fits."""
    options: UserOptions
    syn_queue: dict[Tcb, None] = field(default_factory=dict)
    """Half-open connections, in order of arrival."""
    accept_queue: deque[Tcb] = field(default_factory=deque)
    """Established connections that nobody has accepted yet, oldest first."""

    @property
    def local(self) -> Endpoint:
        """Where it listens; the address may be IPV4_ANY."""
        return self.binding.local

    def is_full(self) -> bool:
        """Tell whether the accept queue takes no more."""
        return len(self.accept_queue) > self.backlog

    def promote(self, tcb: Tcb) -> None:
        """Move a connection from the SYN queue to the accept queue: its handshake is done."""
        del self.syn_queue[tcb]
        self.accept_queue.append(tcb)

    def forget(self, tcb: Tcb) -> None:
        """Drop a half-open connection that has ended.

        One that waits to be accepted stays: `accept` hands it out, and reading tells its end.
        """
        self.syn_queue.pop(tcb, None)
