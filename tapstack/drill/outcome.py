"""How scripts are to be run, and how they came out: what the tool's processes tell each other.

Not done here: running (`running.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from tapstack.drill.language.syntax import Option


class Verdict(Enum):
    """How a script came out."""

    PASSED = "passed"
    FAILED = "failed"
    UNSUPPORTED = "unsupported"
    """It asks for what there is not: it has neither passed nor failed."""
    UNREADABLE = "unreadable"
    """It is no script."""
    BROKEN = "broken"
    """The tool itself went wrong over it."""


class Result(NamedTuple):
    """One script's outcome."""

    name: str
    verdict: Verdict
    report: str
    """Lines for a screen; '' where there is nothing to say."""
    seconds: float
    """Of real time."""
    reason: str = ""
    """Of what did not pass, one sentence: `line 12: ...`; what is unsupported, by its name."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How scripts are to be run."""

    live: bool = False
    """On the Linux kernel, in real time."""
    compare: bool = False
    """On the stack and on the Linux kernel; to pass is to do the same."""
    linux_tolerance: bool = False
    options: tuple[Option, ...] = ()
    """Of the command line: they override the script's."""
    capture: Path | None = None
    """Where to write what was on the wire."""
    verbose: bool = False
    """Tell every event, also of a script that passes."""


class Task(NamedTuple):
    """A script to be run."""

    path: Path
    manner: Manner
    limit: float
    """Seconds of real time that it may take."""

    def failed_for_time(self, reason: str, seconds: float) -> Result:
        """Make the result of a script of which nothing is known but that it took too long."""
        return Result(str(self.path), Verdict.FAILED, f"{self.path}: {reason}", seconds, reason)


LIMIT, LIVE_LIMIT = 60.0, 300.0
"""Seconds of real time that a script may take, in virtual time and on a kernel."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be run, and how it is told."""

    scripts: Sequence[Path]
    manner: Manner
    jobs: int | None = None
    """How many at once; None: as many as there are processors."""
    timeout: float | None = None
    """Seconds of real time for each; None: the usual."""
    junit: Path | None = None
    """Where to write the results for a CI system."""
    quiet: bool = False

    def tasks(self) -> list[Task]:
        """Give what is to be done."""
        usual = LIVE_LIMIT if self.manner.live or self.manner.compare else LIMIT
        return [Task(path, self.manner, self.timeout or usual) for path in self.scripts]
