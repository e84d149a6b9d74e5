"""`ifconfig`: the interfaces with their addresses and counters, as `ip -s address` shows them."""

from tapstack.base.address import MAC_BROADCAST, MAC_ZERO, format_mac
from tapstack.base.units import Instant
from tapstack.interface import NetworkInterface
from tapstack.shell.command import Command, CommandParser, Context
from tapstack.stack import Stack

_COUNTERS = ("bytes", "packets", "dropped")
_WIDTH = 12


def run(context: Context, words: list[str]) -> int:
    """Print the interfaces."""
    parser = CommandParser(
        prog="ifconfig", description="Show the interfaces: addresses, MTU, and what went through."
    )
    parser.parse_args(words)
    context.say(context.runtime.call(describe_interfaces, context.runtime.stack))
    return 0


def describe_interfaces(stack: Stack, *, now: Instant) -> str:  # noqa: ARG001
    """Give the block of each interface."""
    return "\n".join(
        render(index, interface) for index, interface in enumerate(stack.interfaces.values(), 1)
    )


def render(index: int, interface: NetworkInterface) -> str:
    """Give an interface's block: link, addresses, counters."""
    local = interface.is_loopback()
    flags = "LOOPBACK" if local else "BROADCAST,MULTICAST"
    broadcast = MAC_ZERO if local else MAC_BROADCAST
    kind = "loopback" if local else "ether"
    state = "UNKNOWN" if local else "UP"  # as Linux: the loopback has no carrier to speak of
    scope = "host" if local else "global"
    statistics = interface.statistics
    received = (statistics.rx_bytes, statistics.rx_packets, statistics.rx_dropped)
    sent = (statistics.tx_bytes, statistics.tx_packets, statistics.tx_dropped)
    return "\n".join(
        (
            f"{index}: {interface.name}: <{flags},UP,LOWER_UP> mtu {interface.mtu} qdisc noqueue "
            f"state {state} group default qlen 1000",
            f"    link/{kind} {format_mac(interface.mac)} brd {format_mac(broadcast)}",
            *(f"    inet {each} scope {scope} {interface.name}" for each in interface.networks),
            *_render_counters("RX", received),
            *_render_counters("TX", sent),
        )
    )


def _render_counters(direction: str, values: tuple[int, ...]) -> list[str]:
    names = "".join(f"{name:>{_WIDTH}}" for name in _COUNTERS)
    return [
        f"    {direction}:{names}",
        "       " + "".join(f"{value:>{_WIDTH}}" for value in values),
    ]


COMMAND = Command("ifconfig", "", "show the interfaces", run)
