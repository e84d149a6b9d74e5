"""One conversation of a script: its ends on the wire, and what its numbers are there.

What the script injects and what the host sends is noted as it happens; the numbers are learnt from
it. Asking what they would be after one more segment changes nothing.

Not done here: which conversation a packet belongs to (`conversations.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tapstack.base.address import Endpoint
from tapstack.drill.language.syntax import Direction, Packet, Ports, TcpSegment
from tapstack.drill.wire.numbering import AS_WRITTEN, Numbering, SequenceMap, Stamp, StampMap
from tapstack.drill.wire.packets import build, quote_of
from tapstack.drill.wire.reading import Reading
from tapstack.drill.wire.tcp_options import NOWHERE
from tapstack.tcp import wire as tcp_wire
from tapstack.tcp.seq import add


@dataclass(slots=True, eq=False)
class Conversation:
    """A TCP connection, a UDP socket and its peer, or ICMP between two hosts."""

    protocol: int
    local: Endpoint
    """The host's end, live."""
    remote: Endpoint
    """The script's end, live."""
    script_ports: Ports | None = None
    """The local and the remote port as the script writes them; None: it does not."""
    ecr_scaled: bool = False
    _local: SequenceMap = AS_WRITTEN
    _remote: SequenceMap | None = None
    _offered: SequenceMap | None = None
    """Of a SYN that was injected into a connection: the remote side's, should it begin anew."""
    _learns: bool = True
    """Whether a SYN of the host tells its ISN: until the handshake is over."""
    _stamps: StampMap = field(default_factory=StampMap)
    _sent: bytes = b""
    """The last datagram that the host sent."""
    _snd_nxt: int = 0
    """Behind the last number that the host sent: what a reset may acknowledge."""
    _rcv_nxt: int | None = None
    """What the host expects next: where a reset must stand."""

    # --- numbers ---

    @property
    def numbering(self) -> Numbering:
        """What the numbers are now."""
        remote = self._remote or AS_WRITTEN
        return Numbering(self._local, remote, self._stamps, self._stamps.first, self.ecr_scaled)

    def numbering_with(self, expected: Packet, reading: Reading) -> Numbering:
        """Tell what the numbers are if a datagram that was sent is the one expected."""
        numbering = self.numbering
        isn = self._isn_in(expected, reading)
        stamp = stamp_in(expected, reading)
        if isn:
            numbering = numbering._replace(local=isn)
        return numbering._replace(first_stamp=numbering.first_stamp or stamp)

    def _isn_in(self, expected: Packet, reading: Reading) -> SequenceMap | None:
        script, live = expected.payload, reading.payload
        if not (isinstance(script, TcpSegment) and isinstance(live, TcpSegment) and self._learns):
            return None
        is_syn = "S" in script.flags and "S" in live.flags
        return SequenceMap(script.seq, live.seq) if is_syn else None

    # --- what the script sends ---

    def build(self, packet: Packet) -> bytes:
        """Lay out a packet that is injected. Raises: ScriptError."""
        payload = self.numbering.to_live(packet.payload, Direction.IN)
        quote = quote_of(self._sent) if self._sent else b""
        return build(self.remote, self.local, packet.ip, payload, quote)

    def note_injected(self, packet: Packet) -> None:
        """Learn from a packet that is injected now."""
        live = self.numbering.to_live(packet.payload, Direction.IN)
        if not isinstance(live, TcpSegment):
            return
        if "S" in live.flags:
            self._offer(SequenceMap(live.seq, live.seq))
        self._learns = "." not in live.flags
        if live.seq == self._rcv_nxt or self._rcv_nxt is None:
            self._rcv_nxt = _end(live)

    def _offer(self, numbers: SequenceMap) -> None:
        if self._remote is None:
            self._remote = numbers
        self._offered = numbers

    # --- what the host sends ---

    def note_sent(self, expected: Packet, reading: Reading, octets: bytes) -> None:
        """Learn from a datagram that was sent when this one was expected."""
        if reading.protocol == self.protocol:
            self._sent = octets
        live = reading.payload
        if not isinstance(live, TcpSegment):
            return
        isn, stamp = self._isn_in(expected, reading), stamp_in(expected, reading)
        if stamp:
            self._stamps.record(stamp)
        if isn:
            self._local = isn
            if "." in live.flags:
                self._remote = self._offered or self._remote
        self._snd_nxt = _end(live)
        if live.ack is not None:
            self._rcv_nxt = live.ack

    # --- the end ---

    def build_reset(self) -> bytes | None:
        """Lay out a segment that ends a connection at once; None where there is none."""
        if self.protocol != tcp_wire.PROTOCOL_TCP:
            return None
        seq = self._rcv_nxt or 0
        segment = TcpSegment(NOWHERE, None, "R.", None, seq, seq, 0, self._snd_nxt, 0, None, ())
        return build(self.remote, self.local, None, segment)


def _end(segment: TcpSegment) -> int:
    """Give the sequence number behind a segment."""
    return add(segment.seq, segment.length + ("S" in segment.flags) + ("F" in segment.flags))


def stamp_in(expected: Packet, reading: Reading) -> Stamp | None:
    """Pair the TS val that is expected with the one that came."""
    script, live = expected.payload, reading.payload
    if not (isinstance(script, TcpSegment) and isinstance(live, TcpSegment)):
        return None
    values = [
        option.numbers[0]
        for segment in (script, live)
        for option in segment.options or ()
        if option.kind == "TS"
    ]
    return Stamp(*values) if len(values) == 2 else None
