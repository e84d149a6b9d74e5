"""A program in a namespace that does what it is asked to, line by line; and what it costs.

Not done here: what it does (`application.py`, `ceiling.py`, `far_end.py`).
"""

import json
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from select import select
from types import TracebackType

from bench.conversation import Reply
from bench.interpreter import ROOT, environment, fastest
from tests.live.netns import Namespace

PATIENCE = 20.0
"""Seconds for a measure that takes one or two."""
_CPUCLOCK_SCHED = 2
"""With a process's number above it, the clock of its processor time (clock_getcpuclockid(3))."""


class FailedError(Exception):
    """A program did not do what it was asked to; its last words are with it."""


class Worker:
    """One of the bench's own programs, from its start until it is killed."""

    def __init__(self, namespace: Namespace, module: str, *arguments: str) -> None:
        self.complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `__exit__`
        command = [fastest(), "-m", module, *arguments]
        self.popen = subprocess.Popen(
            namespace.entered(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.complaints,
            cwd=ROOT,
            env=environment(),
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.popen.kill()
        self.popen.communicate()
        self.complaints.close()

    def hear(self, patience: float = PATIENCE) -> Reply:
        """Wait for a line. Raises: FailedError."""
        assert self.popen.stdout
        if not select([self.popen.stdout], [], [], patience)[0]:
            raise FailedError(f"no answer within {patience:.0f} s")
        line = self.popen.stdout.readline()
        if not line:
            raise FailedError(self.last_words() or "it ended")
        heard: Reply = json.loads(line)
        if "error" in heard:
            raise FailedError(heard["error"])
        return heard

    def last_words(self) -> str:
        """Give the end of what it wrote to its standard error."""
        self.complaints.seek(0)
        return self.complaints.read()[-2000:]

    def ask(self, request: dict[str, object], patience: float = PATIENCE) -> Reply:
        """Ask for something, and wait for the answer. Raises: FailedError."""
        assert self.popen.stdin
        with suppress(BrokenPipeError):  # that it ended, `hear` tells
            self.popen.stdin.write(json.dumps(request).encode() + b"\n")
            self.popen.stdin.flush()
        return self.hear(patience)

    def processor_time(self) -> int:
        """Tell how long its threads have run, ns, those that are gone included."""
        return time.clock_gettime_ns(~self.popen.pid << 3 | _CPUCLOCK_SCHED)

    def memory(self) -> int:
        """Tell the octets that are its own."""
        return sum(
            int(line.split()[1]) * 1024
            for line in Path(f"/proc/{self.popen.pid}/smaps_rollup").read_text().splitlines()
            if line.startswith("Private_")
        )
