"""The Python code of a script, `%{ assert tcpi_snd_cwnd == 10 }%`.

Each snippet captures TCP_INFO of the script's connection at its moment; at the end all of them run
as one program, in which variables last, each behind what it captured.

Not done here: when that is; the layout of TCP_INFO (`socket/tcp_info.py`).
"""

from __future__ import annotations

import ast
import socket
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeAlias

from tapstack.drill.calls.descriptors import Descriptors
from tapstack.drill.contract import Calls
from tapstack.drill.language.symbols import CODE_NAMES
from tapstack.drill.language.syntax import Code, Position, ScriptError
from tapstack.drill.playing.blame import FILE_NAME, failure_of
from tapstack.drill.reports.failure import Difference, FailedError
from tapstack.socket.tcp_info import CODEC, read_tcp_info

_MOST_LINES = 3_000_000
"""Of Python: a program that runs more of them is taken to run for ever."""

Capture: TypeAlias = Callable[[Calls], "list[Difference]"]
"""Captures TCP_INFO for a snippet, when its moment has come."""


class _Captured(NamedTuple):
    """A snippet, and what it captured."""

    code: CodeType
    info: dict[str, int]


class _EndlessError(BaseException):
    """The program runs for ever; the program itself is not to catch this."""


class Snippets:
    """The code of one run of a script."""

    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors
        self._captured: list[_Captured] = []
        self._trees: list[ast.Module] = []

    def prepare(self, code: Code) -> Capture:
        """Read a snippet. Raises: ScriptError where it is no Python."""
        snippet = _read(code)
        self._trees.append(snippet.tree)

        def capture(calls: Calls) -> list[Difference]:
            info = current_info(calls, self._descriptors)
            if info is None:
                return [Difference("TCP_INFO", "an open TCP socket to capture it of", "none")]
            self._captured.append(_Captured(snippet.code, info))
            return []

        return capture

    def run(self) -> None:
        """Run all snippets that have captured, in that order, as one program.

        Raises: FailedError with the line at fault.
        """
        names: dict[str, Any] = {"__name__": "__main__", **CODE_NAMES}
        with _limited_to(_MOST_LINES):
            for code, info in self._captured:
                names.update(info)
                try:
                    exec(code, names)
                except KeyboardInterrupt:
                    raise
                except SystemExit as end:
                    if end.code:
                        raise FailedError(failure_of(end, self._trees)) from None
                    return
                except BaseException as error:  # noqa: BLE001 - whatever a script's code raises
                    raise FailedError(failure_of(error, self._trees)) from None


# --- reading --------------------------------------------------------------------------------------


class _Snippet(NamedTuple):
    """A snippet that was read; its lines are the script's."""

    tree: ast.Module
    code: CodeType


def _read(code: Code) -> _Snippet:
    """Read a snippet. Raises: ScriptError."""
    problem: Exception | None = None
    for source in _readings(code.text):
        # Its lines are the script's when as many empty ones stand in front.
        lines = "\n" * (code.position.line - 1) + source
        try:
            tree = ast.parse(lines)
            return _Snippet(tree, compile(tree, FILE_NAME, "exec", dont_inherit=True))
        except (SyntaxError, ValueError) as error:
            problem = error
    if not isinstance(problem, SyntaxError) or problem.lineno is None:
        raise ScriptError(f"this is no Python: {problem}", code.position)
    place = Position(problem.lineno, problem.offset or 1)
    raise ScriptError(f"this is no Python: {problem.msg}", place)


def _readings(text: str) -> Iterator[str]:
    """Give the text without the indentation that a script gives it, as far as it can be told."""
    first, _, rest = text.partition("\n")
    yield f"{first.strip()}\n{rest}"
    yield f"{first.strip()}\n{textwrap.dedent(rest)}"


# --- capturing ------------------------------------------------------------------------------------


def current_info(calls: Calls, descriptors: Descriptors) -> dict[str, int] | None:
    """Give TCP_INFO of the latest connection, else of the latest socket of TCP, if there is one."""
    for fd in descriptors.latest_first():
        try:
            octets = calls.getsockopt(fd, socket.IPPROTO_TCP, socket.TCP_INFO, CODEC.size)
        except OSError:  # it is no socket, or none of TCP
            continue
        return {f"tcpi_{name}": value for name, value in read_tcp_info(octets).items()}
    return None


# --- running --------------------------------------------------------------------------------------


@contextmanager
def _limited_to(lines: int) -> Iterator[None]:
    """Let the program's own lines run so many times in all; `_EndlessError` ends it then."""
    left = lines

    def count(_: FrameType, event: str, __: object) -> Any:
        nonlocal left
        left -= event == "line"
        if left < 0:
            raise _EndlessError(f"it runs for ever: {lines} lines of it have run")
        return count

    def enter(frame: FrameType, _: str, __: object) -> Any:
        return count if frame.f_code.co_filename == FILE_NAME else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)
