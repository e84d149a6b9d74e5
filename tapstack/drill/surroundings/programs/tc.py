"""`tc`: queueing disciplines, which have no effect where a device has no speed.

What would delay, lose or reorder datagrams is refused: a script that counts on it would not be
played as it is meant.

Not done here: classes, filters, and statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tapstack.drill.surroundings.machine import Answer, Machine, WrongUse
from tapstack.drill.surroundings.programs.ip_link import find
from tapstack.drill.surroundings.programs.words import Words, not_simulated, pick

IDLE_QUEUES = frozenset(
    "pfifo bfifo pfifo_fast pfifo_head_drop fq fq_codel noqueue mq codel".split()
)
"""Those that pass everything on at once where nothing queues up."""
_REASON = "a device has no speed here, so that nothing queues up; and fq paces nothing"
_FIRST = "pfifo_fast"
"""What a device has at first, as net.core.default_qdisc says."""
_CHANGES = "add delete change replace link".split()


def tc(machine: Machine, given: Sequence[str], _: Path) -> Answer:
    """Show or change what a device queues by. Raises: WrongUse."""
    words = Words(given)
    while words.is_option():
        words.take()
    if not words:
        raise WrongUse("Usage: tc [ OPTIONS ] OBJECT { COMMAND | help }", 255)
    name = words.take()
    if not "qdisc".startswith(name):
        raise not_simulated(f"tc {name}")
    command = pick(words.take() if words else "show", ["show", "list", "ls", *_CHANGES], "tc")
    if command in _CHANGES:
        _change(machine, command, words)
        return Answer()
    return Answer(out=_show(machine, words))


def _change(machine: Machine, command: str, words: Words) -> None:
    device, kind = "", ""
    while words and not kind:
        word = words.take()
        if word == "dev":
            device = find(machine, words.take()).name
        elif word in ("handle", "parent"):
            words.take()
        elif word != "root":
            kind = word
    if not device:
        raise WrongUse('Error: "dev" is missing.', 255)
    if command == "delete":
        if machine.queues.pop(device, "") == "":
            raise WrongUse("Error: Cannot delete qdisc with handle of zero.", 2)
        return
    if kind not in IDLE_QUEUES:
        raise not_simulated(f"tc qdisc {kind}".rstrip())
    if command == "add" and device in machine.queues:
        raise WrongUse("Error: Exclusivity flag on, cannot modify.", 2)
    machine.queues[device] = kind
    machine.inert_used[f"tc qdisc {kind}"] = _REASON


def _show(machine: Machine, words: Words) -> str:
    wanted = ""
    while words:
        wanted = (
            find(machine, words.take()).name if words.take_if("dev") else words.take() and wanted
        )
    lines = []
    for interface in machine.host.stack.interfaces.values():
        if wanted in ("", interface.name) and not interface.is_loopback():
            kind = machine.queues.get(interface.name, _FIRST)
            handle = "8001:" if interface.name in machine.queues else "0:"
            of = "" if wanted else f"dev {interface.name} "
            lines.append(f"qdisc {kind} {handle} {of}root refcnt 2 \n")
    return "".join(lines)
