"""The express lane's way out: the headers of a connection's plain segments, laid out in one go.

What TCP, IP and Ethernet each put in front of a segment is mostly what they put in front of the one
before. A lane keeps that prepared for all connections that one neighbour brings. The layers are the
truth: whatever is not plain is left to them, before anything has changed, and a property test holds
both together.

Not done here: the way in (`express.py`), and what is sent (`tcp/plain_segment.py`).
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING

from tapstack.arp.neighbour import Neighbour
from tapstack.base.contracts import Offload, make_frame
from tapstack.base.units import MILLISECOND
from tapstack.eth.wire import ETHERTYPE_IPV4, HEADER_LENGTH as ETHERNET_LENGTH
from tapstack.express_headers import ONES, TCP_START
from tapstack.ip.wire import DONT_FRAGMENT, HEADER_LENGTH as IP_LENGTH, PLAIN
from tapstack.tcp.options import (
    ALIGNED_TIMESTAMPS,
    MSS,
    PADDED_WINDOW_SCALE,
    SACK_PERMITTED_TIMESTAMPS,
    TIMESTAMPS_LENGTH,
    USUAL_SYN_LENGTH,
)
from tapstack.tcp.segment import ACK, PSH, SYN
from tapstack.tcp.transmission import offload_for
from tapstack.tcp.user_options import FOLLOWS_PATH_MTU
from tapstack.tcp.wire import HEADER_LENGTH as TCP_HEADER_LENGTH, PROTOCOL_TCP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapstack.base.contracts import Buffer
    from tapstack.base.units import Instant
    from tapstack.interface import NetworkInterface
    from tapstack.ip.paths import Hop
    from tapstack.stack import Stack
    from tapstack.tcp.connections import SocketPair
    from tapstack.tcp.plain_segment import Unit
    from tapstack.tcp.tcb import Tcb
    from tapstack.tcp.user_options import UserOptions

_FRONT = Struct("!6s6sHBB")
_MIDDLE = Struct("!HHBB")
_ALL_HEADERS = Struct("!16sH6sHIIHH IIHHHHIII")
_UP_TO_PORTS = Struct("!16sH6sHIIHH")
_TCP_BEHIND_SEQ = Struct("!IHHHHIII")
_SYN_ACK_HEADERS = Struct("!16sH6sHIIHH IIHHHH HHIIII")
_TCP_LENGTH = TCP_HEADER_LENGTH + TIMESTAMPS_LENGTH
_IP_AND_TCP = IP_LENGTH + _TCP_LENGTH
_LENGTH = ETHERNET_LENGTH + _IP_AND_TCP
_DATA_OFFSET = _TCP_LENGTH // 4 << 12
_SYN_ACK_LENGTH = TCP_HEADER_LENGTH + USUAL_SYN_LENGTH
_SYN_ACK_TOTAL = IP_LENGTH + _SYN_ACK_LENGTH
_MORE_OF_SYN = _SYN_ACK_LENGTH - _TCP_LENGTH
"""Octets of options beyond those of a plain segment."""
_SYN_ACK = _SYN_ACK_LENGTH // 4 << 12 | SYN | ACK
_PSEUDO = PROTOCOL_TCP + _TCP_LENGTH
"""What a pseudo-header sums besides the addresses and the length of the text."""
_SYN_ACK_PSEUDO = PROTOCOL_TCP + _SYN_ACK_LENGTH
_STAMP_MASK = 0xFFFFFFFF


@lru_cache(maxsize=64)
def _offload(size: int) -> Offload:
    """Ask the device for the checksum, and to cut the text into segments of a size (0: one)."""
    return offload_for(size).behind(TCP_START)


_UNCUT = _offload(0)


class NeighbourLane:
    """The lane of all connections that one neighbour brings: implements `tcp.plain_segment.Lane`.

    What their headers have in common is laid out once. A connection has nothing of its own here,
    so that one of thousands, used after a while, finds no more than its TCB out of the caches.
    """

    __slots__ = (
        "_counters",
        "_front",
        "_hop",
        "_ip_config",
        "_known_hop",
        "_mac",
        "_middle",
        "_most",
        "_neighbour",
        "_neighbours",
        "_options",
        "_sent",
        "_tos",
        "_tracer",
        "_ttl",
        "_usual_ttl",
        "_words",
        "_write",
        "_write_train",
        "heard",
        "interface",
    )

    def __init__(self, stack: Stack, interface: NetworkInterface, heard: bytes) -> None:
        self._tracer, self._ip_config = stack.tracer, stack.ip.config
        self._known_hop, self._sent = stack.ip.known_hop, interface.sent
        # The one counter that is to be right at once: by it a driver knows that something has left.
        self._counters = stack.counters
        self._write, self._write_train = interface.device.write, interface.device.write_train
        self.interface = interface
        """Where the connections' segments come in."""
        assert interface.neighbours is not None  # the loopback hears no other host
        self._neighbours = interface.neighbours
        self.heard = heard
        """The two link addresses that they come with."""
        # What was found when it was last asked for a way that was not as before.
        self._hop: Hop | None = None
        self._options: UserOptions | None = None
        self._neighbour: Neighbour | None = None
        self._mac = self._front = self._middle = b""
        self._ttl = self._tos = self._words = 0
        self._usual_ttl = 0  # what the host's was then
        self._most = 0  # octets of text that fit one segment's datagram

    def is_clear(self, pair: SocketPair, options: UserOptions, length: int, size: int) -> bool:
        """Tell whether a segment can be sent this way now: everything is as it was, or as good."""
        neighbour = self._neighbour
        return (
            neighbour is not None
            and self._known_hop(pair.remote) is self._hop
            and options is self._options
            and self._neighbours.latest is neighbour
            and neighbour.mac is self._mac
            and (size or length) <= self._most
            and self._ip_config.ip_default_ttl == self._usual_ttl
            and not self._tracer.on
        ) or self._find_way(pair.remote, options, length, size)

    def _find_way(self, remote: int, options: UserOptions, length: int, size: int) -> bool:
        """Find out whether a segment can be sent this way, and keep what that takes."""
        hop = self._known_hop(remote)
        if hop is None or self._tracer.on or options.discovery not in FOLLOWS_PATH_MTU:
            return False
        most = hop.mtu - _IP_AND_TCP
        if not size and length > most:
            return False
        is_as_before = hop is self._hop and self._neighbours.latest is self._neighbour
        if not (is_as_before or self._find_neighbour(hop)):
            return False
        neighbour, usual = self._neighbour, self._ip_config.ip_default_ttl
        assert neighbour is not None
        ttl = options.ttl or hop.metrics.hoplimit or usual
        if neighbour.mac is not self._mac or ttl != self._ttl or options.tos != self._tos:
            self._lay_out(neighbour, ttl, options.tos)
        self._options, self._usual_ttl, self._most = options, usual, most
        return True

    def _find_neighbour(self, hop: Hop) -> bool:
        """Find who is next on the way, and keep that; False: it is not the lane's, or not ready."""
        if hop.interface is not self.interface or hop.broadcast:
            return False
        neighbour = self._neighbours.ready(hop.next_hop)
        if neighbour is None:
            return False
        self._hop, self._neighbour = hop, neighbour
        return True

    def _lay_out(self, neighbour: Neighbour, ttl: int, tos: int) -> None:
        """Lay out what all headers begin with, and sum what does not differ of IP's."""
        mac = neighbour.mac
        assert mac is not None
        self._mac, self._ttl, self._tos = mac, ttl, tos
        self._front = _FRONT.pack(mac, self.interface.mac, ETHERTYPE_IPV4, PLAIN, tos)
        self._words = (PLAIN << 8) + tos + DONT_FRAGMENT + (ttl << 8) + PROTOCOL_TCP
        self._middle = _MIDDLE.pack(0, DONT_FRAGMENT, ttl, PROTOCOL_TCP)

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
    ) -> bool:
        """Send a segment, if that can be sent this way now; False: decline."""
        local, port, remote, its_port = tcb.pair
        neighbour = self._neighbour
        if (  # `is_clear`, in place
            neighbour is None
            or self._known_hop(remote) is not self._hop
            or tcb.options is not self._options
            or self._neighbours.latest is not neighbour
            or neighbour.mac is not self._mac
            or (size or length) > self._most
            or self._ip_config.ip_default_ttl != self._usual_ttl
            or self._tracer.on
        ) and not self._find_way(remote, tcb.options, length, size):
            return False
        ends, total = local + remote, _IP_AND_TCP + length
        # As `_around_seq`, and what is between, in one go.
        headers = _ALL_HEADERS.pack(
            self._front, total, self._middle, -(self._words + total + ends) % ONES,
            local, remote, port, its_port,
            seq, tcb.rcv_nxt, _DATA_OFFSET | flags, window,
            (ends + _PSEUDO + length) % ONES or ONES, 0,
            ALIGNED_TIMESTAMPS, (tcb.ts_offset + now // MILLISECOND) & _STAMP_MASK, tcb.ts_recent,
        )  # fmt: skip
        if tcb.next_hop_confirmed:
            self._confirm(tcb, now)
        sent = self._sent
        sent.frames += 1
        sent.octets += _LENGTH + length
        self._counters["IfOutOctets"] += _LENGTH + length
        self._write(make_frame(((headers, *text), _offload(size) if size else _UNCUT)), now)
        return True

    def _confirm(self, tcb: Tcb, now: Instant) -> None:
        """Note that the neighbour is alive, as something of ours has arrived (RFC 4861 §7.3.1)."""
        tcb.next_hop_confirmed = False
        assert self._neighbour is not None
        self._neighbour.confirmed = now

    def send_train(
        self,
        tcb: Tcb,
        window: int,
        units: Sequence[Unit],
        length: int,
        size: int,
        now: Instant,
        last: Unit | None = None,
        last_length: int = 0,
    ) -> None:
        """Send units of `length` octets, and a last one, right after `is_clear` for one."""
        if tcb.next_hop_confirmed:
            self._confirm(tcb, now)
        stamp = tcb.timestamp_now(now)
        head, tail = self._around_seq(tcb, window, length, stamp)
        frames = [(head + seq.to_bytes(4, "big") + tail, *text) for seq, text in units]
        octets = len(units) * (_LENGTH + length)
        if last is not None:
            head, tail = self._around_seq(tcb, window, last_length, stamp)
            frames.append((head + last[0].to_bytes(4, "big") + tail, *last[1]))
            octets += _LENGTH + last_length
        sent = self._sent
        sent.frames += len(frames)
        sent.octets += octets
        self._counters["IfOutOctets"] += octets
        self._write_train(frames, _offload(size), now)

    def send_syn_ack(
        self,
        pair: SocketPair,
        options: UserOptions,
        seq: int,
        ack: int,
        window: int,
        mss: int,
        stamp: int,
        echo: int,
        shift: int,
        now: Instant,
    ) -> bool:
        """Send a SYN-ACK that has every option of Linux's; False: decline."""
        local, port, remote, its_port = pair
        neighbour = self._neighbour
        if (  # `is_clear`, in place
            neighbour is None
            or self._known_hop(remote) is not self._hop
            or options is not self._options
            or self._neighbours.latest is not neighbour
            or neighbour.mac is not self._mac
            or self._most < _MORE_OF_SYN
            or self._ip_config.ip_default_ttl != self._usual_ttl
            or self._tracer.on
        ) and not self._find_way(remote, options, _MORE_OF_SYN, 0):
            return False
        ends = local + remote
        headers = _SYN_ACK_HEADERS.pack(
            self._front, _SYN_ACK_TOTAL, self._middle,
            -(self._words + _SYN_ACK_TOTAL + ends) % ONES, local, remote, port, its_port,
            seq, ack, _SYN_ACK, window, (ends + _SYN_ACK_PSEUDO) % ONES or ONES, 0,
            MSS, mss, SACK_PERMITTED_TIMESTAMPS, stamp, echo, PADDED_WINDOW_SCALE << 8 | shift,
        )  # fmt: skip
        sent = self._sent
        sent.frames += 1
        sent.octets += ETHERNET_LENGTH + _SYN_ACK_TOTAL
        self._counters["IfOutOctets"] += ETHERNET_LENGTH + _SYN_ACK_TOTAL
        self._write(make_frame(((headers,), _UNCUT)), now)
        return True

    def _around_seq(self, tcb: Tcb, window: int, length: int, stamp: int) -> tuple[bytes, bytes]:
        """Lay out the headers of a unit with so much text: what is in front of SEG.SEQ, and behind.

        The checksum field has the sum of the pseudo-header (as `pseudo_header_sum`).
        """
        local, port, remote, its_port = tcb.pair
        ends, total = local + remote, _IP_AND_TCP + length
        pseudo = (ends + _PSEUDO + length) % ONES or ONES
        head = _UP_TO_PORTS.pack(
            self._front, total, self._middle, -(self._words + total + ends) % ONES,
            local, remote, port, its_port,
        )  # fmt: skip
        tail = _TCP_BEHIND_SEQ.pack(
            tcb.rcv_nxt, _DATA_OFFSET | ACK | PSH, window, pseudo, 0,
            ALIGNED_TIMESTAMPS, stamp, tcb.ts_recent,
        )  # fmt: skip
        return head, tail
