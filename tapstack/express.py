"""The express lane at the door: the headers of a connection's plain segments, all in one go.

What Ethernet, IP and TCP each read and check, one `struct` reads of the frame that a busy
connection expects next. The layers are the truth: whatever is not plain is left to them, before
anything has changed, and a property test holds both together.

Not done here: what a segment does to its connection (`tcp/expected_segment.py`), and the way out
(`express_out.py`).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from tapstack.eth.wire import ETHERTYPE_IPV4, HEADER_LENGTH as ETHERNET_LENGTH
from tapstack.express_headers import (
    FLAGS_AT,
    NO_DSCP,
    ONES,
    PLAIN_IPV4,
    SYN_LONGER,
    TCP_START,
    WAY_MASK,
    is_from_host_to,
    is_segment_intact,
)
from tapstack.express_out import NeighbourLane
from tapstack.express_runs import is_followed, read_run
from tapstack.express_syns import SynLane
from tapstack.tcp.exchange import SHORT, take_exchange
from tapstack.tcp.expected_segment import take_expected
from tapstack.tcp.expected_turn import TURNING, take_expected_turn
from tapstack.tcp.options import ALIGNED_TIMESTAMPS
from tapstack.tcp.segment import ACK, FIN, PSH, SYN, Options, Segment, Timestamps
from tapstack.tcp.sent_segment import packets_of
from tapstack.tcp.state import State
from tapstack.tcp.wire import PROTOCOL_TCP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapstack.base.contracts import Buffer, Frame
    from tapstack.base.units import Instant
    from tapstack.interface import NetworkInterface
    from tapstack.stack import Stack
    from tapstack.tcp.tcb import Tcb

_ALL_HEADERS = Struct("!12sI HHIHII HHIIHH2xH III")
"""Ethernet, IPv4 without options, TCP, and timestamps behind two NOPs as every stack has them.

What is looked at together, or not at all, is one piece: `front` is the EtherType, the version, the
header's length and the type of service; `way` the fragmentation, the TTL and the protocol; `word`
the data offset and the flags.
"""
_LENGTH = _ALL_HEADERS.size
_IP_AND_TCP = _LENGTH - ETHERNET_LENGTH
_TCP_LENGTH = _LENGTH - TCP_START
_DATA_OFFSET = _TCP_LENGTH // 4 << 12
_WORD_MASK = 0xFFFF & ~(PSH | FIN)
_EXPECTED_WORD = _DATA_OFFSET | ACK
"""Data offset and flags of what is taken here, but for PSH and FIN, which it may have."""


class ExpressLane:
    """The lane's way in, for all connections of one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._tracer = stack.tracer
        self._context = stack.tcp.context
        self._tcbs = self._context.connections.tcbs
        self._raw_protocols = stack.ip.raw.by_protocol
        self._latest: NeighbourLane | None = None
        self.syns = SynLane(stack, self.lane_of)

    def receive(
        self, interface: NetworkInterface, frames: Sequence[Frame], at: int, now: Instant
    ) -> int:
        """Take a plain segment, and what continues it behind: tell how many, 0: decline."""
        (octets,), offload = frames[at]
        length = len(octets) - _LENGTH
        if length < 0 or self._tracer.on:
            return 0
        if length == SYN_LONGER and octets[FLAGS_AT] == SYN:
            return self.syns.receive(interface, octets, offload, now)
        (
            addresses, front, total_length, number, way, check, source, destination,
            port, our_port, seq, ack, word, wnd, up, option, stamp, echo,
        ) = _ALL_HEADERS.unpack_from(octets)  # fmt: skip
        if (
            way & WAY_MASK != PROTOCOL_TCP
            or word & _WORD_MASK != _EXPECTED_WORD
            or option != ALIGNED_TIMESTAMPS
            or front & NO_DSCP != PLAIN_IPV4
            or total_length != length + _IP_AND_TCP
        ):
            return 0
        if (tcb := self._tcbs.get((destination, our_port, source, port))) is None:
            return 0
        lane = tcb.lane
        is_open = lane is not None and lane.interface is interface and lane.heard == addresses
        if not (is_open or self._open_lane(tcb, interface, addresses)):
            return 0
        # RFC 791 §3.1; of halves that are added as wholes, the remainder is the same.
        total = front + total_length + number + way + check + source + destination
        if total % ONES != ETHERTYPE_IPV4 or PROTOCOL_TCP in self._raw_protocols:
            return 0
        ctx, size = self._context, 0
        if offload is not None:
            size = offload.segment_size
        elif not is_segment_intact(source, destination, memoryview(octets)):
            return 0
        if word & FIN or tcb.state in TURNING:
            taken = not length and take_expected_turn(
                ctx, tcb, seq, ack, word, wnd, stamp, echo, now
            )
        else:
            behind = at + 1
            if behind < len(frames) and is_followed(octets, frames[behind]):
                run = self._take_run(interface, tcb, memoryview(octets), size, frames[behind:], now)
                if run:
                    return run
            if taken := length < SHORT and not size:
                text = octets[_LENGTH:]
                taken = take_exchange(ctx, tcb, seq, ack, word, wnd, stamp, echo, text, now)
            if not taken:
                taken = self._take_long(tcb, (seq, ack, word, wnd, stamp, echo), octets, size, now)
        if not taken:
            ends = port, our_port, seq, ack, word & 0xFF, wnd, up
            if not self._take_by_steps(tcb, ends, stamp, echo, octets, front & 0xFF, size, now):
                return 0
        count = interface.taken
        count.frames += 1
        count.octets += length + _LENGTH
        return 1

    def _take_run(
        self,
        interface: NetworkInterface,
        tcb: Tcb,
        first: memoryview,
        size: int,
        behind: Sequence[Frame],
        now: Instant,
    ) -> int:
        """Take a frame with those that continue it, if they are what was expected: tell how many.

        0: it has to go by itself.
        """
        frames, octets, seq, ack, word, wnd, texts, length, size, packets, stamps = read_run(
            first, size, behind
        )
        numbers = seq, ack, word, wnd, *stamps
        if frames == 1 or not take_expected(
            self._context, tcb, *numbers, texts, length, size, packets, now
        ):
            return 0
        interface.taken.frames += frames
        interface.taken.octets += octets
        return frames

    def _take_long(
        self,
        tcb: Tcb,
        numbers: tuple[int, int, int, int, int, int],
        octets: Buffer,
        size: int,
        now: Instant,
    ) -> bool:
        """Take a segment that is no short exchange, if it is what was expected; False: decline."""
        text = memoryview(octets)[_LENGTH:]
        length = len(text)
        packets = packets_of(length, size) if size else 1
        return take_expected(self._context, tcb, *numbers, (text,), length, size, packets, now)

    def _take_by_steps(
        self,
        tcb: Tcb,
        ends: tuple[int, int, int, int, int, int, int],
        stamp: int,
        echo: int,
        octets: Buffer,
        tos: int,
        size: int,
        now: Instant,
    ) -> bool:
        """Hand a segment that is not what was expected to the layer of TCP; False: decline."""
        if tcb.state is State.TIME_WAIT or tcb.options.min_ttl or tcb.text_followers:
            return False
        options = Options(None, None, False, Timestamps(stamp, echo), ())
        seg = Segment(*ends, options, memoryview(octets)[_LENGTH:], tos, _TCP_LENGTH)
        self._stack.tcp.take(tcb, seg, size, now)
        return True

    def _open_lane(self, tcb: Tcb, interface: NetworkInterface, addresses: bytes) -> bool:
        """Make a connection's lane, if all is as it mostly is."""
        lane = self.lane_of(interface, addresses)
        if lane is None or self._stack.ip.is_martian(tcb.pair.remote, tcb.pair.local, interface):
            return False
        tcb.lane = lane
        return True

    def lane_of(self, interface: NetworkInterface, heard: bytes) -> NeighbourLane | None:
        """Give the lane of a neighbour, by the link addresses that its frames have.

        None: they are not those of another host that sends to us alone.

        It is shared with the connections before this one if they, too, are that neighbour's.
        """
        lane = self._latest
        if lane is None or lane.interface is not interface or lane.heard != heard:
            if not is_from_host_to(interface.mac, heard):
                return None
            lane = self._latest = NeighbourLane(self._stack, interface, heard)
        return lane
