"""`ss`: the sockets of the simulated stack, as the net shell shows them.

Not done here: the table and its filters (`shell/commands/ss.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tapstack.drill.surroundings.machine import Answer, Machine, WrongUse
from tapstack.shell.command import UsageError
from tapstack.shell.commands.ss import make_parser, rows_for, show, summarize
from tapstack.shell.ss_filters import read_filter


def ss(machine: Machine, given: Sequence[str], _: Path) -> Answer:
    """Show sockets. Raises: WrongUse."""
    # Of namespaces, and of names without a width, there is one kind here.
    words = [word for word in given if word not in ("-N", "-W")]
    if not {"-V", "--version"}.isdisjoint(words):
        return Answer(out="ss utility, of tapstack\n")
    if not {"-h", "--help"}.isdisjoint(words):
        return Answer(out=make_parser().format_help())
    try:
        options = make_parser().parse_intermixed_args(words)
        wanted = read_filter(options.filter)
    except UsageError as error:
        raise WrongUse(str(error), 255) from None
    host = machine.host
    if options.summary:
        return Answer(out=host.call(summarize, host.stack) + "\n")
    lines = show(host.call(rows_for, host.stack, options, wanted), options, wanted)
    return Answer(out="".join(f"{line}\n" for line in lines))
