"""Reads a script: text in, a tree out, or one clear sentence about what is wrong with it.

Not done here: the grammar (`grammar.lark`), the tree's nodes (`tree_builder.py`), and the words
for what the grammar refuses (`refusals.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from lark import Lark, UnexpectedInput
from lark.exceptions import VisitError

from tapstack.drill.language.refusals import explain
from tapstack.drill.language.syntax import Script
from tapstack.drill.language.tree_builder import TreeBuilder


def parse(source: str | bytes, name: str, definitions: Mapping[str, str] | None = None) -> Script:
    """Read a script that comes from `name`, and put what is defined in the place of its name.

    Definitions go before those that the script's own `--define` makes.
    Raises: ScriptError, UnsupportedError.
    """
    text = _decode(source) if isinstance(source, bytes) else source
    text = text.replace("\r\n", "\n")  # to a shell, \r is a part of a command
    try:
        tree = _grammar().parse(text)
    except UnexpectedInput as refusal:
        raise explain(refusal, text, _grammar()) from None
    try:
        return TreeBuilder(text, name, definitions or {}).transform(tree)
    except VisitError as error:
        raise error.orig_exc from None


def get_ready() -> None:
    """Build what reading takes, rather than when the first script is read."""
    _grammar()


_KEPT = Path(__file__).parent / "__pycache__" / f"grammar.{sys.implementation.cache_tag}.pickle"
"""Where the parser is kept, as Python keeps the modules that it has compiled."""


@cache
def _grammar() -> Lark:
    """Build the parser; where it cannot be kept, that takes some 0.05 s in each process."""
    return Lark.open(
        "grammar.lark",
        rel_to=__file__,
        parser="lalr",
        lexer="contextual",
        start="script",
        propagate_positions=True,
        maybe_placeholders=True,
        cache=str(_KEPT) if not sys.dont_write_bytecode and _KEPT.parent.is_dir() else False,
    )


def _decode(octets: bytes) -> str:
    """Decode UTF-8; where it is none, every octet is a character: names in comments may be old."""
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        return octets.decode("latin-1")
