"""Builds the tree of a script from what the grammar found, and checks what a grammar cannot.

Each method makes the node of the rule of `grammar.lark` that it is named after.

Not done here: packets (`packet_builder.py`), reading numbers and strings (`literals.py`).
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from typing import TypeVar

from lark import Token, v_args
from lark.tree import Meta

from tapstack.drill.language.literals import read_integer, read_option, read_seconds, read_string
from tapstack.drill.language.packet_builder import PacketBuilder, place, start
from tapstack.drill.language.symbols import ERRNO_NUMBERS, hint
from tapstack.drill.language.syntax import (
    Anything,
    Applied,
    Base,
    Code,
    Command,
    Direction,
    Either,
    Errno,
    Event,
    Expression,
    Field,
    Items,
    Number,
    Option,
    Packet,
    Position,
    Script,
    ScriptError,
    SystemCall,
    Text,
    Time,
    Word,
)

Nested = TypeVar("Nested", Field, Applied, Items)

_DEEPEST = 16
"""How deep expressions may be nested: no real one has more than five levels."""


@v_args(inline=True, meta=True)
class TreeBuilder(PacketBuilder):
    """Makes a Script of the tree that the grammar gives. Raises: ScriptError, UnsupportedError."""

    def __init__(self, text: str, name: str, definitions: Mapping[str, str]) -> None:
        self._own_definitions: dict[str, str] = {}
        super().__init__(text, ChainMap(dict(definitions), self._own_definitions))
        self._name = name

    @v_args(inline=True)
    def script(
        self,
        options: tuple[Option, ...],
        init: Command | None,
        events: tuple[Event, ...],
        cleanup: Command | None,
    ) -> Script:
        """The whole."""
        first = events[0].time
        if first.base is not Base.ANY and first.earliest != 0:
            raise ScriptError("the first event's time must be 0", first.position)
        return Script(self._name, self._text, options, init, events, cleanup)

    @v_args(inline=True)
    def options(self, *options: Option) -> tuple[Option, ...]:
        """All of them."""
        return options

    @v_args(inline=True)
    def option(self, token: Token) -> Option:
        """`--tolerance_usecs=10000`."""
        option = read_option(token, place(token))
        if option.name == "define" and option.value is not None:
            symbol, _, value = option.value.partition("=")
            self._own_definitions[symbol] = value
        return option

    @v_args(inline=True)
    def events(self, *events: Event) -> tuple[Event, ...]:
        """All of them, in their order."""
        return events

    def event(self, meta: Meta, time: Time, action: Packet | SystemCall | Command | Code) -> Event:
        """`+.1 close(4) = 0`."""
        is_expected = isinstance(action, Packet) and action.direction is Direction.OUT
        if time.base is Base.ANY and not is_expected:
            raise ScriptError("'*', any time, is for packets that are expected", time.position)
        if time.latest is not None and not is_expected:
            what = "a time with '~', any between two, is for packets that are expected"
            raise ScriptError(what, time.position)
        if time.end is not None and not isinstance(action, SystemCall):
            what = "a time with '...', from one to the other, is for system calls, which may block"
            raise ScriptError(what, time.position)
        return Event(start(meta), time, action)

    def command(self, meta: Meta, token: Token) -> Command:
        """`` `sleep 1` ``."""
        return Command(start(meta), str(token[1:-1]))

    def code(self, meta: Meta, token: Token) -> Code:
        """`%{ assert tcpi_snd_cwnd == 10 }%`."""
        line, column = start(meta)
        return Code(Position(line, column + len("%{")), str(token[2:-2]))

    # --- time ---

    def time(
        self,
        meta: Meta,
        plus: Token | None,
        moment: Token | None = None,
        separator: Token | None = None,
        until_plus: Token | None = None,
        until: Token | None = None,
    ) -> Time:
        """`0`, `+.1`, `+0~+.1`, `0...0.2`, `*`."""
        where = start(meta)
        if moment is None:
            return Time(where, Base.ANY, 0, None, None)
        base = Base.START if plus is None else Base.PREVIOUS
        earliest = read_seconds(moment, place(moment))
        if separator is None or until is None:
            return Time(where, base, earliest, None, None)
        other = read_seconds(until, place(until))
        self._check_span(plus, separator, until_plus, place(until))
        if other < earliest:
            raise ScriptError(f"{until} is before {moment}", place(until))
        if separator.type == "TILDE":
            return Time(where, base, earliest, other, None)
        return Time(where, base, earliest, None, other)

    def _check_span(
        self, plus: Token | None, separator: Token, until_plus: Token | None, where: Position
    ) -> None:
        if plus is None and until_plus is not None:
            raise ScriptError("both times, or none of them, count from the previous event", where)
        if separator.type == "TILDE" and plus is not None and until_plus is None:
            raise ScriptError("behind '~' stands '+' too, as in +0~+.1", where)

    # --- system calls ---

    def system_call(
        self,
        meta: Meta,
        name: Token,
        arguments: tuple[Expression, ...] | None,
        result: Expression,
        errno: Token | None,
        *_notes: Token,
    ) -> SystemCall:
        """`read(4, ..., 1000) = -1 EAGAIN (Resource temporarily unavailable)`."""
        return SystemCall(
            start(meta),
            str(name),
            arguments or (),
            result,
            None if errno is None else _read_errno(errno),
            self._slice(meta),
        )

    @v_args(inline=True)
    def arguments(self, *expressions: Expression) -> tuple[Expression, ...]:
        """What stands between parentheses or brackets."""
        return expressions

    def field(
        self,
        meta: Meta,
        name: Token,
        sizes: tuple[Expression, ...] | None,
        value: Expression,
    ) -> Field:
        """`sin_port=htons(8080)`, `msg_iov(1)=[{..., 9}]`."""
        if sizes is not None and len(sizes) != 1:
            raise ScriptError(f"'{name}' takes one size in parentheses", start(meta))
        return _shallow(Field(start(meta), str(name), sizes[0] if sizes else None, value))

    def applied(
        self, meta: Meta, function: Token, arguments: tuple[Expression, ...] | None
    ) -> Applied:
        """`htons(8080)`."""
        return _shallow(Applied(start(meta), str(function), arguments or ()))

    def array(self, meta: Meta, items: tuple[Expression, ...] | None) -> Items:
        """`[3, 4]`."""
        return _shallow(Items(start(meta), items or (), is_struct=False))

    def struct(self, meta: Meta, items: tuple[Expression, ...] | None) -> Items:
        """`{fd=3, events=POLLIN}`."""
        return _shallow(Items(start(meta), items or (), is_struct=True))

    def either(self, meta: Meta, *terms: Expression) -> Either:
        """`POLLIN|POLLOUT`."""
        return Either(start(meta), terms)

    bits = either

    def anything(self, meta: Meta, _: Token) -> Anything:
        """`...`."""
        return Anything(start(meta))

    def number(self, meta: Meta, token: Token) -> Number:
        """`-1`, `0x10`."""
        return Number(start(meta), read_integer(token, start(meta)))

    def word(self, meta: Meta, token: Token) -> Number | Word | Text:
        """Make a name; or what is defined in its place."""
        where = start(meta)
        name = self._defined(token)
        if name != token and re.fullmatch(r"-?[0-9]+|0[xX][0-9A-Fa-f]+", name):
            return Number(where, read_integer(name, where))
        if name != token and not name.isidentifier():
            return Text(where, name.strip('"').encode(), is_prefix=False)
        return Word(where, name)

    def text(self, meta: Meta, *tokens: Token | None) -> Text:
        """`"GET " "/"...`."""
        *strings, ellipsis = tokens
        octets = b"".join(read_string(token, place(token)) for token in strings if token)
        return Text(start(meta), octets, ellipsis is not None)


def _read_errno(token: Token) -> Errno:
    if token not in ERRNO_NUMBERS:
        what = f"there is no error {token}{hint(token, ERRNO_NUMBERS, '{}')}"
        raise ScriptError(what, place(token))
    return Errno(place(token), str(token))


def _shallow(node: Nested) -> Nested:
    """Check that an expression is not nested too deeply for whoever walks it."""
    if _depth(node) > _DEEPEST:
        what = f"expressions may be nested {_DEEPEST} levels deep, no deeper"
        raise ScriptError(what, node.position)
    return node


def _depth(expression: Expression) -> int:
    """Count levels; a deeper part would not have been made."""
    match expression:
        case Items(items=parts) | Applied(arguments=parts) | Either(terms=parts):
            return 1 + max(map(_depth, parts), default=0)
        case Field(size=size, value=value):
            return 1 + max(_depth(value), 0 if size is None else _depth(size))
        case _:
            return 0
