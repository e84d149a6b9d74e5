"""The structs that scripts write: sockaddr_in, linger, iovec, pollfd, epoll_event.

Not done here: msghdr and its control messages (`messages.py`).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import NamedTuple

from tapstack.base.address import Endpoint, format_ipv4
from tapstack.drill.calls.arguments import Arguments, Live, number_or_any
from tapstack.drill.calls.results import differ
from tapstack.drill.language.syntax import Anything, Expression, Field, Items
from tapstack.drill.reports.failure import Difference
from tapstack.socket.structs import SOCKADDR_IN


def fields_of(
    arguments: Arguments, expression: Expression, names: str, wanted: str
) -> Mapping[str, Field]:
    """Read a struct's fields, each at most once. Raises: ScriptError."""
    if not isinstance(expression, Items) or not expression.is_struct:
        raise arguments.wrong(expression, wanted)
    fields: dict[str, Field] = {}
    for item in expression.items:
        if not isinstance(item, Field) or item.name not in names.split() or item.name in fields:
            raise arguments.wrong(item, wanted)
        fields[item.name] = item
    return fields


def value_in(fields: Mapping[str, Field], name: str) -> Expression | None:
    """Give a field's value, if the script has it."""
    return fields[name].value if name in fields else None


# --- addresses ------------------------------------------------------------------------------------


class SocketAddress(NamedTuple):
    """A struct sockaddr_in; None: that does not matter."""

    family: int | None
    address: int | None
    port: int | None

    def differences(self, what: str, actual: Endpoint | None) -> list[Difference]:
        """Compare with an address that a call gave."""
        family = socket.AF_UNSPEC if actual is None else socket.AF_INET
        found = differ(f"{what} sa_family", self.family, int(family))
        if actual is None:
            return found
        if self.address is not None and self.address != actual.address:
            shown = format_ipv4(self.address), format_ipv4(actual.address)
            found.append(Difference(f"{what} sin_addr", *shown))
        return found + differ(f"{what} sin_port", self.port, actual.port)


_SOCKADDR = '{sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("192.0.2.1")}'


def socket_address(arguments: Arguments, expression: Expression) -> SocketAddress:
    """Read a struct sockaddr. Raises: ScriptError; UnsupportedError for IPv6."""
    if isinstance(expression, Anything):
        return SocketAddress(None, None, None)
    names = "sa_family sin_port sin_addr sin6_port sin6_addr sin6_flowinfo sin6_scope_id"
    fields = fields_of(arguments, expression, names, f"an address {_SOCKADDR} or '...'")
    family = number_or_any(value_in(fields, "sa_family"))
    if family == socket.AF_INET6 or any(name.startswith("sin6") for name in fields):
        raise arguments.lacks(expression, "IPv6")
    port = number_or_any(value_in(fields, "sin_port"))
    return SocketAddress(
        family,
        _address_in(value_in(fields, "sin_addr")),
        None if port is None else socket.ntohs(port & 0xFFFF),
    )


def _address_in(expression: Expression | None) -> int | None:
    """Read `inet_addr("192.0.2.1")`, or a number in network order, as that gives it."""
    number = number_or_any(expression)
    return None if number is None else socket.ntohl(number & 0xFFFFFFFF)


def endpoint(arguments: Arguments, expression: Expression, otherwise: Endpoint) -> Endpoint | None:
    """Read an address to call; what is not said is `otherwise`'s; AF_UNSPEC is None."""
    wanted = socket_address(arguments, expression)
    if wanted.family == socket.AF_UNSPEC:
        return None
    return Endpoint(
        otherwise.address if wanted.address is None else wanted.address,
        otherwise.port if wanted.port is None else wanted.port,
    )


class WrittenAddress(NamedTuple):
    """Where a call writes an address, and its length: what the script has there."""

    address: SocketAddress | None
    """None: a null pointer."""
    length: int | None

    def differences(self, actual: Endpoint | None) -> list[Difference]:
        """Compare with the address that the call gave."""
        if self.address is None:
            return []
        length = 0 if actual is None else SOCKADDR_IN.size
        found = self.address.differences("address", actual)
        return found + differ("address length", self.length, length)


def written_address(arguments: Arguments, place: int) -> WrittenAddress:
    """Read two arguments: an address, and its length as `[16]` or `...`. Raises: ScriptError."""
    address = arguments[place]
    if arguments.is_null(place):
        return WrittenAddress(None, None)
    return WrittenAddress(socket_address(arguments, address), written_length(arguments, place + 1))


def written_length(arguments: Arguments, place: int) -> int | None:
    """Read a length that a call writes: `[16]`; `...` and NULL are None. Raises: ScriptError."""
    if isinstance(arguments[place], Anything) or arguments.is_null(place):
        return None
    return number_or_any(arguments.only_item(place, "a length such as [16]"))


# --- linger ---------------------------------------------------------------------------------------


class Linger(NamedTuple):
    """A struct linger; None: that does not matter."""

    on: int | None
    seconds: int | None


def linger_of(arguments: Arguments, expression: Expression) -> Linger:
    """Read a struct linger. Raises: ScriptError."""
    wanted = "a struct such as {onoff=1, linger=10}"
    fields = fields_of(arguments, expression, "onoff linger", wanted)
    onoff, seconds = value_in(fields, "onoff"), value_in(fields, "linger")
    return Linger(arguments.short_or_any(onoff), arguments.short_or_any(seconds))


# --- iovec ----------------------------------------------------------------------------------------


class Buffer(NamedTuple):
    """A struct iovec: what it holds, and its size, as written."""

    text: Expression
    size: Expression


def buffers_of(arguments: Arguments, expression: Expression) -> list[Buffer]:
    """Read an array of struct iovec. Raises: ScriptError."""
    wanted = "buffers such as [{..., 1000}, {..., 500}]"
    found: list[Buffer] = []
    for item in arguments.items_in(expression, wanted):
        if not isinstance(item, Items) or not item.is_struct or len(item.items) != 2:
            raise arguments.wrong(item, wanted)
        text, size = (each.value if isinstance(each, Field) else each for each in item.items)
        found.append(Buffer(text, size))
    return found


# --- poll -----------------------------------------------------------------------------------------


class Watched(NamedTuple):
    """A struct pollfd."""

    fd: Live
    number: int
    """The script's."""
    events: int
    revents: int | None
    """What is expected."""


def watched_of(arguments: Arguments, expression: Expression) -> Watched:
    """Read a struct pollfd. Raises: ScriptError."""
    wanted = "a struct such as {fd=4, events=POLLIN, revents=POLLIN}"
    fields = fields_of(arguments, expression, "fd events revents", wanted)
    fd, events = value_in(fields, "fd"), value_in(fields, "events")
    if fd is None or events is None:
        raise arguments.wrong(expression, wanted)
    return Watched(
        arguments.fd_in(fd),
        arguments.descriptor_number(fd),
        arguments.short_in(events) & 0xFFFF,
        number_or_any(value_in(fields, "revents")),
    )


# --- epoll ----------------------------------------------------------------------------------------

_DATA_BITS = {"fd": 32, "ptr": 64, "u32": 32, "u64": 64}
"""The members of union epoll_data, and their bits."""


class EpollEvent(NamedTuple):
    """A struct epoll_event; None: that does not matter."""

    events: int | None
    member: str
    """Of the union: fd, ptr, u32 or u64."""
    data: int | None

    def masked(self, data: int) -> int:
        """Cut the 64 bits of data to the member's."""
        return data & (1 << _DATA_BITS[self.member]) - 1


def epoll_event(arguments: Arguments, expression: Expression) -> EpollEvent:
    """Read a struct epoll_event. Raises: ScriptError."""
    if isinstance(expression, Anything):
        return EpollEvent(None, "u64", None)
    wanted = "a struct such as {events=EPOLLIN, fd=4}"
    fields = fields_of(arguments, expression, "events fd ptr u32 u64", wanted)
    events = arguments.short_or_any(value_in(fields, "events"))
    events = None if events is None else events & 0xFFFFFFFF
    members = [name for name in fields if name in _DATA_BITS]
    if not members:
        return EpollEvent(events, "u64", None)
    if len(members) > 1:
        raise arguments.wrong(expression, wanted)
    event = EpollEvent(events, members[0], number_or_any(fields[members[0]].value))
    return event if event.data is None else event._replace(data=event.masked(event.data))
