"""What the facade knows of a stack: endpoints with attempts that never block, and waiting.

It is narrow on purpose: the real runtime serves it, a simulated world can serve it in virtual time,
and so can a stack in another process.

Not done here: anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import Any, NamedTuple, Protocol, TypeVar

from tapstack.base.address import Endpoint
from tapstack.base.contracts import Buffer
from tapstack.base.datagram_socket import DatagramSocket
from tapstack.base.units import Instant
from tapstack.socket.watching import Watcher

A = TypeVar("A")
T = TypeVar("T")


class Message(NamedTuple):
    """What was received at once: a piece of a stream, or a datagram."""

    data: bytes
    source: Endpoint | None = None
    """Where a datagram came from."""
    flags: int = 0
    """MSG_TRUNC of a datagram that was cut, MSG_OOB of an urgent octet."""
    control: tuple[tuple[int, int, bytes], ...] = ()
    """Control data: level, type, data (cmsg(3))."""


class SocketEndpoint(Protocol):
    """One socket of a stack. What would block raises BlockingIOError; every call takes `now`."""

    @property
    def inbox(self) -> DatagramSocket | None:
        """Where datagrams wait, of which a reader may take the first without entering the stack.

        While an error is pending there, he may not. None: everything is to be asked for.
        """

    @property
    def accept_queue(self) -> Sized | None:
        """Where connections wait of which `accept` takes one: to look there takes no call.

        None: it does not listen.
        """

    def bind(self, local: Endpoint, *, now: Instant) -> None:
        """Take a local address. Raises: OSError."""

    def listen(self, backlog: int, *, now: Instant) -> None:
        """Take connections. Raises: OSError."""

    def accept(self, *, now: Instant) -> tuple[SocketEndpoint, Endpoint]:
        """Take a connection that waits. Raises: OSError."""

    def connect(self, remote: Endpoint | None, *, now: Instant) -> None:
        """Begin to connect; None dissolves a datagram socket's connection. Raises: OSError."""

    def finish_connect(self, *, now: Instant) -> None:
        """See whether the connection that was begun stands. Raises: OSError."""

    def send(
        self,
        data: Buffer,
        flags: int,
        to: Endpoint | None,
        control: Sequence[tuple[int, int, bytes]] = (),
        *,
        now: Instant,
    ) -> int:
        """Send what finds room; give its octets. Raises: OSError."""

    def receive(self, size: int, flags: int, *, now: Instant) -> Message:
        """Take what is there, up to `size` octets. Raises: OSError."""

    def take_text(self, size: int, now: Instant) -> bytes | None:
        """Take all the text that is there, if it is plain and no more than `size` octets.

        None: `receive` is to be asked, and nothing has changed.
        """

    def send_text(self, text: bytes, now: Instant) -> bool:
        """Send a text that may leave at once, and of which no more is to be said.

        False: `send` is to be asked, and nothing has changed.
        """

    def receive_all(self, size: int, flags: int, text: bytearray, *, now: Instant) -> Message:
        """Add to `text` until it has `size` octets or no more will come, and give that.

        What is a message of its own is given at once. Raises: OSError.
        """

    def shutdown(self, how: int, *, now: Instant) -> None:
        """End one direction or both. Raises: OSError."""

    def close(self, *, now: Instant) -> None:
        """Give it back."""

    def may_send_at_once(self) -> bool:
        """Tell whether `send_text` is worth trying. From anywhere: it may be otherwise by then."""

    def has_nothing_to_read(self) -> bool:
        """Tell that any read would block; cheaper than to try. False: to try is to find out."""

    def is_worth_waking(self) -> bool:
        """Tell whether what has come is enough for who waits to read (SO_RCVLOWAT)."""

    def receive_timeout(self) -> float | None:
        """Tell how many seconds receiving may wait (SO_RCVTIMEO); None: for ever."""

    def send_timeout(self) -> float | None:
        """Tell how many seconds sending and connecting may wait (SO_SNDTIMEO); None: for ever."""

    def linger(self) -> int:
        """Tell how many seconds `close` is to wait for what was sent (SO_LINGER)."""

    def finish_close(self, *, now: Instant) -> None:
        """See whether everything that was sent before `close` has arrived."""

    def local(self, *, now: Instant) -> Endpoint:
        """Give the local address."""

    def remote(self, *, now: Instant) -> Endpoint:
        """Give the other end's address. Raises: OSError with ENOTCONN."""

    def get_option(self, level: int, name: int, size: int, *, now: Instant) -> int | bytes:
        """Read an option, for who has room for `size` octets: what is longer he cuts.

        Raises: OSError with ENOPROTOOPT, EOPNOTSUPP, or EINVAL where the room has to do.
        """

    def set_option(self, level: int, name: int, value: int | bytes, *, now: Instant) -> None:
        """Set an option. Raises: OSError with ENOPROTOOPT or EINVAL."""

    def ioctl(self, request: int, *, now: Instant) -> int:
        """Answer SIOCINQ, SIOCOUTQ, SIOCATMARK (tcp(7)). Raises: OSError with ENOTTY, EINVAL."""

    def readiness(self, *, now: Instant) -> int:
        """Tell what poll(2) would: a sum of POLLIN, -PRI, -OUT, -ERR, -HUP and -RDHUP."""

    def watched(self) -> object:
        """Give the engine's object whose events tell of this socket."""


class SocketHost(Protocol):
    """A running stack, as sockets see it."""

    refuses: bool
    """Whether it refuses every call from now on: it is closed, or belongs to a parent process."""

    def open(self, kind: int, protocol: int) -> SocketEndpoint:
        """Make a socket. Raises: OSError with EPROTONOSUPPORT or ESOCKTNOSUPPORT."""

    def call(self, attempt: Callable[..., T], *arguments: Any) -> T:
        """Enter the stack: call `attempt(*arguments, now=…)`. Raises: what it raises."""

    def enter(self, attempt: Callable[[A, Instant], T], argument: A) -> T:
        """Enter the stack: call `attempt(argument, …)` with the time. Raises: what it raises.

        The calls that are made all the time come by this one.
        """

    def look(self, attempt: Callable[..., T], *arguments: Any) -> T:
        """Call an attempt of which nothing comes that is to be sent or told. Raises: as `call`."""

    def call_soon(self, attempt: Callable[..., object], *arguments: Any) -> None:
        """Have an attempt made soon, without waiting for it: for finalizers."""

    def watch(self, endpoint: object, events: int) -> Watcher:
        """Begin to hear of events of an engine's object.

        This and all that follows is called within the stack.
        """

    def wait(self, watcher: Any, deadline: Instant | None) -> bool:
        """Leave the stack to others until a watcher has heard something; False: the time is up."""

    def wait_for(self, endpoint: object, events: int, deadline: Instant | None) -> bool:
        """Do what `watch`, `wait` and `forget` do for one wait; it may end without an event."""

    def flush(self) -> None:
        """Send what attempts in vain have left to be sent, and tell of what they did.

        To be called before a wait, and once there is a watcher, who may be told of it; `call` does
        this at its end.
        """

    def take_answers(self) -> None:
        """Take what was answered already, if much was sent: at the end of an attempt.

        For those who might wait: they are who reads the devices, if nobody else does.
        """

    def take_arrivals(self) -> bool:
        """Take frames that have come by now, unless others see to them; False: there were none."""

    def forget(self, watcher: Any) -> None:
        """Tell a watcher no more."""

    def notify(self, endpoint: object, on_event: Callable[[int], None]) -> Callable[[], None]:
        """Have `on_event` called with what happened at every event; give what ends that."""

    def report(self, endpoint: object, events: int) -> None:
        """Tell of what happened to something that is no engine's."""

    def now(self) -> Instant:
        """Tell the time. From anywhere."""
