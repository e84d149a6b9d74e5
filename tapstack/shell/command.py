"""What a command of the net shell is, and what it is given to work with.

Not done here: the commands (`commands/`), and running them (`session.py`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TextIO

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from tapstack.runtime.runtime import Runtime
    from tapstack.shell.interrupt import Interrupt
    from tapstack.shell.sockets import OpenSocket
    from tapstack.shell.watch import Watch

USAGE_MISTAKE = 2
"""Exit status of a command that was not asked right, as of most programs."""
MAX_SECONDS = 24 * 60 * 60
"""The longest time that an option may give."""


class UsageError(Exception):
    """The user asked for something that cannot be: one clear sentence."""


class Leave(Exception):  # noqa: N818 - it is a wish, not an error
    """The user wants to leave the shell."""

    def __init__(self, status: int | None = None) -> None:
        super().__init__()
        self.status = status
        """Exit status; None: none was named."""


@dataclass(slots=True)
class Context:
    """What a running command may use."""

    runtime: Runtime
    watch: Watch
    """Who sees what the stack tells of itself."""
    out: TextIO
    """Where what the command was asked for goes."""
    err: TextIO
    """Where everything else goes."""
    stdin: int
    """The descriptor that a command may read octets from."""
    stdout: int
    """The descriptor that octets go to as they are; it shows the same as `out`."""
    interrupt: Interrupt
    open_socket: OpenSocket

    def say(self, text: str) -> None:
        """Write a line, or lines, of output."""
        print(text, file=self.out, flush=True)


Run = Callable[[Context, list[str]], int]
"""Run with the words behind the command's name; give the exit status. Raises: UsageError."""
Complete = Callable[["Runtime", Sequence[str]], Iterable[str]]
"""Give what may stand next, behind these words: the command's name is not among them."""


class Command(NamedTuple):
    """One entry of the table."""

    name: str
    usage: str
    """The words behind the name, as in a manual page."""
    summary: str
    """One line."""
    run: Run
    complete: Complete = lambda _runtime, _words: ()


class CommandParser(argparse.ArgumentParser):
    """Reads options as argparse does, and tells of a mistake in one sentence.

    Raises: UsageError for a mistake, SystemExit where the user asked for help.
    """

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        raise UsageError(f"{self.prog}: {message}")

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help, and let an output that takes nothing be known. Raises: OSError."""
        (file or sys.stdout).write(self.format_help())
        sys.stdout.flush()


def argument(parse: Callable[[str], object]) -> Callable[[str], object]:
    """Let argparse tell what a parser's ValueError says, rather than only that there was one."""

    def parsed(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def number(least: int, most: int) -> Callable[[str], object]:
    """Make a reader of whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise ValueError(f"'{text}' is not a number from {least} to {most}")
        return int(text)

    return argument(parse)


def seconds(text: str) -> float:
    """Read a length of time, of a day at most. Raises: argparse.ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a number of seconds from 0 to {MAX_SECONDS}"
        )
    return value
