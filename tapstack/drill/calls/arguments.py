"""The arguments of a script's system call: each read as what the call takes, or refused in place.

Not done here: what the calls do with them (`socket_calls.py` and its siblings), structs
(`structs.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tapstack.base.address import Endpoint
from tapstack.drill.calls.context import Context
from tapstack.drill.language.syntax import (
    Anything,
    Applied,
    Either,
    Expression,
    Field,
    Items,
    Number,
    ScriptError,
    SystemCall,
    Text,
    UnsupportedError,
    Word,
)
from tapstack.drill.language.values import number_of

Live = Callable[[], int]
"""Gives the live descriptor when the call is made. Raises: OSError with EBADF."""
_MOST_OCTETS = 1 << 28
"""Of one buffer: more are a slip."""


class Arguments:
    """The arguments of one call, by their place; all methods raise ScriptError at the argument."""

    def __init__(self, call: SystemCall, form: str, context: Context) -> None:
        """Read arguments for a call whose right form is `form`."""
        self.call = call
        self.context = context
        self._form = form
        self._items = call.arguments

    def __getitem__(self, place: int) -> Expression:
        """Give an argument as it stands."""
        return self._items[place]

    def count(self, least: int, most: int | None = None) -> int:
        """Count them, and see that there are as many as the call takes."""
        count = len(self._items)
        if not least <= count <= (most or least):
            wanted = f"{least}" if most is None else f"{least} to {most}"
            plural = "" if wanted == "1" else "s"
            what = f"{self.call.name} takes {wanted} argument{plural}, and this has {count}"
            raise ScriptError(f"{what}; it is written {self._form}", self.call.position)
        return count

    def wrong(self, expression: Expression, wanted: str) -> ScriptError:
        """Make the error of an argument that is not what it should be."""
        what = f"{self.call.name} takes {wanted} here; it is written {self._form}"
        return ScriptError(what, expression.position)

    def lacks(self, expression: Expression, what: str) -> UnsupportedError:
        """Make the error of an argument that asks for what is not there."""
        return UnsupportedError(what, expression.position)

    # --- numbers ---

    def number(self, place: int, otherwise: int | None = None) -> int:
        """Read an int of C; `...` means `otherwise`, where there is such a meaning."""
        return self.short_in(self._items[place], otherwise)

    def short_in(self, expression: Expression, otherwise: int | None = None) -> int:
        """Read an int of C anywhere in an argument; what is too large for its sign is negative."""
        number = self.number_in(expression, otherwise)
        if not -(1 << 31) <= number < 1 << 32:
            raise self.wrong(expression, "a number of 32 bits")
        return number - (1 << 32) if number >= 1 << 31 else number

    def number_in(self, expression: Expression, otherwise: int | None = None) -> int:
        """Read a number, of 64 bits at most, anywhere in an argument."""
        if isinstance(expression, Anything):
            if otherwise is None:
                raise self.wrong(expression, "a number, not '...',")
            return otherwise
        if isinstance(expression, Text | Items):
            raise self.wrong(expression, "a number")
        return number_of(expression)

    def short_or_any(self, expression: Expression | None) -> int | None:
        """Read an int of C that is expected; `...`, or nothing, is None."""
        if expression is None or isinstance(expression, Anything):
            return None
        return self.short_in(expression)

    def size(self, place: int) -> int:
        """Read the size of a buffer."""
        return self.size_in(self._items[place])

    def size_in(self, expression: Expression, otherwise: int | None = None) -> int:
        """Read the size of a buffer anywhere in an argument."""
        size = self.number_in(expression, otherwise)
        if not 0 <= size <= _MOST_OCTETS:
            raise self.wrong(expression, f"a number of octets, at most {_MOST_OCTETS},")
        return size

    def fd(self, place: int) -> Live:
        """Read a descriptor."""
        return self.fd_in(self._items[place])

    def fd_in(self, expression: Expression) -> Live:
        """Read a descriptor anywhere in an argument."""
        number = self.descriptor_number(expression)
        if number < 0:
            return lambda: number
        return lambda: self.context.descriptors.live(number)

    def descriptor_number(self, expression: Expression) -> int:
        """Read the script's number of a descriptor that a call before this one gives."""
        number = self.short_in(expression)
        errno = self.call.errno
        is_bad_on_purpose = number < 0 or (errno is not None and errno.name == "EBADF")
        if not is_bad_on_purpose and not self.context.descriptors.is_foreseen(number):
            what = f"no call before this one gives the descriptor {number}"
            raise ScriptError(what, expression.position)
        return number

    # --- lists, strings, nothing ---

    def items(self, place: int, wanted: str) -> tuple[Expression, ...]:
        """Read a list `[...]`, described as `wanted`."""
        return self.items_in(self._items[place], wanted)

    def items_in(self, expression: Expression, wanted: str) -> tuple[Expression, ...]:
        """Read a list anywhere in an argument."""
        if not isinstance(expression, Items) or expression.is_struct:
            raise self.wrong(expression, wanted)
        return expression.items

    def only_item(self, place: int, wanted: str) -> Expression:
        """Read a list of one, `[1000]`, described as `wanted`."""
        items = self.items(place, wanted)
        if len(items) != 1:
            raise self.wrong(self._items[place], wanted)
        return items[0]

    def text_in(self, expression: Expression) -> Text | None:
        """Read a buffer: a string, or `...`, which is None."""
        if isinstance(expression, Text):
            return expression
        if not isinstance(expression, Anything):
            raise self.wrong(expression, "'...' or a string")
        return None

    def octets_to_send(self, buffer: Expression, size: Expression) -> bytes:
        """Read what is to be sent: a buffer's first octets; `...` is zeros."""
        text = self.text_in(buffer)
        length = self.size_in(size, None if text is None else len(text.octets))
        return (b"" if text is None else text.octets[:length]).ljust(length, b"\0")

    def is_null(self, place: int) -> bool:
        """Tell whether an argument is a null pointer: NULL or 0."""
        item = self._items[place]
        return (isinstance(item, Word) and item.name == "NULL") or (
            isinstance(item, Number) and item.value == 0
        )

    # --- addresses that the options give ---

    @property
    def local(self) -> Endpoint:
        """Give what `...` means to bind."""
        return self.context.local

    @property
    def remote(self) -> Endpoint:
        """Give what `...` means to connect, and to send to."""
        return self.context.remote


def number_or_any(expression: Expression | None) -> int | None:
    """Read a number that is expected; `...`, or nothing, is None. Raises: ScriptError."""
    if expression is None or isinstance(expression, Anything):
        return None
    if isinstance(expression, Text | Items):
        raise ScriptError("this is to be a number", expression.position)
    return number_of(expression)


def words_of(expression: Expression) -> Iterator[Word]:
    """Go through the names in an expression, those of fields excepted."""
    match expression:
        case Word():
            yield expression
        case Either(terms=parts) | Items(items=parts) | Applied(arguments=parts):
            for part in parts:
                yield from words_of(part)
        case Field(value=value):
            yield from words_of(value)
        case _:
            pass
