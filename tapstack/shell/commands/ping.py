"""`ping`: echo requests, as iputils shows their answers."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tapstack.base.address import Ipv4Address, format_ipv4, parse_ipv4
from tapstack.base.units import MILLISECOND, SECOND, Instant
from tapstack.shell.command import (
    Command,
    CommandParser,
    Context,
    argument,
    number,
    seconds,
)
from tapstack.shell.ping import Ping, Plan
from tapstack.stack import Stack

if TYPE_CHECKING:
    from tapstack.runtime.runtime import Runtime

MAX_SIZE = 65507
"""Octets of data in the largest datagram: 65535 less the headers of IP and ICMP."""
MIN_INTERVAL = 2 * MILLISECOND
"""As iputils allows a user: faster than this is a flood, which -f asks for."""
_DISCOVERY = {"dont": 0, "want": 1, "do": 2}  # <linux/in.h>: IP_PMTUDISC_*


def run(context: Context, words: list[str]) -> int:
    """Ping; 0: somebody answered, 1: nobody, 2: it cannot be done. Raises: UsageError."""
    plan = parse_plan(words)
    runtime = context.runtime

    def path_mtu() -> int:
        return runtime.call(_path_mtu, runtime.stack, plan.destination)

    return Ping(
        plan, context.open_socket, path_mtu, context.out, context.err, context.interrupt
    ).run()


def _path_mtu(stack: Stack, destination: Ipv4Address, *, now: Instant) -> int:  # noqa: ARG001
    return stack.ip.path_to(destination).mtu


def make_parser() -> CommandParser:
    """Describe the options."""
    parser = CommandParser(
        prog="ping",
        usage="ping [-Dfnq] [-c COUNT] [-i SECONDS] [-M do|want|dont] [-s SIZE] [-t TTL] "
        "[-w SECONDS] [-W SECONDS] ADDRESS",
        description="Ask a host to answer, and tell how long each answer took.",
    )
    add = parser.add_argument
    add("-c", dest="count", type=number(1, 2**31 - 1), help="end after as many answers")
    add("-i", dest="interval", type=seconds, default=1.0, help="seconds between two requests")
    add("-s", dest="size", type=number(0, MAX_SIZE), default=56, help="octets of data")
    add("-t", dest="ttl", type=number(1, 255), help="time to live")
    add("-w", dest="deadline", type=seconds, help="end after as many seconds in any case")
    add("-W", dest="linger", type=seconds, default=10.0, help="seconds to wait for an answer")
    add("-M", dest="discovery", choices=tuple(_DISCOVERY), help="do: fragment nothing")
    add("-q", dest="quiet", action="store_true", help="only the sums")
    add("-f", dest="flood", action="store_true", help="as fast as answers come")
    add("-D", dest="stamps", action="store_true", help="the time of day before each line")
    add("-n", action="store_true", help="resolve no names, which is so anyway")
    add("destination", metavar="ADDRESS", type=argument(parse_ipv4), help="such as 10.0.0.2")
    return parser


def parse_plan(words: list[str]) -> Plan:
    """Read the command line. Raises: UsageError."""
    given = make_parser().parse_args(words)
    return Plan(
        given.destination,
        count=given.count,
        interval=max(round(given.interval * SECOND), MIN_INTERVAL),
        linger=round(given.linger * SECOND),
        deadline=None if given.deadline is None else round(given.deadline * SECOND),
        size=given.size,
        ttl=given.ttl,
        discovery=None if given.discovery is None else _DISCOVERY[given.discovery],
        quiet=given.quiet,
        flood=given.flood,
        stamps=given.stamps,
    )


def complete(runtime: "Runtime", words: Sequence[str]) -> Iterable[str]:
    """Give the addresses that are known: neighbours', gateways', our own."""
    if words and words[-1].startswith("-") and words[-1][-1] in "cistwWM":
        return tuple(_DISCOVERY) if words[-1].endswith("M") else ()
    return known_addresses(runtime)


def known_addresses(runtime: "Runtime") -> list[str]:
    """List the addresses that the stack has met."""
    addresses = {route.gateway for route in runtime.stack.ip.routes if route.gateway}
    for interface in runtime.stack.interfaces.values():
        addresses.update(network.address for network in interface.networks)
        addresses.update(neighbour.address for neighbour in interface.neighbours or ())
    return [format_ipv4(address) for address in sorted(addresses)]


COMMAND = Command("ping", "[OPTIONS] ADDRESS", "ask a host to answer", run, complete)
