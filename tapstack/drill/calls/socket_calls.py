"""The calls that open, join and close: socket to close, fcntl, ioctl, open, pipe.

Not done here: options (`option_calls.py`), data (`transfer_calls.py`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from tapstack.drill.calls.arguments import Arguments, number_or_any
from tapstack.drill.calls.results import Body, Returned, differ
from tapstack.drill.calls.structs import endpoint, written_address
from tapstack.drill.contract import Calls
from tapstack.drill.language.syntax import Anything, Text

_DONE = Returned(0)


def _done(call: Callable[[Calls], None]) -> Body:
    """Make a call that gives 0."""

    def body(calls: Calls) -> Returned:
        call(calls)
        return _DONE

    return body


def read_socket(arguments: Arguments) -> Body:
    """`socket(..., SOCK_STREAM, IPPROTO_TCP)`: `...` is the family that the script is played in."""
    arguments.count(3)
    domain = arguments.number(0, socket.AF_INET)
    kind, protocol = arguments.number(1), arguments.number(2, 0)
    return lambda calls: Returned(calls.socket(domain, kind, protocol))


def read_bind(arguments: Arguments) -> Body:
    """`bind(3, ..., ...)`: `...` is the local address and port of the options."""
    arguments.count(3)
    fd, local = arguments.fd(0), endpoint(arguments, arguments[1], arguments.local)
    if local is None:
        raise arguments.lacks(arguments[1], "bind to AF_UNSPEC")
    return _done(lambda calls: calls.bind(fd(), local))


def read_listen(arguments: Arguments) -> Body:
    """`listen(3, 1)`."""
    arguments.count(2)
    fd, backlog = arguments.fd(0), arguments.number(1)
    return _done(lambda calls: calls.listen(fd(), backlog))


def read_accept(arguments: Arguments) -> Body:
    """`accept(3, ..., ...)`."""
    arguments.count(3)
    fd, wanted = arguments.fd(0), written_address(arguments, 1)

    def body(calls: Calls) -> Returned:
        number, remote = calls.accept(fd())
        return Returned(number, wanted.differences(remote))

    return body


def read_connect(arguments: Arguments) -> Body:
    """`connect(4, ..., ...)`: `...` is the remote address and port of the options."""
    arguments.count(3)
    fd, number = arguments.fd(0), arguments.number(0)
    remote = endpoint(arguments, arguments[1], arguments.remote)

    def body(calls: Calls) -> Returned:
        arguments.context.descriptors.note_connection(number)
        calls.connect(fd(), remote)
        return _DONE

    return body


def read_shutdown(arguments: Arguments) -> Body:
    """`shutdown(4, SHUT_WR)`."""
    arguments.count(2)
    fd, how = arguments.fd(0), arguments.number(1)
    return _done(lambda calls: calls.shutdown(fd(), how))


def read_close(arguments: Arguments) -> Body:
    """`close(4)`."""
    arguments.count(1)
    fd, number = arguments.fd(0), arguments.number(0)

    def body(calls: Calls) -> Returned:
        calls.close(fd())
        arguments.context.descriptors.close(number)
        return _DONE

    return body


def read_fcntl(arguments: Arguments) -> Body:
    """`fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK)`."""
    count = arguments.count(2, 3)
    fd, command = arguments.fd(0), arguments.number(1)
    argument = arguments.number(2, 0) if count == 3 else 0
    return lambda calls: Returned(calls.fcntl(fd(), command, argument))


def read_ioctl(arguments: Arguments) -> Body:
    """`ioctl(4, SIOCINQ, [1000])`: what the request writes is compared."""
    count = arguments.count(2, 3)
    fd, request = arguments.fd(0), arguments.number(1)
    wanted = None
    if count == 3 and not isinstance(arguments[2], Anything):
        wanted = number_or_any(arguments.only_item(2, "a number in an array, such as [1000]"))
    return lambda calls: Returned(0, differ("value", wanted, calls.ioctl(fd(), request)))


def read_open(arguments: Arguments) -> Body:
    """`open("file", O_RDONLY)`."""
    arguments.count(2, 3)
    path = arguments[0]
    if not isinstance(path, Text):
        raise arguments.wrong(path, "a file's name")
    name, flags = path.octets.decode("utf-8", "surrogateescape"), arguments.number(1)
    return lambda calls: Returned(calls.open(name, flags))


def read_pipe(arguments: Arguments) -> Body:
    """`pipe([5, 6])`: the script's numbers of the end to read from, and of the other."""
    arguments.count(1)
    items = arguments.items(0, "two descriptors such as [5, 6]")
    if len(items) != 2:
        raise arguments.wrong(arguments[0], "two descriptors such as [5, 6]")
    source, target = (arguments.number_in(item) for item in items)
    descriptors = arguments.context.descriptors
    if arguments.call.errno is None:
        descriptors.foresee(source)
        descriptors.foresee(target)

    def body(calls: Calls) -> Returned:
        live_source, live_target = calls.pipe()
        descriptors.open(source, live_source)
        descriptors.open(target, live_target)
        return _DONE

    return body
