"""Plays a script on a host: each event at its time, in the script's order.

Not done here: what a packet or a call means (`wire/matching.py`, `calls/table.py`), the time that
passes (the hosts), and how a failure is shown (`reports/report.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, cast

from tapstack.base.units import SECOND, Duration, Instant, format_seconds
from tapstack.drill.calls.table import Call, Context, prepare
from tapstack.drill.contract import Calls, Pending, TestedHost
from tapstack.drill.language.syntax import (
    Code,
    Command,
    Direction,
    Event,
    Packet,
    Position,
    Script,
    SystemCall,
)
from tapstack.drill.playing.code import Snippets
from tapstack.drill.playing.timing import Due, Timetable
from tapstack.drill.reports.failure import Difference, FailedError, Failure, Happening
from tapstack.drill.settings import Settings
from tapstack.drill.wire.matching import Matcher, Outcome, Verdict
from tapstack.drill.wire.overhearing import Overheard

_LONGEST_WAIT: Duration = 300 * SECOND
"""How long to wait where the script has no time: the longest RTO is two minutes."""

_CURIOSITY: Duration = 2 * SECOND
"""How much longer to wait for what was not sent in time, to tell in a report."""


class _Begun(NamedTuple):
    """A system call that was begun."""

    event: Event
    action: SystemCall
    due: Due
    pending: Pending[list[Difference]]


class Player:
    """One script, on one host, once."""

    def __init__(
        self,
        script: Script,
        host: TestedHost,
        settings: Settings,
        watch: Callable[[Happening], None] | None = None,
    ) -> None:
        """Look at every event; `watch` will hear what happens, also what commands print.

        Raises: ScriptError, UnsupportedError.
        """
        self.position = script.events[0].position
        """Of what is being played."""
        self.history: list[Happening] = []
        """What has happened."""
        self.warnings: list[str] = []
        self._script = script
        self._host = host
        self._settings = settings
        self._times = Timetable(settings)
        self._matcher = Matcher(host.addresses, settings)
        self._context = Context(settings, host.lacking)
        self._snippets = Snippets(self._context.descriptors)
        self._calls: dict[Position, Call] = {}
        for event in script.events:
            if isinstance(event.action, SystemCall):
                self._calls[event.position] = prepare(event.action, self._context)
            elif isinstance(event.action, Code):
                self._calls[event.position] = self._snippets.prepare(event.action)
            elif isinstance(event.action, Packet):
                self._matcher.check(event.action)
        self._watch = watch
        self._start: Instant = 0
        self._begun: _Begun | None = None

    # --- the whole ---

    def play(self) -> None:
        """Play it to its end. Raises: FailedError, ScriptError, UnsupportedError."""
        for program in self._settings.init_scripts:
            self._run_command(Command(self._script.events[0].position, program))
        if self._script.init:
            self._run_command(self._script.init)
        self._start = self._host.now()
        self._context.epoch = self._host.epoch + self._start
        for event in self._script.events:
            self._play_event(event)
        self._end_call()
        self._end_connections()
        if self._script.cleanup:
            self._run_command(self._script.cleanup)
        try:
            self._snippets.run()
        except FailedError as failed:
            raise FailedError(replace(failed.failure, history=tuple(self.history))) from None

    def _play_event(self, event: Event) -> None:
        self.position = event.position
        is_inbound = isinstance(event.action, Packet) and event.action.direction is Direction.IN
        due = self._times.due(event.time, is_inbound)
        if isinstance(event.action, SystemCall):
            self._end_call()
        if isinstance(event.action, Packet) and not is_inbound:
            self._expect(event, event.action, due)
        else:
            self._wait_for_turn(event, due)
            self._act(event, due)
        self._times.finish(due, self._now(), is_inbound)

    def _act(self, event: Event, due: Due) -> None:
        match event.action:
            case Packet():
                self._inject(event, event.action)
            case SystemCall():
                self._call(event, event.action, due)
            case Command():
                self._run_command(event.action)
            case Code():
                self._capture(event, event.action)

    # --- time ---

    def _now(self) -> Instant:
        """Tell the time, µs since the script's first event may happen."""
        return self._host.now() - self._start

    def _run(self, until: Instant, ended: Callable[[], bool]) -> bool:
        return self._host.run(until + self._start, ended)

    def _wait_for_turn(self, event: Event, due: Due) -> None:
        """Let time pass until an event is to happen; what comes too late fails."""
        if due.earliest is None:
            return
        if self._now() < due.earliest:
            self._run(due.earliest, lambda: False)
        if not due.is_met(self._now()):
            self._fail(
                event,
                f"it is {format_seconds(self._now())} already, and this was to happen at {due}",
                hint="What came before took longer than the script has it.",
            )

    # --- packets ---

    def _inject(self, event: Event, packet: Packet) -> None:
        self._note(event.position, "<", packet.text.removeprefix("<").lstrip())
        self._host.inject(self._matcher.inject(packet))

    def _expect(self, event: Event, packet: Packet, due: Due) -> None:
        """Wait for what the host is to send, and hold it against the script."""
        limit = self._now() + _LONGEST_WAIT if due.latest is None else due.latest + due.tolerance
        outcome = self._wait_for_packet(packet, limit)
        if outcome is None:
            self._fail_for_want(event, packet, due)
            return
        self._note(event.position, ">", outcome.actual, outcome.why, outcome.time)
        if outcome.differences:
            self._fail(
                event,
                "another packet was sent than the one expected",
                expected=packet.text,
                actual=outcome.actual,
                why=outcome.why,
                differences=outcome.differences,
            )
        elif not due.is_met(outcome.time - self._start):
            self._fail_for_time(event, packet, due, outcome)

    def _wait_for_packet(self, packet: Packet, limit: Instant) -> Outcome | None:
        """Let time pass until what is expected was sent, or something else; None: nothing was."""
        captured = self._host.captured
        while True:
            outcome = self._matcher.take(packet, captured)
            if outcome.verdict is not Verdict.WAITING:
                return outcome
            have = len(captured)
            if not self._run(limit, lambda: len(captured) > have):  # noqa: B023 - run at once
                return None

    def _fail_for_want(self, event: Event, packet: Packet, due: Due) -> None:
        """Fail for a packet that was not sent; what is sent next, instead, is shown."""
        expected = packet.text
        waited = self._now()
        later = self._wait_for_packet(packet, waited + _CURIOSITY)
        if later is None:
            self._fail(event, f"nothing was sent by {format_seconds(waited)}", expected=expected)
        elif later.differences:
            self._note(event.position, ">", later.actual, later.why, later.time)
            self._fail(
                event,
                f"this was not sent by {due}; what is sent next, at "
                f"{format_seconds(later.time - self._start)}, is something else",
                expected=expected,
                actual=later.actual,
                why=later.why,
                differences=later.differences,
            )
        else:
            self._fail_for_time(event, packet, due, later)

    def _fail_for_time(self, event: Event, packet: Packet, due: Due, outcome: Outcome) -> None:
        actual = format_seconds(outcome.time - self._start)
        self._fail(
            event,
            f"the packet was sent at {actual}, and is expected at {due}",
            expected=packet.text,
            actual=outcome.actual,
            why=outcome.why,
            differences=(Difference("time", str(due), actual),),
            hint=self._hint_of_tolerance(due, outcome.time - self._start),
        )

    def _hint_of_tolerance(self, due: Due, instant: Instant) -> str:
        """Tell whether the tool's own tolerance would do."""
        if self._times.with_linux_tolerance(due).is_met(instant):
            return "With --linux-tolerance, what packetdrill allows, this would pass."
        return ""

    # --- system calls ---

    def _call(self, event: Event, action: SystemCall, due: Due) -> None:
        """Begin a call; one without an end of its own is over before anything else happens."""
        call = self._calls[event.position]
        pending = self._host.begin(lambda calls: call(self._overhear(calls)))
        self._begun = _Begun(event, action, due, pending)
        self._run(self._now(), self._has_returned)
        if due.end is None:
            self._end_call()

    def _overhear(self, calls: Calls) -> Calls:
        return cast("Calls", Overheard(calls, self._matcher.conversations))

    def _has_returned(self) -> bool:
        return self._begun is None or self._begun.pending.ended() is not None

    def _end_call(self) -> None:
        """Wait for the call that was begun, and look at what it gave and when."""
        begun = self._begun
        if begun is None:
            return
        limit = self._now() + _LONGEST_WAIT
        if begun.due.end is not None:
            limit = max(self._now(), begun.due.end + begun.due.tolerance) + _CURIOSITY
        returned = self._run(limit, self._has_returned)
        self._begun = None
        ended = begun.pending.ended()
        if not returned or ended is None:
            self._fail_call(begun, f"the call does not return; it is {format_seconds(self._now())}")
            return
        differences = tuple(begun.pending.result())
        self._note(begun.event.position, " ", begun.action.text)
        if differences:
            self._fail_call(begun, "the system call came out otherwise", differences)
        elif not begun.due.is_end_met(ended - self._start):
            shown = format_seconds(ended - self._start)
            wanted = format_seconds(begun.due.end or 0) + begun.due.leeway()
            self._fail_call(begun, f"the call returned at {shown}, and is expected to at {wanted}")

    def _fail_call(
        self, begun: _Begun, headline: str, differences: tuple[Difference, ...] = ()
    ) -> None:
        self._fail(begun.event, headline, expected=begun.action.text, differences=differences)

    def _capture(self, event: Event, code: Code) -> None:
        """Keep TCP_INFO for a snippet; that never blocks, also while a call of the script does."""
        pending = self._host.begin(self._calls[event.position])
        self._run(self._now() + _LONGEST_WAIT, lambda: pending.ended() is not None)
        differences = tuple(pending.result())
        if differences:
            self._fail(event, "there is nothing to capture", differences=differences)
        self._note(event.position, " ", _first_line(f"%{{{code.text}}}%"))

    # --- the rest ---

    def _run_command(self, command: Command) -> None:
        self.position = command.position
        shell = self._host.shell(command.text)
        self._note(command.position, " ", _first_line(f"`{command.text}`"))
        if self._watch:
            for line in shell.output.splitlines():
                self._watch(Happening(self._now(), "|", line, "", command.position))
        if shell.status:
            self._fail_at(
                command.position,
                f"the command ended with status {shell.status}",
                actual=shell.output.rstrip(),
            )

    def _end_connections(self) -> None:
        if not self._settings.send_omit_free:
            for datagram in self._matcher.resets():
                self._host.inject(datagram)

    # --- telling ---

    def _note(
        self, position: Position, arrow: str, text: str, why: str = "", time: Instant | None = None
    ) -> None:
        instant = self._now() if time is None else time - self._start
        happening = Happening(instant, arrow, text, why, position)
        self.history.append(happening)
        if self._watch:
            self._watch(happening)

    def _fail(self, event: Event, headline: str, **told: Any) -> None:
        """Fail, unless the script says that this kind of event only warns. Raises: FailedError."""
        kind = {Packet: "packet", SystemCall: "syscall"}.get(type(event.action), "")
        if kind in self._settings.non_fatal:
            self.warnings.append(f"line {event.position.line}: {headline}")
            return
        self._fail_at(event.position, headline, **told)

    def _fail_at(self, position: Position, headline: str, **told: Any) -> None:
        raise FailedError(
            Failure(
                position,
                headline,
                history=tuple(self.history),
                connections=self._host.describe(),
                **told,
            )
        )


def _first_line(text: str) -> str:
    """Give as much of a text as fits into one line."""
    lines = text.splitlines()
    return lines[0] if len(lines) == 1 else f"{lines[0].rstrip()} ..."
