"""How a failure is shown: the place, what differs, what went before, and what to do next.

Not done here: finding out what went wrong (`playing/player.py`).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from shlex import quote

from tapstack.drill.language.syntax import Position, Script
from tapstack.drill.reports.alignment import align
from tapstack.drill.reports.failure import Failure, Happening
from tapstack.tcp import seq

_MOST_HAPPENINGS = 12
"""How many of the last events are shown."""
_WIDTH = 100
_MARGIN = "    "


def report_failure(script: Script, failure: Failure, *, with_history: bool = True) -> str:
    """Render a failure, as lines for a screen; the last events are left out where all were told."""
    lines = [
        f"{script.name}:{failure.position.line}: {failure.headline}",
        *source_line(script.text, failure.position),
        *_comparison(failure),
        *(_ladder(failure.history) if with_history else ()),
        *_connections(failure.connections),
    ]
    if failure.hint:
        lines += ["", failure.hint]
    return "\n".join(lines)


def report_mistake(name: str, text: str, message: str, position: Position) -> str:
    """Render what is wrong in a script, with the place marked, as lines for a screen."""
    if position.line == 0:  # it stands on the command line
        return f"{name}: {message}"
    lines = [f"{name}:{position.line}:{position.column}: {message}"]
    shown = list(source_line(text, position))
    if shown:
        margin = len(shown[0]) - len(_line(text, position))
        before = _line(text, position)[: position.column - 1]
        pad = "".join("\t" if character == "\t" else " " for character in before)
        shown.append(" " * margin + pad + "^")
    return "\n".join(lines + shown)


def report_bug(name: str, trace: str) -> str:
    """Render that we went wrong ourselves, as lines for a screen."""
    return (
        f"{name}: this is a bug in tapstack, which went wrong over this script:\n{trace.rstrip()}"
    )


def ways_on(name: str, *, live: bool) -> str:
    """Tell how to see more of a script that failed, on the kernel if `live`."""
    where = "--live " if live else ""
    return (
        f"To see more: `tapstack drill -v {where}{quote(name)}` tells every event; --pcap FILE "
        "writes the packets;\n--compare shows where Linux does otherwise (as root)."
    )


def source_line(text: str, position: Position) -> Iterator[str]:
    """Render a script's line with its number in front, if there is such a line."""
    line = _line(text, position)
    if line.strip():
        yield f"{position.line:>6} | {line}"


def _line(text: str, position: Position) -> str:
    lines = text.split("\n")  # nothing else ends a line, though `splitlines` knows of more
    return lines[position.line - 1].rstrip("\r") if position.line <= len(lines) else ""


def _comparison(failure: Failure) -> Iterator[str]:
    """Set what was expected above what came, and name what differs."""
    expected = failure.expected.removeprefix(">").lstrip()
    for line in align(expected, failure.actual, failure.differences):
        yield _MARGIN + line
    for each in failure.differences:
        yield f"{_MARGIN}{each.what}: expected {each.expected}, got {each.actual}"
    if failure.why:
        yield f"{_MARGIN}The stack sent it for this reason: {failure.why}"


# --- what went before -----------------------------------------------------------------------------


def show_happening(happening: Happening) -> str:
    """Render an event with its line, its time, and why it was sent."""
    line = f"{happening.position.line:>6} |" if happening.position else "       |"
    return f"{line} {happening}"


def _ladder(history: Sequence[Happening]) -> Iterator[str]:
    """Show the last events."""
    if not history:
        return
    yield ""
    left = len(history) - _MOST_HAPPENINGS
    yield f"The last events ({left} before them):" if left > 0 else "The events so far:"
    yield from map(show_happening, history[-_MOST_HAPPENINGS:])


# --- the connections ------------------------------------------------------------------------------

_NUMBER = re.compile(r"\b(SND\.UNA|SND\.NXT|SND\.WL2|RCV\.NXT|SND\.WL1):(\d+)")
"""Sequence numbers, as `ss` shows them."""
_FIRST = re.compile(r"\b(ISS|IRS):(\d+) ?")
_THEIRS = ("RCV.NXT", "SND.WL1")
"""Those that the remote host counts."""


def _connections(text: str) -> Iterator[str]:
    """Show the sockets, with long lines folded."""
    if not text:
        return
    yield ""
    yield "The sockets then:"
    for line in text.splitlines():
        inside = line.startswith("\t")
        if not inside:
            yield f"{_MARGIN}{line.strip()}"
            continue
        yield from textwrap.wrap(
            _relative(line.strip()),
            _WIDTH,
            initial_indent=_MARGIN * 2,
            subsequent_indent=_MARGIN * 2,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _relative(line: str) -> str:
    """Count sequence numbers as the script does: from the first ones, which are left out then."""
    firsts = {name: int(number) for name, number in _FIRST.findall(line)}
    if len(firsts) < 2:
        return line

    def count(match: re.Match[str]) -> str:
        first = firsts["IRS" if match[1] in _THEIRS else "ISS"]
        return f"{match[1]}:{seq.sub(int(match[2]), first)}"

    return _FIRST.sub("", _NUMBER.sub(count, line))
