"""What was expected above what came: field below field, and a mark under each that differs.

Not done here: finding the differences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from tapstack.drill.reports.failure import Difference

_FIELDS = re.compile(
    r"(?P<ip>[\[(][^\])]*[\])])? *"
    r"(?P<ports>\d+ > \d+)? *"
    r"(?P<flags>[FSRPEWAU.\d]+|-) +"
    r"(?P<seq>\d+:\d+\((?P<length>\d+)\)) *"
    r"(?P<ack>ack \d+)? *"
    r"(?P<win>win \d+)? *"
    r"(?P<urg>urg \d+)? *"
    r"(?P<options><.*>)?"
)
"""The fields of a segment in a script's notation, in their order."""
_COLUMNS = ("ip", "ports", "flags", "seq", "ack", "win", "urg", "options")
_OF_IP = ("ecn", "tos", "ttl")
_MARGIN = 10


def align(expected: str, actual: str, differences: Sequence[Difference]) -> Iterator[str]:
    """Give both lines, as far as there are two, and one that marks what differs, if it shows."""
    upper, lower = _lay_out(expected, actual)
    for title, text in (("expected", upper), ("actual", lower)):
        for line in text.splitlines():
            yield f"{title:<{_MARGIN}}{line}"
            title = ""
    marks = _marks(upper, lower, differences)
    if marks:
        yield " " * _MARGIN + marks


def _lay_out(expected: str, actual: str) -> tuple[str, str]:
    """Put the fields of two segments below each other."""
    one, other = _FIELDS.fullmatch(expected), _FIELDS.fullmatch(actual)
    if one is None or other is None:
        return expected, actual
    upper, lower = [], []
    for name in _COLUMNS:
        mine, its = one[name] or "", other[name] or ""
        width = max(len(mine), len(its))
        if width:
            upper.append(f"{mine:{width}}")
            lower.append(f"{its:{width}}")
    return " ".join(upper).rstrip(), " ".join(lower).rstrip()


def _marks(upper: str, lower: str, differences: Sequence[Difference]) -> str:
    """Underline what differs of the lower line."""
    marks = [" "] * len(lower)
    for difference in differences:
        for start, end in _places(upper, lower, difference):
            marks[start:end] = "^" * (end - start)
    return "".join(marks).rstrip()


def _places(upper: str, lower: str, difference: Difference) -> Iterator[tuple[int, int]]:
    """Tell where the lower line shows what differs."""
    what, value = difference.what, difference.actual
    fields = _FIELDS.fullmatch(lower)
    if fields is None:
        start = lower.find(value) if value else -1
        if start >= 0:
            yield start, start + len(value)
    elif what == "options" and fields[what] is not None:
        wanted = _FIELDS.fullmatch(upper)
        yield from _options_that_differ(wanted and wanted[what], fields[what], fields.start(what))
    elif what in _OF_IP and fields["ip"] is not None:
        start = lower.find(value, fields.start("ip"))
        yield start, start + len(value)
    elif what == "seq":
        yield fields.start(what), fields.start(what) + len(value)
    elif what in fields.groupdict() and fields[what] is not None:
        yield fields.end(what) - len(value), fields.end(what)


def _options_that_differ(wanted: str | None, came: str, at: int) -> Iterator[tuple[int, int]]:
    """Tell where the options are that were not expected, or where one is missing."""
    mine = wanted[1:-1].split(",") if wanted else []
    its = came[1:-1].split(",")
    starts = [at + 1]
    for option in its:
        starts.append(starts[-1] + len(option) + 1)
    for kind, _, _, first, end in SequenceMatcher(None, mine, its, autojunk=False).get_opcodes():
        if kind == "delete":
            yield starts[first] - 1, starts[first]
        elif kind != "equal":
            yield from ((starts[each], starts[each + 1] - 1) for each in range(first, end))
