"""TCP options in exactly the order and with exactly the padding that a script or a segment has.

The stack's own `tcp/options.py` lays out what it knows as Linux does; a script may write anything.

Not done here: what the numbers count from (`numbering.py`).
"""

from __future__ import annotations

from struct import Struct

from tapstack.drill.language.syntax import Position, ScriptError, TcpOption
from tapstack.tcp import options as wire

NOWHERE = Position(0, 0)
"""The place of what was read from the wire, and stands in no script."""

_MD5_SIGNATURE = 19  # RFC 2385 §3
_ACCURATE_ECN = {"e0b": 172, "e1b": 174}  # RFC 9768 §3.2.3: the kind tells which counter is first
_COUNTERS = {172: ("e0b", "ceb", "e1b"), 174: ("e1b", "ceb", "e0b")}
_COUNTER_LENGTH = 3

_BARE = {"nop": wire.NO_OPERATION, "eol": wire.END_OF_OPTIONS}
_NUMERIC = {  # the kind, and the octets of each number behind it
    "mss": (wire.MAXIMUM_SEGMENT_SIZE, 2),
    "wscale": (wire.WINDOW_SCALE, 1),
    "sackOK": (wire.SACK_PERMITTED, 0),
    "sack": (wire.SACK, 4),
    "TS": (wire.TIMESTAMPS, 4),
}
_OPAQUE = {  # the kind, and what stands in front of the octets
    "FO": (wire.FAST_OPEN, b""),
    "FOEXP": (wire.EXPERIMENTAL, wire.FAST_OPEN_MAGIC),
    "md5": (_MD5_SIGNATURE, b""),
}
_COUNTS = {"mss": (1,), "wscale": (1,), "sackOK": (0,), "TS": (2,), "sack": (2, 4, 6, 8)}
_WORDS = {kind: word for word, kind in _BARE.items()}
_NUMERIC_WORDS = {kind: (word, size) for word, (kind, size) in _NUMERIC.items()}
_head = Struct("!BB")


def build_options(options: tuple[TcpOption, ...]) -> bytes:
    """Lay out options. Raises: ScriptError where a header cannot have them so."""
    octets = b"".join(_build(option) for option in options)
    if len(octets) % 4:
        excess = f"{len(octets) % 4} octets too many for whole words of 4: nop is one octet"
        raise ScriptError(f"the TCP options have {excess}", options[0].position)
    if len(octets) > wire.MAX_LENGTH:
        message = f"the TCP options take {len(octets)} octets, and {wire.MAX_LENGTH} is the most"
        raise ScriptError(message, options[0].position)
    return octets


def _build(option: TcpOption) -> bytes:
    if option.kind in _BARE:
        return bytes((_BARE[option.kind],))
    if option.kind in _OPAQUE:
        kind, front = _OPAQUE[option.kind]
        return _with_head(option, kind, front + option.octets)
    if option.kind == "ECN":
        return _build_counters(option)
    if option.kind not in _NUMERIC:
        raise ScriptError(f"there is no TCP option {option.kind}", option.position)
    kind, size = _NUMERIC[option.kind]
    return _with_head(option, kind, b"".join(_number(option, n, size) for n in option.numbers))


def _build_counters(option: TcpOption) -> bytes:
    names = tuple(name for name, _ in option.fields)
    kind = _ACCURATE_ECN.get(names[0] if names else "e0b", 172)
    if names != _COUNTERS[kind][: len(names)]:
        message = f"the counters of ECN come as {' '.join(_COUNTERS[kind])}, or the first of these"
        raise ScriptError(message, option.position)
    body = b"".join(_number(option, count, _COUNTER_LENGTH) for _, count in option.fields)
    return _with_head(option, kind, body)


def _number(option: TcpOption, number: int, size: int) -> bytes:
    try:
        return number.to_bytes(size, "big")
    except OverflowError:
        message = f"{number} does not fit the TCP option {option.kind}"
        raise ScriptError(message, option.position) from None


def _with_head(option: TcpOption, kind: int, body: bytes) -> bytes:
    if len(body) > wire.MAX_LENGTH - 2:
        raise ScriptError(f"the TCP option {option.kind} is too long", option.position)
    return _head.pack(kind, 2 + len(body)) + body


def read_options(octets: bytes) -> tuple[TcpOption, ...]:
    """Read what stands between header and text, octet by octet: nothing is passed over.

    What a script cannot write is of a kind of its own: `kind-30`, or `malformed`.
    """
    options = []
    position = 0
    while position < len(octets):
        option, length = _read(octets[position:])
        options.append(option)
        position += length
    return tuple(options)


def _read(octets: bytes) -> tuple[TcpOption, int]:
    """Read the first option; tell how many octets it takes."""
    if octets[0] in _WORDS:
        return TcpOption(NOWHERE, _WORDS[octets[0]]), 1
    length = octets[1] if len(octets) > 1 else 0
    if not 2 <= length <= len(octets):
        return TcpOption(NOWHERE, "malformed", octets=octets), len(octets)
    return _interpret(octets[0], octets[2:length]), length


def _interpret(kind: int, body: bytes) -> TcpOption:
    if kind in _NUMERIC_WORDS:
        word, size = _NUMERIC_WORDS[kind]
        if len(body) in [count * size for count in _COUNTS[word]] and (size or not body):
            return TcpOption(NOWHERE, word, numbers=_split(body, size))
    for word, (number, front) in _OPAQUE.items():
        if kind == number and body.startswith(front):
            return TcpOption(NOWHERE, word, octets=body[len(front) :])
    if kind in _COUNTERS and len(body) % _COUNTER_LENGTH == 0 and len(body) <= 9:
        counts = _split(body, _COUNTER_LENGTH)
        return TcpOption(NOWHERE, "ECN", fields=tuple(zip(_COUNTERS[kind], counts, strict=False)))
    return TcpOption(NOWHERE, f"kind-{kind}", octets=body)


def _split(body: bytes, size: int) -> tuple[int, ...]:
    starts = range(0, len(body), size) if size else ()
    return tuple(int.from_bytes(body[start : start + size], "big") for start in starts)


def format_options(options: tuple[TcpOption, ...]) -> str:
    """Render as a script has them: `<mss 1460,nop,wscale 7>`."""
    return f"<{','.join(_format(option) for option in options)}>"


def _format(option: TcpOption) -> str:
    numbers = option.numbers
    if option.kind == "TS":
        return f"TS val {numbers[0]} ecr {numbers[1]}"
    if option.kind == "sack":
        edges = zip(numbers[::2], numbers[1::2], strict=True)
        return " ".join(["sack", *(f"{left}:{right}" for left, right in edges)])
    words = [option.kind, *map(str, numbers)]
    words += [f"{name} {count}" for name, count in option.fields]
    if option.octets:
        words.append(option.octets.hex())
    return " ".join(words)
