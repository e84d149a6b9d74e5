"""A script's system calls: from what is written to what is called, and what came of it.

`prepare` reads a call before the script is played, so that what is wrong with it is known then.
What it gives makes the call, on whatever host, and tells how that differs from the script.

Not done here: reading the arguments of each call (`socket_calls.py`, `option_calls.py`,
`transfer_calls.py`, `waiting_calls.py`), and when a call is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from tapstack.drill.calls import option_calls, socket_calls, transfer_calls, waiting_calls
from tapstack.drill.calls.arguments import Arguments, words_of
from tapstack.drill.calls.context import Context
from tapstack.drill.calls.mapped import as_of_ipv4
from tapstack.drill.calls.results import Body, judge_error, judge_result, wanted_result
from tapstack.drill.contract import Calls
from tapstack.drill.language.symbols import hint
from tapstack.drill.language.syntax import ScriptError, SystemCall, UnsupportedError
from tapstack.drill.reports.failure import Difference

__all__ = ["FORMS", "Call", "Context", "prepare"]

Call: TypeAlias = Callable[[Calls], "list[Difference]"]
"""Makes a system call, and tells how it came out otherwise than the script has it."""


class Form(NamedTuple):
    """How a call is read, and written."""

    read: Callable[[Arguments], Body]
    written: str
    """An example, as errors show it."""
    gives_descriptor: bool = False
    gives_connection: bool = False


FORMS: dict[str, Form] = {
    "socket": Form(
        socket_calls.read_socket, "socket(..., SOCK_STREAM, IPPROTO_TCP) = 3", gives_descriptor=True
    ),
    "bind": Form(socket_calls.read_bind, "bind(3, ..., ...) = 0"),
    "listen": Form(socket_calls.read_listen, "listen(3, 1) = 0"),
    "accept": Form(
        socket_calls.read_accept,
        "accept(3, ..., ...) = 4",
        gives_descriptor=True,
        gives_connection=True,
    ),
    "connect": Form(socket_calls.read_connect, "connect(4, ..., ...) = 0"),
    "read": Form(transfer_calls.read_read, "read(4, ..., 1000) = 1000"),
    "readv": Form(transfer_calls.read_readv, "readv(4, [{..., 1000}, {..., 500}], 2) = 1500"),
    "recv": Form(transfer_calls.read_recv, "recv(4, ..., 1000, 0) = 1000"),
    "recvfrom": Form(transfer_calls.read_recvfrom, "recvfrom(4, ..., 1000, 0, ..., ...) = 1000"),
    "recvmsg": Form(
        transfer_calls.read_recvmsg,
        "recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0}, 0) = 1000",
    ),
    "write": Form(transfer_calls.read_write, "write(4, ..., 1000) = 1000"),
    "writev": Form(transfer_calls.read_writev, "writev(4, [{..., 1000}, {..., 500}], 2) = 1500"),
    "send": Form(transfer_calls.read_send, "send(4, ..., 1000, 0) = 1000"),
    "sendto": Form(transfer_calls.read_sendto, "sendto(4, ..., 1000, 0, ..., ...) = 1000"),
    "sendmsg": Form(
        transfer_calls.read_sendmsg,
        "sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0}, 0) = 1000",
    ),
    "fcntl": Form(socket_calls.read_fcntl, "fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0"),
    "ioctl": Form(socket_calls.read_ioctl, "ioctl(4, SIOCINQ, [1000]) = 0"),
    "close": Form(socket_calls.read_close, "close(4) = 0"),
    "shutdown": Form(socket_calls.read_shutdown, "shutdown(4, SHUT_WR) = 0"),
    "getsockopt": Form(
        option_calls.read_getsockopt, "getsockopt(4, SOL_TCP, TCP_NODELAY, [1], [4]) = 0"
    ),
    "setsockopt": Form(
        option_calls.read_setsockopt, "setsockopt(4, SOL_TCP, TCP_NODELAY, [1], 4) = 0"
    ),
    "poll": Form(
        waiting_calls.read_poll, "poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, 0) = 1"
    ),
    "open": Form(socket_calls.read_open, 'open("file", O_RDONLY) = 5', gives_descriptor=True),
    "sendfile": Form(transfer_calls.read_sendfile, "sendfile(4, 5, [0], 1000) = 1000"),
    "epoll_create": Form(
        waiting_calls.read_epoll_create, "epoll_create(1) = 5", gives_descriptor=True
    ),
    "epoll_ctl": Form(
        waiting_calls.read_epoll_ctl, "epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, fd=4}) = 0"
    ),
    "epoll_wait": Form(
        waiting_calls.read_epoll_wait, "epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) = 1"
    ),
    "pipe": Form(socket_calls.read_pipe, "pipe([5, 6]) = 0"),
    "splice": Form(transfer_calls.read_splice, "splice(4, NULL, 6, NULL, 1000, 0) = 1000"),
}
"""Every call that there is, by its name."""
_UNSUPPORTED = frozenset({"cap_set"})
"""Calls of the language that no host here has."""


def prepare(call: SystemCall, context: Context) -> Call:
    """Read a call, to be made later; calls are to be prepared in the script's order.

    What is given makes the call, and so may block as it does. It never raises OSError, but
    UnsupportedError where the host turns out to lack an option.

    Raises: ScriptError for a call, arguments or a result that make no sense; UnsupportedError.
    """
    form = _form_of(call)
    if context.settings.sockets_are_mapped:
        call = as_of_ipv4(call)
    for argument in call.arguments:
        for word in words_of(argument):
            if word.name in context.lacking:
                raise UnsupportedError(word.name, word.position)
    wanted = wanted_result(call)
    body = form.read(Arguments(call, form.written, context))
    number = wanted.result if form.gives_descriptor and wanted.error is None else None
    if number is not None and number >= 0:
        context.descriptors.foresee(number)

    def make(calls: Calls) -> list[Difference]:
        try:
            returned = body(calls)
        except OSError as error:
            return judge_error(wanted, error)
        if number is not None and number >= 0 and returned.result >= 0:
            context.descriptors.open(number, returned.result)
            if form.gives_connection:
                context.descriptors.note_connection(number)
        found = judge_result(wanted, returned.result, form.gives_descriptor)
        return [*found, *returned.differences]

    return make


def _form_of(call: SystemCall) -> Form:
    if call.name in _UNSUPPORTED:
        raise UnsupportedError(call.name, call.position)
    form = FORMS.get(call.name)
    if form is None:
        likely = hint(call.name, FORMS, "{}") or f"; there are {', '.join(FORMS)}"
        raise ScriptError(f"there is no system call {call.name}{likely}", call.position)
    return form
