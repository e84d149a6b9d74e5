"""Says what is wrong where the grammar refuses a script: one sentence that teaches.

Not done here: what is wrong with a script that the grammar takes (`tree_builder.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lark import Lark, Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.lexer import PatternStr
from lark.parsers.lalr_interactive_parser import InteractiveParser

from tapstack.drill.language.symbols import hint
from tapstack.drill.language.syntax import Position, ScriptError, UnsupportedError

_UNENDED = (
    (re.compile(r"/\*"), "this comment has no end, which is */"),
    (re.compile(r"`(?:[^`\\]|\\[\s\S])*\\?\Z"), "this command has no end, which is another `"),
    (
        re.compile(r'"(?!(?:[^"\\\n]|\\[\s\S])*")'),
        'this string has no end: another " in the same line',
    ),
    (re.compile(r"%\{(?![\s\S]*\}%)"), "this code has no end, which is }%"),
    (re.compile(r"\#"), "a comment begins with // or /*, not with '#'"),
)
"""How what is wrong begins, where that tells enough."""

_FOREIGN = r"\b(?:sctp|udplite|mptcp|mp_\w+|mpcapable|mpjoin|dss\d*|add_addr\w*|remove_addr\w*)\b"
"""Packets and TCP options of protocols that are not here."""

_GROUPS = (
    (
        "a packet (< or >), a system call, a `command` or %{ code }%",
        "WORD LESSTHAN MORETHAN CODE SHELL",
    ),
    (
        'a value: a number, a name, a "string", [a list], {a struct} or ...',
        "ELLIPSIS INT HEX NEGATIVE WORD STRING LSQB LBRACE",
    ),
    ("a result such as 0", "ELLIPSIS INT HEX NEGATIVE WORD STRING"),
    ("a number or a name", "INT HEX NEGATIVE WORD"),
    ("a number", "INT HEX NEGATIVE"),
    (
        "a packet's flags (letters of FSRPEWAU and '.'), its ports, udp or icmp",
        "FLAGS INT UDP ICMP LPAR LSQB IPV4 IPV6 GRE MPLS",
    ),
    ("a packet's flags (letters of FSRPEWAU and '.'), udp or icmp", "FLAGS UDP ICMP"),
    (
        "a TCP option: mss, sackOK, sack, TS, nop, eol, wscale, FO, FOEXP, md5 or ECN",
        "NOP EOL MSS WSCALE SACKOK SACK TS FO FOEXP MD5 ECN",
    ),
    ("the next event's time, such as +.1", "INT FLOAT PLUS STAR SHELL $END"),
    ("a time such as 0, +.1 or *", "INT FLOAT PLUS STAR"),
    ("a time in seconds", "INT FLOAT"),
)
"""What may stand in a place all together: how that is said, and the tokens."""

_WORDS = {
    "$END": "the end of the script",
    "BRACKETED": "(...)",
    "CODE": "%{ code }%",
    "ELLIPSIS": "'...'",
    "FLAGS": "a packet's flags (letters of FSRPEWAU and '.')",
    "IP_ADDRESS": "an address",
    "INT": "a number",
    "NOTE": "a (note)",
    "OCTETS": "hexadecimal digits",
    "OPTION": "an option such as --mtu=1500",
    "SHELL": "a `command`",
    "STRING": 'a "string"',
    "WORD": "a name",
}


def explain(refusal: UnexpectedInput, text: str, grammar: Lark) -> ScriptError | UnsupportedError:
    """Make the error of a script that the grammar refuses."""
    offset = _offset(refusal, text)
    position = position_of(text, offset)
    for beginning, sentence in _UNENDED:
        if beginning.match(text, offset):
            return ScriptError(sentence, position)
    foreign = _foreign_word(text, offset)
    if foreign is not None:
        return UnsupportedError(foreign[0], position_of(text, foreign.start()))
    accepts: Callable[[], set[str]] = _parser(refusal).accepts
    accepted = accepts()
    expected = _expected(accepted, _last_token(refusal), grammar)
    likely = _likely(accepted, text, offset, grammar)
    return ScriptError(f"expected {expected}, found {_found(text, offset)}{likely}", position)


def _offset(refusal: UnexpectedInput, text: str) -> int:
    """Tell where in the text the grammar could not go on."""
    if isinstance(refusal, UnexpectedToken) and refusal.token.type == "$END":
        return len(text)
    offset: Any = refusal.pos_in_stream
    assert isinstance(offset, int)
    return offset


def _parser(refusal: UnexpectedInput) -> InteractiveParser:
    assert isinstance(refusal, UnexpectedToken | UnexpectedCharacters)
    parser: Any = refusal.interactive_parser
    assert isinstance(parser, InteractiveParser)
    return parser


def _last_token(refusal: UnexpectedInput) -> Token | None:
    """Give what stands right before, where no rule has ended there."""
    stack: list[Any] = _parser(refusal).parser_state.value_stack
    return stack[-1] if stack and isinstance(stack[-1], Token) else None


def position_of(text: str, offset: int) -> Position:
    """Tell the line and the column of a place in a text."""
    line_start = text.rfind("\n", 0, offset) + 1
    return Position(text.count("\n", 0, offset) + 1, offset - line_start + 1)


_FOREIGN_HERE = re.compile(rf"{_FOREIGN}")
_FOREIGN_BEFORE = re.compile(rf"{_FOREIGN}(?=[ \t:(]*\Z)")


def _foreign_word(text: str, offset: int) -> re.Match[str] | None:
    """Find a word of a protocol that is not here, in this place or right before it."""
    line_start = text.rfind("\n", 0, offset) + 1
    here = _FOREIGN_HERE.match(text, offset)
    return here or _FOREIGN_BEFORE.search(text, line_start, offset)


# --- what may stand there -------------------------------------------------------------------------


def _expected(accepted: set[str], last: Token | None, grammar: Lark) -> str:
    """Say what may stand in a place; `last` stands right before."""
    if last is not None and last.type == "FLAGS":
        return f"sequence numbers such as 1:1001(1000) behind '{last}'"
    *others, final = _choices(accepted, grammar)
    choices = f"{', '.join(others)} or {final}" if others else final
    is_telling = last is not None and last.isalnum() and len(last) <= _LONGEST
    return f"{choices} behind '{last}'" if is_telling else choices


def _choices(accepted: set[str], grammar: Lark) -> list[str]:
    rest = set(accepted)
    groups = []
    for words, names in _GROUPS:
        if rest.issuperset(names.split()):
            groups.append(words)
            rest.difference_update(names.split())
    single = [_WORDS.get(name) or f"'{_literal(name, grammar)}'" for name in sorted(rest)]
    return single + groups


def _literal(name: str, grammar: Lark) -> str:
    """Give what a token is written as, or '' where it is not always the same."""
    pattern = grammar.get_terminal(name).pattern if name != "$END" else None
    return pattern.value if isinstance(pattern, PatternStr) else ""


# --- what stands there ----------------------------------------------------------------------------

_CHUNK = re.compile(r"\w+|\S")
_LONGEST = 40
"""Most characters of a script that a sentence shows."""


def _found(text: str, offset: int) -> str:
    chunk = _CHUNK.match(text, offset)
    if chunk is None:
        return "the end of the script"
    word, whole = chunk[0], _whole_word(text, offset)
    shown = f"'{_printable(word)}'"
    return shown if word == whole or len(whole) > _LONGEST else f"{shown} in '{whole}'"


def _printable(word: str) -> str:
    short = word if len(word) <= _LONGEST else word[: _LONGEST - 3] + "..."
    return short if short.isprintable() else short.encode("unicode_escape").decode("ascii")


def _whole_word(text: str, offset: int) -> str:
    """Give the word that a place is in the middle of."""
    start = offset
    while start > max(0, offset - _LONGEST) and re.match(r"\w\w", text[start - 1 : start + 1]):
        start -= 1
    word = _CHUNK.match(text, start)
    return "" if word is None else word[0]


def _likely(accepted: set[str], text: str, offset: int, grammar: Lark) -> str:
    """Name the word of the language that is likely meant."""
    whole = _whole_word(text, offset)
    names, cutoff = accepted, 0.6
    if not text.startswith(whole, offset):  # its beginning was taken for another word
        names, cutoff = {terminal.name for terminal in grammar.terminals}, 0.75
    words = [literal for name in names if (literal := _literal(name, grammar)).isalnum()]
    return hint(whole, sorted(words), cutoff=cutoff)
