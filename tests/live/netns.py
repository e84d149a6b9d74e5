"""Network namespaces of our own, and programs in them, each with a bound on its time.

A namespace lives as long as its holder, a `cat` that waits for our end of a pipe to close: whatever
becomes of the tests, none is left over. Programs write to files, so that none waits for a reader.
"""

import os
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

TOOLS = ("unshare", "nsenter", "ip", "nc", "ping", "arping", "curl", "tcpdump", "tshark")
PROGRAMS = Path(__file__).parent / "programs"
PROMPT = "[net shell]"
STACK = "10.0.0.1"
HOST = "10.0.0.2"
PATIENCE = 20.0
"""Seconds for anything that should take moments."""

SEARCH_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def wait_until(condition: Callable[[], object], what: str, timeout: float = PATIENCE) -> None:
    """Ask again and again, for what nobody will tell us. Raises: TimeoutError saying `what`."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout} s: {what}")
        time.sleep(0.005)


def script(name: str) -> str:
    """Give the path of a console script of this environment."""
    return str(Path(sysconfig.get_path("scripts")) / name)


class Process:
    """A running program whose output goes to files."""

    def __init__(
        self,
        argv: Sequence[str],
        folder: Path,
        name: str,
        stdin: IO[bytes] | int,
        environment: dict[str, str],
    ) -> None:
        self.name = name
        self.stdout_path = folder / f"{name}.out"
        self.stderr_path = folder / f"{name}.err"
        with self.stdout_path.open("wb") as out, self.stderr_path.open("wb") as err:
            self.popen = subprocess.Popen(
                list(argv),
                stdin=stdin,
                stdout=out,
                stderr=err,
                env={**os.environ, "PATH": SEARCH_PATH, **environment},
            )

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self.stdout_path.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """What it has complained of so far."""
        return self.stderr_path.read_text(errors="replace")

    def __repr__(self) -> str:
        state = "running" if self.popen.poll() is None else f"exit status {self.popen.returncode}"
        outputs = f"--- stdout:\n{self.stdout[-3000:]}\n--- stderr:\n{self.stderr[-3000:]}"
        return f"{self.name} ({state})\n{outputs}"

    def type(self, line: str) -> None:
        """Give it a line on its standard input."""
        assert self.popen.stdin
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def end_input(self) -> None:
        """Close its standard input."""
        assert self.popen.stdin
        self.popen.stdin.close()

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait until it ends, and give its exit status. Raises: TimeoutError with its output."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"after {timeout} s: {self}") from None

    def wait_for(self, pattern: str, timeout: float = PATIENCE, count: int = 1) -> None:
        """Wait until it has printed `pattern`, `count` times, on either output."""

        def printed() -> bool:
            text = self.stdout + self.stderr
            if len(re.findall(pattern, text)) >= count:
                return True
            if self.popen.poll() is not None:
                raise AssertionError(f"ended before it printed {pattern!r}: {self}")
            return False

        try:
            wait_until(printed, f"{pattern!r}", timeout)
        except TimeoutError as late:
            raise TimeoutError(f"{late}: {self}") from None

    def stop(self) -> None:
        """Kill it, if it still runs."""
        if self.popen.stdin:
            self.popen.stdin.close()
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(PATIENCE)


class Namespace:
    """A fresh network namespace whose loopback is up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[Process] = []
        self.unprivileged = os.geteuid() != 0
        flags = "-Urn" if self.unprivileged else "-n"
        self._holder = subprocess.Popen(
            ["unshare", flags, "sh", "-c", "ip link set lo up && echo up && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PATH": SEARCH_PATH},
        )
        assert self._holder.stdout
        if self._holder.stdout.readline() != b"up\n":
            raise RuntimeError("no network namespace can be made here")

    def __enter__(self) -> "Namespace":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in reversed(self._processes):
            process.stop()
        self._holder.communicate(timeout=PATIENCE)

    @property
    def pid(self) -> int:
        """The process that holds the namespace."""
        return self._holder.pid

    def entered(self, argv: Sequence[str]) -> list[str]:
        """Give the command that runs a program in the namespace, in place of itself."""
        user = ["--preserve-credentials", "-U"] if self.unprivileged else []
        return ["nsenter", "-t", str(self.pid), *user, "-n", "--", *argv]

    def start(
        self,
        *argv: str,
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        **environment: str,
    ) -> Process:
        """Start a program in the namespace; it ends at the latest with the namespace."""
        name = f"{len(self._processes)}-{Path(argv[0]).name}"
        process = Process(self.entered(argv), self.folder, name, stdin, environment)
        self._processes.append(process)
        return process

    def run(
        self,
        *argv: str,
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        timeout: float = PATIENCE,
        status: int | None = 0,
    ) -> Process:
        """Run a program to its end. Raises: AssertionError when its exit status is another."""
        process = self.start(*argv, stdin=stdin)
        ended = process.wait(timeout)
        assert status is None or ended == status, process
        return process

    def python(self, program: str, *args: str, **environment: str) -> Process:
        """Start one of our own programs, by its name in `programs/`."""
        argv = (sys.executable, str(PROGRAMS / program), *args)
        return self.start(*argv, stdin=subprocess.DEVNULL, **environment)

    def tapstack(
        self, *options: str, stdin: IO[bytes] | int = subprocess.DEVNULL, **environment: str
    ) -> Process:
        """Start `tapstack up` with these options."""
        return self.start(script("tapstack"), "up", *options, stdin=stdin, **environment)

    def shell(self, *options: str) -> Process:
        """Start `tapstack up` with its shell on a pipe, and wait for the first prompt."""
        process = self.tapstack(*options, stdin=subprocess.PIPE)
        process.wait_for(re.escape(PROMPT))
        return process

    def ping(self, count: int, *options: str) -> None:
        """Ping the stack until so many echoes are back. Raises: AssertionError when one is lost.

        Without a deadline ping waits for the last one no longer than the others have taken twice.
        With one it goes on to ask until there are enough: a number that is missing was lost.
        """
        deadline = ("-w", f"{PATIENCE:.0f}")
        ping = self.run("ping", "-n", "-c", str(count), *deadline, *options, STACK, timeout=30)
        numbers = [int(number) for number in re.findall("icmp_seq=([0-9]+)", ping.stdout)]
        assert count <= len(numbers), ping
        assert numbers == list(range(1, len(numbers) + 1)), ping

    def wait_listening(self, port: int) -> None:
        """Wait until a program of the host's listens on a TCP port."""
        wanted = f":{port:04X} 00000000:0000 0A"
        table = Path(f"/proc/{self.pid}/net/tcp")
        wait_until(lambda: wanted in table.read_text(), f"the host listens on port {port}")
