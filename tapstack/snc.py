"""The program `snc`: netcat over a stack of its own, which comes up and goes down with it.

The stack is set by the environment: TAPSTACK_DEV, TAPSTACK_ADDR, TAPSTACK_HOST_ADDR.

Not done here: what snc does (`shell/snc_core.py`).
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tapstack.shell.loading import leaving_on_interrupt

if TYPE_CHECKING:
    from tapstack.shell.snc_options import Plan

_STDIN, _STDOUT = 0, 1


def run(arguments: Sequence[str]) -> int:
    """Run snc with a command line; give the exit status."""
    with leaving_on_interrupt():
        from tapstack.shell.command import USAGE_MISTAKE, UsageError
        from tapstack.shell.snc_options import parse_plan
    try:
        return _carry_out(parse_plan(list(arguments)))
    except UsageError as mistake:
        _tell(str(mistake) if str(mistake).startswith("snc: ") else f"snc: {mistake}")
        return USAGE_MISTAKE


def _carry_out(plan: "Plan") -> int:
    # Imported only now, so that a mistake on the command line is told at once.
    with leaving_on_interrupt():
        from tapstack import socket
        from tapstack.runtime.default import Settings, default_stack
        from tapstack.shell.announce import describe_namespace
        from tapstack.shell.interrupt import Interrupt, run_interruptibly
        from tapstack.shell.snc_core import Snc, run_watched
        from tapstack.shell.start import start
        from tapstack.shell.watch import Watch

    started = start(Settings.from_environment(os.environ))
    runtime = started.brought_up.runtime
    if started.private:
        _tell("\n".join(describe_namespace()))

    def work(interrupt: Interrupt) -> int:
        snc = Snc(plan, socket.socket, _STDIN, _STDOUT, _tell, interrupt)
        return run_watched(snc, Watch(runtime.stack.tracer))

    try:
        return run_interruptibly(work)
    finally:
        default_stack.close()


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Run as a program."""
    with leaving_on_interrupt():
        from tapstack.shell.program import run_program
    run_program("snc", lambda: run(sys.argv[1:]))
