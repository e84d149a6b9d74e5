"""`tapstack drill`: scripts are played, and what is to be told of them is written.

Not done here: the command line (`tapstack/shell/command_line.py`), and playing (`crew/crew.py`,
`running.py`).
"""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from tapstack.drill.crew.crew import Crew, Told, in_order
from tapstack.drill.outcome import Request, Result, Verdict
from tapstack.drill.reports.report import ways_on
from tapstack.drill.reports.summary import has_failed, summarize
from tapstack.shell.interrupt import ending_signals

PASSED, FAILED, UNSUPPORTED = 0, 1, 3
"""Exit statuses; wrong usage has 2, as usual."""


def drill(request: Request) -> int:
    """Play scripts; give the exit status. Raises: OSError; SystemExit after a signal."""
    begun = time.monotonic()
    if isinstance(sys.stdout, io.TextIOWrapper):  # scripts may have characters that it has not
        sys.stdout.reconfigure(errors="backslashreplace")
    tasks = request.tasks()
    teller = _Teller(request, sys.stderr.isatty() and not request.quiet)
    jobs = request.jobs or len(os.sched_getaffinity(0))
    with _signals_end_it(), Crew(min(jobs, len(tasks))) as crew:
        for told in in_order(teller.hear(crew.play(tasks))):
            teller.tell(told)
        teller.conclude(time.monotonic() - begun)
    if request.junit is not None:
        from tapstack.drill.reports.junit import write_junit

        write_junit(request.junit, teller.results)
    return _status(teller.results)


def _status(results: Sequence[Result]) -> int:
    if any(map(has_failed, results)):
        return FAILED
    is_unsupported = any(each.verdict is Verdict.UNSUPPORTED for each in results)
    return UNSUPPORTED if is_unsupported else PASSED


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """Let signals that end a program end those that it has started, too."""

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler
        raise SystemExit(128 + number)

    numbers = [number for number in ending_signals() if number != signal.SIGINT]
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Teller:
    """Writes what is told of the scripts, and how far they are where a terminal shows it."""

    def __init__(self, request: Request, shows_progress: bool) -> None:
        self.results: list[Result] = []
        """Of the scripts that all was told of."""
        self._request = request
        self._many = len(request.scripts) > 1
        self._verbose = request.manner.verbose and not request.quiet
        self._shows_progress = shows_progress and self._many
        self._done = 0
        self._failed = 0
        self._begun: int | None = None
        """The script that something was told of, last."""

    def hear(self, told: Iterable[Told]) -> Iterator[Told]:
        """Hear how far the scripts are."""
        for each in told:
            if isinstance(each.what, Result):
                self._done += 1
                self._failed += has_failed(each.what)
                self._show_progress()
            yield each

    def tell(self, told: Told) -> None:
        """Write what is told of a script: it is its turn."""
        if isinstance(told.what, str):
            if self._many and self._verbose and told.place != self._begun:
                self._write(f"{self._request.scripts[told.place]}:\n")
            self._begun = told.place
            self._write(told.what)
        else:
            self.results.append(told.what)
            self._write(self._words_for(told.what))

    def _words_for(self, result: Result) -> str:
        words = result.report
        if self._many and result.verdict is Verdict.UNSUPPORTED and not self._verbose:
            words = ""
        if self._verbose:
            verdict = f"{result.name}: {result.verdict.value}, in {result.seconds:.3f} s"
            words = f"{words}\n{verdict}" if words else verdict
        if not words:
            return ""
        return f"{words}\n\n" if self._many else f"{words}\n"

    def conclude(self, seconds: float) -> None:
        """Write the summary, and how to see more."""
        self._clear_progress()
        if self._many:
            self._write("\n".join([*summarize(self.results, seconds), ""]))
        failed = [each.name for each in self.results if each.verdict is Verdict.FAILED]
        if failed and not self._verbose and not self._request.manner.compare:
            name, live = "SCRIPT" if self._many else failed[0], self._request.manner.live
            self._write(f"\n{ways_on(name, live=live)}\n")

    def _write(self, text: str) -> None:
        if text and not self._request.quiet:
            self._clear_progress()
            sys.stdout.write(text)
            sys.stdout.flush()

    def _show_progress(self) -> None:
        if self._shows_progress:
            line = f"{self._done} of {len(self._request.scripts)} scripts, {self._failed} failed"
            sys.stderr.write(f"\r{line}")
            sys.stderr.flush()

    def _clear_progress(self) -> None:
        if self._shows_progress:
            sys.stderr.write("\r\x1b[K")  # ECMA-48: erase in line
            sys.stderr.flush()
