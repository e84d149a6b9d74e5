"""Commands so simple that no shell is needed to tell what they mean: rows of plain words.

What is understood here means the same to `sh`; whatever might not is left to it.

Not done here: anything that a shell expands, directs or decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_PIECE = r"""[\w./:,@%+=-]+|'[\w./:,@%+= \t-]*'|"[\w./:,@%+= \t-]*\""""
_WORD = re.compile(rf"(?:{_PIECE})+", re.ASCII)
_BLANKS = re.compile(r"[ \t]*")
_END = re.compile(r"&&|;|\n|\Z")
_PIECES = re.compile(_PIECE, re.ASCII)


class SimpleCommand(NamedTuple):
    """A program and its arguments."""

    words: list[str]
    only_if_well: bool
    """It is run only if the one before it ended with status 0."""


def read_simple(command: str) -> list[SimpleCommand] | None:
    """Read commands in a row, with `;`, `&&` or a new line between; None: this is for a shell."""
    try:
        return list(_commands(command))
    except ValueError:
        return None


def _commands(text: str) -> Iterator[SimpleCommand]:
    at, only_if_well = 0, False
    while at < len(text):
        words, at = _words(text, at)
        end = _END.match(text, at)
        if end is None or (not words and (end[0] not in ("", "\n") or only_if_well)):
            raise ValueError(text)
        if words:
            yield SimpleCommand(words, only_if_well)
        only_if_well = end[0] == "&&"
        at = end.end()
    if only_if_well:
        raise ValueError(text)


def _words(text: str, at: int) -> tuple[list[str], int]:
    """Read words up to what is none; tell where that is."""
    words: list[str] = []
    while True:
        blanks = _BLANKS.match(text, at)
        assert blanks is not None
        found = _WORD.match(text, blanks.end())
        if found is None:
            return words, blanks.end()
        words.append("".join(each.strip("'\"") for each in _PIECES.findall(found[0])))
        at = found.end()
