"""`ss`: the sockets of the simulated stack, as the net shell shows them.

Not done here: filters other than by state, port and address, which all have to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tapstack.base.address import Endpoint, parse_ipv4
from tapstack.drill.surroundings.machine import Answer, Machine, WrongUse
from tapstack.drill.surroundings.programs.words import Words, not_simulated
from tapstack.shell.command import UsageError
from tapstack.shell.commands.ss import make_parser, rows_for, show, summarize
from tapstack.shell.ss_table import Row

_Test = Callable[[Row], bool]

_STATES = {
    "established": "ESTAB",
    "syn-recv": "SYN-RECV",
    "listening": "LISTEN",
    "listen": "LISTEN",
    "closed": "UNCONN",
    **{name.lower(): name for name in "SYN-SENT FIN-WAIT-1 FIN-WAIT-2 TIME-WAIT".split()},
    **{name.lower(): name for name in "CLOSE-WAIT LAST-ACK CLOSING".split()},
}


def ss(machine: Machine, given: Sequence[str], _: Path) -> Answer:
    """Show sockets. Raises: WrongUse."""
    try:
        options, filters = make_parser().parse_known_args(_split(given))
    except UsageError as error:
        raise WrongUse(str(error), 255) from None
    host = machine.host
    if options.summary:
        return Answer(out=host.call(summarize, host.stack) + "\n")
    tests = _read_filters(Words(filters))
    if any(word == "state" for word in filters):
        options.all = True  # whoever names a state wants it
    rows = host.call(rows_for, host.stack, options)
    lines = show([row for row in rows if all(test(row) for test in tests)], options)
    return Answer(out="".join(f"{line}\n" for line in lines))


def _split(given: Sequence[str]) -> list[str]:
    """Take out what changes nothing here: processes, extended and IPv4's sockets."""
    return [word for word in given if word not in ("-4", "-p", "-N", "--tcp", "-W")] + [
        "-t" for word in given if word == "--tcp"
    ]


def _read_filters(words: Words) -> list[_Test]:
    tests: list[_Test] = []
    while words:
        word = words.take()
        if word == "state":
            tests.append(_of_state(words.take()))
        elif word in ("sport", "dport"):
            words.take_if("=", "==", "eq")
            tests.append(_of_port(word, words.take()))
        elif word in ("src", "dst"):
            words.take_if("=", "==", "eq")
            tests.append(_of_address(word, words.take()))
        elif word not in ("and", "&", "&&"):
            raise not_simulated(f"ss: the filter {word}")
    return tests


def _of_state(name: str) -> _Test:
    if name in ("all", "any"):
        return lambda _: True
    if name == "connected":
        return lambda row: row.state not in ("LISTEN", "UNCONN")
    if name not in _STATES:
        raise WrongUse(f"ss: wrong state name: {name}", 255)
    return lambda row: row.state == _STATES[name]


def _of_port(side: str, word: str) -> _Test:
    port = word.rpartition(":")[2]
    if not port.isdecimal():
        raise WrongUse(f'Error: "{word}" does not look like a port.', 255)
    return lambda row: _side(row, side).port == int(port)


def _of_address(side: str, word: str) -> _Test:
    text, _, port = word.partition(":")
    try:
        address = parse_ipv4(text)
    except ValueError:
        raise WrongUse(f'Error: an inet prefix is expected rather than "{word}".', 255) from None
    if port in ("", "*"):
        return lambda row: _side(row, side).address == address
    has_port = _of_port(side, port)
    return lambda row: _side(row, side).address == address and has_port(row)


def _side(row: Row, side: str) -> Endpoint:
    return row.local if side[0] == "s" else row.remote
