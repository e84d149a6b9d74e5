"""One script from its file to its verdict: read, played on a new host, and reported.

Not done here: the command line, and many scripts at once.
"""

from __future__ import annotations

import os
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tapstack.base.errors import explain
from tapstack.drill.contract import TestedHost
from tapstack.drill.crew.time_limit import TimeUpError
from tapstack.drill.language.parser import parse
from tapstack.drill.language.syntax import Script, ScriptError, UnsupportedError
from tapstack.drill.outcome import Manner as Manner, Result as Result, Verdict as Verdict
from tapstack.drill.playing.player import Player
from tapstack.drill.reports.failure import FailedError, Failure, Happening
from tapstack.drill.reports.report import report_bug, report_failure, report_mistake, show_happening
from tapstack.drill.reports.side_by_side import Played, compare_plays
from tapstack.drill.settings import LINUX_TOLERANCE, Settings, read_options
from tapstack.drill.simulated import SimulatedHost

Say = Callable[[str], object]
"""Take a line for a screen."""


_NOT_LIVE = re.compile(r"//\s*(not live:.*)")
"""A comment in the second line."""


class _NoHostError(Exception):
    """There is no host to play a script on; the message says why not."""


def run_file(path: Path, manner: Manner, say: Say | None = None) -> Result:
    """Run a script. What is wrong with it is in the result. Raises: TimeUpError.

    In a verbose manner `say` hears every event as it is played; without, the report has them.
    """
    began = time.monotonic()
    told: list[str] = []
    result = _run(path, manner, say or told.append)
    report = "\n".join([*told, *result.report.splitlines()])
    return result._replace(report=report, seconds=time.monotonic() - began)


def _run(path: Path, manner: Manner, say: Say) -> Result:
    """Run a script, whatever comes of it."""
    name = str(path)
    try:
        source = path.read_bytes()
    except OSError as error:
        reason = f"it cannot be read: {error.strerror}"
        return Result(name, Verdict.UNREADABLE, f"{name}: {reason}", 0, reason)
    try:
        return _run_source(source, path, manner, say)
    except Exception as error:  # noqa: BLE001 - ours, and other scripts shall not suffer from it
        if isinstance(error, OSError) and manner.capture and error.filename == str(manner.capture):
            reason = f"the packets cannot be written: {explain(error)}"
            return Result(name, Verdict.FAILED, f"{name}: {reason}", 0, reason)
        report = report_bug(name, traceback.format_exc())
        return Result(name, Verdict.BROKEN, report, 0, f"{type(error).__name__}: {error}")


def _run_source(source: bytes, path: Path, manner: Manner, say: Say) -> Result:
    name, text = str(path), source.decode(errors="replace")
    try:
        definitions = read_options(manner.options, Settings()).definitions
        return _play(parse(source, name, definitions), path.parent, manner, say)
    except ScriptError as error:
        report = report_mistake(name, text, error.message, error.position)
        reason = f"line {error.position.line}: {error.message}"
        return Result(name, Verdict.UNREADABLE, report, 0, reason)
    except UnsupportedError as error:
        report = report_mistake(name, text, f"unsupported: {error.construct}", error.position)
        return Result(name, Verdict.UNSUPPORTED, report, 0, error.construct)
    except _NoHostError as error:
        return Result(name, Verdict.FAILED, f"{name}: {error}", 0, str(error))


def settings_of(script: Script, manner: Manner) -> Settings:
    """Give a script's settings: what the command line says overrides what the script does.

    Raises: ScriptError, UnsupportedError.
    """
    settings = Settings()
    if manner.linux_tolerance or manner.live or manner.compare:
        usecs, percent = LINUX_TOLERANCE
        settings = Settings(tolerance_usecs=usecs, tolerance_percent=percent)
    return read_options(manner.options, read_options(script.options, settings))


def _play(script: Script, directory: Path, manner: Manner, say: Say) -> Result:
    settings = settings_of(script, manner)
    manner = replace(manner, verbose=manner.verbose or settings.verbose)
    if (manner.live or manner.compare) and (reason := _why_not_live(script)):
        return Result(script.name, Verdict.UNSUPPORTED, f"{script.name}:2: {reason}", 0, reason)
    if settings.dry_run:
        return Result(script.name, Verdict.PASSED, "", 0)
    if manner.compare:
        return _compare(script, settings, directory, manner)
    failure = _play_once(script, settings, directory, manner, say).failure
    if failure is None:
        return Result(script.name, Verdict.PASSED, "", 0)
    report = report_failure(script, failure, with_history=not manner.verbose)
    reason = f"line {failure.position.line}: {failure.headline}"
    return Result(script.name, Verdict.FAILED, report, 0, reason)


def _why_not_live(script: Script) -> str:
    """Tell why a script is not for a kernel, if it says so; else ''."""
    lines = script.text.splitlines()
    reason = _NOT_LIVE.match(lines[1]) if len(lines) > 1 else None
    return reason[1].strip() if reason else ""


def _compare(script: Script, settings: Settings, directory: Path, manner: Manner) -> Result:
    """Play a script on both hosts, and tell where they part; only the stack's capture is kept."""
    quiet = replace(manner, verbose=False)
    ours = _play_once(script, settings, directory, quiet)
    theirs = _play_once(script, settings, directory, replace(quiet, live=True, capture=None))
    report = compare_plays(ours, theirs)
    if report:
        reason = "the stack and Linux part"
        return Result(script.name, Verdict.FAILED, f"{script.name}: {report}", 0, reason)
    if ours.failure is not None:
        reason = f"Linux fails alike, line {ours.failure.position.line}: {ours.failure.headline}"
        report = report_failure(script, ours.failure, with_history=True)
        return Result(script.name, Verdict.FAILED, f"{report}\n\nLinux fails alike.", 0, reason)
    return Result(script.name, Verdict.PASSED, f"{ours}\n{theirs}" if manner.verbose else "", 0)


def _play_once(
    script: Script, settings: Settings, directory: Path, manner: Manner, say: Say | None = None
) -> Played:
    """Play a script on a new host; tell `say` of it in a verbose manner."""
    host = _make_host(settings, directory, manner)
    name = f"Linux {os.uname().release}" if manner.live else "tapstack"
    tell = say if manner.verbose else None

    def watch(happening: Happening) -> None:
        if tell:
            tell(show_happening(happening))

    try:
        player = Player(script, host, settings, watch)
        failure = _failure_of(player)
        if tell:
            for line in (*(f"warning: {each}" for each in player.warnings), *host.remarks()):
                tell(line)
        return Played(name, player.history, failure)
    finally:
        host.close()


def _failure_of(player: Player) -> Failure | None:
    try:
        player.play()
    except FailedError as failed:
        return failed.failure
    except TimeUpError as late:
        return Failure(player.position, str(late), history=tuple(player.history))
    return None


def _make_host(settings: Settings, directory: Path, manner: Manner) -> TestedHost:
    """Make what a script is played on. Raises: _NoHostError."""
    try:
        if not manner.live:
            return SimulatedHost(settings.addresses, settings.mtu, directory, manner.capture)
        from tapstack.drill.kernel import KernelHost

        return KernelHost(settings.addresses, settings.mtu, directory, manner.capture)
    except OSError as error:
        where = "the Linux kernel" if manner.live else "the stack"
        raise _NoHostError(f"it cannot be played on {where}: {explain(error)}") from None
