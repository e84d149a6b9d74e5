"""SOCK_STREAM: the attempts of a TCP socket, from unbound to closed (socket(7), tcp(7)).

Not done here: TCP, and waiting for it.
"""

from __future__ import annotations

import select
import socket as constants
from collections.abc import Sequence
from errno import (
    EAGAIN,
    EALREADY,
    EBADF,
    ECONNABORTED,
    ECONNRESET,
    EINPROGRESS,
    EINVAL,
    EISCONN,
    ENOTCONN,
    EPIPE,
)

from tapstack.base.address import ANY_ENDPOINT, Endpoint, ourselves_for_any
from tapstack.base.contracts import CLOSED, ENDED, ERROR, READABLE, WRITABLE, Buffer
from tapstack.base.errors import os_error
from tapstack.base.units import MILLISECOND, Instant
from tapstack.socket import bound_device, options, stream_text
from tapstack.socket.contract import Message
from tapstack.socket.flags import MSG_DONTWAIT, MSG_ERRQUEUE, MSG_OOB, MSG_PEEK
from tapstack.socket.options import Value
from tapstack.socket.received import take_error_message
from tapstack.socket.scattered import Item
from tapstack.socket.sent_control import read_control
from tapstack.socket.special_sends import SPECIAL, send_specially
from tapstack.socket.stream_options import TCP_SAVED_SYN, TCP_TIMESTAMP, table_for, take_saved_syn
from tapstack.socket.stream_state import StreamState
from tapstack.socket.tcp_info import read_info
from tapstack.tcp.fast_open_client import is_deferred
from tapstack.tcp.listener import limit_backlog
from tapstack.tcp.state import FIN_UNACKNOWLEDGED, NOT_SHUT, Shut, State
from tapstack.tcp.tcb import Tcb

_CONNECTING = frozenset({State.SYN_SENT, State.SYN_RECEIVED})
_IN_DOUBT = frozenset({State.SYN_RECEIVED, State.CLOSED})
"""States of a connection that its user has begun and of which he knows nothing yet."""
_GONE = CLOSED | READABLE | WRITABLE
_WITHOUT_PEER = frozenset({State.SYN_SENT, State.TIME_WAIT, State.CLOSED})


class StreamEndpoint(StreamState):
    """One TCP socket."""

    __slots__ = ()

    def watched(self) -> object:
        """Give the connection or the listener; this object itself while it is neither."""
        return self._tcb or self._listener or self

    def _connection(self) -> Tcb:
        """Give the connection. Raises: OSError with ENOTCONN, EBADF."""
        if self._closed or self._tcb is None:
            raise os_error(EBADF if self._closed else ENOTCONN)
        return self._tcb

    # --- addresses ---

    def bind(self, local: Endpoint, *, now: Instant) -> None:  # noqa: ARG002
        """Take hold of a port. Raises: OSError with EINVAL, EADDRINUSE, EADDRNOTAVAIL."""
        self._check_open()
        if self._binding or self._tcb or self._listener:
            raise os_error(EINVAL)
        self._chosen = local
        self._binding = self._tcp.bind(
            local, reuse_address=self.reuse_address, reuse_port=self.reuse_port
        )

    def local(self, *, now: Instant) -> Endpoint:  # noqa: ARG002
        """Give the local address, which is 0.0.0.0:0 while there is none."""
        self._check_open()
        holder = self._tcb or self._listener or self._binding
        return holder.local if holder else ANY_ENDPOINT

    def remote(self, *, now: Instant) -> Endpoint:  # noqa: ARG002
        """Give the peer's address. Raises: OSError with ENOTCONN."""
        tcb = self._connection()
        if tcb.state in _WITHOUT_PEER:
            raise os_error(ENOTCONN)
        return tcb.remote

    # --- connections ---

    def listen(self, backlog: int, *, now: Instant) -> None:
        """Listen; again, only the backlog changes. Raises: OSError with EINVAL, EADDRINUSE."""
        self._check_open()
        if self._tcb:
            raise os_error(EINVAL)
        if self._listener:
            self._listener.backlog = limit_backlog(self._tcp.config, backlog)
            return
        if self._binding is None:
            self.bind(ANY_ENDPOINT, now=now)
            assert self._binding is not None
        self._own_options()
        self.options.quickack = True  # as Linux: what is set later is inherited
        self._listener = self._tcp.open_passive(self._binding, backlog, self.options)
        self._tcp.begin_shut(self._listener, self._shut_before)
        self.accept_queue = self._listener.accept_queue

    def accept(self, *, now: Instant) -> tuple[StreamEndpoint, Endpoint]:  # noqa: ARG002
        """Take the oldest connection that waits. Raises: OSError with EINVAL, EAGAIN."""
        if self._closed or self._listener is None:
            raise os_error(EBADF if self._closed else EINVAL)
        tcb = self._tcp.accept(self._listener)
        if tcb is None:
            raise os_error(EAGAIN)
        if tcb.options.peek_off >= 0:
            tcb.options = tcb.options.own()  # it changes with each peek
        made = StreamEndpoint.__new__(StreamEndpoint)  # with what it has of this one
        made._begin()
        made._stack, made._tcp, made._tcb = self._stack, self._tcp, tcb
        made.kept, made.options = self.kept.inherit(), tcb.options
        made._closed, made._connect_reported = False, True
        made.reuse_address, made.reuse_port = self.reuse_address, self.reuse_port
        return made, tcb.remote

    def connect(self, remote: Endpoint | None, *, now: Instant) -> None:
        """Begin a connection: raises EINPROGRESS, or OSError when it cannot be begun."""
        self._check_open()
        if remote is None:
            self._disconnect()
            return
        if self._listener:
            raise os_error(EISCONN)
        if self._connect_cut_short:
            raise os_error(EINVAL)
        if self._tcb and not self._connect_reported:
            self.finish_connect(now=now)
            return
        if self._tcb:
            raise os_error(EISCONN)
        to = ourselves_for_any(remote)
        self._tcb = self._tcp.open_active(to, self.options, now, self._binding)
        self._tcp.begin_shut(self._tcb, self._shut_before)
        self._binding = None  # it is the connection's now
        self._connect_reported = is_deferred(self._tcb)
        if self._connect_reported:
            return  # as Linux: it connects when there is text for the SYN (TCP_FASTOPEN_CONNECT)
        raise os_error(EINPROGRESS)

    def _disconnect(self) -> None:
        """Become as new, as connect(2) does to an address of AF_UNSPEC; a peer is reset.

        What the user had bound stays bound.
        """
        if self._listener:
            self._stack.report(self._listener, CLOSED)
            self._tcp.stop_listening(self._listener)
            self._listener = self.accept_queue = None
            self.kept = self.kept.own()
            self.kept.listened += 1
            if self._binding and self._chosen == ANY_ENDPOINT:
                self._tcp.release(self._binding)
                self._binding = None
        elif self._tcb:
            self._tcp.abort(self._tcb, ECONNRESET)
            self._tcb, self._past = None, self._tcb
        if self._chosen != ANY_ENDPOINT and self._binding is None:
            self._binding = self._tcp.bind(
                self._chosen, reuse_address=self.reuse_address, reuse_port=self.reuse_port
            )
        self._shut_before, self._connect_cut_short = NOT_SHUT, False
        self._stack.report(self, ERROR)

    def finish_connect(self, *, now: Instant) -> None:  # noqa: ARG002
        """Tell once how the connection that was begun came out. Raises: OSError with EALREADY, why.

        What failed is forgotten, so that it may be tried again.
        """
        tcb = self._connection()
        if tcb.state in _CONNECTING:
            raise os_error(EALREADY)
        self._connect_reported = True
        if tcb.state is State.CLOSED:
            self._tcb, self._past, self._shut_before = None, tcb, NOT_SHUT
            self._stack.report(self, ERROR)
            raise os_error(self._tcp.take_error(tcb) or ECONNABORTED)

    # --- text ---

    def send(
        self,
        data: Buffer,
        flags: int,
        to: Endpoint | None,
        control: Sequence[Item] = (),
        *,
        now: Instant,
    ) -> int:
        """Queue what finds room. Raises: OSError with EAGAIN, EPIPE, ENOTCONN, why it ended.

        With MSG_FASTOPEN it connects first, and always raises: BlockingIOError with EINPROGRESS
        tells by its `characters_written` how much went with the SYN.
        """
        if self._closed:
            raise os_error(EBADF)
        if flags & SPECIAL:
            return send_specially(self, data, flags, to, control, now)
        kinds = read_control(control, of_datagram=False).timestamps if control else None
        tcb, stamping = self._tcb, self.kept.timestamping
        if tcb is None:
            raise os_error((self._past and self._tcp.take_error(self._past)) or EPIPE)
        if tcb.fast_open is not None and is_deferred(tcb):
            self._connect_reported = False
            stream_text.send_first(self._tcp, tcb, data, flags, now)
        wish = stamping.wish(kinds) if kinds or stamping.flags else None
        return stream_text.send(self._tcp, tcb, data, flags, wish, now)

    def open_with_text(self, to: Endpoint, now: Instant) -> None:
        """Begin a connection whose SYN waits for text (RFC 7413). Raises: OSError as `connect`."""
        to = ourselves_for_any(to)
        self._tcb = self._tcp.open_active(to, self.options, now, self._binding, with_text=True)
        self._tcp.begin_shut(self._tcb, self._shut_before)
        self._binding = None

    def receive(self, size: int, flags: int, *, now: Instant) -> Message:
        """Take text, b"" at its end. Raises: OSError with EAGAIN, ENOTCONN, why it ended."""
        if not flags & ~MSG_DONTWAIT and not self.kept.tells_of_text:
            text = self.take_text(size, now)
            if text is not None:
                return Message(text)
        if flags & MSG_ERRQUEUE:
            self._check_open()
            owner = self._tcb or self._past
            return take_error_message(owner, size, self.kept, self._stack, now)
        if flags & MSG_OOB:
            octet = self._receive_urgent(bool(flags & MSG_PEEK))[:size]
            control = self._control_of(self._connection(), b"")
            return Message(octet, flags=MSG_OOB, control=control)
        if self._shut_before.reading and not (self._tcb or self._listener):
            return Message(b"")
        tcb = self._connection_to_read() if self._closed or self._tcb is None else self._tcb
        text = stream_text.receive(self._tcp, tcb, size, flags, now)
        if self.kept.tells_of_text:
            return Message(text, control=self._control_of(tcb, text))
        return Message(text)

    def receive_all(self, size: int, flags: int, text: bytearray, *, now: Instant) -> Message:
        """Add to `text` until it has `size` octets or the stream ends (MSG_WAITALL), and give it.

        Raises: OSError with EAGAIN while more may come, ENOTCONN, why it ended.
        """
        tcb = self._connection_to_read()
        message = stream_text.receive_all(self._tcp, tcb, size, flags, text, now)
        return message._replace(control=self._control_of(tcb, text))

    def _connection_to_read(self) -> Tcb:
        """Give the connection. Raises: OSError with ENOTCONN, or why it was ended before."""
        if self._tcb is None and self._past is not None and (error := self.take_error()):
            raise os_error(error)
        return self._connection()

    def _control_of(self, tcb: Tcb, text: Buffer) -> tuple[Item, ...]:
        return stream_text.control_of(self._tcp, tcb, self.kept, self._stack.epoch, text)

    def is_worth_waking(self) -> bool:
        """Tell whether there is as much text as its user waits for."""
        return self._tcb is None or self._tcp.is_readable(self._tcb)

    def _receive_urgent(self, peek: bool) -> bytes:
        """Take the urgent octet. Raises: OSError with EINVAL (there is none), EAGAIN."""
        self._check_open()
        if self._tcb is None:
            raise os_error(ENOTCONN if self._listener else EINVAL)
        return self._tcp.receive_urgent(self._tcb, peek=peek)

    def readiness(self, *, now: Instant) -> int:  # noqa: ARG002
        """Tell what poll(2) would."""
        if self._listener:
            return select.POLLIN if self._listener.accept_queue else 0
        if self._tcb is not None:
            return stream_text.readiness(self._tcp, self._tcb)
        bits = select.POLLOUT | select.POLLHUP
        if self._past is not None and stream_text.has_error(self._past):
            bits |= select.POLLERR
        return bits | (select.POLLIN | select.POLLRDHUP if self._shut_before.reading else 0)

    def ioctl(self, request: int, *, now: Instant) -> int:  # noqa: ARG002
        """Answer what tcp(7) lists. Raises: OSError with EINVAL of a listener, ENOTTY."""
        self._check_open()
        ends = self._tcb, self._past
        return stream_text.answer(request, self._tcp, *ends, self.kept, listens=self.listening)

    # --- the end ---

    def shutdown(self, how: int, *, now: Instant) -> None:  # noqa: ARG002
        """End one direction or both. Raises: OSError with ENOTCONN, EINVAL."""
        if how not in (constants.SHUT_RD, constants.SHUT_WR, constants.SHUT_RDWR):
            raise os_error(EINVAL)
        self._check_open()
        try:
            self._shut_down(how)
        finally:  # as in Linux, who waits is told whatever came of it
            self._stack.report(self.watched(), ENDED)

    def _shut_down(self, how: int) -> None:
        opening = stream_text.is_opening(self._tcb)
        if self._listener or opening:
            if opening or how != constants.SHUT_WR:
                self._disconnect()  # as Linux: who waits in `accept` or `connect` is told
            return
        read, write = how != constants.SHUT_WR, how != constants.SHUT_RD
        if self._tcb is None:
            reading, writing = self._shut_before
            self._shut_before = Shut(reading or read, writing or write)
        elif not self._connect_reported and self._tcb.state in _IN_DOUBT:
            self._connect_cut_short = True  # as Linux: it is never told any more
        self._tcp.shutdown(self._connection(), read=read, write=write)
        self._connect_reported = True  # as Linux: who shuts down knows that there is a connection

    def close(self, *, now: Instant) -> None:
        """Close, whatever it is; who waits on it is told. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        tcb = self._tcb
        self._stack.report(tcb or self._listener or self, _GONE)
        if tcb:
            self._tcp.close(tcb, now)
        elif self._listener:
            self.accept_queue = None
            self._tcp.close(self._listener, now)
        elif self._binding:
            self._tcp.release(self._binding)

    def linger(self) -> int:
        """Tell how many seconds `close` is to wait (SO_LINGER)."""
        return (self.options.linger or 0) if self._tcb else 0

    def finish_close(self, *, now: Instant) -> None:  # noqa: ARG002
        """See whether all text, and our FIN, have arrived. Raises: OSError with EAGAIN."""
        if self._tcb and self._tcb.state in FIN_UNACKNOWLEDGED:
            raise os_error(EAGAIN)

    # --- options ---

    def get_option(self, level: int, name: int, size: int, *, now: Instant) -> Value:
        """Read an option. Raises: OSError with ENOPROTOOPT, EOPNOTSUPP."""
        self._check_open()
        if (level, name) == (constants.IPPROTO_TCP, TCP_SAVED_SYN):
            return take_saved_syn(self._tcb, size)
        if (level, name) == bound_device.KEY:
            return bound_device.name_of(self.kept, self._stack, size)
        if (level, name) == (constants.IPPROTO_TCP, constants.TCP_INFO):
            endpoint, listened = self._tcb or self._listener, self.kept.listened
            return read_info(self._tcp, endpoint, self._past, listened, now)
        if (level, name) == (constants.IPPROTO_TCP, TCP_TIMESTAMP):
            return self._tcb.timestamp_now(now) if self._tcb else now // MILLISECOND
        return options.get_option(*table_for(self, level, name), level, name)

    def set_option(self, level: int, name: int, value: Value, *, now: Instant) -> None:
        """Set an option. Raises: OSError with ENOPROTOOPT, EINVAL."""
        self._check_open()
        self._own_options()
        if (level, name) == bound_device.KEY:
            bound_device.bind_to(self.kept, self._stack, value)
            return
        before = self.options.tos
        changed = options.set_option(*table_for(self, level, name), level, name, value)
        self._follow_type_of_service(self.options.tos, before)
        if self._binding:  # as Linux: it may be shared since, or no more
            self._binding.reuse_address = self.reuse_address
            self._binding.reuse_port = self.reuse_port
        if self._tcb:
            self._tcp.option_changed(self._tcb, changed, now)

    def _own_options(self) -> None:
        """Part with what others may hold to, as it is to be changed."""
        self.kept, self.options = self.kept.own(), self.options.changeable()
        if holder := self._tcb or self._listener:
            holder.options = self.options

    def take_error(self) -> int:
        """Give and clear the error that waits (SO_ERROR), or else one that ended nothing."""
        tcb = self._tcb or self._past
        return (self._tcp.take_error(tcb) or self._tcp.take_soft_error(tcb)) if tcb else 0

    @property
    def is_news(self) -> bool:
        """Tell whether the user was not told yet how the connection that he began came out."""
        return not self._connect_reported

    @property
    def listening(self) -> bool:
        """Tell whether it takes connections (SO_ACCEPTCONN)."""
        return self._listener is not None
