"""`ss`: the sockets, as iproute2's ss shows them."""

from argparse import Namespace
from collections import Counter
from collections.abc import Sequence

from tapstack.base.units import Instant
from tapstack.shell.command import Command, CommandParser, Context
from tapstack.shell.ss_rows import Selection, rows
from tapstack.shell.ss_table import Row, render
from tapstack.stack import Stack


def run(context: Context, words: list[str]) -> int:
    """Print the sockets."""
    given = make_parser().parse_args(words)
    stack = context.runtime.stack
    if given.summary:
        context.say(context.runtime.call(summarize, stack))
        return 0
    lines = show(context.runtime.call(rows_for, stack, given), given)
    if lines:
        context.say("\n".join(lines))
    return 0


def rows_for(stack: Stack, given: Namespace, *, now: Instant) -> list[Row]:
    """Give the sockets that the options ask for."""
    selection = Selection(
        tcp=given.tcp or not given.udp,
        udp=given.udp or not given.tcp,
        connected=given.all or not given.listening,
        listening=given.all or given.listening,
        everything=given.all,
        timers=given.timers,
        insides=given.insides,
        memory=given.memory,
        sequence=given.sequence,
    )
    return rows(stack, selection, now=now)


def show(found: Sequence[Row], given: Namespace) -> list[str]:
    """Lay out sockets as the options ask for it."""
    only_one = given.tcp != given.udp
    return render(
        found,
        header=not given.no_header,
        netid=not only_one,
        # Connected UDP sockets can only be in one state: ss leaves the column out, too.
        state=not (only_one and given.udp) or given.all or given.listening,
        one_line=given.one_line,
    )


def make_parser() -> CommandParser:
    """Describe the options."""
    parser = CommandParser(prog="ss", description="Show the sockets.")
    for flag, name, explanation in (
        ("-t", "tcp", "those of TCP"),
        ("-u", "udp", "those of UDP"),
        ("-l", "listening", "those that listen, rather than those that are connected"),
        ("-a", "all", "all of them, in whatever state"),
        ("-n", "numeric", "numbers rather than names, which is so anyway"),
        ("-o", "timers", "the timer that runs, its time left, and how often it expired"),
        ("-i", "insides", "round-trip time, congestion window and so on"),
        ("-e", "sequence", "the sequence variables under RFC 9293's names"),
        ("-m", "memory", "octets in the buffers, and their sizes"),
        ("-O", "one_line", "a line for each, however long"),
        ("-H", "no_header", "no header"),
        ("-s", "summary", "only the counts"),
    ):
        parser.add_argument(flag, dest=name, action="store_true", help=explanation)
    return parser


def summarize(stack: Stack, *, now: Instant) -> str:  # noqa: ARG001
    """Count the sockets, as `ss -s` does."""
    states = Counter(tcb.state.name for tcb in stack.tcp.connections)
    orphaned = sum(tcb.orphaned and tcb.state.name != "TIME_WAIT" for tcb in stack.tcp.connections)
    waiting = states["TIME_WAIT"]
    tcp = sum(states.values()) + len(list(stack.tcp.listeners))
    udp = len(list(stack.udp.sockets()))
    raw = sum(map(len, stack.ip.raw.by_protocol.values()))
    fragments = len(stack.ip.reassembler)
    lines = [
        f"Total: {tcp - waiting + udp + raw}",
        f"TCP:   {tcp} (estab {states['ESTABLISHED']}, closed {waiting}, "
        f"orphaned {orphaned}, timewait {waiting})",
        "",
        "Transport Total     IP        IPv6",
    ]
    counts = {"RAW": raw, "UDP": udp, "TCP": tcp - waiting}
    counts |= {"INET": sum(counts.values()), "FRAG": fragments}
    lines += [f"{name}\t  {count:<9} {count:<9} {0:<9}" for name, count in counts.items()]
    return "\n".join(line.rstrip() for line in lines)


COMMAND = Command("ss", "[-aeHilmnOostu]", "show the sockets", run)
