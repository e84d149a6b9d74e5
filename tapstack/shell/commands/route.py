"""`route`: the routing table as `ip route` shows it, and changes to it."""

from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapstack.base.address import (
    IPV4_ANY,
    Ipv4Address,
    Network,
    format_ipv4,
    parse_ipv4,
    parse_network,
)
from tapstack.base.units import Instant
from tapstack.interface import NetworkInterface
from tapstack.ip.routing import DEFAULT, Route
from tapstack.shell.command import Command, CommandParser, Context, UsageError
from tapstack.stack import Stack

if TYPE_CHECKING:
    from tapstack.runtime.runtime import Runtime

DESCRIPTION = """\
Show the routing table, or change it:

  route
  route add NETWORK/LENGTH via GATEWAY [metric NUMBER]
  route add NETWORK/LENGTH dev DEVICE [metric NUMBER]
  route del NETWORK/LENGTH [metric NUMBER]

'default' stands for 0.0.0.0/0, and an address without a length for that host alone."""


@dataclass(slots=True)
class Wish:
    """What the user says of a route."""

    network: Network
    gateway: Ipv4Address = IPV4_ANY
    device: str = ""
    metric: int = 0


def run(context: Context, words: list[str]) -> int:
    """Show or change the table. Raises: UsageError."""
    parser = CommandParser(
        prog="route",
        usage="route [add|del NETWORK/LENGTH ...]",
        description=DESCRIPTION,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="as above")
    words = parser.parse_args(words).words
    runtime = context.runtime
    if not words:
        context.say("\n".join(runtime.call(describe_routes, runtime.stack)))
    elif words[0] == "add":
        runtime.call(add, runtime.stack, parse_wish(words[1:]))
    elif words[0] == "del":
        runtime.call(remove, runtime.stack, parse_wish(words[1:]))
    else:
        raise UsageError(f"route: '{words[0]}' is neither add nor del")
    return 0


def describe_routes(stack: Stack, *, now: Instant) -> list[str]:  # noqa: ARG001
    """Give a line for each route."""
    return [str(route) for route in stack.ip.routes]


def add(stack: Stack, wish: Wish, *, now: Instant) -> None:  # noqa: ARG001
    """Add a route. Raises: UsageError."""
    interface = _interface_for(stack, wish)
    try:
        stack.ip.routes.add(Route(wish.network, interface, wish.gateway, metric=wish.metric))
    except FileExistsError:
        raise UsageError(f"route: there is a route to {_name(wish.network)} already") from None
    except OSError as error:
        raise UsageError(f"route: {error.strerror}") from None


def remove(stack: Stack, wish: Wish, *, now: Instant) -> None:  # noqa: ARG001
    """Remove the first route that the wish describes. Raises: UsageError."""
    for route in stack.ip.routes:
        if (
            route.network == wish.network
            and wish.gateway in (IPV4_ANY, route.gateway)
            and wish.device in ("", route.interface.name)
            and wish.metric in (0, route.metric)
        ):
            stack.ip.routes.remove(route)
            return
    raise UsageError(f"route: there is no such route to {_name(wish.network)}")


def _interface_for(stack: Stack, wish: Wish) -> NetworkInterface:
    if wish.device:
        if wish.device not in stack.interfaces:
            raise UsageError(f"route: there is no device {wish.device}")
        return stack.interfaces[wish.device]
    if not wish.gateway:
        raise UsageError("route: where to? Give via GATEWAY or dev DEVICE")
    for interface in stack.interfaces.values():
        if any(wish.gateway in network for network in interface.networks):
            return interface
    raise UsageError(f"route: the gateway {format_ipv4(wish.gateway)} is no neighbour of ours")


def parse_wish(words: Sequence[str]) -> Wish:
    """Read `NETWORK/LENGTH [via GATEWAY] [dev DEVICE] [metric NUMBER]`. Raises: UsageError."""
    if not words:
        raise UsageError("route: to which network? Give NETWORK/LENGTH or default")
    try:
        wish = Wish(_parse_destination(words[0]))
        pairs = list(words[1:])
        while pairs:
            if len(pairs) == 1:
                raise ValueError(f"nothing follows '{pairs[0]}'")
            _apply(wish, pairs.pop(0), pairs.pop(0))
    except ValueError as error:
        raise UsageError(f"route: {error}") from None
    return wish


def _apply(wish: Wish, word: str, value: str) -> None:
    if word == "via":
        wish.gateway = parse_ipv4(value)
        if not wish.gateway:
            raise ValueError(f"{value} is not another host's address")
    elif word == "dev":
        wish.device = value
    elif word == "metric" and value.isascii() and value.isdigit():
        wish.metric = int(value)
    else:
        raise ValueError(f"'{word} {value}' is none of via GATEWAY, dev DEVICE, metric NUMBER")


def _parse_destination(text: str) -> Network:
    if text == "default":
        return DEFAULT
    network = parse_network(text if "/" in text else f"{text}/32")
    if network.prefix != network.address:
        prefix = Network(network.prefix, network.prefix_length)
        raise ValueError(f"{text} has host bits: the network is {prefix}")
    return network


def _name(network: Network) -> str:
    return "default" if network == DEFAULT else str(network)


def complete(runtime: "Runtime", words: Sequence[str]) -> Iterable[str]:
    """Give what may follow: a verb, a network of the table, and then its words by turns."""
    if not words:
        return ("add", "del")
    if len(words) == 1:
        return [_name(route.network) for route in runtime.stack.ip.routes]
    if len(words) % 2 == 0:
        return ("via", "dev", "metric")
    return runtime.stack.interfaces if words[-1] == "dev" else ()


COMMAND = Command(
    "route", "[add|del NETWORK/LENGTH ...]", "show or change the routing table", run, complete
)
