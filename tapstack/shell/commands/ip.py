"""`ip`: what `ifconfig`, `route` and `arpcache` show, by the names and in the forms of iproute2's.

Not done here: changing addresses, links and neighbours; routes (`route.py`).
"""

from __future__ import annotations

from argparse import REMAINDER, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tapstack.base.address import format_mac
from tapstack.base.units import Instant
from tapstack.interface import NetworkInterface
from tapstack.shell.command import Command, CommandParser, Context, UsageError
from tapstack.shell.commands import arpcache, route
from tapstack.shell.commands.ifconfig import (
    address_lines,
    counter_lines,
    flags_of,
    link_lines,
    select_interfaces,
    state_of,
)
from tapstack.stack import Stack

if TYPE_CHECKING:
    from tapstack.runtime.runtime import Runtime

_DESCRIPTION = """\
Show the interfaces, routes and neighbours, or change routes:

  ip [-br] [-s] address [show [dev] NAME]
  ip [-br] [-s] link [show [dev] NAME]
  ip neigh [show [dev] NAME]
  ip route [show | add NETWORK/LENGTH ... | del NETWORK/LENGTH ...]

Words may be shortened, as in 'ip a'."""
_OBJECTS = ("address", "route", "neighbour", "link")
_SHOW = ("show", "list", "lst")


def run(context: Context, words: list[str]) -> int:
    """Show something, or change routes. Raises: UsageError."""
    given = _make_parser().parse_args(words)
    if not given.words:
        raise UsageError(f"ip: of what? Give {' or '.join(_OBJECTS)}")
    word, *rest = given.words
    word = word.replace("neighbor", "neighbour")
    name = next((each for each in _OBJECTS if each.startswith(word)), None)
    if name is None:
        raise UsageError(f"ip: '{word}' is none of {', '.join(_OBJECTS)}")
    if name == "route":
        return route.run(context, [] if len(rest) == 1 and _means_show(rest[0]) else rest)
    device = _read_device(name, rest)
    lines = context.runtime.call(_show, context.runtime.stack, name, device, given)
    if lines:
        context.say("\n".join(lines))
    return 0


def _make_parser() -> CommandParser:
    parser = CommandParser(
        prog="ip",
        usage="ip [-br] [-s] OBJECT [show [dev] NAME]",
        description=_DESCRIPTION,
        formatter_class=RawDescriptionHelpFormatter,
    )
    for flags, name, explanation in (
        (("-s", "-stats", "-statistics"), "statistics", "what went through, too"),
        (("-br", "-brief"), "brief", "a line for each"),
        (("-4",), "ipv4", "of IPv4, which all is"),
        (("-d", "-details"), "details", "in detail: there is no more than is shown"),
    ):
        parser.add_argument(*flags, dest=name, action="store_true", help=explanation)
    parser.add_argument("words", nargs=REMAINDER, metavar="OBJECT", help="as above")
    return parser


def _read_device(name: str, words: Sequence[str]) -> str:
    """Read `[show] [dev] [NAME]`; "": all are wanted. Raises: UsageError."""
    verb, *rest = words or ("show",)
    if not _means_show(verb):
        raise UsageError(f"ip {name}: '{verb}' is not to be had here, only show")
    if rest[:1] == ["dev"] and len(rest) > 1:
        del rest[0]
    if len(rest) > 1:
        raise UsageError(f"ip {name}: '{' '.join(rest)}' is not the name of one device")
    return "".join(rest)


def _means_show(verb: str) -> bool:
    return any(each.startswith(verb) for each in _SHOW)


# --- what is shown ------------------------------------------------------------------------------


def _show(stack: Stack, name: str, device: str, given: Namespace, *, now: Instant) -> list[str]:  # noqa: ARG001
    return [
        line
        for index, interface in select_interfaces(stack, "ip", device)
        for line in _LINES[name](index, interface, given)
    ]


def _address(index: int, interface: NetworkInterface, given: Namespace) -> Iterator[str]:
    if given.brief:
        yield _brief(interface, *map(str, interface.networks))
        return
    yield from link_lines(index, interface)
    yield from address_lines(interface)
    if given.statistics:
        yield from counter_lines(interface)


def _link(index: int, interface: NetworkInterface, given: Namespace) -> Iterator[str]:
    if given.brief:
        yield _brief(interface, format_mac(interface.mac), f"<{flags_of(interface)}>")
        return
    yield from link_lines(index, interface, mode=" mode DEFAULT")
    if given.statistics:
        yield from counter_lines(interface)


def _brief(interface: NetworkInterface, *words: str) -> str:
    return f"{interface.name:<16} {state_of(interface):<14} {' '.join(words)}".rstrip()


def _neighbour(_: int, interface: NetworkInterface, __: Namespace) -> Iterable[str]:
    return (arpcache.describe(interface.name, each) for each in interface.neighbours or ())


_LINES: dict[str, Callable[[int, NetworkInterface, Namespace], Iterable[str]]] = {
    "address": _address,
    "neighbour": _neighbour,
    "link": _link,
}


def complete(runtime: Runtime, words: Sequence[str]) -> Iterable[str]:
    """Give what may follow: an object, what to do, and then a device, or the words of a route."""
    if not words:
        return _OBJECTS
    if words[0] == "route" and len(words) > 1:
        return route.complete(runtime, words[1:])
    if len(words) == 1:
        return ("show", "add", "del") if words[0] == "route" else ("show",)
    return ("dev", *runtime.stack.interfaces) if len(words) == 2 else runtime.stack.interfaces


COMMAND = Command(
    "ip",
    "[-br] [-s] OBJECT [show [dev] NAME]",
    "show interfaces, routes, neighbours",
    run,
    complete,
)
