"""Whether a system call gave what the script has it give: its result, and what it wrote.

Not done here: making the calls.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from tapstack.drill.contract import Calls
from tapstack.drill.language.symbols import ERRNO_NUMBERS, bits_text, errno_name
from tapstack.drill.language.syntax import (
    Anything,
    Errno,
    Items,
    ScriptError,
    SystemCall,
    Text,
)
from tapstack.drill.language.values import number_of, quote
from tapstack.drill.reports.failure import Difference


class Returned(NamedTuple):
    """How a system call came out that did not fail."""

    result: int
    differences: Sequence[Difference] = ()
    """Of what it wrote, from what the script has it write."""


Body: TypeAlias = Callable[[Calls], Returned]
"""Makes one system call. Raises: OSError."""


class Wanted(NamedTuple):
    """What the script has a call return."""

    result: int | None
    """None: whatever it returns."""
    error: Errno | None
    number: int
    """Of the error; 0 without."""

    def __str__(self) -> str:
        """Render as `-1 EAGAIN` or `1000`."""
        result = "..." if self.result is None else str(self.result)
        return f"{result} {self.error.name}" if self.error else result


def wanted_result(call: SystemCall) -> Wanted:
    """Read what a call is to return. Raises: ScriptError."""
    result = call.result
    if isinstance(result, Text | Items):
        raise ScriptError("a system call returns a number", result.position)
    number = None if isinstance(result, Anything) else number_of(result)
    if call.errno is None:
        return Wanted(number, None, 0)
    if number is not None and number >= 0:
        what = f"a call that fails with {call.errno.name} returns -1, not {number}"
        raise ScriptError(what, call.errno.position)
    return Wanted(number, call.errno, ERRNO_NUMBERS[call.errno.name])


def judge_result(wanted: Wanted, result: int, gives_descriptor: bool) -> list[Difference]:
    """Compare what a call returned; any descriptor is as good as another."""
    if wanted.error is not None:
        return [Difference("result", str(wanted), str(result))]
    if wanted.result is None or wanted.result == result:
        return []
    if gives_descriptor and wanted.result >= 0 and result >= 0:
        return []
    return [Difference("result", str(wanted.result), str(result))]


def judge_error(wanted: Wanted, error: OSError) -> list[Difference]:
    """Compare how a call failed."""
    number = error.errno or 0
    if wanted.error is None:
        if wanted.result is None or wanted.result == -1:
            return []
        return [Difference("result", str(wanted), f"-1 {error_name(number)}")]
    if number == wanted.number:
        return []
    return [Difference("errno", wanted.error.name, error_name(number))]


def error_name(number: int) -> str:
    """Render an error as `ECONNRESET (Connection reset by peer)`."""
    return f"{errno_name(number)} ({os.strerror(number)})"


# --- what calls write -----------------------------------------------------------------------------


def differ(what: str, expected: int | None, actual: int) -> list[Difference]:
    """Compare a number; None: it does not matter."""
    if expected is None or expected == actual:
        return []
    return [Difference(what, str(expected), str(actual))]


def differ_bits(what: str, expected: int | None, actual: int, prefix: str) -> list[Difference]:
    """Compare bits whose names begin with a prefix, such as `POLL`; None: they do not matter."""
    if expected is None or expected == actual:
        return []
    return [Difference(what, bits_text(expected, prefix), bits_text(actual, prefix))]


def differ_text(what: str, expected: Text | None, actual: bytes) -> list[Difference]:
    """Compare octets with a string; one with `...` behind it is how they are to begin."""
    if expected is None or actual == expected.octets:
        return []
    if expected.is_prefix and actual.startswith(expected.octets):
        return []
    return [Difference(what, show_octets(expected.octets), show_octets(actual))]


_MOST_SHOWN = 64
"""Octets of a buffer that a report shows."""


def show_octets(octets: bytes) -> str:
    """Render octets as a script's string, the first of many."""
    more = f"... ({len(octets)} octets)" if len(octets) > _MOST_SHOWN else ""
    return quote(octets[:_MOST_SHOWN]) + more
