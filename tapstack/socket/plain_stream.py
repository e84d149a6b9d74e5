"""A stream's calls as they mostly are: all text that waits is taken, a short one leaves at once.

Whatever is not so plain is declined before anything has changed: the attempts of `stream.py`, which
come to the same, are for it.

Not done here: what becomes of text (`tcp/exchange.py`, `tcp/short_text.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.socket.any_endpoint import AnyEndpoint
from tapstack.tcp.exchange import read_exchange
from tapstack.tcp.short_text import send_short_text
from tapstack.tcp.state import State
from tapstack.tcp.urgent import UrgentOctet

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.socket.kept_options import Kept
    from tapstack.stack import Stack
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.protocol import Tcp
    from tapstack.tcp.tcb import Tcb

# Each read asks for these: as members they would be looked up in their class.
_CLOSE_WAIT, _ESTABLISHED, _NOT_URGENT = State.CLOSE_WAIT, State.ESTABLISHED, UrgentOctet.NONE


class PlainStream(AnyEndpoint):
    """A socket of a stream, which may have a connection."""

    __slots__ = ("_tcb", "_tcp")

    def __init__(self, tcp: Tcp, stack: Stack, kept: Kept) -> None:
        super().__init__(stack, kept)
        self._tcp = tcp
        self._tcb: Tcb | None = None

    @property
    def tcb(self) -> Tcb | None:
        """The connection, if there is one."""
        return self._tcb

    @property
    def config(self) -> TcpConfig:
        """The engine's settings."""
        return self._tcp.config

    def take_text(self, size: int, now: Instant) -> bytes | None:
        """Take all the text that is there, if it is plain and no more than `size` octets.

        b"": the stream has ended.
        """
        tcb = self._tcb
        if tcb is None or self._closed:
            return None
        octets, options = tcb.receive_queue.octets, tcb.options
        if not octets:
            has_ended = tcb.state is _CLOSE_WAIT and tcb.urgent_octet is _NOT_URGENT
            return b"" if has_ended and not tcb.error else None
        if octets > size or octets < options.rcvlowat or options.peek_off > 0:
            return None
        return read_exchange(self._tcp.context, tcb, now)

    def has_nothing_to_read(self) -> bool:
        """Tell that any read would block."""
        tcb = self._tcb
        return not (
            tcb is None
            or tcb.receive_queue.octets
            or self._closed
            # as `stream_text` has it of what is plain
            or tcb.state is not _ESTABLISHED
            or tcb.error
            or tcb.errors
            or tcb.read_shut
            or tcb.fin_queued
            or tcb.urgent_octet is not _NOT_URGENT
        )

    def may_send_at_once(self) -> bool:
        """Tell whether there is a connection with a lane, and nothing in flight or waiting."""
        tcb = self._tcb
        return tcb is not None and tcb.lane is not None and not tcb.send_buffer.octets

    def send_text(self, text: bytes, now: Instant) -> bool:
        """Send a text that may leave at once, and of which nobody is to be told."""
        tcb = self._tcb
        if tcb is None or self._closed or self.kept.timestamping.flags:
            return False
        return send_short_text(self._tcp.context, tcb, text, now)
