"""`modprobe`: what the simulated stack has counts as loaded, and nothing else is there to be had.

Not done here: parameters of modules, but for CUBIC's, which are files below /sys/module.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tapstack.drill.surroundings.machine import Answer, Machine, WrongUse
from tapstack.drill.surroundings.programs.tc import IDLE_QUEUES
from tapstack.drill.surroundings.programs.words import Words, not_simulated

_LOUDNESS = ("-q", "--quiet", "-v", "--verbose", "-s", "--syslog")


def modprobe(machine: Machine, given: Sequence[str], _: Path) -> Answer:
    """See that a module is loaded. Raises: WrongUse."""
    words = Words(given)
    while words.is_option():
        option = words.take()
        if option not in _LOUDNESS:
            raise not_simulated(f"modprobe {option}")
    name = words.take()
    if words:
        raise not_simulated(f"modprobe {name} {words.take()}")
    if name.replace("-", "_") not in _modules(machine):
        raise WrongUse(f"modprobe: FATAL: Module {name} not found.")
    return Answer()


def _modules(machine: Machine) -> set[str]:
    """Name the modules in which Linux has what the stack has, and what it takes without effect."""
    algorithms = machine.host.stack.tcp.config.tcp_available_congestion_control
    return {f"tcp_{name}" for name in algorithms} | {f"sch_{name}" for name in IDLE_QUEUES}
