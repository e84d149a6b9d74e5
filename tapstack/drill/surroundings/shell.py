"""One `sh` that runs all commands of all scripts of this process, with our programs around it.

It is started at the first command, reads commands from a pipe, and ends when that is closed, by
whatever: then it removes its folder. So nothing is left behind even where this process is killed.

Not done here: the programs, and what the files say: that is the guest's.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from shlex import quote
from shutil import rmtree
from tempfile import mkdtemp
from typing import Protocol

from tapstack.drill import contract
from tapstack.drill.surroundings import enter
from tapstack.drill.surroundings.file_tree import FileTree, Values
from tapstack.drill.surroundings.machine import Answer
from tapstack.drill.surroundings.program_calls import ProgramCalls
from tapstack.drill.surroundings.watching_files import FileWatcher

TREES = ("sys-net", "cubic", "net")
"""The files that say values: /proc/sys/net, the parameters of tcp_cubic, /proc/net."""
KILLED = 124
"""The status of a command that takes too long: timeout(1)'s."""
_READY = "ready"
_MEMORY = "/dev/shm"


def _find_memory() -> str | None:
    """Give a folder in memory, whose programs can be run; None: no better one than any other.

    Files on a disk that are written anew time and again would be written to the disk each time.
    """
    try:
        is_good = not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC and os.access(_MEMORY, os.W_OK)
    except OSError:
        is_good = False
    return _MEMORY if is_good else None


def _put_pythons(folder: Path) -> None:
    """Stand in for Python by its names: helpers are written in it, and a system may lack one."""
    folder.mkdir()
    for name in ("python", "python3"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {quote(sys.executable)} "$@"\n')
        program.chmod(0o755)


class Guest(Protocol):
    """Whom commands belong to: one host of one script."""

    def call(self, program: str, words: list[str], directory: Path) -> Answer:
        """Run one of our programs."""

    def tell(self, tree: str) -> Values:
        """Give what the files of a tree are to say: the same object each time."""

    def take(self, tree: str, name: str, text: str) -> None:
        """Hear what was written to a file. Raises: OSError where it is refused."""


class CommandShell:
    """The shell, and its folder."""

    def __init__(self, programs: Iterable[str], *, patience: float = 30.0) -> None:
        """A command is killed after `patience` seconds of real time. Raises: OSError."""
        self.why_no_files = ""
        """Why the files are not the simulated stack's; '' where they are, or before it runs."""
        self._patience = patience
        self._folder = Path(mkdtemp(prefix=f"tapstack-{os.getpid()}-", dir=_find_memory()))
        self._calls = ProgramCalls(self._folder, programs)
        self._watcher = FileWatcher()
        self._trees = {name: FileTree(self._folder / name, self._watcher) for name in TREES}
        (self._folder / "net-link").symlink_to(self._folder / "net")
        _put_pythons(self._folder / "pythons")
        self._refusals: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    # --- the process ---

    def start(self) -> None:
        """See that it runs. Raises: OSError."""
        if self._process is not None:
            return
        words = [sys.executable, "-IS", enter.__file__, str(self._folder)]
        self.why_no_files = self._launch(words)
        if self.why_no_files and (reason := self._launch(["/bin/sh"])):
            raise OSError(f"sh cannot be run: {reason}")

    def _launch(self, words: list[str]) -> str:
        """Start what is a shell, or becomes one; tell why not, or ''.

        In a session of its own no terminal ends it.
        """
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=self._environment(),
            start_new_session=True,
        )
        self._process = process
        with suppress(BrokenPipeError):
            self._say(f"trap 'rm -rf {quote(str(self._folder))}' EXIT")
            self._say(f". {quote(str(self._calls.functions))}; echo {_READY}")
        word = os.read(self._stdout, 4096).decode(errors="replace").strip()
        if word == _READY:
            return ""
        self._kill()
        return word or "it ended at once"

    def _environment(self) -> dict[str, str]:
        """Put our programs first, and say what the tool says of itself."""
        theirs = os.environ.get("PATH", os.defpath)
        return {
            **os.environ,
            "PATH": f"{self._folder / 'bin'}:{theirs}:{self._folder / 'pythons'}",
            "BASH_ENV": str(self._calls.functions),
            "PACKETDRILL_PID": str(os.getpid()),
        }

    @property
    def _stdout(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def _say(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        octets = memoryview(f"{line}\n".encode(errors="surrogateescape"))
        while octets:
            octets = octets[self._process.stdin.write(octets) :]

    def _kill(self) -> None:
        """End it with all that it has started. The next command has a new one."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def close(self) -> None:
        """End it, and leave nothing behind."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=self._patience)
            if process.returncode is None:
                self._process = process
                self._kill()
        self._calls.close()
        self._watcher.close()
        rmtree(self._folder, ignore_errors=True)

    # --- a command ---

    def run(self, command: str, directory: Path, guest: Guest) -> contract.Shell:
        """Run a command as `sh -c` does in a directory. Raises: what the guest raises, OSError."""
        self.start()
        self._calls.reset()
        self._show_files(guest)
        self._refusals = []
        output = self._folder / "output"
        try:
            where, what, to = quote(str(directory)), quote(command), quote(str(output))
            self._say(f"(cd {where} && eval {what}) >{to} 2>&1 </dev/null; echo $?")
            status = self._serve(guest)
        except BaseException:
            self._kill()
            raise
        self._heed_files(guest)
        printed = output.read_bytes().decode(errors="replace")
        output.unlink()
        return self._outcome(status, printed)

    def _outcome(self, status: int | None, printed: str) -> contract.Shell:
        printed += "".join(self._refusals)
        if status is None:
            self._kill()
            printed += f"killed: it took more than {self._patience:g} s of real time\n"
            return contract.Shell(KILLED, printed)
        return contract.Shell(status or (1 if self._refusals else 0), printed)

    def _serve(self, guest: Guest) -> int | None:
        """Answer the calls of programs until the command has ended; None: it does not end."""
        poll = select.poll()
        poll.register(self._calls.fd, select.POLLIN)
        poll.register(self._stdout, select.POLLIN)
        deadline = time.monotonic() + self._patience
        while (left := deadline - time.monotonic()) > 0:
            for fd, _ in poll.poll(left * 1000):
                if fd == self._stdout:
                    return self._read_status()
                begin = time.monotonic()
                self._answer_call(guest)
                deadline += time.monotonic() - begin
        return None

    def _read_status(self) -> int:
        word = os.read(self._stdout, 64)
        if not word:
            self._kill()
            self._refusals.append("the command has killed the shell that ran it\n")
        return int(word or KILLED)

    def _answer_call(self, guest: Guest) -> None:
        call = self._calls.take()
        if call is not None:
            self._heed_files(guest)
            answer = guest.call(call.program, call.words, call.directory)
            self._show_files(guest)
            self._calls.answer(answer)

    # --- the files ---

    def _show_files(self, guest: Guest) -> None:
        if not self.why_no_files:
            for name, tree in self._trees.items():
                tree.show(guest.tell(name))

    def _heed_files(self, guest: Guest) -> None:
        """Take what was written to files since the last time."""
        written = self._watcher.take_written()
        for tree_name, tree in self._trees.items() if written else ():
            for name, text in tree.changed(written):
                try:
                    guest.take(tree_name, name, text)
                except OSError as error:
                    reason = error.strerror
                    self._refusals.append(f"{name}: {text.strip()}: {reason}\n")
