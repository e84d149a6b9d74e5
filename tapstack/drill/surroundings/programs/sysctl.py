"""`sysctl`: the settings of the simulated stack, as procps's program shows and sets them.

Deviation: what can only be read is refused with status 1, too, where procps says so with status 0.

Not done here: what the settings mean, and which there are (`settings.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from errno import ENOENT
from getopt import GetoptError, gnu_getopt
from pathlib import Path

from tapstack.drill.surroundings.machine import Answer, Machine, WrongUse
from tapstack.drill.surroundings.programs.words import not_simulated
from tapstack.drill.surroundings.settings import FLUSH, Settings

_LONG = (
    "all ignore names values load= pattern= quiet write binary dry-run deprecated help version"
).split()
_SHORT = {"--all": "-a", "--ignore": "-e", "--names": "-N", "--values": "-n", "--quiet": "-q"}
_SHORT |= {"--write": "-w", "--binary": "-b", "-A": "-a", "-X": "-a", "-f": "-p"}
_SHORT |= {"--load": "-p", "--pattern": "-r", "--help": "-h", "--version": "-V", "-d": "-h"}
_DEFAULT_FILE = "/etc/sysctl.conf"
_STANDARD_INPUT = ("-", "/dev/stdin")
_USAGE = "Usage:\n sysctl [options] [variable[=value] ...]\n"
_VERSION = "sysctl of tapstack\n"


@dataclass(slots=True)
class _Run:
    """One call of the program."""

    settings: Settings
    flags: set[str]
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    status: int = 0

    def fail(self, words: str) -> None:
        self.status = 1
        self.err.append(f"sysctl: {words}\n")


def sysctl(machine: Machine, words: Sequence[str], directory: Path) -> Answer:
    """Show settings, or set them. Raises: WrongUse."""
    try:
        options, rest = gnu_getopt(list(words), "abdefhnopqr:wxANVX", _LONG)
    except GetoptError as error:
        raise WrongUse(f"sysctl: {error}") from None
    given = {_SHORT.get(name, name): value for name, value in options}
    if "-h" in given or "-V" in given:
        return Answer(out=_VERSION if "-V" in given else _USAGE)
    run = _Run(machine.settings, set(given))
    if "-p" in given:
        files = [given["-p"]] if given["-p"] else rest
        for name in files or [_DEFAULT_FILE]:
            _load(run, directory, name)
    elif "-a" in given:
        _show_all(run, sorted(run.settings.names()), given.get("-r", ""))
    elif not rest:
        raise WrongUse("sysctl: no variables specified")
    for word in rest if "-p" not in given else ():
        _heed(run, word)
    return Answer(run.status, "".join(run.out), "".join(run.err))


def _heed(run: _Run, word: str) -> None:
    name, equals, value = word.partition("=")
    if equals:
        _set(run, name.strip(), value.strip())
    elif "-w" in run.flags:
        run.fail("command line(0): invalid syntax, continuing...")
    else:
        _show(run, name.strip())


def _set(run: _Run, wanted: str, value: str, *, may_fail: bool = False) -> None:
    name = _dotted(wanted)
    if name not in run.settings:
        if "-e" not in run.flags and not may_fail:
            run.fail(_missing(name))
        return
    try:
        if "--dry-run" not in run.flags:
            run.settings.set(name, value)
    except OSError as error:
        run.fail(f'setting key "{name}": {error.strerror}')
        return
    if "-q" not in run.flags:
        run.out.append(_line(run, name, value))


def _show(run: _Run, wanted: str) -> None:
    name = _dotted(wanted)
    try:
        value = run.settings.get(name)
    except OSError as error:
        below = sorted(each for each in run.settings.names() if each.startswith(f"{name}."))
        if below:
            _show_all(run, below, "")
        elif error.errno != ENOENT or "-e" not in run.flags:
            run.fail(_missing(name))
        return
    if name != FLUSH:
        run.out.append(_line(run, name, value))


def _show_all(run: _Run, names: Iterable[str], pattern: str) -> None:
    try:
        is_wanted = re.compile(pattern).search
    except re.error:
        return  # none of them is like a pattern that is none
    for name in filter(is_wanted, names):
        _show(run, name)


def _load(run: _Run, directory: Path, name: str) -> None:
    """Set what the lines of a file say. Raises: WrongUse."""
    if name in _STANDARD_INPUT:
        raise not_simulated(f"sysctl -p {name}")
    try:
        text = (directory / name).read_text()
    except OSError as error:
        run.fail(f'cannot open "{name}": {error.strerror}')
        return
    for wanted, value in _assignments(run, name, text):
        _set(run, wanted.lstrip("-"), value, may_fail=wanted.startswith("-"))


def _assignments(run: _Run, name: str, text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line[0] in "#;":
            continue
        wanted, equals, value = line.partition("=")
        if equals:
            yield wanted.strip(), value.strip()
        else:
            run.fail(f"{name}({number}): invalid syntax, continuing...")


def _dotted(name: str) -> str:
    """Give a name with points, though it may come as a path."""
    return name.removeprefix("/proc/sys/").replace("/", ".")


def _missing(name: str) -> str:
    return f"cannot stat /proc/sys/{name.replace('.', '/')}: No such file or directory"


def _line(run: _Run, name: str, value: str) -> str:
    if "-N" in run.flags:
        return f"{name}\n"
    if "-b" in run.flags:
        return value
    return f"{value}\n" if "-n" in run.flags else f"{name} = {value}\n"
