"""struct msghdr as scripts write it: an address, buffers, flags, control messages.

Not done here: sending and receiving it (`transfer_calls.py`), what is in a control message
(`control_messages.py`).
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import NamedTuple

from tapstack.base.address import Endpoint
from tapstack.drill.calls.arguments import Arguments, number_or_any
from tapstack.drill.calls.control_messages import Control, control_of
from tapstack.drill.calls.results import differ, differ_bits, differ_text
from tapstack.drill.calls.structs import (
    Buffer,
    SocketAddress,
    buffers_of,
    endpoint,
    fields_of,
    socket_address,
    value_in,
)
from tapstack.drill.contract import Received
from tapstack.drill.language.syntax import Anything, Expression
from tapstack.drill.reports.failure import Difference
from tapstack.socket.structs import SOCKADDR_IN

_WANTED = "a struct such as {msg_name(...)=..., msg_iov(1)=[{..., 1000}], msg_flags=0}"
_ROOM_FOR_ANY_CONTROL = 1024
"""Octets, where a script has `msg_control=...`."""


class MessageHeader(NamedTuple):
    """A struct msghdr as written."""

    name: Expression | None
    name_length: int | None
    buffers: list[Buffer]
    flags: int | None
    """What is expected of recvmsg."""
    control: list[Control] | None
    """None: it does not matter."""
    control_room: int
    """Octets that the script gives for control messages."""


def message_header(arguments: Arguments, expression: Expression) -> MessageHeader:
    """Read a struct msghdr. Raises: ScriptError, UnsupportedError."""
    names = "msg_name msg_iov msg_flags msg_control"
    fields = fields_of(arguments, expression, names, _WANTED)
    if "msg_iov" not in fields:
        raise arguments.wrong(expression, _WANTED)
    name, control = fields.get("msg_name"), value_in(fields, "msg_control")
    controls = _controls_of(arguments, control)
    return MessageHeader(
        name=None if name is None else name.value,
        name_length=None if name is None else number_or_any(name.size),
        buffers=_counted_buffers(arguments, fields["msg_iov"].size, fields["msg_iov"].value),
        flags=number_or_any(value_in(fields, "msg_flags")),
        control=controls,
        control_room=_room_for(control, controls),
    )


def _counted_buffers(
    arguments: Arguments, size: Expression | None, value: Expression
) -> list[Buffer]:
    buffers = buffers_of(arguments, value)
    check_count(arguments, size, buffers)
    return buffers


def check_count(arguments: Arguments, size: Expression | None, items: Sequence[object]) -> None:
    """See that an array has as many items as the script says. Raises: ScriptError."""
    wanted = number_or_any(size)
    if size is not None and wanted not in (None, len(items)):
        raise arguments.wrong(size, f"{len(items)}, the number of items in the array,")


def _controls_of(arguments: Arguments, expression: Expression | None) -> list[Control] | None:
    if expression is None or isinstance(expression, Anything):
        return None
    items = arguments.items_in(expression, "a list of control messages [{cmsg_level=..., ...}]")
    return [control_of(arguments, item) for item in items]


def _room_for(expression: Expression | None, controls: list[Control] | None) -> int:
    """Give the room for exactly what is expected: what does not fit sets MSG_CTRUNC."""
    if isinstance(expression, Anything):
        return _ROOM_FOR_ANY_CONTROL
    return sum(socket.CMSG_SPACE(control.room) for control in controls or ())


# --- sending --------------------------------------------------------------------------------------


class Outgoing(NamedTuple):
    """What sendmsg is to send."""

    parts: list[bytes]
    control: list[tuple[int, int, bytes]]
    to: Endpoint | None


def outgoing(arguments: Arguments, expression: Expression) -> Outgoing:
    """Read a struct msghdr that is to be sent. Raises: ScriptError, UnsupportedError."""
    header = message_header(arguments, expression)
    to = None if header.name is None else endpoint(arguments, header.name, arguments.remote)
    parts = [arguments.octets_to_send(*buffer) for buffer in header.buffers]
    return Outgoing(parts, [control.packed(arguments) for control in header.control or ()], to)


# --- receiving ------------------------------------------------------------------------------------


class Incoming:
    """What recvmsg is to receive."""

    def __init__(self, arguments: Arguments, expression: Expression) -> None:
        """Read a struct msghdr that is to be filled. Raises: ScriptError, UnsupportedError."""
        header = message_header(arguments, expression)
        self._header = header
        self._context = arguments.context
        self._address: SocketAddress | None = None
        if header.name is not None:
            self._address = socket_address(arguments, header.name)
        self._texts = [arguments.text_in(buffer.text) for buffer in header.buffers]
        self._sizes = [arguments.size_in(buffer.size) for buffer in header.buffers]
        self.size = sum(self._sizes)
        """Octets of all buffers."""
        self.control_room = header.control_room
        """Octets for control messages."""

    def differences(self, received: Received) -> list[Difference]:
        """Compare with what was received."""
        found = self._differences_of_name(received.source)
        rest = received.data
        for text, size in zip(self._texts, self._sizes, strict=True):
            found += differ_text("msg_iov", text, rest[:size])
            rest = rest[size:]
        found += differ_bits("msg_flags", self._header.flags, received.flags, "MSG_")
        return found + self._differences_of_control(received.control)

    def _differences_of_name(self, source: Endpoint | None) -> list[Difference]:
        if self._address is None:
            return []
        length = 0 if source is None else SOCKADDR_IN.size
        found = self._address.differences("msg_name", source)
        return found + differ("msg_namelen", self._header.name_length, length)

    def _differences_of_control(self, actual: list[tuple[int, int, bytes]]) -> list[Difference]:
        wanted = self._header.control
        if wanted is None:
            return []
        found: list[Difference] = []
        for place, control in enumerate(wanted[: len(actual)]):
            found += control.differences(f"msg_control[{place}]", actual[place], self._context)
        return found + differ("number of control messages", len(wanted), len(actual))
