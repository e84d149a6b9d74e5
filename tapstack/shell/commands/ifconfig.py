"""`ifconfig`: the interfaces with their addresses and counters, as `ip -s address` shows them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tapstack.base.address import MAC_BROADCAST, MAC_ZERO, format_mac
from tapstack.base.units import Instant
from tapstack.interface import NetworkInterface
from tapstack.shell.command import Command, CommandParser, Context, UsageError
from tapstack.stack import Stack

if TYPE_CHECKING:
    from tapstack.runtime.runtime import Runtime

_COUNTERS = ("bytes", "packets", "dropped")
_WIDTH = 12


def run(context: Context, words: list[str]) -> int:
    """Print the interfaces. Raises: UsageError."""
    parser = CommandParser(
        prog="ifconfig", description="Show the interfaces: addresses, MTU, and what went through."
    )
    parser.add_argument("-a", action="store_true", help="all of them, which is so anyway")
    parser.add_argument("name", nargs="?", metavar="NAME", default="", help="this one alone")
    name = parser.parse_args(words).name
    context.say(context.runtime.call(describe_interfaces, context.runtime.stack, name))
    return 0


def describe_interfaces(stack: Stack, name: str, *, now: Instant) -> str:  # noqa: ARG001
    """Give the block of each interface: link, addresses, counters. Raises: UsageError."""
    return "\n".join(
        line
        for index, interface in select_interfaces(stack, "ifconfig", name)
        for line in (
            *link_lines(index, interface),
            *address_lines(interface),
            *counter_lines(interface),
        )
    )


def select_interfaces(
    stack: Stack, command: str, name: str
) -> Iterable[tuple[int, NetworkInterface]]:
    """Give the interface of a name, or all without one, by their numbers. Raises: UsageError."""
    if name and name not in stack.interfaces:
        raise UsageError(f"{command}: there is no device {name}")
    return [
        (index, interface)
        for index, interface in enumerate(stack.interfaces.values(), 1)
        if name in ("", interface.name)
    ]


def flags_of(interface: NetworkInterface) -> str:
    """Give what `ip` writes between angle brackets."""
    return f"{'LOOPBACK' if interface.is_loopback() else 'BROADCAST,MULTICAST'},UP,LOWER_UP"


def state_of(interface: NetworkInterface) -> str:
    """Give its operational state."""
    return "UNKNOWN" if interface.is_loopback() else "UP"  # as Linux: the loopback has no carrier


def link_lines(index: int, interface: NetworkInterface, mode: str = "") -> Iterator[str]:
    """Give the two lines of the link."""
    local = interface.is_loopback()
    broadcast = MAC_ZERO if local else MAC_BROADCAST
    kind = "loopback" if local else "ether"
    yield (
        f"{index}: {interface.name}: <{flags_of(interface)}> mtu {interface.mtu} qdisc noqueue "
        f"state {state_of(interface)}{mode} group default qlen 1000"
    )
    yield f"    link/{kind} {format_mac(interface.mac)} brd {format_mac(broadcast)}"


def address_lines(interface: NetworkInterface) -> Iterator[str]:
    """Give a line for each address."""
    scope = "host" if interface.is_loopback() else "global"
    for network in interface.networks:
        yield f"    inet {network} scope {scope} {interface.name}"


def counter_lines(interface: NetworkInterface) -> Iterator[str]:
    """Give what went through, both ways."""
    statistics = interface.statistics
    received = (statistics.rx_bytes, statistics.rx_packets, statistics.rx_dropped)
    sent = (statistics.tx_bytes, statistics.tx_packets, statistics.tx_dropped)
    for direction, values in (("RX", received), ("TX", sent)):
        yield f"    {direction}:" + "".join(f"{name:>{_WIDTH}}" for name in _COUNTERS)
        yield "       " + "".join(f"{value:>{_WIDTH}}" for value in values)


def complete(runtime: "Runtime", words: Sequence[str]) -> Iterable[str]:
    """Give what may follow: an interface's name."""
    return () if words else runtime.stack.interfaces


COMMAND = Command("ifconfig", "[NAME]", "show the interfaces", run, complete)
