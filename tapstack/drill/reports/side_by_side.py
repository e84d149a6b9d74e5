"""One script on two hosts: where they first part, and what led to it, side by side.

Both hear the same until they say something different, and what comes after that follows from it:
so the first difference is the one to look at. A timestamp's value is no difference, for it is the
time; that is one when it is off by more than packetdrill allows. A window alone changes little of
what follows: it is the one to look at only where there is no other.

Not done here: playing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from tapstack.base.units import Duration
from tapstack.drill.reports.failure import TIME_WIDTH, Failure, Happening
from tapstack.drill.settings import LINUX_TOLERANCE

_STAMP = re.compile(r"TS val \d+")
_WINDOW = re.compile(r" win \d+")
_OF_TIME = ("time", "TS val")
"""What differs from one run to the next, as far as the difference says."""
_BEFORE = 10
"""How many of the events before the difference are shown."""


class Played(NamedTuple):
    """What a host made of a script."""

    host: str
    """What it is called: `tapstack`, `Linux 6.18`."""
    history: Sequence[Happening]
    failure: Failure | None
    """None: it passed."""

    def __str__(self) -> str:
        """Tell how the script came out: `tapstack fails at line 12 (...)`."""
        if self.failure is None:
            return f"{self.host} passes"
        return f"{self.host} fails at line {self.failure.position.line}: {self.failure.headline}"


class _Row(NamedTuple):
    """The same event on both hosts; None where one did not come to it."""

    one: Happening | None
    other: Happening | None


def compare_plays(one: Played, other: Played) -> str:
    """Show the first difference between two hosts, as lines for a screen; '' if there is none."""
    rows = [_Row(*pair) for pair in zip_longest(one.history, other.history)]
    first = _first_difference(rows)
    if first is None and _verdict(one) == _verdict(other):
        return ""
    end = len(rows) if first is None else first + 1
    shown = rows[max(0, end - _BEFORE - 1) : end]
    lines = [str(one), str(other), "", *_table((one.host, other.host), shown, first is not None)]
    return "\n".join(lines)


def _verdict(played: Played) -> tuple[object, ...]:
    """Give what two failures have in common when they are the same."""
    failure = played.failure
    if failure is None:
        return ()
    differences = [each.what if each.what in _OF_TIME else each for each in failure.differences]
    return failure.position, tuple(differences), _STAMP.sub("", failure.actual)


def _first_difference(rows: Sequence[_Row]) -> int | None:
    """Find the row to look at."""
    windows = [index for index, row in enumerate(rows) if _differ(row, _text)]
    parting = next(_partings(rows), None)
    if parting is None:
        return windows[0] if windows else None
    # A host that failed for a window has nothing to set beside what the other did next.
    return parting - 1 if None in rows[parting] and parting - 1 in windows else parting


def _partings(rows: Sequence[_Row]) -> Iterator[int]:
    """Find the rows in which the hosts differ, but for windows."""
    before = _Row(None, None)
    for index, row in enumerate(rows):
        if None in row or _differ(row, _without_window) or _is_off(before, row):
            yield index
        before = row


def _text(happening: Happening) -> str:
    return happening.arrow + _STAMP.sub("TS val", happening.text)


def _without_window(happening: Happening) -> str:
    return _WINDOW.sub("", _text(happening))


def _differ(row: _Row, text: Callable[[Happening], str]) -> bool:
    return bool(row.one and row.other and text(row.one) != text(row.other))


def _is_off(before: _Row, row: _Row) -> bool:
    """Tell whether a packet came at another time after the event before it.

    Each counts from its own, since real time is late by and by.
    """
    if row.one is None or row.other is None or row.one.arrow != ">":
        return False
    gap, other = _gap(before.one, row.one), _gap(before.other, row.other)
    usecs, percent = LINUX_TOLERANCE
    return abs(gap - other) > max(usecs, gap * percent / 100)


def _gap(before: Happening | None, happening: Happening) -> Duration:
    return happening.time - before.time if before else happening.time


# --- the table ---


def _table(hosts: tuple[str, str], rows: Sequence[_Row], marked: bool) -> Iterator[str]:
    """Lay rows out in two columns; with a mark at the last one, and under its words that differ."""
    lines = [_Line("", "", *hosts)]
    lines += [
        _Line("", _line_number(row), str(row.one or "(nothing)"), str(row.other or "(nothing)"))
        for row in rows
    ]
    if marked:
        lines[-1] = lines[-1]._replace(mark=">>")
        lines += _marks(rows[-1])
    width = max(len(line.left) for line in lines)
    for mark, number, left, right in lines:
        yield f"{mark:2}{number:>6}  {left:<{width}}  | {right}".rstrip()


class _Line(NamedTuple):
    mark: str
    number: str
    left: str
    right: str


def _show(happening: Happening | None) -> str:
    return str(happening) if happening else "(nothing)"


def _line_number(row: _Row) -> str:
    happening = row.one or row.other
    return str(happening.position.line) if happening and happening.position else ""


def _marks(row: _Row) -> Iterator[_Line]:
    """Underline the words of either that the other has not, or else the times."""
    if row.one is None or row.other is None:
        return
    texts = row.one.text, row.other.text
    if not _differ(row, _text):
        yield _Line("", "", "^" * TIME_WIDTH, "^" * TIME_WIDTH)
        return
    margin = " " * (TIME_WIDTH + 3)
    yield _Line("", "", margin + _underline(*texts), margin + _underline(*reversed(texts)))


def _underline(text: str, other: str) -> str:
    words, others = text.split(), other.split()
    pairs = zip_longest(words, others[: len(words)])
    return " ".join(("^" if word != its else " ") * len(word) for word, its in pairs).rstrip()
