"""The commands of one script, run on the simulated stack.

What is plain enough is answered at once; everything else is run by a real `sh`, which finds our
programs in the place of the system's, and our files in the place of the kernel's.

Not done here: the programs (`programs/`), and the shell (`shell.py`).
"""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Callable
from errno import EACCES, ENOENT
from functools import lru_cache
from pathlib import Path

from tapstack.base.errors import os_error
from tapstack.base.units import Duration, Instant
from tapstack.drill.contract import Shell
from tapstack.drill.surroundings.cubic_parameters import CubicParameters
from tapstack.drill.surroundings.file_tree import Values
from tapstack.drill.surroundings.machine import Answer, Machine, WrongUse
from tapstack.drill.surroundings.programs import PROGRAMS
from tapstack.drill.surroundings.settings import Settings
from tapstack.drill.surroundings.shell import TREES, CommandShell
from tapstack.drill.surroundings.simple import SimpleCommand, read_simple
from tapstack.drill.surroundings.views import net_files
from tapstack.sim.host import Host

_FILES = re.compile(r"/proc/(sys/|self/)?net\b|/sys/module/tcp_cubic\b")
_REAL_SETTINGS = "/proc/sys/net/ipv4/tcp_sack"
"""A file that nobody may write who is not to change the real kernel."""


@lru_cache(maxsize=1)
def shell_of(process: int) -> CommandShell:
    """Give the shell of this process, by its number: a fork has one of its own. Raises: OSError."""
    shell = CommandShell(PROGRAMS)
    shell.start()

    def close() -> None:
        if os.getpid() == process:
            shell.close()

    atexit.register(close)
    return shell


class Surroundings:
    """What the commands of one script find around them."""

    def __init__(self, host: Host, directory: Path, sleep: Callable[[Duration], None]) -> None:
        """Commands run in the directory; `sleep` lets virtual time pass."""
        self._directory = directory
        self._settings = Settings(host.stack)
        self._cubic = CubicParameters(host.stack.tcp.config)
        self._machine = Machine(host, sleep, self._settings)
        self._viewed_at: Instant | None = None
        self._files = {tree: Values() for tree in TREES}

    @property
    def inert_used(self) -> dict[str, str]:
        """What was set or done without any effect so far, and why it has none."""
        used = self._settings.inert_used | self._machine.inert_used
        return used | self._cubic.inert_used

    def run(self, command: str) -> Shell:
        """Run what stands in backticks. Raises: OSError where no shell can be run."""
        simple = read_simple(command)
        if simple is not None and all(each.words[0] in PROGRAMS for each in simple):
            return self._run_simple(simple)
        shell = shell_of(os.getpid())
        if shell.why_no_files and (refusal := _refusal(command, shell.why_no_files)):
            return Shell(1, refusal)
        self._viewed_at = None
        return shell.run(command, self._directory, self)

    def _run_simple(self, commands: list[SimpleCommand]) -> Shell:
        status, output = 0, ""
        for each in commands:
            if each.only_if_well and status:
                continue
            answer = self.call(each.words[0], each.words[1:], self._directory)
            status, output = answer.status, output + answer.out + answer.err
        return Shell(status, output)

    # --- the shell's guest ---

    def call(self, program: str, words: list[str], directory: Path) -> Answer:
        """Run one of our programs."""
        try:
            return PROGRAMS[program](self._machine, words, directory)
        except WrongUse as error:
            return Answer(error.status, "", f"{error}\n")

    def tell(self, tree: str) -> Values:
        """Give what the files of a tree are to say."""
        if tree == "sys-net":
            self._tell_settings()
        elif tree == "net":
            self._tell_views()
        elif not self._files[tree]:
            for name in self._cubic.names():
                self._files[tree].change(name, self._cubic.get(name))
        return self._files[tree]

    def _tell_settings(self) -> None:
        values, changed = self._files["sys-net"], self._settings.changed
        if not values:
            changed.update(self._settings.names())
        for name in changed:
            values.change(_path_of(name), self._settings.get(name))
        changed.clear()

    def _tell_views(self) -> None:
        """Tell what has become of counters and sockets, when time has passed."""
        host, values = self._machine.host, self._files["net"]
        if self._viewed_at != host.now():
            self._viewed_at = host.now()
            for name, text in net_files(host.stack, host.now()).items():
                if values.get(name) != text:
                    values.change(name, text)

    def take(self, tree: str, name: str, text: str) -> None:
        """Hear what was written to a file. Raises: OSError where it is refused."""
        if name not in self._files[tree]:
            raise os_error(ENOENT)
        if tree == "sys-net":
            setting = "net." + name.replace("/", ".")
            self._settings.changed.add(setting)  # the file is written anew, whatever it says now
            self._settings.set(setting, text)
        elif tree == "cubic":
            try:
                self._cubic.set(name, text)
            finally:
                self._files[tree].change(name, self._cubic.get(name))
        else:
            raise os_error(EACCES)


def _path_of(name: str) -> str:
    """Give the path of a setting below /proc/sys/net."""
    return name.removeprefix("net.").replace(".", "/")


def _refusal(command: str, why: str) -> str:
    """Tell why a command cannot be run beside the real files; '' where it can."""
    if os.access(_REAL_SETTINGS, os.W_OK):
        return f"commands could change this system's own settings, and are not run: {why}\n"
    if _FILES.search(command):
        return f"the simulated stack's files cannot be had here: {why}\n"
    return ""
