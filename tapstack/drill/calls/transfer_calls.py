"""The calls that move data: read to recvmsg, write to sendmsg, sendfile, splice.

Not done here: the struct of the last of each (`messages.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from tapstack.drill.calls.arguments import Arguments
from tapstack.drill.calls.messages import Incoming, check_count, outgoing
from tapstack.drill.calls.results import Body, Returned, differ_text
from tapstack.drill.calls.structs import Buffer, buffers_of, endpoint, written_address
from tapstack.drill.contract import Calls
from tapstack.drill.language.syntax import Anything
from tapstack.drill.reports.failure import Difference
from tapstack.socket.flags import MSG_FASTOPEN

# --- receiving ------------------------------------------------------------------------------------


def read_read(arguments: Arguments) -> Body:
    """`read(4, ..., 1000)`."""
    arguments.count(3)
    fd, text, size = arguments.fd(0), arguments.text_in(arguments[1]), arguments.size(2)

    def body(calls: Calls) -> Returned:
        data = calls.read(fd(), size)
        return Returned(len(data), differ_text("data", text, data))

    return body


def read_recv(arguments: Arguments) -> Body:
    """`recv(4, ..., 1000, MSG_PEEK)`."""
    arguments.count(4)
    fd, text, size = arguments.fd(0), arguments.text_in(arguments[1]), arguments.size(2)
    flags = arguments.number(3)

    def body(calls: Calls) -> Returned:
        data = calls.recv(fd(), size, flags)
        return Returned(len(data), differ_text("data", text, data[:size]))

    return body


def read_recvfrom(arguments: Arguments) -> Body:
    """`recvfrom(4, ..., 1000, 0, ..., ...)`."""
    arguments.count(6)
    fd, text, size = arguments.fd(0), arguments.text_in(arguments[1]), arguments.size(2)
    flags, wanted = arguments.number(3), written_address(arguments, 4)

    def body(calls: Calls) -> Returned:
        data, source = calls.recvfrom(fd(), size, flags)
        found = differ_text("data", text, data[:size]) + wanted.differences(source)
        return Returned(len(data), found)

    return body


def read_readv(arguments: Arguments) -> Body:
    """`readv(4, [{..., 1000}, {..., 500}], 2)`."""
    buffers = _counted_buffers(arguments)
    fd = arguments.fd(0)
    texts = [arguments.text_in(buffer.text) for buffer in buffers]
    sizes = [arguments.size_in(buffer.size) for buffer in buffers]

    def body(calls: Calls) -> Returned:
        data = calls.readv(fd(), sizes)
        found: list[Difference] = []
        at = 0
        for text, size in zip(texts, sizes, strict=True):
            found += differ_text("data", text, data[at : at + size])
            at += size
        return Returned(len(data), found)

    return body


def read_recvmsg(arguments: Arguments) -> Body:
    """`recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0}, 0)`."""
    arguments.count(3)
    fd, flags = arguments.fd(0), arguments.number(2)
    wanted = Incoming(arguments, arguments[1])

    def body(calls: Calls) -> Returned:
        received = calls.recvmsg(fd(), wanted.size, wanted.control_room, flags)
        return Returned(len(received.data), wanted.differences(received))

    return body


# --- sending --------------------------------------------------------------------------------------


def read_write(arguments: Arguments) -> Body:
    """`write(4, ..., 1000)`."""
    arguments.count(3)
    fd, data = arguments.fd(0), arguments.octets_to_send(arguments[1], arguments[2])
    return lambda calls: Returned(calls.write(fd(), data))


def read_writev(arguments: Arguments) -> Body:
    """`writev(4, [{..., 1000}, {..., 500}], 2)`."""
    buffers = _counted_buffers(arguments)
    fd = arguments.fd(0)
    parts = [arguments.octets_to_send(*buffer) for buffer in buffers]
    return lambda calls: Returned(calls.writev(fd(), parts))


def _counted_buffers(arguments: Arguments) -> list[Buffer]:
    """Read an array of struct iovec and its length."""
    arguments.count(3)
    buffers = buffers_of(arguments, arguments[1])
    check_count(arguments, arguments[2], buffers)
    return buffers


def read_send(arguments: Arguments) -> Body:
    """`send(4, ..., 1000, MSG_MORE)`."""
    arguments.count(4)
    fd, data = arguments.fd(0), arguments.octets_to_send(arguments[1], arguments[2])
    flags = arguments.number(3)
    return lambda calls: Returned(calls.send(fd(), data, flags))


def read_sendto(arguments: Arguments) -> Body:
    """`sendto(4, ..., 1000, MSG_FASTOPEN, ..., ...)`: `...` is the options' remote address."""
    arguments.count(6)
    fd, data = arguments.fd(0), arguments.octets_to_send(arguments[1], arguments[2])
    flags = arguments.number(3)
    to = None if arguments.is_null(4) else endpoint(arguments, arguments[4], arguments.remote)
    note = _connection_note(arguments, flags)

    def body(calls: Calls) -> Returned:
        note()
        return Returned(calls.sendto(fd(), data, flags, to))

    return body


def read_sendmsg(arguments: Arguments) -> Body:
    """`sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0}, 0)`."""
    arguments.count(3)
    fd, flags = arguments.fd(0), arguments.number(2)
    message = outgoing(arguments, arguments[1])
    note = _connection_note(arguments, flags)

    def body(calls: Calls) -> Returned:
        note()
        return Returned(calls.sendmsg(fd(), message.parts, message.control, flags, message.to))

    return body


def _connection_note(arguments: Arguments, flags: int) -> Callable[[], None]:
    """Make what notes, when the call is made, that it connects: with MSG_FASTOPEN."""
    number = arguments.number(0)
    if not flags & MSG_FASTOPEN:
        return lambda: None
    return lambda: arguments.context.descriptors.note_connection(number)


# --- from one descriptor to another ---------------------------------------------------------------


def read_sendfile(arguments: Arguments) -> Body:
    """`sendfile(4, 5, [0], 1000)`: to, from, where to begin, how many octets."""
    arguments.count(4)
    target, source = arguments.fd(0), arguments.fd(1)
    offset, size = _offset(arguments, 2), arguments.size(3)
    return lambda calls: Returned(calls.sendfile(target(), source(), offset, size))


def read_splice(arguments: Arguments) -> Body:
    """`splice(4, NULL, 6, NULL, 1000, 0)`: from, to, how many octets, flags."""
    arguments.count(6)
    source, target = arguments.fd(0), arguments.fd(2)
    for place in (1, 3):
        if _offset(arguments, place) is not None:
            raise arguments.lacks(arguments[place], "splice at an offset")
    size, flags = arguments.size(4), arguments.number(5) & 0xFFFFFFFF
    return lambda calls: Returned(calls.splice(source(), target(), size, flags))


_OFFSET = "an offset in an array, such as [0], or NULL"


def _offset(arguments: Arguments, place: int) -> int | None:
    """Read where in a file to begin: `[0]`; NULL and `...` are where it stands."""
    if isinstance(arguments[place], Anything) or arguments.is_null(place):
        return None
    return arguments.short_in(arguments.only_item(place, _OFFSET))
