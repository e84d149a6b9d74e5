"""`sysctl`: the stack's settings, by the names that Linux has for them."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tapstack.base.units import Instant
from tapstack.shell.command import Command, CommandParser, Context, UsageError
from tapstack.sysctl import Sysctls

if TYPE_CHECKING:
    from tapstack.runtime.runtime import Runtime


def run(context: Context, words: list[str]) -> int:
    """Show settings, or set them; 1 if one of them was refused. Raises: UsageError."""
    parser = CommandParser(
        prog="sysctl",
        usage="sysctl [-n] -a | [-nq] NAME[=VALUE]...",
        description="Show the stack's settings, or set them for as long as it is up. They have "
        "Linux's names, units and defaults; its documentation of them (ip-sysctl) says what "
        "each is for.",
    )
    parser.add_argument("-a", dest="all", action="store_true", help="show every one")
    parser.add_argument("-n", dest="bare", action="store_true", help="show only the value")
    parser.add_argument("-q", dest="quiet", action="store_true", help="do not show what is set")
    parser.add_argument("-w", action="store_true", help="set, which NAME=VALUE means anyway")
    parser.add_argument("settings", nargs="*", metavar="NAME[=VALUE]")
    given = parser.parse_args(words)
    if bool(given.settings) == given.all:
        raise UsageError("sysctl: which setting? Give NAME, NAME=VALUE, or -a for all")
    sysctls = Sysctls(context.runtime.stack)
    status = 0
    for each in list(sysctls) if given.all else given.settings:
        name, equals, _ = each.partition("=")
        name = name.strip()
        try:
            value = context.runtime.call(_heed, sysctls, each)
        except OSError as error:
            reason = error.strerror if name in sysctls else _no_such(name, sysctls)
            print(f"sysctl: {each}: {reason}", file=context.err, flush=True)
            status = 1
            continue
        if not (given.quiet and equals):
            context.say(value if given.bare else f"{name} = {value}")
    return status


def _heed(sysctls: Sysctls, wish: str, *, now: Instant) -> str:  # noqa: ARG001
    """Set what is to be set, and give the value. Raises: OSError."""
    name, equals, value = wish.partition("=")
    if equals:
        sysctls.set(name.strip(), value)
    return sysctls.get(name.strip())


def _no_such(name: str, sysctls: Sysctls) -> str:
    by_last_part = {each.rpartition(".")[2]: each for each in sysctls}
    near = get_close_matches(name, [*sysctls, *by_last_part], 1, 0.7)
    if near:
        return f"there is no such setting; did you mean {by_last_part.get(near[0], near[0])}?"
    return "there is no such setting; 'sysctl -a' lists what there is"


def complete(runtime: "Runtime", words: Sequence[str]) -> Iterable[str]:
    """Give the names."""
    return [*Sysctls(runtime.stack), *(() if words else ("-a",))]


COMMAND = Command("sysctl", "-a | NAME[=VALUE]...", "show or change settings", run, complete)
