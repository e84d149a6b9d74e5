"""Running lines: a line becomes words, the words find their command, the command runs.

Where lines come from decides who owns standard input. On a terminal, and with `-c`, it belongs to
the command that runs. On a pipe without `-c` the pipe's lines are the commands, and a command that
reads gets an empty input.

Not done here: the terminal (`terminal.py`).
"""

import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from tapstack.runtime.runtime import Runtime
from tapstack.shell.command import USAGE_MISTAKE, Command, Context, Leave, UsageError
from tapstack.shell.interrupt import Interrupt, run_interruptibly
from tapstack.shell.sockets import OpenSocket
from tapstack.shell.table import COMMANDS
from tapstack.shell.watch import Watch

PROMPT = "[net shell]: "
MAX_LINE = 64 * 1024
"""Octets of a line: far more than any command takes, so that no input fills the memory."""


class Session:
    """A shell on one running stack."""

    def __init__(self, runtime: Runtime, open_socket: OpenSocket) -> None:
        self.runtime = runtime
        self._open_socket = open_socket
        self.watch = Watch(runtime.stack.tracer)
        self.status = 0
        """Exit status of the last command."""
        self.wished_status: int | None = None
        """The one that the user has left with; None: he named none."""

    def close(self) -> None:
        """End what runs in the background."""
        self.watch.clear()

    def run_each(self, lines: Iterable[str], stdin: int) -> int:
        """Run lines until they end, or one of them leaves; give the last one's exit status."""
        try:
            for line in lines:
                self.run(line, stdin)
        except Leave as leave:
            self.wished_status = leave.status
        return self.status if self.wished_status is None else self.wished_status

    def run(self, line: str, stdin: int) -> None:
        """Run one line, and keep its exit status. Raises: Leave."""
        words: list[str] = []
        try:
            words = split(line)
            if words:
                self.status = self._execute(find(words[0]), words[1:], stdin)
        except UsageError as mistake:
            self._refuse(str(mistake))
        except BrokenPipeError:
            raise Leave from None  # nobody reads our output: there is nothing left to do
        except OSError as error:
            self.status = 1
            print(f"{words[0]}: {error.strerror or error}", file=sys.stderr, flush=True)

    def _refuse(self, sentence: str) -> None:
        self.status = USAGE_MISTAKE
        print(sentence, file=sys.stderr, flush=True)

    def _execute(self, command: Command, words: list[str], stdin: int) -> int:
        def run(interrupt: Interrupt) -> int:
            return command.run(self._context(stdin, interrupt), words)

        try:
            return run_interruptibly(run)
        except SystemExit as leave:
            if leave.code == 0:  # argparse has shown its help
                return 0
            raise

    def _context(self, stdin: int, interrupt: Interrupt) -> Context:
        return Context(
            runtime=self.runtime,
            watch=self.watch,
            out=sys.stdout,
            err=sys.stderr,
            stdin=stdin,
            stdout=sys.stdout.fileno(),
            interrupt=interrupt,
            open_socket=self._open_socket,
        )


def split(line: str) -> list[str]:
    """Cut a line into words. Raises: UsageError."""
    if len(line.encode(errors="replace")) > MAX_LINE:
        raise UsageError(f"a line has {MAX_LINE} octets at most, and this one is longer")
    try:
        return shlex.split(line, comments=True)
    except ValueError as mistake:  # quotes that do not match
        raise UsageError(f"{line.strip()}: {str(mistake).lower()}") from None


def find(name: str) -> Command:
    """Find a command. Raises: UsageError naming the nearest one."""
    command = COMMANDS.get(name)
    if command is not None:
        return command
    near = get_close_matches(name, COMMANDS, 1, 0.5)
    hint = f"did you mean '{near[0]}'?" if near else "'help' lists what there is"
    raise UsageError(f"{name}: no such command; {hint}")


def run_commands(session: Session, commands: Iterable[str]) -> int:
    """Run what `-c` gave: standard input belongs to the commands."""
    return session.run_each(commands, sys.stdin.fileno())


def run_script(session: Session) -> int:
    """Run the lines of standard input, with the prompt before each."""
    nothing = _nothing()
    try:
        return session.run_each(_prompted_lines(), nothing)
    finally:
        os.close(nothing)


def _prompted_lines() -> Iterator[str]:
    # iter(readline) rather than iteration: a line must run as soon as it has come.
    while True:
        print(PROMPT, end="", file=sys.stderr, flush=True)
        line = _read_line()
        if not line:
            print(file=sys.stderr, flush=True)
            return
        yield line.decode(errors="replace")


def _read_line() -> bytes:
    """Read a line, and of one that is too long only so much that this shows."""
    line = piece = sys.stdin.buffer.readline(MAX_LINE + 1)
    while len(piece) > MAX_LINE and not piece.endswith(b"\n"):
        piece = sys.stdin.buffer.readline(MAX_LINE + 1)
    return line


def _nothing() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
