"""`stat`: the counters in `netstat -s`'s words, what was dropped and why, and what lives."""

from collections import Counter
from collections.abc import Iterator, Mapping

from tapstack.base.counters import Counters
from tapstack.base.errors import Drop
from tapstack.base.units import Instant
from tapstack.shell.command import Command, CommandParser, Context
from tapstack.shell.statistics_words import ALWAYS, ICMP, ICMP_KINDS, IP, TCP, UDP
from tapstack.stack import Stack

_INDENT = " " * 4
_EXTENSIONS = ("TcpExt", "IpExt")
"""Sections whose counters go under their own names."""


def run(context: Context, words: list[str]) -> int:
    """Print the counters."""
    parser = CommandParser(
        prog="stat",
        description="Show the counters by protocol, the packets dropped by reason, and how many "
        "connections, sockets, timers and incomplete datagrams there are. Counters that are zero "
        "are left out, but for the usual ones.",
    )
    parser.parse_args(words)
    context.say(context.runtime.call(describe_stack, context.runtime.stack))
    return 0


def describe_stack(stack: Stack, *, now: Instant) -> str:  # noqa: ARG001
    """Give all sections."""
    forwarding = [f"{_INDENT}Forwarding: {1 if stack.ip.config.ip_forward else 2}"]
    lines = [*render_counters(stack.counters, forwarding), *render_drops(stack.counters)]
    return "\n".join([*lines, "Live:", *(_INDENT + line for line in count_live_objects(stack))])


def render_counters(counters: Counters, forwarding: list[str]) -> Iterator[str]:
    """Give the sections of `netstat -s`."""
    yield "Ip:"
    yield from forwarding
    yield from _sentences(counters, IP)
    yield "Icmp:"
    yield from _icmp(counters)
    yield "Tcp:"
    yield from _sentences(counters, TCP)
    yield "Udp:"
    yield from _sentences(counters, UDP)
    for section in _EXTENSIONS:
        yield f"{section}:"
        for name, count in counters.items():
            if name.startswith(section) and count:
                yield f"{_INDENT}{name.removeprefix(section)}: {count}"


def _sentences(counters: Counters, words: Mapping[str, str]) -> Iterator[str]:
    for name, sentence in words.items():
        if counters[name] or name in ALWAYS:
            yield _INDENT + sentence.format(counters[name])


def _icmp(counters: Counters) -> Iterator[str]:
    for direction, word in (("In", "input"), ("Out", "output")):
        prefix = f"Icmp{direction}"
        yield from _sentences(
            counters, {name: words for name, words in ICMP.items() if name.startswith(prefix)}
        )
        yield f"{_INDENT}ICMP {word} histogram:"
        for kind, sentence in ICMP_KINDS.items():
            if count := counters.get(prefix + kind, 0):
                yield _INDENT * 2 + sentence.format(count)


def render_drops(counters: Counters) -> Iterator[str]:
    """Give how often each reason to drop a packet was met."""
    yield "Dropped:"
    for reason in Drop:
        if count := counters.drops.get(reason, 0):
            yield f"{_INDENT}{reason.meaning}: {count}"


def count_live_objects(stack: Stack) -> Iterator[str]:
    """Give how many there are of everything that comes and goes."""
    connections = list(stack.tcp.connections)
    states = Counter(tcb.state.title for tcb in connections)
    by_state = ", ".join(f"{count} {title}" for title, count in sorted(states.items()))
    yield f"{len(connections)} TCP connections" + (f" ({by_state})" if states else "")
    out_of_order = [tcb.reassembly for tcb in connections if tcb.reassembly]
    octets = sum(queue.octets for queue in out_of_order)
    yield f"{len(out_of_order)} TCP reassembly queues ({octets} octets)"
    yield f"{len(list(stack.tcp.listeners))} TCP listeners"
    yield f"{len(list(stack.udp.sockets()))} UDP sockets"
    yield f"{sum(map(len, stack.ip.raw.by_protocol.values()))} raw sockets"
    yield f"{len(list(stack.timers.armed()))} timers"
    reassembler = stack.ip.reassembler
    yield f"{len(reassembler)} incomplete datagrams ({reassembler.octets} octets)"
    neighbours = [each.neighbours for each in stack.interfaces.values() if each.neighbours]
    yield f"{sum(map(len, neighbours))} neighbours"
    yield f"{len(list(stack.ip.routes))} routes"


COMMAND = Command("stat", "", "show counters, drops by reason, and live objects", run)
