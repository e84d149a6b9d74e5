"""`ss`: the sockets, as iproute2's ss shows them."""

from argparse import Namespace, RawDescriptionHelpFormatter
from collections import Counter
from collections.abc import Sequence

from tapstack.base.units import Instant
from tapstack.shell.command import Command, CommandParser, Context
from tapstack.shell.ss_filters import Filter, read_filter
from tapstack.shell.ss_rows import Selection, rows
from tapstack.shell.ss_table import Row, render
from tapstack.stack import Stack

_DESCRIPTION = """\
Show the sockets. A filter chooses among them, as in iproute2:

  ss -t state established
  ss -ltn sport = :80
  ss dst 10.0.0.0/24
  ss -t exclude time-wait '( sport = :80 or dport gt :1024 )'"""


def run(context: Context, words: list[str]) -> int:
    """Print the sockets. Raises: UsageError."""
    given = make_parser().parse_intermixed_args(words)
    wanted = read_filter(given.filter)
    stack = context.runtime.stack
    if given.summary:
        context.say(context.runtime.call(summarize, stack))
        return 0
    lines = show(context.runtime.call(rows_for, stack, given, wanted), given, wanted)
    if lines:
        context.say("\n".join(lines))
    return 0


def rows_for(stack: Stack, given: Namespace, wanted: Filter, *, now: Instant) -> list[Row]:
    """Give the sockets that the options and the filter ask for."""
    everything = given.all or wanted.states is not None
    selection = Selection(
        tcp=given.tcp or not given.udp,
        udp=given.udp or not given.tcp,
        connected=everything or not given.listening,
        listening=everything or given.listening,
        everything=everything,
        timers=given.timers,
        insides=given.insides,
        memory=given.memory,
        sequence=given.sequence,
    )
    return [row for row in rows(stack, selection, now=now) if wanted.takes(row)]


def show(found: Sequence[Row], given: Namespace, wanted: Filter) -> list[str]:
    """Lay out sockets as the options ask for it."""
    only_one = given.tcp != given.udp
    if wanted.states is None:
        # Connected UDP sockets can only be in one state.
        one_state = only_one and given.udp and not (given.all or given.listening)
    else:
        one_state = len(wanted.states) == 1
    return render(
        found,
        header=not given.no_header,
        netid=not only_one,
        state=not one_state,  # ss leaves the column out, too
        one_line=given.one_line,
    )


def make_parser() -> CommandParser:
    """Describe the options."""
    parser = CommandParser(
        prog="ss",
        usage="ss [-aeHilmnOopstu] [state STATE]... [FILTER]",
        description=_DESCRIPTION,
        formatter_class=RawDescriptionHelpFormatter,
    )
    for flag, word, name, explanation in (
        ("-t", "--tcp", "tcp", "those of TCP"),
        ("-u", "--udp", "udp", "those of UDP"),
        ("-l", "--listening", "listening", "those that listen, rather than the connected"),
        ("-a", "--all", "all", "all of them, in whatever state"),
        ("-n", "--numeric", "numeric", "numbers rather than names, which is so anyway"),
        ("-4", "--ipv4", "ipv4", "those of IPv4, which all are"),
        ("-p", "--processes", "processes", "their programs, which is this one for all: not shown"),
        ("-o", "--options", "timers", "the timer that runs, its time left, how often it expired"),
        ("-i", "--info", "insides", "round-trip time, congestion window and so on"),
        ("-e", "--extended", "sequence", "the sequence variables under RFC 9293's names"),
        ("-m", "--memory", "memory", "octets in the buffers, and their sizes"),
        ("-O", "--oneline", "one_line", "a line for each, however long"),
        ("-H", "--no-header", "no_header", "no header"),
        ("-s", "--summary", "summary", "only the counts"),
    ):
        parser.add_argument(flag, word, dest=name, action="store_true", help=explanation)
    parser.add_argument("filter", nargs="*", metavar="FILTER", help="as above")
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


COMMAND = Command("ss", "[-aeHilmnOopstu] [state STATE] [FILTER]", "show the sockets", run)
