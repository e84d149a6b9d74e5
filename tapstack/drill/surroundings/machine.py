"""What the programs of a script's commands act on, and what they answer.

Not done here: any program (`programs/`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tapstack.base.units import Duration
from tapstack.drill.surroundings.settings import Settings
from tapstack.sim.host import Host


class Answer(NamedTuple):
    """How a program came out."""

    status: int = 0
    out: str = ""
    """Standard output."""
    err: str = ""
    """Standard error."""


@dataclass(slots=True)
class Machine:
    """The host that a script is played on, as its commands find it."""

    host: Host
    sleep: Callable[[Duration], None]
    """Let time pass."""
    settings: Settings
    inert_used: dict[str, str] = field(default_factory=dict)
    """What was done without effect, and why it has none; beside the settings."""
    queues: dict[str, str] = field(default_factory=dict)
    """What `tc` has a device queue by, where it was told."""
    counted: dict[str, int] = field(default_factory=dict)
    """What the counters were when `nstat` last told them."""


Program = Callable[[Machine, Sequence[str], Path], Answer]
"""Run with arguments, in a directory."""


class WrongUse(Exception):  # noqa: N818 - it is no fault of ours
    """A program was called as it cannot be. The message is for standard error."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
