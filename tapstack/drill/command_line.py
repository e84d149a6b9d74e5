"""What stands on the command line of `tapstack drill`: packetdrill's options, scripts, folders.

Not done here: the options of our own (`tapstack/shell/command_line.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tapstack.drill.language.syntax import Option, Position, ScriptError, UnsupportedError
from tapstack.drill.outcome import Manner, Request
from tapstack.drill.settings import Settings, read_options, takes_value

ON_COMMAND_LINE = Position(0, 0)
"""Where an option stands that is not in the script."""


class UsageError(Exception):
    """The user asked for something that cannot be: one clear sentence."""


def read_request(
    words: Sequence[str],
    *,
    definitions: Sequence[str] = (),
    live: bool = False,
    compare: bool = False,
    linux_tolerance: bool = False,
    verbose: bool = False,
    pcap: Path | None = None,
    junit: Path | None = None,
    **others: Any,
) -> Request:
    """Make sense of a command line: its words, and our own options, which go by their names.

    Raises: UsageError.
    """
    options, places = _part(words)
    options = [*(Option(ON_COMMAND_LINE, "define", each) for each in definitions), *options]
    _check(options)
    scripts = _find_all(places)
    if live and compare:
        raise UsageError("--compare plays on the kernel anyway: leave --live out")
    if pcap is not None and len(scripts) > 1:
        raise UsageError("--pcap writes what one script does, and there are several")
    for path in (pcap, junit):
        _check_writable(path)
    manner = Manner(live, compare, linux_tolerance, tuple(options), pcap, verbose)
    return Request(scripts, manner, junit=junit, **others)


def _part(words: Sequence[str]) -> tuple[list[Option], list[str]]:
    """Tell options from scripts. Raises: UsageError."""
    options: list[Option] = []
    places: list[str] = []
    left = iter(words)
    for word in left:
        if word.startswith("--"):
            options.append(_read_option(word, left))
        elif word.startswith("-"):
            raise UsageError(f"there is no option {word}")
        else:
            places.append(word)
    return options, places


def _read_option(word: str, left: Iterator[str]) -> Option:
    """Read `--name=value`, or `--name value`, whose value is the next word."""
    name, equals, value = word[2:].partition("=")
    if equals:
        return Option(ON_COMMAND_LINE, name, value)
    return Option(ON_COMMAND_LINE, name, next(left, None) if takes_value(name) else None)


def _check(options: Sequence[Option]) -> None:
    """Raise UsageError where options make no sense; that one is unsupported, scripts will say."""
    for option in options:
        try:
            read_options([option], Settings())
        except ScriptError as error:
            raise UsageError(error.message) from None
        except UnsupportedError:
            continue


def _check_writable(path: Path | None) -> None:
    """Raise UsageError where a file cannot be written."""
    try:
        if path is not None:
            path.open("ab").close()
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


def _find_all(places: Sequence[str]) -> list[Path]:
    """Find the scripts, each once. Raises: UsageError."""
    if not places:
        raise UsageError("say which scripts are to be played: files, or folders with *.pkt")
    return list(dict.fromkeys(path for place in places for path in _find(place)))


def _find(place: str) -> Sequence[Path]:
    path = Path(place)
    if path.is_dir():
        found = sorted(path.rglob("*.pkt"))
        if not found:
            raise UsageError(f"there is no script (*.pkt) in {place} or below")
        return found
    if not path.exists():
        raise UsageError(f"there is no file {place}")
    return [path]
