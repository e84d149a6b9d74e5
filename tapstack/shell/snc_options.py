"""The options of snc: what the user wants, from the words of the command line.

There are two ways to say it: `-b ADDRESS:PORT` or `-c ADDRESS:PORT`, and netcat's `-l PORT` or
`ADDRESS PORT`.

Not done here: doing it (`snc_core.py`).
"""

from argparse import RawDescriptionHelpFormatter
from dataclasses import dataclass

from tapstack.base.address import (
    ANY_ENDPOINT,
    Endpoint,
    parse_endpoint,
    parse_ipv4,
    parse_port,
)
from tapstack.shell.command import CommandParser, UsageError, argument, seconds

USAGE = "snc [-dknNuvz] [-w SECONDS] [-s ADDRESS] [-p PORT] \
-b ADDRESS:PORT | -c ADDRESS:PORT | -l [ADDRESS] PORT | ADDRESS PORT[-PORT]"

EXAMPLES = """\
examples:
  snc -b 10.0.0.1:12345            listen; what a peer sends appears here, what you type there
  snc -c 10.0.0.2:12345            connect
  snc -u -c 10.0.0.2:12345         the same with UDP: each line is a datagram
  snc -N 10.0.0.2 12345 < file     send a file, and tell the peer where it ends
  snc -l 12345 > file              receive one
  snc -zv 10.0.0.2 20-25           see which ports are open

Names are never resolved. Where the peer ends the connection, what is already on our input is sent
before snc ends too; with -N, all of the input is.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user wants snc to do."""

    local: Endpoint
    """Where to listen, or what to call from."""
    remotes: tuple[Endpoint, ...]
    """Whom to call; empty: listen."""
    udp: bool = False
    keep_listening: bool = False
    verbose: bool = False
    debug: bool = False
    scan: bool = False
    """Only see who answers."""
    ends_own_half: bool = False
    """At the end of input, tell the peer: no more will come."""
    sends_all_input: bool = False
    """Send the whole input, even to a peer that has ended its half."""
    timeout: float | None = None
    """Seconds that connecting may take, or nothing cross before we give up; None: no limit."""


def make_parser() -> CommandParser:
    """Describe the options."""
    parser = CommandParser(
        prog="snc",
        usage=USAGE,
        description="Carry octets between here and a peer.",
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("-b", metavar="ADDRESS:PORT", dest="bind", type=argument(parse_endpoint),
        help="listen there; at the end of input, end our half of the connection")  # fmt: skip
    add("-c", metavar="ADDRESS:PORT", dest="call", type=argument(parse_endpoint),
        help="connect there")  # fmt: skip
    add("-l", dest="listen", action="store_true", help="listen, as netcat does")
    add("-u", dest="udp", action="store_true", help="UDP rather than TCP")
    add("-k", dest="keep", action="store_true", help="listen again after a connection has ended")
    add("-N", dest="half_close", action="store_true",
        help="at the end of input, end our half of the connection")  # fmt: skip
    add("-z", dest="scan", action="store_true", help="only see who answers, and send nothing")
    add("-w", metavar="SECONDS", dest="timeout", type=seconds,
        help="give up when connecting takes as long, or nothing crosses for as long")  # fmt: skip
    add("-s", metavar="ADDRESS", dest="source", type=argument(parse_ipv4), help="our address")
    add("-p", metavar="PORT", dest="port", type=argument(parse_port), help="our port")
    add("-v", dest="verbose", action="store_true", help="tell of connections as they come")
    add("-d", dest="debug", action="store_true",
        help="tell of each segment and change of state")  # fmt: skip
    add("-n", action="store_true", help="resolve no names, which is so anyway")
    add("words", nargs="*", metavar="ADDRESS PORT", help="where to connect, or with -l to listen")
    return parser


def parse_plan(arguments: list[str]) -> Plan:
    """Read the command line. Raises: UsageError with one sentence; SystemExit after -h."""
    given = make_parser().parse_intermixed_args(arguments)
    ways = [way for way in (given.bind, given.call, given.listen, given.words) if way]
    if given.listen and given.words:
        ways.remove(given.words)
    if not ways:
        raise UsageError("snc: where to? Give -b or -c ADDRESS:PORT, -l PORT, or ADDRESS PORT")
    if len(ways) > 1:
        raise UsageError("snc: one of -b, -c, -l and ADDRESS PORT, not several")
    if given.listen and not given.words and given.port is None:
        raise UsageError("snc: -l needs a port: -l [ADDRESS] PORT")
    listens = bool(given.bind or given.listen)
    if listens and given.scan:
        raise UsageError("snc: -z connects, and cannot be used with -l or -b")
    if given.keep and not listens:
        raise UsageError("snc: -k listens again, and is used with -l or -b")
    try:
        local, remotes = _endpoints(given.bind, given.call, given.listen, given.words)
    except ValueError as error:
        raise UsageError(f"snc: {error}") from None
    if remotes:
        local = Endpoint(given.source or 0, given.port or 0)
    elif given.listen:
        local = Endpoint(given.source or local.address, given.port or local.port)
    return Plan(
        local,
        remotes,
        udp=given.udp,
        keep_listening=given.keep,
        verbose=given.verbose,
        debug=given.debug,
        scan=given.scan,
        ends_own_half=given.half_close or bool(given.bind),
        sends_all_input=given.half_close,
        timeout=given.timeout or None,
    )


def _endpoints(
    bind: Endpoint | None, call: Endpoint | None, listen: bool, words: list[str]
) -> tuple[Endpoint, tuple[Endpoint, ...]]:
    """Give where to listen, or else whom to call. Raises: ValueError with one sentence."""
    if bind:
        return bind, ()
    if call:
        return ANY_ENDPOINT, (call,)
    if len(words) > 2:
        raise ValueError(f"'{words[2]}' is one word too many")
    if listen:
        *address, port = words or ["0"]
        return Endpoint(parse_ipv4(address[0]) if address else 0, parse_port(port)), ()
    if len(words) == 1:
        raise ValueError("a port is missing behind the address")
    address_, ports = parse_ipv4(words[0]), _parse_ports(words[1])
    return ANY_ENDPOINT, tuple(Endpoint(address_, port) for port in ports)


def _parse_ports(text: str) -> range:
    """Read `80` or `20-25`. Raises: ValueError."""
    first, dash, last = text.partition("-")
    low = parse_port(first)
    high = parse_port(last) if dash else low
    if high < low:
        raise ValueError(f"'{text}' is not a range of ports such as 20-25")
    return range(low, high + 1)
