"""`sleep` and `usleep`: virtual time passes, and no other.

Not done here: letting it pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from tapstack.base.units import MINUTE, SECOND, Duration
from tapstack.drill.surroundings.machine import Answer, Machine, WrongUse

_HOUR: Duration = 60 * MINUTE
_UNITS: dict[str, Duration] = {
    "": SECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": _HOUR,
    "d": 24 * _HOUR,
}
_INTERVAL = re.compile(r"(\d+\.?\d*|\.\d+)([smhd]?)", re.ASCII)


def sleep(machine: Machine, words: Sequence[str], _: Path) -> Answer:
    """Let the sum of some intervals pass: `0.5`, `2s`, `1m`. Raises: WrongUse."""
    if not words:
        raise WrongUse("sleep: missing operand")
    machine.sleep(sum(map(_interval, words)))
    return Answer()


def _interval(word: str) -> Duration:
    found = _INTERVAL.fullmatch(word)
    if found is None:
        raise WrongUse(f"sleep: invalid time interval '{word}'")
    return math.ceil(float(found[1]) * _UNITS[found[2]])


def usleep(machine: Machine, words: Sequence[str], _: Path) -> Answer:
    """Let microseconds pass. Raises: WrongUse."""
    if len(words) != 1 or not (words[0].isascii() and words[0].isdecimal()):
        raise WrongUse("usleep: a number of microseconds is what this takes")
    machine.sleep(int(words[0]))
    return Answer()
