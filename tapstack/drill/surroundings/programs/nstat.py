"""`nstat`: the stack's counters by the kernel's names, since they were last told (nstat(8)).

A counter that Linux has and the stack has not is refused when it is asked for by its name: zero
would be a guess.

Not done here: counting (`base/counters.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from getopt import GetoptError, gnu_getopt
from pathlib import Path

from tapstack.drill.surroundings.linux_counters import ORDER
from tapstack.drill.surroundings.machine import Answer, Machine, WrongUse
from tapstack.drill.surroundings.programs.words import not_simulated

_LONG = "ignore json nooutput pretty reset noupdate zeros scan= interval= version help".split()
_SHORT = {f"--{name}": f"-{name[0]}" for name in "ignore json nooutput pretty reset zeros".split()}
_SHORT |= {"--ignore": "-a", "--noupdate": "-s", "--scan": "-d", "--interval": "-t"}
_SHORT |= {"--version": "-V", "--help": "-h"}


def nstat(machine: Machine, words: Sequence[str], _: Path) -> Answer:
    """Tell counters, those that are not zero. Raises: WrongUse."""
    try:
        options, patterns = gnu_getopt(list(words), "ad:hjnprst:Vz", _LONG)
    except GetoptError as error:
        raise WrongUse(f"nstat: {error}", 255) from None
    flags = {_SHORT.get(name, name) for name, _ in options}
    for flag in flags & {"-d", "-t", "-p", "-V", "-h"}:
        raise not_simulated(f"nstat {flag}")
    _check_known(machine.host.stack.counters, patterns)
    if "-r" in flags:
        machine.counted.clear()
    counters = dict(machine.host.stack.counters)
    before = {} if "-a" in flags else dict(machine.counted)
    if "-s" not in flags:
        machine.counted.update(counters)
    if "-n" in flags:
        return Answer()
    told = {
        name: counters[name] - before.get(name, 0)
        for name in ORDER
        if name in counters and _is_wanted(name, patterns)
    }
    shown = {name: count for name, count in told.items() if count or "-z" in flags}
    return Answer(out=_render(shown, as_json="-j" in flags))


def _check_known(counters: Mapping[str, int], patterns: list[str]) -> None:
    for name in patterns:
        if name in ORDER and name not in counters:
            raise not_simulated(f"nstat: the counter {name}")


def _is_wanted(name: str, patterns: list[str]) -> bool:
    return not patterns or any(fnmatchcase(name.lower(), each.lower()) for each in patterns)


def _render(counts: Mapping[str, int], *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"kernel": counts}, separators=(",", ":")) + "\n"
    return "#kernel\n" + "".join(f"{name:<32}{count:<16}   0.0\n" for name, count in counts.items())
