"""How the bench talks with the programs it starts: one JSON object a line, there and back."""

import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

Request = dict[str, Any]
Reply = dict[str, Any]

_PRIORITY = -10
"""What both ends of a measurement run with, where that is allowed: others are to wait."""
_DESCRIPTORS = 16384
"""What ten thousand connections take on the kernel's sockets."""


def prepare_process() -> None:
    """Have others wait, and take all the descriptors that are needed, where we may."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, max(most, _DESCRIPTORS)))


def requests() -> Iterator[Request]:
    """Give what the bench asks for, line by line, until it closes the pipe."""
    for line in sys.stdin:
        yield json.loads(line)


def reply(**values: Any) -> None:
    """Tell the bench."""
    print(json.dumps(values), flush=True)


def answer(measure: Callable[[], Reply]) -> None:
    """Do what was asked, and tell what came of it, be it an error."""
    try:
        reply(**measure())
    except OSError as error:
        reply(error=str(error) or type(error).__name__)
