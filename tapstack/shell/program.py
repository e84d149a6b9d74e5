"""What both programs owe their surroundings: three open descriptors, and an output seen through.

Not done here: what the programs do (`command_line.py`, `tapstack/snc.py`).
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from tapstack.base.errors import explain
from tapstack.shell.interrupt import INTERRUPTED

FAILED = 1
_STDERR = 2


def run_program(name: str, run: Callable[[], int]) -> NoReturn:
    """Run a program from its first line to its exit status. Raises: SystemExit, always."""
    open_standard_files()
    try:
        status = run()
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 0
    except KeyboardInterrupt:
        status = INTERRUPTED
    except OSError as error:
        status = _tell_failure(name, error)
    sys.exit(_finish_output(name, status))


def open_standard_files() -> None:
    """Open descriptors 0 to 2 on nothing where they are closed. Call before anything is opened.

    Else the next file to be opened, such as the TAP device, would pass for standard input.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(fd, True)
    os.close(fd)
    # Python has None for what it found closed.
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - open until the end
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(_STDERR, "w", closefd=False)  # noqa: SIM115


def _finish_output(name: str, status: int) -> int:
    """Write what is still to be written; give the exit status, which tells whether it was."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # What cannot be written would be tried again, and complained of, when Python ends.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
        return status or _tell_failure(name, error)
    return status


def _tell_failure(name: str, error: OSError) -> int:
    """Say why the program ends, unless it is that nobody reads it; give the exit status."""
    if isinstance(error, BrokenPipeError):
        return 0
    with suppress(OSError):  # the terminal may be gone altogether
        print(f"{name}: {explain(error)}", file=sys.stderr, flush=True)
    return FAILED
