"""How a program of ours that a shell runs asks this process what to print, and is told.

The program is a tiny script for `sh`. Where an argument means its standard input, it puts that into
a file. When its turn has come it writes its name, directory and arguments into one FIFO, and reads
from another one a line of shell, which it evaluates. As starting `sh` takes most of the time, the
shells that we start know the same as functions, too, and so does every bash that they start.

Not done here: the programs themselves (`programs/`), and the shell that runs them (`shell.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from tapstack.drill.surroundings.fifo import Fifo
from tapstack.drill.surroundings.machine import Answer

_FUNCTION = """\
tapstack_call() {{
    local x=
    for x do
        shift
        case "$x" in -|/dev/stdin) x={folder}/input.$$; cat >"$x" ;; esac
        set -- "$@" "$x"
    done
    read -r x <{folder}/turn
    printf '%s\\0' "$#" "$PWD" "$@" >{folder}/calls
    x="return 1"
    IFS= read -r x <{folder}/answers
    eval "$x"
}}
"""
_BEFORE_WORDS = 2
"""Fields of a call in front of the program's name: how many follow, and the directory."""
_LONGEST = 1000
"""Octets that the script prints itself: `read` takes them one by one."""


class Call(NamedTuple):
    """A program was called."""

    program: str
    directory: Path
    words: list[str]


class ProgramCalls:
    """The scripts, the FIFOs, and the calls that come through them, one at a time."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        """Make them in a folder. Raises: OSError."""
        self._folder = folder
        self._turn = Fifo(folder / "turn")
        self._calls = Fifo(folder / "calls")
        self._answers = Fifo(folder / "answers")
        self._received = b""
        self._long_answers: list[Path] = []
        self.functions = folder / "functions"
        """A file that has the programs as functions of a shell."""
        self._write_programs(folder / "bin", list(names))

    def _write_programs(self, place: Path, names: list[str]) -> None:
        place.mkdir()
        function = _FUNCTION.format(folder=quote(str(self._folder)))
        for name in names:
            path = place / name
            path.write_text(f'#!/bin/sh\n{function}tapstack_call {name} "$@"\n')
            path.chmod(0o755)
        lines = (f'{n}() {{ tapstack_call {n} "$@"; }}\n' for n in names if n.isidentifier())
        self.functions.write_text(function + "".join(lines))

    @property
    def fd(self) -> int:
        """The descriptor that is readable when a call waits."""
        return self._calls.fd

    def reset(self) -> None:
        """Begin anew: who called and was killed has left things lying around."""
        for fifo in (self._turn, self._calls, self._answers):
            fifo.drain()
        self._received = b""
        while self._long_answers:
            self._long_answers.pop().unlink(missing_ok=True)
        self._turn.put(b"\n")

    def take(self) -> Call | None:
        """Take the call that waits; None: it is not all there yet."""
        self._received += self._calls.drain()
        fields = [os.fsdecode(each) for each in self._received.split(b"\0")[:-1]]
        if not fields or len(fields) < int(fields[0]) + _BEFORE_WORDS:
            return None
        self._received = b""
        directory, program, *words = fields[1:]
        return Call(program, Path(directory), words)

    def answer(self, answer: Answer) -> None:
        """Have the caller print something, give the turn to the next one, and end."""
        prints = self._printing(answer.out) + self._printing(answer.err, " >&2")
        turn = quote(str(self._folder / "turn"))
        self._answers.put(f"echo >{turn}; {prints}return {answer.status}\n".encode())

    def _printing(self, text: str, to: str = "") -> str:
        """Give the shell's words that print a text; a long one comes out of a file."""
        if not text:
            return ""
        if len(text) > _LONGEST:
            path = self._folder / f"answer.{len(self._long_answers)}"
            path.write_text(text)
            self._long_answers.append(path)
            return f"cat {quote(str(path))}{to}; "
        escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
        return f"printf %b {quote(escaped)}{to}; "

    def close(self) -> None:
        """Give the descriptors back."""
        for fifo in (self._turn, self._calls, self._answers):
            fifo.close()
