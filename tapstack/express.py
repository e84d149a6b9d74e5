"""The express lane at the door: the headers of a connection's plain segments, all in one go.

What Ethernet, IP and TCP each read and check, one `struct` reads of the frame that a busy
connection expects next; what they each put in front, a lane lays out in one go. The layers are the
truth: whatever is not plain is left to them, before anything has changed, and a property test
holds both together.

Not done here: what a segment does to its connection (`tcp/expected_segment.py`), and what is sent
(`tcp/plain_segment.py`).
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING

from tapstack.arp.neighbour import Neighbour
from tapstack.base.address import MacAddress
from tapstack.base.checksum import is_checksum_right
from tapstack.base.contracts import Offload, make_frame
from tapstack.eth.wire import ETHERTYPE_IPV4, HEADER_LENGTH as ETHERNET_LENGTH
from tapstack.express_runs import is_followed, read_run
from tapstack.ip import wire as ip_wire
from tapstack.ip.wire import DONT_FRAGMENT, FRAGMENT_MASK, PLAIN
from tapstack.tcp.expected_segment import take_expected
from tapstack.tcp.expected_turn import TURNING, take_expected_turn
from tapstack.tcp.options import (
    MSS,
    PADDED_WINDOW_SCALE,
    SACK_PERMITTED_TIMESTAMPS,
    TIMESTAMPS,
    TIMESTAMPS_LENGTH,
    USUAL_SYN_LENGTH,
)
from tapstack.tcp.segment import ACK, FIN, PSH, SYN, Options, Segment, Timestamps
from tapstack.tcp.sent_segment import packets_of
from tapstack.tcp.state import State
from tapstack.tcp.transmission import offload_for
from tapstack.tcp.wire import HEADER_LENGTH as TCP_HEADER_LENGTH, PROTOCOL_TCP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapstack.base.contracts import Buffer, Frame
    from tapstack.base.units import Instant
    from tapstack.interface import NetworkInterface
    from tapstack.ip.paths import Hop
    from tapstack.stack import Stack
    from tapstack.tcp.connections import SocketPair
    from tapstack.tcp.plain_segment import Unit
    from tapstack.tcp.tcb import Tcb

_ALL_HEADERS = Struct("!12sI HHHHHII HHIIHH2xH III")
"""Ethernet, IPv4 without options, TCP, and timestamps behind two NOPs as every stack has them.

What is looked at together, or not at all, is one piece.
"""
_FRONT = Struct("!6s6sHBB")
_UP_TO_PORTS = Struct("!16sHHHBBHIIHH")
_TCP_BEHIND_PORTS = Struct("!IIHHHHIII")
_SYN_ACK_BEHIND_PORTS = Struct("!IIHHHH HHIIII")
_LENGTH = _ALL_HEADERS.size
_TCP_START = ETHERNET_LENGTH + ip_wire.HEADER_LENGTH
_TCP_LENGTH = _LENGTH - _TCP_START
PROTOCOL_AT = ETHERNET_LENGTH + 9  # RFC 791 §3.1
PLAIN_IPV4 = ETHERTYPE_IPV4 << 16 | PLAIN << 8
"""EtherType, version and header length, and type of service, if there is no mark (RFC 3168)."""
NO_DSCP = ~(0x3F << 2)
"""All of these but the DSCP (RFC 2474 §3)."""
_TEN_TIMESTAMPS = 0x0101_0000 | TIMESTAMPS << 8 | 10
_DATA_OFFSET = _TCP_LENGTH // 4 << 12
_WORD_MASK = 0xFFFF & ~(PSH | FIN)
_EXPECTED_WORD = _DATA_OFFSET | ACK
_SYN_ACK = (TCP_HEADER_LENGTH + USUAL_SYN_LENGTH) // 4 << 12 | SYN | ACK
_ONES = 0xFFFF


@lru_cache(maxsize=64)
def _offload(size: int) -> Offload:
    """Ask the device for the checksum, and to cut the text into segments of a size (0: one)."""
    return offload_for(size).behind(_TCP_START)


def is_from_host_to(mac: MacAddress, addresses: bytes) -> bool:
    """Tell whether a frame's two link addresses say that another host sent it to us alone."""
    return addresses[:6] == mac and not addresses[6] & 1 and addresses[6:] != mac


def is_segment_intact(source: int, destination: int, octets: memoryview) -> bool:
    """Verify the checksum of the segment in a frame."""
    return is_checksum_right(source, destination, PROTOCOL_TCP, octets[_TCP_START:])


def count_taken(stack: Stack, interface: NetworkInterface, length: int, frames: int = 1) -> None:
    """Count frames of `length` octets, all told, as Ethernet and IP do."""
    link, counters = interface.statistics, stack.counters
    link.rx_packets += frames
    link.rx_bytes += length
    counters["IfInPkts"] += frames
    counters["IfInOctets"] += length
    counters["IpInReceives"] += frames
    counters["IpExtInNoECTPkts"] += frames
    counters["IpInDelivers"] += frames


class ExpressLane:
    """The lane's way in, for all connections of one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._context = stack.tcp.context
        self._tcbs = self._context.connections.tcbs
        self._raw_protocols = stack.ip.raw.by_protocol
        self._latest: NeighbourLane | None = None

    def receive(
        self, interface: NetworkInterface, frame: Frame, now: Instant, behind: Sequence[Frame] = ()
    ) -> int:
        """Take a frame if it is a plain segment of a connection of ours; 0: decline.

        With it go those `behind` it, as far as they make a run with it: tell how many in all.
        """
        octets, stack = frame.parts[0], self._stack
        if len(octets) < _LENGTH or octets[PROTOCOL_AT] != PROTOCOL_TCP or stack.tracer.on:
            return 0
        (
            addresses, front,
            total_length, number, fragment, ttl_and_protocol, check, source, destination,
            port, our_port, seq, ack, word, wnd, up,
            option, stamp, echo,
        ) = _ALL_HEADERS.unpack_from(octets)  # fmt: skip
        if (
            word & _WORD_MASK != _EXPECTED_WORD
            or option != _TEN_TIMESTAMPS
            or front & NO_DSCP != PLAIN_IPV4
            or fragment & FRAGMENT_MASK
            or total_length != len(octets) - ETHERNET_LENGTH
        ):
            return 0
        tcb = self._tcbs.get((destination, our_port, source, port))
        if tcb is None:
            return 0
        lane = tcb.lane
        is_open = lane and lane.interface is interface and lane.heard == addresses
        if not is_open and not self._open_lane(tcb, interface, addresses):
            return 0
        total = (front & 0xFFFF) + total_length + number + fragment + ttl_and_protocol + check
        if (total + source + destination) % _ONES or PROTOCOL_TCP in self._raw_protocols:
            return 0
        octets, offload = memoryview(octets), frame.offload
        if offload is None and not is_segment_intact(source, destination, octets):
            return 0
        length, size = len(octets) - _LENGTH, offload.segment_size if offload else 0
        if word & FIN or tcb.state in TURNING:
            turn = tcb, seq, ack, word, wnd, stamp, echo
            taken = not length and take_expected_turn(self._context, *turn, now)
        else:
            if behind and is_followed(octets, behind[0]):
                frames = self._take_run(interface, tcb, octets, size, behind, now)
                if frames:
                    return frames
            packets = packets_of(length, size) if size else 1
            taken = take_expected(
                self._context, tcb, seq, ack, word, wnd, stamp, echo,
                (octets[_LENGTH:],), length, size, packets, now,
            )  # fmt: skip
        if not taken:
            ends = port, our_port, seq, ack, word & 0xFF, wnd, up
            if not self._take_by_steps(tcb, ends, stamp, echo, octets, front & 0xFF, size, now):
                return 0
        count_taken(stack, interface, len(octets))
        stack.counters["TcpInSegs"] += 1
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
        count_taken(self._stack, interface, octets, frames)
        self._stack.counters["TcpInSegs"] += frames
        return frames

    def _take_by_steps(
        self,
        tcb: Tcb,
        ends: tuple[int, int, int, int, int, int, int],
        stamp: int,
        echo: int,
        octets: memoryview,
        tos: int,
        size: int,
        now: Instant,
    ) -> bool:
        """Hand a segment that is not what was expected to the layer of TCP; False: decline."""
        if tcb.state is State.TIME_WAIT or tcb.options.min_ttl:
            return False
        options = Options(None, None, False, Timestamps(stamp, echo), ())
        seg = Segment(*ends, options, octets[_LENGTH:], tos, _TCP_LENGTH)
        self._stack.tcp.take(tcb, seg, size, now)
        return True

    def _open_lane(self, tcb: Tcb, interface: NetworkInterface, addresses: bytes) -> bool:
        """Make a connection's lane, if all is as it mostly is."""
        if not is_from_host_to(interface.mac, addresses):
            return False
        if self._stack.ip.is_martian(tcb.pair.remote, tcb.pair.local, interface):
            return False
        tcb.lane = self.lane_of(interface, addresses)
        return True

    def lane_of(self, interface: NetworkInterface, heard: bytes) -> NeighbourLane:
        """Give the lane of a neighbour, by the link addresses that its frames have.

        It is shared with the connections before this one if they, too, are that neighbour's.
        """
        lane = self._latest
        if lane is None or lane.interface is not interface or lane.heard != heard:
            lane = self._latest = NeighbourLane(self._stack, interface, heard)
        return lane


class NeighbourLane:
    """The lane of all connections that one neighbour brings: implements `tcp.plain_segment.Lane`.

    What their headers have in common is laid out once. A connection has nothing of its own here,
    so that one of thousands, used after a while, finds no more than its TCB out of the caches.
    """

    __slots__ = (
        "_front",
        "_head",
        "_head_length",
        "_head_of",
        "_hop",
        "_mac",
        "_neighbour",
        "_stack",
        "_tos",
        "_ttl",
        "_words",
        "heard",
        "interface",
    )

    def __init__(self, stack: Stack, interface: NetworkInterface, heard: bytes) -> None:
        self._stack = stack
        self.interface = interface
        """Where the connections' segments come in."""
        self.heard = heard
        """The two link addresses that they come with."""
        self._hop: Hop | None = None
        self._neighbour: Neighbour | None = None
        self._mac = self._front = b""
        self._ttl = self._tos = self._words = 0
        # What was laid out last: who sends much mostly sends it in pieces of one length.
        self._head_of: SocketPair | None = None
        self._head_length = 0
        self._head = b"", 0

    def is_clear(self, tcb: Tcb, length: int, size: int) -> bool:
        """Tell whether a segment can be sent this way now: everything is as it was, or as good."""
        stack, options = self._stack, tcb.options
        hop = stack.ip.known_hop(tcb.pair.remote)
        if hop is None or stack.tracer.on or not options.follows_path_mtu:
            return False
        if hop is not self._hop:
            if hop.interface is not self.interface or hop.broadcast:
                return False
            self._hop = hop
        if not size and _TCP_LENGTH + ip_wire.HEADER_LENGTH + length > hop.mtu:
            return False
        neighbours = self.interface.neighbours
        neighbour = neighbours.ready(hop.next_hop) if neighbours is not None else None
        if neighbour is None or neighbour.mac is None:
            return False
        ttl = options.ttl or hop.metrics.hoplimit or stack.ip.config.ip_default_ttl
        if neighbour.mac is not self._mac or ttl != self._ttl or options.tos != self._tos:
            self._lay_out(neighbour.mac, ttl, options.tos)
        self._neighbour = neighbour
        return True

    def _lay_out(self, mac: MacAddress, ttl: int, tos: int) -> None:
        """Lay out what all headers begin with, and sum what does not differ of IP's."""
        self._mac, self._ttl, self._tos = mac, ttl, tos
        self._front = _FRONT.pack(mac, self.interface.mac, ETHERTYPE_IPV4, PLAIN, tos)
        self._words = (PLAIN << 8) + tos + DONT_FRAGMENT + (ttl << 8) + PROTOCOL_TCP
        self._head_of = None

    def send(
        self,
        tcb: Tcb,
        flags: int,
        seq: int,
        window: int,
        text: Sequence[Buffer],
        length: int,
        size: int,
        now: Instant,
    ) -> None:
        """Send a segment, right after `is_clear` was asked for it."""
        neighbour, interface = self._neighbour, self.interface
        assert neighbour is not None
        if tcb.next_hop_confirmed:
            tcb.next_hop_confirmed = False
            neighbour.confirmed = now
        head, pseudo = self._up_to_ports(tcb, length)
        rest = _TCP_BEHIND_PORTS.pack(
            seq, tcb.rcv_nxt, _DATA_OFFSET | flags, window, pseudo, 0,
            _TEN_TIMESTAMPS, tcb.timestamp_now(now), tcb.ts_recent,
        )  # fmt: skip
        self._stack.counters["IpOutRequests"] += 1
        interface.count_sent(_LENGTH + length)
        interface.device.write(make_frame(((head + rest, *text), _offload(size))), now)

    def send_train(
        self, tcb: Tcb, window: int, units: Sequence[Unit], length: int, size: int, now: Instant
    ) -> None:
        """Send units of `length` octets, right after `is_clear` for one."""
        neighbour, interface = self._neighbour, self.interface
        assert neighbour is not None
        if tcb.next_hop_confirmed:
            tcb.next_hop_confirmed = False
            neighbour.confirmed = now
        head, pseudo = self._up_to_ports(tcb, length)
        pack, write, offload = _TCP_BEHIND_PORTS.pack, interface.device.write, _offload(size)
        behind_seq = (
            tcb.rcv_nxt, _DATA_OFFSET | ACK | PSH, window, pseudo, 0,
            _TEN_TIMESTAMPS, tcb.timestamp_now(now), tcb.ts_recent,
        )  # fmt: skip
        for seq, text in units:
            write(make_frame(((head + pack(seq, *behind_seq), *text), offload)), now)
        count = len(units)
        self._stack.counters["IpOutRequests"] += count
        interface.count_sent(count * (_LENGTH + length), count)

    def send_syn_ack(self, tcb: Tcb, window: int, now: Instant) -> None:
        """Send a SYN-ACK that has every option of Linux's, right after `is_clear` for it."""
        head, pseudo = self._up_to_ports(tcb, USUAL_SYN_LENGTH - TIMESTAMPS_LENGTH)
        rest = _SYN_ACK_BEHIND_PORTS.pack(
            tcb.iss, tcb.rcv_nxt, _SYN_ACK, window, pseudo, 0,
            MSS, tcb.advertised_mss, SACK_PERMITTED_TIMESTAMPS, tcb.timestamp_now(now),
            tcb.ts_recent, PADDED_WINDOW_SCALE << 8 | tcb.rcv_wind_shift,
        )  # fmt: skip
        octets = head + rest
        self._stack.counters["IpOutRequests"] += 1
        self.interface.count_sent(len(octets))
        self.interface.device.write(make_frame(((octets,), _offload(0))), now)

    def _up_to_ports(self, tcb: Tcb, length: int) -> tuple[bytes, int]:
        """Lay out the headers of a segment with so much text up to its ports.

        Gives the sum of its pseudo-header, too (as `pseudo_header_sum`).
        """
        pair = tcb.pair
        if pair is self._head_of and length == self._head_length:
            return self._head
        self._head_of, self._head_length = pair, length
        local, port, remote, its_port = pair
        ends, length = local + remote, _TCP_LENGTH + length
        total = ip_wire.HEADER_LENGTH + length
        head = _UP_TO_PORTS.pack(
            self._front, total, 0, DONT_FRAGMENT, self._ttl, PROTOCOL_TCP,
            -(self._words + total + ends) % _ONES, local, remote, port, its_port,
        )  # fmt: skip
        self._head = head, (ends + PROTOCOL_TCP + length) % _ONES or _ONES
        return self._head
