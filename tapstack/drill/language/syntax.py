"""What a script says: the tree that the parser makes, and every other part reads.

Times are integer µs. Nothing here knows what a word means, or does anything.

Not done here: reading text.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, TypeAlias

from tapstack.base.units import Duration

# --- where, and what is wrong there ---------------------------------------------------------------


class Position(NamedTuple):
    """A place in a script; both count from 1."""

    line: int
    column: int


class ScriptError(Exception):
    """The script cannot be read or makes no sense: a user's mistake, with its place."""

    def __init__(self, message: str, position: Position) -> None:
        super().__init__(message)
        self.message = message
        """One clear sentence."""
        self.position = position


class UnsupportedError(Exception):
    """The script asks for what this stack does not have: it neither passes nor fails."""

    def __init__(self, construct: str, position: Position) -> None:
        super().__init__(construct)
        self.construct = construct
        """What it asks for, as users call it: `MSG_ZEROCOPY`, `ip_version=ipv6`."""
        self.position = position


# --- expressions: arguments, results, options -----------------------------------------------------


class Anything(NamedTuple):
    """`...`: any value, or one that does not matter."""

    position: Position


class Number(NamedTuple):
    """An integer, decimal or hexadecimal."""

    position: Position
    value: int


class Word(NamedTuple):
    """A name, such as AF_INET; or a flag's or a field's."""

    position: Position
    name: str


class Text(NamedTuple):
    """A string, with its escapes read; adjacent ones are one."""

    position: Position
    octets: bytes
    is_prefix: bool
    """`"abc"...`: anything that begins so."""


class Either(NamedTuple):
    """`a|b`: the bits of all."""

    position: Position
    terms: tuple[Expression, ...]


class Field(NamedTuple):
    """`name=value`, or `name(size)=value` in a struct."""

    position: Position
    name: str
    size: Expression | None
    value: Expression


class Items(NamedTuple):
    """`[a, b]`, an array, or `{a, b}`, a struct."""

    position: Position
    items: tuple[Expression, ...]
    is_struct: bool


class Applied(NamedTuple):
    """`htons(8080)`, `inet_addr("192.0.2.1")`."""

    position: Position
    function: str
    arguments: tuple[Expression, ...]


Expression: TypeAlias = "Anything | Number | Word | Text | Either | Field | Items | Applied"


# --- time -----------------------------------------------------------------------------------------


class Base(Enum):
    """What an event's time counts from."""

    START = "start of the script"
    PREVIOUS = "previous event"
    ANY = "any time"
    """`*`: whenever it comes."""


class Time(NamedTuple):
    """When an event is to happen."""

    position: Position
    base: Base
    earliest: Duration
    """µs from the base."""
    latest: Duration | None
    """`T~T`: anywhere between the two. None: at `earliest`."""
    end: Duration | None
    """`T...T`, of a system call that blocks: when it is to return, from the same base."""


# --- packets --------------------------------------------------------------------------------------


class Direction(Enum):
    """Which way a packet goes, as seen by the stack."""

    IN = "<"
    """Injected: the script plays the remote host."""
    OUT = ">"
    """Expected: the stack is to send it."""


class IpInfo(NamedTuple):
    """`[ect0]`, `(tos 0x10, ttl 64)`: what the IP header is to say. None: not said."""

    position: Position
    ecn: str | None
    """noecn, ect0, ect1, ce; of what is expected also ect01, either."""
    tos: int | None
    ttl: int | None
    flow_label: int | None


class Encapsulation(NamedTuple):
    """A header in front of the packet: ipv4, ipv6, gre, mpls; as it was written."""

    position: Position
    kind: str
    text: str


class Ports(NamedTuple):
    """`8080 > 53055`: the ports of the sender and of the receiver."""

    source: int
    destination: int


class TcpOption(NamedTuple):
    """One TCP option, in the order of the header.

    `kind` is the script's word: nop, eol, mss, wscale, sackOK, sack, TS, FO, FOEXP, md5, ECN.
    """

    position: Position
    kind: str
    numbers: tuple[int, ...] = ()
    """mss N; wscale N; TS val, ecr; sack a:b c:d as (a, b, c, d)."""
    octets: bytes = b""
    """FO, FOEXP and md5: what follows the kind, the length (and the magic)."""
    fields: tuple[tuple[str, int], ...] = ()
    """ECN: e0b, ceb, e1b, in their order."""


class TcpSegment(NamedTuple):
    """`FP. 1:11(10) ack 1 win 257 <nop,nop,TS val 1 ecr 2>`."""

    position: Position
    ports: Ports | None
    flags: str
    """The letters FSRPEWAU, and `.` for ACK; empty for `-`."""
    ace: int | None
    """The AccECN count, 0 to 7, where one is written behind the flags."""
    seq: int
    end: int
    length: int
    """Octets of text."""
    ack: int | None
    window: int | None
    urgent: int | None
    options: tuple[TcpOption, ...] | None
    """None: `<...>`, any options. (): none."""


class UdpDatagram(NamedTuple):
    """`udp (1000)`."""

    position: Position
    ports: Ports | None
    length: int
    """Octets of the payload."""


class IcmpMessage(NamedTuple):
    """`icmp unreachable frag_needed mtu 1200 [1:1461(1460)]`."""

    position: Position
    type: str
    code: str | None
    mtu: int | None
    id: int | None
    quoted: Quoted | None


class Quoted(NamedTuple):
    """What an ICMP error says that it is about, or an echo carries."""

    position: Position
    kind: str
    """tcp, udp, or raw."""
    seq: int
    """Of tcp."""
    length: int
    """Octets of TCP text, of UDP payload, or of raw octets."""


class Packet(NamedTuple):
    """A packet that is injected or expected."""

    position: Position
    direction: Direction
    ip: IpInfo | None
    encapsulations: tuple[Encapsulation, ...]
    payload: TcpSegment | UdpDatagram | IcmpMessage
    text: str
    """The packet as it was written, for reports."""


# --- the rest -------------------------------------------------------------------------------------


class Errno(NamedTuple):
    """`EAGAIN (Resource temporarily unavailable)`: the macro, a known one; the text is free."""

    position: Position
    name: str


class SystemCall(NamedTuple):
    """`read(4, ..., 1000) = 1000`."""

    position: Position
    name: str
    arguments: tuple[Expression, ...]
    result: Expression
    errno: Errno | None
    text: str
    """The call as it was written, for reports."""


class Command(NamedTuple):
    """What stands in backticks."""

    position: Position
    text: str


class Code(NamedTuple):
    """What stands in %{ }%: Python."""

    position: Position
    """Of its first line."""
    text: str


class Event(NamedTuple):
    """Something that happens at a time."""

    position: Position
    time: Time
    action: Packet | SystemCall | Command | Code


class Option(NamedTuple):
    """`--tolerance_usecs=10000`."""

    position: Position
    name: str
    value: str | None


class Script(NamedTuple):
    """A whole script."""

    name: str
    """Where it comes from: a file's path."""
    text: str
    options: tuple[Option, ...]
    init: Command | None
    events: tuple[Event, ...]
    cleanup: Command | None
