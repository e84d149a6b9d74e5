"""The words of a script for the types and codes of ICMP (RFC 792, RFC 950, RFC 1122, RFC 1812).

A number stands for itself where there is no word.

Not done here: laying out messages (`packets.py`).
"""

from __future__ import annotations

from tapstack.base.icmp_errors import DESTINATION_UNREACHABLE, PARAMETER_PROBLEM, TIME_EXCEEDED
from tapstack.drill.language.syntax import IcmpMessage, ScriptError
from tapstack.ip import icmp_wire

TYPES = {
    "echo_reply": icmp_wire.ECHO_REPLY,
    "unreachable": DESTINATION_UNREACHABLE,
    "source_quench": icmp_wire.SOURCE_QUENCH,
    "redirect": icmp_wire.REDIRECT,
    "echo_request": icmp_wire.ECHO_REQUEST,
    "time_exceeded": TIME_EXCEEDED,
    "parameter_problem": PARAMETER_PROBLEM,
    "timestamp_request": icmp_wire.TIMESTAMP_REQUEST,
    "timestamp_reply": icmp_wire.TIMESTAMP_REPLY,
    "information_request": 15,
    "information_reply": 16,
    "address_mask_request": 17,
    "address_mask_reply": 18,
}
_UNREACHABLE = (
    "net_unreachable",
    "host_unreachable",
    "protocol_unreachable",
    "port_unreachable",
    "frag_needed",
    "source_route_failed",
    "net_unknown",
    "host_unknown",
    "source_host_isolated",
    "net_prohibited",
    "host_prohibited",
    "net_unreachable_for_tos",
    "host_unreachable_for_tos",
    "packet_filtered",
    "precedence_violation",
    "precedence_cutoff",
)
_CODES = {DESTINATION_UNREACHABLE: _UNREACHABLE}
_TYPE_WORDS = {number: word for word, number in TYPES.items()}


def type_and_code(message: IcmpMessage) -> tuple[int, int]:
    """Give the numbers of a message's words; no code is 0. Raises: ScriptError."""
    type_ = _number(message, message.type, TYPES)
    words = {word: number for number, word in enumerate(_CODES.get(type_, ()))}
    return type_, 0 if message.code is None else _number(message, message.code, words)


def _number(message: IcmpMessage, word: str, words: dict[str, int]) -> int:
    if word in words:
        return words[word]
    if word.isascii() and word.isdecimal() and int(word) < 256:
        return int(word)
    raise ScriptError(f"ICMP has no {word} here", message.position)


def type_word(type_: int) -> str:
    """Give the word of a type."""
    return _TYPE_WORDS.get(type_, str(type_))


def code_word(type_: int, code: int) -> str | None:
    """Give the word of a code; None where it says nothing."""
    words = _CODES.get(type_, ())
    if code < len(words):
        return words[code]
    return str(code) if code else None
