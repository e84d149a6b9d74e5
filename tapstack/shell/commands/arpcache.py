"""`arpcache`: the neighbours on each link, as `ip neigh` shows them, with the time left."""

from collections.abc import Iterable

from tapstack.arp.neighbour import Neighbour
from tapstack.base.address import format_ipv4, format_mac
from tapstack.base.units import SECOND, Instant
from tapstack.shell.command import Command, CommandParser, Context
from tapstack.stack import Stack


def run(context: Context, words: list[str]) -> int:
    """Print the neighbours."""
    parser = CommandParser(
        prog="arpcache",
        description="Show the neighbours: address, device, Ethernet address, state, and how long "
        "the state lasts if nothing happens.",
    )
    parser.parse_args(words)
    lines = context.runtime.call(describe_neighbours, context.runtime.stack)
    if lines:
        context.say("\n".join(lines))
    return 0


def describe_neighbours(stack: Stack, *, now: Instant) -> list[str]:
    """Give a line for each neighbour."""
    return [
        line
        for interface in stack.interfaces.values()
        if interface.neighbours is not None
        for line in render(interface.name, interface.neighbours, now)
    ]


def render(device: str, neighbours: Iterable[Neighbour], now: Instant) -> list[str]:
    """Give a line for each neighbour: `10.0.0.2 dev tap0 lladdr 02:… REACHABLE expires 27.3s`."""
    return [describe(device, each) + _time_left(each, now) for each in neighbours]


def describe(device: str, neighbour: Neighbour) -> str:
    """Give a neighbour as `ip neigh` has it."""
    mac = "" if neighbour.mac is None else f"lladdr {format_mac(neighbour.mac)} "
    return f"{format_ipv4(neighbour.address)} dev {device} {mac}{neighbour.state.name}"


def _time_left(neighbour: Neighbour, now: Instant) -> str:
    left = neighbour.time_left(now)
    return "" if left is None else f" expires {left / SECOND:.1f}s"


COMMAND = Command("arpcache", "", "show the neighbours and how well they are known", run)
