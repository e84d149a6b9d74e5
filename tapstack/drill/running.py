"""One script from its file to its verdict: read, played on a new host, and reported.

Not done here: the command line, and many scripts at once.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from tapstack.drill.contract import TestedHost
from tapstack.drill.failure import FailedError
from tapstack.drill.kernel import KernelHost
from tapstack.drill.parser import parse
from tapstack.drill.player import Player
from tapstack.drill.report import report_failure, report_history, report_mistake
from tapstack.drill.settings import LINUX_TOLERANCE, Settings, read_options
from tapstack.drill.side_by_side import Played, compare_plays
from tapstack.drill.simulated import SimulatedHost
from tapstack.drill.syntax import Option, Script, ScriptError, UnsupportedError


class Verdict(Enum):
    """How a script came out."""

    PASSED = "passed"
    FAILED = "failed"
    UNSUPPORTED = "unsupported"
    """It asks for what there is not: it has neither passed nor failed."""
    UNREADABLE = "unreadable"
    """It is no script."""


class Result(NamedTuple):
    """One script's outcome."""

    name: str
    verdict: Verdict
    report: str
    """Lines for a screen; '' where there is nothing to say."""
    seconds: float
    """Of real time."""


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
    """Report every event, also of a script that passes."""


def run_file(path: Path, manner: Manner) -> Result:
    """Run a script. What is wrong with it is in the result. Raises: OSError."""
    began = time.monotonic()
    verdict, report = _run(path.read_bytes(), path, manner)
    return Result(str(path), verdict, report, time.monotonic() - began)


def _run(source: bytes, path: Path, manner: Manner) -> tuple[Verdict, str]:
    text = source.decode(errors="replace")
    name = str(path)
    try:
        definitions = read_options(manner.options, Settings()).definitions
        script = parse(source, name, definitions)
        return _play(script, path.parent, manner)
    except ScriptError as error:
        return Verdict.UNREADABLE, report_mistake(name, text, error.message, error.position)
    except UnsupportedError as error:
        message = f"unsupported: {error.construct}"
        return Verdict.UNSUPPORTED, report_mistake(name, text, message, error.position)


def settings_of(script: Script, manner: Manner) -> Settings:
    """Give a script's settings: what the command line says overrides what the script does.

    Raises: ScriptError, UnsupportedError.
    """
    settings = Settings()
    if manner.linux_tolerance or manner.live or manner.compare:
        usecs, percent = LINUX_TOLERANCE
        settings = Settings(tolerance_usecs=usecs, tolerance_percent=percent)
    return read_options(manner.options, read_options(script.options, settings))


def _play(script: Script, directory: Path, manner: Manner) -> tuple[Verdict, str]:
    settings = settings_of(script, manner)
    if settings.dry_run:
        return Verdict.PASSED, ""
    if manner.compare:
        return _compare(script, settings, directory, manner)
    played, warnings = _play_once(script, settings, directory, manner)
    if played.failure:
        return Verdict.FAILED, report_failure(script, played.failure)
    report = report_history(played.history, warnings) if manner.verbose else ""
    return Verdict.PASSED, report


def _compare(
    script: Script, settings: Settings, directory: Path, manner: Manner
) -> tuple[Verdict, str]:
    """Play a script on both hosts, and tell where they part; only the stack's capture is kept."""
    ours, _ = _play_once(script, settings, directory, manner)
    theirs, _ = _play_once(script, settings, directory, replace(manner, live=True, capture=None))
    report = compare_plays(ours, theirs)
    if report:
        return Verdict.FAILED, f"{script.name}: {report}"
    return Verdict.PASSED, f"{ours}\n{theirs}" if manner.verbose else ""


def _play_once(
    script: Script, settings: Settings, directory: Path, manner: Manner
) -> tuple[Played, list[str]]:
    """Play a script on a new host; give how it went, and what the player warned of."""
    host = _make_host(settings, directory, manner)
    name = f"Linux {os.uname().release}" if manner.live else "tapstack"
    failure = None
    try:
        player = Player(script, host, settings)
        try:
            player.play()
        except FailedError as failed:
            failure = failed.failure
        return Played(name, player.history, failure), player.warnings
    finally:
        host.close()


def _make_host(settings: Settings, directory: Path, manner: Manner) -> TestedHost:
    kind = KernelHost if manner.live else SimulatedHost
    return kind(settings.addresses, settings.mtu, directory, manner.capture)
