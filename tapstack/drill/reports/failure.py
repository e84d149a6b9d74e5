"""What went wrong while a script was played: what a report is made of.

Not done here: writing the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tapstack.base.units import Instant, format_seconds
from tapstack.drill.language.syntax import Position

TIME_WIDTH = 12


class Difference(NamedTuple):
    """One thing that is not as the script has it."""

    what: str
    """A field's name, or an argument's: `ack`, `result`, `revents`."""
    expected: str
    actual: str


class Happening(NamedTuple):
    """Something that happened while the script was played, for the ladder of the last events."""

    time: Instant
    arrow: str
    """`>` sent, `<` injected, `|` printed by a command, ` ` none of these."""
    text: str
    why: str = ""
    """Why it was sent."""
    position: Position | None = None
    """Of the event of the script that it belongs to."""

    def __str__(self) -> str:
        """Render as `    0.100000 > . 1:1(0) ack 1   (why)`: TIME_WIDTH columns are the time."""
        why = f"   ({self.why})" if self.why else ""
        return f"{format_seconds(self.time):>{TIME_WIDTH}} {self.arrow} {self.text}{why}"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a script failed."""

    position: Position
    """Of the event, or of the line of code."""
    headline: str
    """One clear sentence."""
    differences: tuple[Difference, ...] = ()
    expected: str = ""
    """The packet or the call that the script has, in its own notation."""
    actual: str = ""
    """What came instead."""
    why: str = ""
    """Why the stack sent it."""
    hint: str = ""
    """What to do next."""
    history: tuple[Happening, ...] = ()
    connections: str = ""
    """Their state then."""


class FailedError(Exception):
    """Playing ends here: the script has failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.headline)
        self.failure = failure
