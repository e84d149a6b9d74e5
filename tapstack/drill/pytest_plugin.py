"""Scripts as tests of pytest: `pytest --drill` collects *.pkt files, one test each.

They are played in a process of their own, so that none can hang or end the session. Without its
options the plugin does nothing, and costs its own import alone.

Not done here: playing (`crew/crew.py`).
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tapstack.drill.crew.crew import Crew
    from tapstack.drill.outcome import Result

_CREW: pytest.StashKey[Crew] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say what can be asked for."""
    group = parser.getgroup("drill", "packetdrill scripts")
    group.addoption(
        "--drill",
        action="store_true",
        help="collect *.pkt files: play these scripts on tapstack, in virtual time",
    )
    group.addoption(
        "--drill-live",
        action="store_true",
        help="collect *.pkt files: play these scripts on this machine's Linux kernel; "
        "not those whose second line is the comment '// not live: REASON'",
    )
    group.addoption(
        "--drill-timeout",
        metavar="SECONDS",
        type=_seconds,
        help="of real time, for each script [60; live: 300]",
    )


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) < inf:
            return float(text)
    raise ArgumentTypeError(f"'{text}' is not a number of seconds above 0")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take scripts, where they are asked for."""
    is_asked = parent.config.getoption("drill") or parent.config.getoption("drill_live")
    if not is_asked or file_path.suffix != ".pkt":
        return None
    return ScriptFile.from_parent(parent, path=file_path)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process that played scripts, if there is one."""
    if _CREW in config.stash:
        config.stash[_CREW].close()
        del config.stash[_CREW]


class ScriptFile(pytest.File):
    """A file with a script."""

    def collect(self) -> Iterator[pytest.Item]:
        """Give its one test."""
        yield ScriptItem.from_parent(self, name=self.path.stem)


class ScriptFailedError(Exception):
    """A script has not passed."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.reason)
        self.result = result


@dataclass(frozen=True)
class _Crash:
    """Where and why, in few words, as pytest looks for it in what it shows."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class _Shown:
    """A script's report, in the shape in which pytest shows failures."""

    def __init__(self, result: Result) -> None:
        self.reprcrash = _Crash(result.name, result.reason)
        self._report = result.report

    def __str__(self) -> str:
        return self._report

    def toterminal(self, terminal: Any) -> None:
        """Write it."""
        terminal.line(self._report)


class ScriptItem(pytest.Item):
    """A script, to be played once."""

    def runtest(self) -> None:
        """Play it. Raises: ScriptFailedError; it is skipped where something is not supported."""
        from tapstack.drill.outcome import Verdict

        result = self._play()
        if result.verdict is Verdict.UNSUPPORTED:
            is_own_wish = result.reason.startswith("not live:")
            reason = result.reason if is_own_wish else f"unsupported: {result.reason}"
            raise pytest.skip.Exception(reason, _use_item_location=True)
        if result.verdict is not Verdict.PASSED:
            raise ScriptFailedError(result)

    def _play(self) -> Result:
        from tapstack.drill.outcome import Manner, Request, Result

        is_live = bool(self.config.getoption("drill_live"))
        here = Path.cwd()
        path = self.path.relative_to(here) if self.path.is_relative_to(here) else self.path
        printed: list[str] = []
        timeout = self.config.getoption("drill_timeout")
        request = Request([path], Manner(live=is_live), timeout=timeout)
        for told in self._crew().play(request.tasks()):
            if isinstance(told.what, Result):
                self.add_report_section("call", "stdout", "".join(printed))
                return told.what
            printed.append(told.what)
        raise AssertionError("every script has a result")

    def _crew(self) -> Crew:
        from tapstack.drill.crew.crew import Crew

        if _CREW not in self.config.stash:
            self.config.stash[_CREW] = Crew(1)
        return self.config.stash[_CREW]

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the report of a script, and not where in here it was raised."""
        if not isinstance(excinfo.value, ScriptFailedError):
            return super().repr_failure(excinfo, style)
        return _Shown(excinfo.value.result)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Tell where the test is."""
        return self.path, 0, self.name
