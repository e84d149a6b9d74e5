"""`debug`: what the stack tells of itself while it works."""

import errno
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tapstack.base.errors import os_error
from tapstack.base.trace import TOPICS
from tapstack.shell.command import Command, CommandParser, Context, UsageError
from tapstack.shell.interrupt import wait_readable

if TYPE_CHECKING:
    from tapstack.runtime.runtime import Runtime

ALL = "all"


def run(context: Context, words: list[str]) -> int:
    """Print the lines of some topics until the user ends it. Raises: UsageError."""
    parser = CommandParser(
        prog="debug", description="Print what the stack does as it does it, until Ctrl-C."
    )
    parser.add_argument(
        "-n", dest="background", action="store_true", help="print on while other commands run"
    )
    parser.add_argument("-c", dest="clear", action="store_true", help="end what runs on")
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=" ".join([*TOPICS, ALL]))
    given = parser.parse_args(words)
    topics = parse_topics(given.topics)
    if not topics and not given.clear:
        raise UsageError(f"debug: which topics? There are {' '.join(TOPICS)} {ALL}")
    if given.clear:
        context.watch.clear()
    if topics and given.background:
        context.watch.add(topics, _print_wherever_output_goes)
    elif topics:
        _watch_in_the_foreground(context, topics)
    return 0


def _watch_in_the_foreground(context: Context, topics: frozenset[str]) -> None:
    """Print until the user ends it, or nobody reads it. Raises: OSError where printing fails."""
    watcher = context.watch.add(topics, context.say)
    wait_readable(context.interrupt, watcher.failed, output=context.stdout)
    context.watch.remove(watcher)
    if watcher.error is not None:
        raise watcher.error
    if not context.interrupt.is_up:
        raise os_error(errno.EPIPE)


def parse_topics(words: Sequence[str]) -> frozenset[str]:
    """Read topics. Raises: UsageError."""
    for word in words:
        if word not in (*TOPICS, ALL):
            raise UsageError(f"debug: '{word}' is none of {' '.join(TOPICS)} {ALL}")
    return frozenset(TOPICS if ALL in words else words)


def _print_wherever_output_goes(text: str) -> None:
    # Looked up anew for each line: while a prompt stands, the terminal's output is another.
    print(text, file=sys.stdout, flush=True)


def complete(_: "Runtime", words: Sequence[str]) -> Iterable[str]:
    """Give the topics that are not yet there, and at first the options."""
    options = () if words else ("-n", "-c")
    return [*(topic for topic in (*TOPICS, ALL) if topic not in words), *options]


COMMAND = Command(
    "debug", "[-n] [-c] TOPIC...", "print what the stack does: dev l2 arp ip ...", run, complete
)
