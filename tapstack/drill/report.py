"""How a failure is shown: the place, what differs, what went before, and what to do next.

Not done here: finding out what went wrong (`player.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tapstack.drill.failure import Difference, Failure, Happening
from tapstack.drill.syntax import Position, Script
from tapstack.drill.timing import format_time

_MOST_HAPPENINGS = 12
"""How many of the last events are shown."""


def report_failure(script: Script, failure: Failure) -> str:
    """Render a failure, as lines for a screen."""
    lines = [
        f"{script.name}:{failure.position.line}: {failure.headline}",
        *source_line(script.text, failure.position),
        *_comparison(failure),
        *_ladder(failure.history),
        *_connections(failure.connections),
    ]
    if failure.hint:
        lines += ["", failure.hint]
    return "\n".join(lines)


def report_mistake(name: str, text: str, message: str, position: Position) -> str:
    """Render what is wrong in a script, with the place marked, as lines for a screen."""
    lines = [f"{name}:{position.line}:{position.column}: {message}"]
    shown = list(source_line(text, position))
    if shown:
        margin = len(shown[0]) - len(_line(text, position))
        before = _line(text, position)[: position.column - 1]
        pad = "".join("\t" if character == "\t" else " " for character in before)
        shown.append(" " * margin + pad + "^")
    return "\n".join(lines + shown)


def source_line(text: str, position: Position) -> Iterator[str]:
    """Render a script's line with its number in front, if there is such a line."""
    line = _line(text, position)
    if line.strip():
        yield f"{position.line:>6} | {line}"


def _line(text: str, position: Position) -> str:
    lines = text.splitlines()
    return lines[position.line - 1] if position.line <= len(lines) else ""


def _comparison(failure: Failure) -> Iterator[str]:
    """Set what was expected above what came, with a mark under each word that differs."""
    if failure.expected:
        yield f"    expected  {failure.expected}"
    if failure.actual:
        yield f"      actual  {failure.actual}"
        marks = _marks(failure.actual, failure.differences)
        if marks.strip():
            yield f"              {marks}".rstrip()
    for difference in failure.differences:
        yield f"    {difference.what}: expected {difference.expected}, got {difference.actual}"
    if failure.why:
        yield f"    It was sent because of: {failure.why}"


def _marks(actual: str, differences: Sequence[Difference]) -> str:
    """Underline the values that differ, where the line shows them."""
    marks = [" "] * len(actual)
    for difference in differences:
        shown = f"{difference.what} {difference.actual}"
        start = actual.find(shown)
        if start >= 0:
            start += len(difference.what) + 1
        else:
            start = actual.find(difference.actual)
        if difference.actual and start >= 0:
            marks[start : start + len(difference.actual)] = "^" * len(difference.actual)
    return "".join(marks)


def report_history(history: Sequence[Happening], warnings: Sequence[str]) -> str:
    """Render everything that happened, and what was only warned of, as lines for a screen."""
    return "\n".join([*_rungs(history), *(f"warning: {each}" for each in warnings)])


def _ladder(history: Sequence[Happening]) -> Iterator[str]:
    """Show the last events."""
    if not history:
        return
    yield ""
    left = len(history) - _MOST_HAPPENINGS
    yield f"The last events ({left} before them):" if left > 0 else "The events so far:"
    yield from _rungs(history[-_MOST_HAPPENINGS:])


def _rungs(history: Sequence[Happening]) -> Iterator[str]:
    """Show each event with its line, its time, and why it was sent."""
    for each in history:
        line = f"{each.position.line:>6} |" if each.position else "       |"
        why = f"   ({each.why})" if each.why else ""
        yield f"{line} {format_time(each.time):>12} {each.arrow} {each.text}{why}"


def _connections(text: str) -> Iterator[str]:
    if text:
        yield ""
        yield "The sockets then:"
        yield from (f"    {line}" for line in text.splitlines())
