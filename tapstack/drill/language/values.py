"""What a script's expressions come to.

Numbers are as C has them on the host: `htons(8080)` and `inet_addr("192.0.2.1")` are in network
order, and it is for whoever reads a struct sockaddr to turn them back.

Not done here: structs (`calls/structs.py`), what calls do with any of it.
"""

from __future__ import annotations

import sys

from tapstack.base.address import parse_ipv4
from tapstack.drill.language.symbols import NUMBERS, hint
from tapstack.drill.language.syntax import (
    Anything,
    Applied,
    Either,
    Expression,
    Field,
    Items,
    Number,
    ScriptError,
    Text,
    UnsupportedError,
    Word,
)


def number_of(expression: Expression) -> int:
    """Evaluate an expression that is to be a number. Raises: ScriptError, UnsupportedError."""
    match expression:
        case Number(value=value):
            return value
        case Word():
            return _named(expression)
        case Either(terms=terms):
            total = 0
            for term in terms:
                total |= number_of(term)
            return total
        case Applied():
            return _applied(expression)
        case _:
            what = f"expected a number, found {kind_of(expression)}"
            raise ScriptError(what, expression.position)


def kind_of(expression: Expression) -> str:
    """Name what an expression is, as one says it to a user."""
    match expression:
        case Anything():
            return "'...'"
        case Text():
            return "a string"
        case Items(is_struct=is_struct):
            return "a struct {...}" if is_struct else "a list [...]"
        case Field(name=name):
            return f"'{name}=...'"
        case _:
            return f"'{unparse(expression)}'"


def _named(word: Word) -> int:
    number = NUMBERS.get(word.name)
    if number is not None:
        return number
    if word.name.startswith(_ELSEWHERE):
        raise UnsupportedError(word.name, word.position)
    what = f"the name '{word.name}' stands for no number{hint(word.name, NUMBERS)}"
    raise ScriptError(what, word.position)


_ELSEWHERE = ("SCTP_", "MPTCP_", "IPV6_", "BPF_", "XDP_", "SO_NOSIGPIPE", "TCP_NOOPT", "TCP_NOPUSH")
"""How names begin that other systems, or protocols that are not here, have."""


_FUNCTIONS = ("htons", "ntohs", "htonl", "ntohl", "inet_addr", "inet6_addr")


def _applied(call: Applied) -> int:
    match call.function, call.arguments:
        case (("htons" | "ntohs"), (argument,)):
            return _swapped(number_of(argument), 2, argument)
        case (("htonl" | "ntohl"), (argument,)):
            return _swapped(number_of(argument), 4, argument)
        case "inet_addr", (Text() as text,):
            return _swapped(address_of(text), 4, text)
        case "inet6_addr", (Text(),):
            raise UnsupportedError("inet6_addr", call.position)
        case (function, _) if function in _FUNCTIONS:
            what = "a string" if call.function.startswith("inet") else "a number"
            raise ScriptError(f"{call.function} takes one argument, {what}", call.position)
        case _:
            what = f"there is no function '{call.function}' to compute with"
            raise ScriptError(what + hint(call.function, _FUNCTIONS), call.position)


def _swapped(value: int, size: int, where: Expression) -> int:
    """Turn host order into network order, and back: the same."""
    if not 0 <= value < 1 << 8 * size:
        raise ScriptError(f"{value} does not fit in {8 * size} bits", where.position)
    return int.from_bytes(value.to_bytes(size, "big"), sys.byteorder)


def address_of(text: Text) -> int:
    """Read a dotted quad, in host order. Raises: ScriptError, UnsupportedError."""
    written = text.octets.decode("latin-1")
    if ":" in written:
        raise UnsupportedError(f'inet_addr("{written}")', text.position)
    try:
        return parse_ipv4(written)
    except ValueError as error:
        raise ScriptError(str(error), text.position) from None


def unparse(expression: Expression) -> str:
    """Write an expression as scripts have it."""
    match expression:
        case Anything():
            return "..."
        case Number(value=value):
            return str(value)
        case Word(name=name):
            return name
        case Text(octets=octets, is_prefix=is_prefix):
            return quote(octets) + ("..." if is_prefix else "")
        case Either(terms=terms):
            return "|".join(map(unparse, terms))
        case Field(name=name, size=size, value=value):
            return f"{name}{f'({unparse(size)})' if size is not None else ''}={unparse(value)}"
        case Items(items=items, is_struct=is_struct):
            inside = ", ".join(map(unparse, items))
            return f"{{{inside}}}" if is_struct else f"[{inside}]"
        case Applied(function=function, arguments=arguments):
            return f"{function}({', '.join(map(unparse, arguments))})"


_ESCAPES = {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    ord('"'): '\\"',
    ord("\\"): "\\\\",
}


def quote(octets: bytes) -> str:
    """Write octets as a string of C."""
    inside = (
        _ESCAPES.get(octet) or (chr(octet) if 32 <= octet < 127 else f"\\x{octet:02x}")
        for octet in octets
    )
    return f'"{"".join(inside)}"'
