"""Which line of a script's Python code is at fault, and what the values in it were.

Not done here: running the code (`code.py`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from types import FrameType, NoneType

from tapstack.drill.language.syntax import Position
from tapstack.drill.reports.failure import Failure

FILE_NAME = "<code of the script>"
"""What the code is compiled as; its lines are the script's."""
_MOST_SHOWN = 60
"""Characters of a value."""
_PLAIN = (int, float, str, bytes, list, tuple, set, dict, NoneType)
"""What tells something when it is shown; constants are known by their names."""


def failure_of(error: BaseException, trees: Sequence[ast.Module]) -> Failure:
    """Tell why code failed: the line at fault is the last of the script's that was running."""
    frame, line = _last_line(error)
    values = [f"{name} is {value}" for name, value in _values_at(frame, line, trees)]
    told = f"; {', '.join(values)}" if values else ""
    return Failure(Position(line, 1), _sentence(error) + told)


def _last_line(error: BaseException) -> tuple[FrameType | None, int]:
    """Find where an exception was raised, or went through, in the script's code."""
    found: tuple[FrameType | None, int] = (None, 1)
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE_NAME:
            found = trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
    return found


def _sentence(error: BaseException) -> str:
    match error:
        case AssertionError():
            why = f" ({error})" if str(error) else ""
            return f"the assertion does not hold{why}"
        case SystemExit():
            return f"the code ends with the status {error.code}"
        case _:
            return f"the code raises {type(error).__name__}: {error}".removesuffix(": ")


def _values_at(
    frame: FrameType | None, line: int, trees: Sequence[ast.Module]
) -> Iterator[tuple[str, str]]:
    """Give the names that the statement at a line reads, and what they stand for."""
    if frame is None:
        return
    for name in _names_at(line, trees):
        if name in frame.f_locals:
            value = frame.f_locals[name]
        elif name in frame.f_globals:
            value = frame.f_globals[name]
        else:
            continue
        if isinstance(value, _PLAIN) and not name.isupper():
            yield name, _shown(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


def _names_at(line: int, trees: Sequence[ast.Module]) -> list[str]:
    """Give the names that the innermost statement at a line reads, each once, in their order."""
    statement: ast.stmt | None = None
    for node in (node for tree in trees for node in ast.walk(tree)):
        # What is found later lies deeper, or behind on the same line.
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            statement = node
    if statement is None:
        return []
    names = [
        node
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    ]
    if hasattr(statement, "body"):  # of what has others inside it only the head is meant
        names = [name for name in names if name.lineno == line]
    names.sort(key=lambda name: (name.lineno, name.col_offset))
    return list(dict.fromkeys(name.id for name in names))
