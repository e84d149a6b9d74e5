"""Bringing a stack up for a program: where there are rights, or in a namespace of our own.

Not done here: the stack itself (`runtime/default.py`).
"""

from typing import NamedTuple

from tapstack.base.errors import explain
from tapstack.runtime.default import (
    BroughtUp,
    Settings,
    bring_up,
    default_stack,
    is_for_want_of_rights,
)
from tapstack.runtime.namespace import enter_private_namespace
from tapstack.shell.command import UsageError


class Started(NamedTuple):
    """A stack that is up, and whether that took a namespace of our own."""

    brought_up: BroughtUp
    private: bool


def start(settings: Settings) -> Started:
    """Bring up a stack, and make it this process's default one. Call before any thread.

    Raises: UsageError with one sentence.
    """
    try:
        started = _bring_up_somewhere(settings)
    except (ValueError, OSError) as error:
        raise UsageError(explain(error)) from None
    default_stack.use(started.brought_up.runtime)
    return started


def _bring_up_somewhere(settings: Settings) -> Started:
    try:
        return Started(bring_up(settings), private=False)
    except OSError as refused:
        if not is_for_want_of_rights(refused):
            raise
    enter_private_namespace()
    return Started(bring_up(settings), private=True)
