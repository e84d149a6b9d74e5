"""Takes what the host sent, in order, as what the script expects; and joins what was cut.

A device cuts what TCP hands it as one unit, and a script may mean the unit: segments are joined
until they are as long as what is expected. All but the last are of one size. The joined segment
has the header of its last piece, and the first one's sequence number and CWR.

Not done here: waiting for what has not been sent yet, and its time (the player).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from itertools import islice
from typing import NamedTuple

from tapstack.base.address import format_ipv4
from tapstack.base.errors import MalformedPacket
from tapstack.base.units import Instant
from tapstack.drill.contract import Addresses, Captured
from tapstack.drill.language.syntax import Direction, IcmpMessage, IpInfo, Packet, TcpSegment
from tapstack.drill.reports.failure import Difference
from tapstack.drill.settings import Settings
from tapstack.drill.wire.comparing import compare
from tapstack.drill.wire.conversation import Conversation
from tapstack.drill.wire.conversations import Conversations
from tapstack.drill.wire.notation import format_packet
from tapstack.drill.wire.numbering import Numbering
from tapstack.drill.wire.packets import ECN_WORDS, check_packet, letters
from tapstack.drill.wire.reading import Reading, read


class Verdict(Enum):
    """How a comparison came out."""

    MATCHED = "matched"
    WAITING = "waiting"
    """Nothing was sent yet, or only the front of it: more may come."""
    DIFFERS = "differs"


class Outcome(NamedTuple):
    """What became of an expected packet."""

    verdict: Verdict
    pieces: tuple[Captured, ...] = ()
    """What was sent: taken, unless more is waited for."""
    differences: tuple[Difference, ...] = ()
    actual: str = ""
    """What was sent, joined, in the script's notation."""

    @property
    def time(self) -> Instant:
        """When it was sent: the last piece of it."""
        return self.pieces[-1].time

    @property
    def why(self) -> str:
        """Why it was sent, where the host tells."""
        return self.pieces[0].why if self.pieces else ""


class _Gathered(NamedTuple):
    """What was sent and may be what is expected, or its front."""

    pieces: tuple[Captured, ...]
    readings: tuple[Reading, ...]
    is_over: bool
    """Whether nothing that is sent later belongs to it."""

    def front(self, count: int) -> Reading:
        """Join so many pieces."""
        return join(self.readings[:count])

    @property
    def whole(self) -> Reading:
        """All pieces, joined."""
        return join(self.readings)


class Matcher:
    """The packets of one run of a script: those that it injects, and those that it expects."""

    def __init__(self, addresses: Addresses, settings: Settings) -> None:
        self.conversations = Conversations(addresses, settings)
        self._settings = settings

    def check(self, packet: Packet) -> None:
        """Look at a packet before the script is played. Raises: ScriptError, UnsupportedError."""
        check_packet(packet)

    def inject(self, packet: Packet) -> bytes:
        """Give the datagram of a packet that is injected now. Raises: ScriptError."""
        conversation = self.conversations.of_injected(packet)
        octets = conversation.build(packet)
        conversation.note_injected(packet)
        return octets

    def take(self, expected: Packet, captured: deque[Captured]) -> Outcome:
        """Take what was sent as what is expected; what is none of the script's is passed over.

        Matching or not, what was compared is gone from `captured`, and the conversation has learnt
        from it; while more is waited for, nothing of it has.
        """
        try:
            first = self._pass_over(expected, captured)
        except MalformedPacket as malformed:
            differences = (Difference("datagram", "well formed", str(malformed)),)
            return Outcome(Verdict.DIFFERS, (captured.popleft(),), differences, "malformed")
        if first is None:
            return Outcome(Verdict.WAITING)
        reading, conversation = first
        gathered = self._gather(expected, reading, captured)
        outcome = self._judge(expected, gathered, conversation)
        if outcome.verdict is not Verdict.WAITING:
            self.conversations.begin(conversation)
            conversation.note_sent(expected, gathered.whole, gathered.pieces[-1].octets)
            for _ in gathered.pieces:
                captured.popleft()
        return outcome

    def describe(self, octets: bytes) -> str:
        """Render a datagram that the host sent, in the script's notation and numbers."""
        try:
            reading = read(octets)
        except MalformedPacket as malformed:
            return f"malformed: {malformed}"
        conversation = self.conversations.of_sent(reading, None)
        numbering = conversation.numbering if conversation else None
        return _render(reading, numbering, conversation, None)

    def resets(self) -> list[bytes]:
        """Give the segments that end every connection at once."""
        resets = (conversation.build_reset() for conversation in self.conversations)
        return [reset for reset in resets if reset is not None]

    # --- judging ---

    def _judge(self, expected: Packet, gathered: _Gathered, conversation: Conversation) -> Outcome:
        numbering = conversation.numbering_with(expected, gathered.whole)
        differences = self._other_conversation(expected, conversation)
        if not differences:
            differences = self._compare(expected, gathered, numbering)
        verdict = Verdict.DIFFERS if differences else Verdict.WAITING
        if not differences and gathered.is_over:
            verdict = Verdict.MATCHED
        actual = _render(gathered.whole, numbering, conversation, expected.ip)
        return Outcome(verdict, gathered.pieces, tuple(differences), actual)

    def _compare(
        self, expected: Packet, gathered: _Gathered, numbering: Numbering
    ) -> list[Difference]:
        """Tell in what the first wrong piece differs, or the whole does."""
        pieces = len(gathered.pieces)
        for count in range(1, pieces + (not gathered.is_over)):
            front = gathered.front(count)
            found = compare(expected, front, numbering, self._settings, as_piece=True)
            if found:
                return found
        if not gathered.is_over:
            return []
        return compare(expected, gathered.whole, numbering, self._settings)

    def _other_conversation(self, expected: Packet, conversation: Conversation) -> list[Difference]:
        """Tell that the host spoke in a conversation other than the one expected."""
        wanted = self.conversations.of_expected(expected)
        if wanted is conversation or conversation not in self.conversations:
            return []
        return [Difference("ports", _ends(wanted), _ends(conversation))]

    # --- joining ---

    def _pass_over(
        self, expected: Packet, captured: deque[Captured]
    ) -> tuple[Reading, Conversation] | None:
        """Drop what is none of the script's, up to what is. Raises: MalformedPacket."""
        while captured:
            if _is_ipv4(captured[0].octets):
                reading = read(captured[0].octets)
                conversation = self.conversations.of_sent(reading, expected)
                if conversation:
                    return reading, conversation
            captured.popleft()
        return None

    def _gather(self, expected: Packet, first: Reading, captured: deque[Captured]) -> _Gathered:
        """Collect the pieces that may be what is expected, `first` being the first of all."""
        readings = [first]
        while self._is_front(expected, readings):
            if len(readings) == len(captured):
                return _Gathered(tuple(captured), tuple(readings), is_over=False)
            following = _read_piece(captured[len(readings)].octets)
            if following is None or not _continues(readings, following):
                break
            readings.append(following)
        return _Gathered(tuple(islice(captured, len(readings))), tuple(readings), is_over=True)

    def _is_front(self, expected: Packet, readings: list[Reading]) -> bool:
        """Tell whether the pieces can be the front of what is expected, and not all of it."""
        segment = readings[-1].payload
        if self._settings.strict_segments or not isinstance(segment, TcpSegment):
            return False
        if not isinstance(expected.payload, TcpSegment) or not segment.length:
            return False
        return _length(readings) < expected.payload.length


def _is_ipv4(octets: bytes) -> bool:
    return octets[:1] >= b"\x40" and octets[:1] < b"\x50"


def _read_piece(octets: bytes) -> Reading | None:
    """Read what may be one more piece; what is malformed is none."""
    try:
        return read(octets)
    except MalformedPacket:
        return None


def _length(readings: Sequence[Reading]) -> int:
    """Count the octets of text of all."""
    return sum(each.payload.length for each in readings if isinstance(each.payload, TcpSegment))


def _continues(readings: Sequence[Reading], reading: Reading) -> bool:
    """Tell whether a datagram may be the next piece: what it follows is as long as the first."""
    first, last = readings[0].payload, readings[-1].payload
    segment = reading.payload
    if not (isinstance(first, TcpSegment) and isinstance(last, TcpSegment)):
        return False
    if not isinstance(segment, TcpSegment) or not segment.length:
        return False
    ends = reading.source, reading.destination
    follows = ends == (readings[0].source, readings[0].destination) and segment.seq == last.end
    return follows and last.length == first.length


def join(readings: Sequence[Reading]) -> Reading:
    """Make one segment of pieces: the last one's header, the first one's seq and CWR."""
    first, last = readings[0].payload, readings[-1].payload
    if len(readings) == 1 or not isinstance(first, TcpSegment) or not isinstance(last, TcpSegment):
        return readings[0]
    flags = last.flags.replace("W", "") + ("W" if "W" in first.flags else "")
    joined = last._replace(seq=first.seq, flags=letters(flags), length=_length(readings))
    faults = next((each.faults for each in readings if each.faults), ())
    return readings[-1]._replace(payload=joined, faults=faults)


def _render(
    reading: Reading,
    numbering: Numbering | None,
    conversation: Conversation | None,
    wanted: IpInfo | None,
) -> str:
    """Render a datagram that was sent, with what of the IP header was asked for, and its ECN."""
    if reading.payload is None:
        ends = f"{format_ipv4(reading.source.address)} > {format_ipv4(reading.destination.address)}"
        return f"protocol {reading.protocol}, {ends}"
    payload = numbering.to_script(reading.payload, Direction.OUT) if numbering else reading.payload
    if conversation and not isinstance(payload, IcmpMessage):
        payload = payload._replace(ports=conversation.script_ports)
    return format_packet(_shown(reading.ip, wanted), payload)


def _shown(ip: IpInfo, wanted: IpInfo | None) -> IpInfo:
    """Keep what a script asked for, and the ECN field where it says something."""
    asked = wanted or IpInfo(ip.position, None, None, None, None)
    says_ecn = ip.ecn != ECN_WORDS[0] and asked.tos is None
    return ip._replace(
        ecn=ip.ecn if says_ecn or asked.ecn is not None else None,
        tos=None if asked.tos is None else ip.tos,
        ttl=None if asked.ttl is None else ip.ttl,
    )


def _ends(conversation: Conversation | None) -> str:
    return f"{conversation.local} > {conversation.remote}" if conversation else "none yet"
