"""What a stream's socket keeps, from unbound to closed.

It lies in slots, as of thousands most are idle: what each call asks for, which `AnyEndpoint` and
`PlainStream` have, is in front.

Not done here: the attempts (`stream.py`).
"""

from __future__ import annotations

from collections.abc import Sized

from tapstack.base.address import ANY_ENDPOINT
from tapstack.socket.kept_options import Kept
from tapstack.socket.plain_stream import PlainStream
from tapstack.stack import Stack
from tapstack.tcp.connections import PortBinding
from tapstack.tcp.listener import Listener
from tapstack.tcp.protocol import Tcp
from tapstack.tcp.state import NOT_SHUT
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import NO_DISCOVERY, UserOptions


class StreamState(PlainStream):
    """A TCP socket, as far as it only remembers."""

    __slots__ = (
        "_binding",
        "_chosen",
        "_connect_cut_short",
        "_connect_reported",
        "_listener",
        "_past",
        "_shut_before",
        "accept_queue",
        "held_sends",
        "options",
        "reuse_address",
        "reuse_port",
    )

    def __init__(self, tcp: Tcp, stack: Stack) -> None:
        super().__init__(tcp, stack, Kept())
        self._begin()
        self._connect_reported = self.reuse_address = self.reuse_port = False
        # If the algorithm changes later, it does not count.
        self.options: UserOptions = UserOptions(congestion=tcp.config.tcp_congestion_control)
        if stack.ip.config.ip_no_pmtu_disc:
            self.options.discovery = NO_DISCOVERY

    def _begin(self) -> None:
        """Have nothing that only listening and connecting bring."""
        self._listener: Listener | None = None
        self._binding: PortBinding | None = None
        self._chosen = ANY_ENDPOINT  # what the user has bound it to
        self._past: Tcb | None = None
        # What could not be made, or was dissolved: more is to be told of it.
        self._connect_cut_short = False  # shut down before it was told how `connect` came out
        self._shut_before = NOT_SHUT  # while there was neither a connection nor a listener
        self.accept_queue: Sized | None = None
        self.held_sends = 0
