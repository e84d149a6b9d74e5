"""A transport of asyncio's over one connection of the stack.

To its protocol it is what asyncio's own is, to the words of what it reports.

Not done here: when its loop's turn is, and what transports do together in one (`crowd.py`).
"""

from __future__ import annotations

import logging
import select
import socket
from asyncio import constants
from typing import TYPE_CHECKING, Any

from tapstack.aio.base import TO_READ, TO_WRITE, BaseStreamTransport
from tapstack.base.contracts import READABLE, WRITABLE
from tapstack.socket.flags import MSG_DONTWAIT
from tapstack.socket.scattered import octets_of

if TYPE_CHECKING:
    from tapstack.aio.crowd import Crowd
    from tapstack.base.contracts import Buffer
    from tapstack.base.units import Instant
    from tapstack.socket.facade import Socket
    from tapstack.socket.open_socket import OpenSocket
    from tapstack.tcp.tcb import Tcb

_MAX_SIZE = 256 * 1024
"""Octets read at once, as by asyncio."""
_TO_BE_READ = select.POLLIN | select.POLLERR | select.POLLHUP
_OCTETS = (bytes, bytearray, memoryview)
_log = logging.getLogger("asyncio")


class StreamTransport(BaseStreamTransport):
    """What `asyncio.Transport` is, of a connection of the stack."""

    __slots__ = ("_eof", "_failure", "_has_sent", "_paused")

    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.FALLBACK

    def __init__(self, crowd: Crowd, opened: OpenSocket, connection: Tcb, origin: Socket) -> None:
        super().__init__(crowd, opened, connection, origin)
        self._paused = self._eof = False
        self._has_sent = False
        # Whether some of what waited has left in this turn, or cannot leave, and why.
        self._failure: Exception | None = None

    def begin(self, waiter: Any) -> None:
        """Tell the protocol that it is connected, and then whoever waits for that."""
        try:
            self._protocol.connection_made(self)
        finally:
            if self.is_reading():
                self._listen(self.events | TO_READ)
            if waiter is not None and not waiter.cancelled():
                waiter.set_result(None)

    # --- reading ---

    def is_reading(self) -> bool:
        """Tell whether the protocol gets what comes."""
        return not (self._paused or self._closing)

    def pause_reading(self) -> None:
        """Give the protocol nothing until further notice."""
        if self.is_reading():
            self._paused = True
            self._listen(TO_WRITE if self._buffer else 0)
            self._debug("%r pauses reading")

    def resume_reading(self) -> None:
        """Give the protocol what comes again."""
        if self._paused and not self._closing:
            self._paused = False
            if self._text is not None:
                self._crowd.recall(self)
            self._listen(self.events | TO_READ)
            self._debug("%r resumes reading")

    def attend(self, events: int, now: Instant) -> bool:
        """Read what has come, and send what waits; tell if there is news. Within the stack."""
        if self.events & READABLE:
            if self._text is None:
                self._text = self._read(now)
            else:
                self._crowd.hear(self, TO_READ)  # of what is behind that, in the next turn
        waits = self._buffer and events & TO_WRITE and self.events & WRITABLE
        if waits and not isinstance(self._text, Exception):
            self._flush(now)
        return self._text is not None or self._has_sent

    def fail(self, error: OSError) -> bool:
        """Do what `attend` does where the stack is closed."""
        if self.events & READABLE and self._text is None:
            self._text = error
        elif self._buffer:
            self._has_sent, self._failure = True, error
        return self._text is not None or self._has_sent

    def _read(self, now: Instant) -> bytes | Exception | None:
        opened = self.open
        endpoint = opened.endpoint
        try:
            text = endpoint.take_text(_MAX_SIZE, now)
            if text is None:
                if not endpoint.readiness(now=now) & _TO_BE_READ:
                    return None
                text = endpoint.receive(_MAX_SIZE, MSG_DONTWAIT, now=now).data
        except (BlockingIOError, InterruptedError):
            return None
        except Exception as error:  # noqa: BLE001 - it is the protocol's, and not other transports'
            return error
        finally:
            if opened.readiness is not None:
                opened.show(now)
        if text and not endpoint.has_nothing_to_read():
            self._crowd.hear(self, TO_READ)  # in its next turn
        return text

    def deliver(self) -> None:
        """Tell the protocol the news."""
        text = self._text
        # An error is news also for what waits to be sent, which it has in its way.
        is_due = self.is_reading() or (self._buffer and isinstance(text, Exception))
        if text is not None and is_due:
            self._text = None
            if type(text) is bytes and text and not self._feeds:
                self._guard("data_received", text)
            elif isinstance(text, Exception):
                self._fatal_error(text, "Fatal read error on socket transport")
            elif not text:
                self._receive_end()
            elif self._feeds:
                self._feed(text)
            else:
                self._guard("data_received", bytes(text))
        if self._has_sent:
            self._has_sent = False
            self._go_on_writing()

    def _guard(self, method: str, *arguments: Any) -> Any:
        """Call the protocol; what it raises ends the connection, and gives False."""
        try:
            return getattr(self._protocol, method)(*arguments)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as asyncio
            self._fatal_error(error, f"Fatal error: protocol.{method}() call failed.")
            return False

    def _feed(self, text: Buffer) -> None:
        """Fill one buffer of the protocol's; the rest has to wait for the next turn."""
        buffer = self._guard("get_buffer", -1)
        if self._closing:
            return
        if not len(buffer):
            empty = RuntimeError("get_buffer() returned an empty buffer")
            self._fatal_error(empty, "Fatal error: protocol.get_buffer() call failed.")
            return
        try:
            with octets_of(buffer) as room:
                count = min(len(room), len(text))
                room[:count] = text[:count]
        except Exception as error:  # noqa: BLE001 - of whatever the protocol gave
            self._fatal_error(error, "Fatal read error on socket transport")
            return
        if count < len(text):
            self._text = memoryview(text)[count:]
            self._crowd.recall(self)
        self._guard("buffer_updated", count)

    def _receive_end(self) -> None:
        self._debug("%r received EOF")
        if self._guard("eof_received"):
            self._listen(TO_WRITE if self._buffer else 0)  # the protocol may write still
        elif not self._closing:
            self._close(self._crowd.end_with_turn)

    # --- writing ---

    def write(self, data: Any) -> None:
        """Send this, at once or when there is room. Raises: TypeError, RuntimeError."""
        if not isinstance(data, _OCTETS):
            kind = type(data).__name__
            raise TypeError(f"data argument must be a bytes-like object, not {kind!r}")
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data:
            return
        if self._conn_lost:
            if self._conn_lost >= constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                _log.warning("socket.send() raised exception.")
            self._conn_lost += 1
            return
        if self._buffer:
            assert isinstance(self._buffer, bytearray)
            self._buffer += octets_of(data)
        else:
            try:
                self._crowd.runtime.enter(self._put, data)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - as asyncio
                self._fatal_error(error, "Fatal write error on socket transport")
                return
            if not self._buffer:
                return
        self._maybe_pause_protocol()

    def _put(self, data: Buffer, now: Instant) -> None:
        """Send what finds room, and keep the rest, if there is one. Within the stack."""
        endpoint = self.open.endpoint
        if type(data) is bytes and endpoint.send_text(data, now):
            if self.open.readiness is not None:
                self.open.show(now)
            return
        with octets_of(data) as octets:
            sent = 0
            try:
                sent = endpoint.send(octets, MSG_DONTWAIT, None, now=now)
            except (BlockingIOError, InterruptedError):
                pass
            finally:
                self.open.show(now)
            if sent < len(octets):
                self._buffer = bytearray(octets[sent:])
                self.listen(self.events | TO_WRITE, now=now)

    def _flush(self, now: Instant) -> None:
        """Send of what waits what finds room. Within the stack."""
        assert isinstance(self._buffer, bytearray)
        try:
            with memoryview(self._buffer) as octets:
                sent = self.open.endpoint.send(octets, MSG_DONTWAIT, None, now=now)
        except (BlockingIOError, InterruptedError):
            return
        except Exception as error:  # noqa: BLE001 - as in `_read`
            self._has_sent, self._failure = True, error
        else:
            del self._buffer[:sent]
            self._has_sent = True
            if not self._buffer:
                self.listen(TO_READ if self.events & READABLE else 0, now=now)
        finally:
            self.open.show(now)

    def _go_on_writing(self) -> None:
        """Do what is to be done when some of what had waited has left."""
        if self._conn_lost:
            return
        if self._failure is not None:
            self._fatal_error(self._failure, "Fatal write error on socket transport")
            return
        self._maybe_resume_protocol()
        if not self._buffer:  # still: that may have written
            if self._closing:
                self._close(self._crowd.end_with_turn)
            elif self._eof:
                self._end_sending()

    def can_write_eof(self) -> bool:
        """Tell that one direction can be ended alone."""
        return True

    def write_eof(self) -> None:
        """End the one direction, when all has left."""
        if not (self._closing or self._eof):
            self._eof = True
            if not self._buffer:
                self._end_sending()

    def _end_sending(self) -> None:
        self._crowd.runtime.enter(self._shut_down, socket.SHUT_WR)

    def _shut_down(self, how: int, now: Instant) -> None:
        try:
            self.open.endpoint.shutdown(how, now=now)
        finally:
            self.open.show(now)
