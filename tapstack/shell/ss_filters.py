"""What `ss` is told of the sockets to show: `state established`, `dst 10.0.0.0/24`, `sport = :80`.

The states come first; an expression may follow. As in iproute2, what stands side by side has to
hold together, and `and` and `or` bind alike: from left to right.

Not done here: interfaces, marks, control groups; names of hosts and services.
"""

from __future__ import annotations

import operator
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tapstack.base.address import Endpoint, parse_network
from tapstack.shell.command import UsageError
from tapstack.shell.ss_table import Row

Test = Callable[[Row], bool]

_WORDS = re.compile(r"[()]|[!<>=]=?|&&?|\|\|?|[^\s()!<>=&|]+")
_AND, _OR = ("and", "&", "&&"), ("or", "|", "||")
_NOT, _EQUAL = ("not", "!"), ("=", "==", "eq")
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    **dict.fromkeys(_EQUAL, operator.eq),
    **dict.fromkeys(("!=", "ne", "neq"), operator.ne),
    **dict.fromkeys(("<", "lt"), operator.lt),
    **dict.fromkeys(("<=", "le", "leq"), operator.le),
    **dict.fromkeys((">", "gt"), operator.gt),
    **dict.fromkeys((">=", "ge", "geq"), operator.ge),
}
_LARGEST_PORT = 65535

_ALL = frozenset(
    "ESTAB SYN-SENT SYN-RECV FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT UNCONN CLOSE-WAIT LAST-ACK LISTEN "
    "CLOSING".split()
)
_CONNECTED = _ALL - {"LISTEN", "UNCONN"}
_PASSING = frozenset({"SYN-RECV", "TIME-WAIT"})
_STATES: dict[str, frozenset[str]] = {
    **{title.lower(): frozenset({title}) for title in sorted(_ALL)},
    "established": frozenset({"ESTAB"}),
    "syn-rcv": frozenset({"SYN-RECV"}),
    "listening": frozenset({"LISTEN"}),
    **dict.fromkeys(("unconnected", "closed", "close"), frozenset({"UNCONN"})),
    **dict.fromkeys(("all", "any"), _ALL),
    "connected": _CONNECTED,
    "synchronized": _CONNECTED - {"SYN-SENT"},
    "bucket": _PASSING,
    "big": _ALL - _PASSING,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which sockets are wanted, of those that the options ask for."""

    states: frozenset[str] | None
    """Their titles, whatever the options say; None: as the options say."""
    test: Test

    def takes(self, row: Row) -> bool:
        """Tell whether a socket is wanted."""
        return (self.states is None or row.state in self.states) and self.test(row)


class _Reader:
    """The words that are left."""

    def __init__(self, words: Sequence[str]) -> None:
        self.left: deque[str] = deque(_WORDS.findall(" ".join(words)))

    def take(self) -> str:
        """Take the next one. Raises: UsageError where there is none."""
        if not self.left:
            raise UsageError("ss: something is missing at the end of the filter")
        return self.left.popleft()

    def take_if(self, *wanted: str) -> bool:
        """Take the next one if it is one of these; tell whether it was."""
        if self.left and self.left[0] in wanted:
            self.left.popleft()
            return True
        return False


def read_filter(words: Sequence[str]) -> Filter:
    """Read the words behind the options. Raises: UsageError."""
    reader = _Reader(words)
    states = _read_states(reader)
    test = _read_expression(reader) if reader.left else _takes_any
    if reader.left:
        raise UsageError("ss: a ')' of the filter has no '('")
    return Filter(states, test)


def _takes_any(_: Row) -> bool:
    return True


def _read_states(reader: _Reader) -> frozenset[str] | None:
    wanted: frozenset[str] = frozenset()
    unwanted: frozenset[str] = frozenset()
    named = False
    while reader.left and reader.left[0] in ("state", "exclude"):
        if reader.take() == "state":
            wanted, named = wanted | _read_state(reader), True
        else:
            unwanted |= _read_state(reader)
    if not (named or unwanted):
        return None
    return (wanted if named else _ALL) - unwanted


def _read_state(reader: _Reader) -> frozenset[str]:
    name = reader.take()
    if name.lower() not in _STATES:
        raise UsageError(f"ss: '{name}' is no state such as established, time-wait or listening")
    return _STATES[name.lower()]


# --- the expression -----------------------------------------------------------------------------


def _read_expression(reader: _Reader) -> Test:
    test = _read_test(reader)
    while reader.left and reader.left[0] != ")":
        if reader.take_if(*_OR):
            test = _either(test, _read_test(reader))
        else:
            reader.take_if(*_AND)
            test = _both(test, _read_test(reader))
    return test


def _either(one: Test, other: Test) -> Test:
    return lambda row: one(row) or other(row)


def _both(one: Test, other: Test) -> Test:
    return lambda row: one(row) and other(row)


def _read_test(reader: _Reader) -> Test:
    word = reader.take()
    if word in _NOT:
        test = _read_test(reader)
        return lambda row: not test(row)
    if word == "(":
        test = _read_expression(reader)
        if not reader.take_if(")"):
            raise UsageError("ss: a '(' of the filter has no ')'")
        return test
    if word in ("sport", "dport"):
        return _read_port_test(word, reader)
    if word in ("src", "dst"):
        reader.take_if(*_EQUAL)
        return _of_address(word, reader.take())
    raise UsageError(
        f"ss: '{word}' is none of src, dst, sport and dport, or of state and exclude before them"
    )


def _read_port_test(side: str, reader: _Reader) -> Test:
    word = reader.take()
    compare = _COMPARISONS.get(word)
    if compare is None:
        compare = operator.eq
    else:
        word = reader.take()
    head, _, text = word.rpartition(":")
    if head not in ("", "*"):
        raise _no_port(word)
    port = _read_port(text)
    return lambda row: compare(_side(row, side).port, port)


def _read_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _LARGEST_PORT):
        raise _no_port(text)
    return int(text)


def _no_port(text: str) -> UsageError:
    return UsageError(f"ss: '{text}' is no port from 0 to {_LARGEST_PORT}; names are not looked up")


def _of_address(side: str, word: str) -> Test:
    text, _, end = word.partition(":")
    port = None if end in ("", "*") else _read_port(end)
    if text in ("", "*"):
        network = None
    else:
        try:
            network = parse_network(text if "/" in text else f"{text}/32")
        except ValueError:
            raise UsageError(
                f"ss: '{word}' is no address such as 10.0.0.1, 10.0.0.0/24 or 10.0.0.1:80"
            ) from None

    def test(row: Row) -> bool:
        there = _side(row, side)
        return (network is None or there.address in network) and port in (None, there.port)

    return test


def _side(row: Row, side: str) -> Endpoint:
    return row.local if side[0] == "s" else row.remote
