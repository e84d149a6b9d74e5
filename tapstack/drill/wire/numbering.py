"""The numbers of a script and those on the wire: sequence numbers and timestamps, either way.

A script counts from 0, or from what its SYN says; a host draws its own. Segments with SYN have
absolute numbers in a script, all others count from the initial sequence number (ISN). What the
script's side chooses is live as written: only the host's numbers are another's.

Not done here: when the numbers are learnt (`conversation.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tapstack.drill.language.syntax import (
    Direction,
    IcmpMessage,
    TcpOption,
    TcpSegment,
    UdpDatagram,
)
from tapstack.tcp.seq import add, sub

Payload = TcpSegment | UdpDatagram | IcmpMessage


class SequenceMap(NamedTuple):
    """How one side's sequence numbers in the script become those on the wire."""

    script_isn: int = 0
    live_isn: int = 0

    def to_live(self, number: int, absolute: bool) -> int:
        """Translate a number of the script."""
        return add(number, self._offset(absolute))

    def to_script(self, number: int, absolute: bool) -> int:
        """Translate a number from the wire."""
        return sub(number, self._offset(absolute))

    def _offset(self, absolute: bool) -> int:
        return sub(self.live_isn, self.script_isn) if absolute else self.live_isn


AS_WRITTEN = SequenceMap()
"""While nothing is known of an ISN."""


class Stamp(NamedTuple):
    """The TS val of a segment that the host sent, in the script and on the wire."""

    script: int
    live: int


class StampMap:
    """The host's timestamps: what the script calls them, and what they were."""

    def __init__(self) -> None:
        self.first: Stamp | None = None
        self._live: dict[int, int] = {}
        self._script: dict[int, int] = {}

    def record(self, stamp: Stamp) -> None:
        """Learn what a TS val of the script was on the wire; the latest counts."""
        self.first = self.first or stamp
        self._live[stamp.script] = stamp.live
        self._script[stamp.live] = stamp.script

    def to_live(self, echo: int, *, scaled: bool) -> int:
        """Translate a TS ecr of the script; one that was never seen stays as written, or counts
        from the first that was seen, if all are in the script's ticks (`scaled`)."""
        if echo in self._live:
            return self._live[echo]
        if scaled and self.first:
            return add(self.first.live, sub(echo, self.first.script))
        return echo

    def to_script(self, value: int, first: Stamp | None) -> int:
        """Translate a TS val from the wire: it counts from the first one."""
        return add(first.script, sub(value, first.live)) if first else value

    def echo_to_script(self, echo: int) -> int:
        """Translate a TS ecr from the wire."""
        return self._script[echo] if echo in self._script else self.to_script(echo, self.first)


Translate = Callable[[SequenceMap, int, bool], int]
TranslateStamps = Callable[[Direction, int, int], "tuple[int, int]"]


class _Way(NamedTuple):
    """Which way numbers are translated."""

    number: Translate
    stamps: TranslateStamps


class Numbering(NamedTuple):
    """All the numbers of a conversation at one moment."""

    local: SequenceMap
    """Of the host that is tested."""
    remote: SequenceMap
    stamps: StampMap
    first_stamp: Stamp | None
    """What timestamps count from: may be ahead of what `stamps` has learnt."""
    ecr_scaled: bool

    def to_live(self, payload: Payload, direction: Direction) -> Payload:
        """Translate what the script has."""
        way = _Way(SequenceMap.to_live, self._stamps_to_live)
        return self._translate(payload, direction, way)

    def to_script(self, payload: Payload, direction: Direction) -> Payload:
        """Translate what was on the wire."""
        way = _Way(SequenceMap.to_script, self._stamps_to_script)
        return self._translate(payload, direction, way)

    def _stamps_to_live(self, direction: Direction, value: int, echo: int) -> tuple[int, int]:
        if direction is Direction.IN:
            return value, self.stamps.to_live(echo, scaled=self.ecr_scaled)
        return value, echo

    def _stamps_to_script(self, direction: Direction, value: int, echo: int) -> tuple[int, int]:
        if direction is Direction.IN:
            return value, self.stamps.echo_to_script(echo)
        return self.stamps.to_script(value, self.first_stamp), echo

    def _translate(self, payload: Payload, direction: Direction, way: _Way) -> Payload:
        if isinstance(payload, TcpSegment):
            return self._segment(payload, direction, way)
        if isinstance(payload, IcmpMessage) and payload.quoted and payload.quoted.kind == "tcp":
            # What is quoted went the other way.
            numbers = self.remote if direction is Direction.OUT else self.local
            seq = way.number(numbers, payload.quoted.seq, False)
            return payload._replace(quoted=payload.quoted._replace(seq=seq))
        return payload

    def _segment(self, segment: TcpSegment, direction: Direction, way: _Way) -> TcpSegment:
        sender, receiver = self.local, self.remote
        if direction is Direction.IN:
            sender, receiver = receiver, sender
        is_syn = "S" in segment.flags
        seq = way.number(sender, segment.seq, is_syn)
        ack = segment.ack
        if ack is not None and "." in segment.flags:
            ack = way.number(receiver, ack, is_syn)
        options = segment.options
        if options is not None:
            options = tuple(
                self._option(each, direction, receiver, is_syn, way) for each in options
            )
        return segment._replace(seq=seq, end=add(seq, segment.length), ack=ack, options=options)

    def _option(
        self,
        option: TcpOption,
        direction: Direction,
        receiver: SequenceMap,
        is_syn: bool,
        way: _Way,
    ) -> TcpOption:
        if option.kind == "sack":
            edges = tuple(way.number(receiver, edge, is_syn) for edge in option.numbers)
            return option._replace(numbers=edges)
        if option.kind == "TS":
            return option._replace(numbers=way.stamps(direction, *option.numbers))
        return option
