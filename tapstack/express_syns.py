"""The express lane's way in for connections: SYNs as Linux sends them, for a listener of ours.

As with segments (`express.py`), the layers are the truth: whatever is not so usual, or is for
nobody, is left to them before anything has changed, and a property test holds both together.

Not done here: what becomes of a SYN (`tcp/expected_syn.py`, `tcp/half_open.py`).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from tapstack.base.address import Endpoint
from tapstack.eth.wire import ETHERTYPE_IPV4, HEADER_LENGTH as ETHERNET_LENGTH
from tapstack.express_headers import (
    NO_DSCP,
    ONES,
    PLAIN_IPV4,
    SYN_ALONE,
    TCP_START,
    WAY_MASK,
    is_segment_intact,
)
from tapstack.tcp.connections import make_pair
from tapstack.tcp.expected_syn import keep_mould, take_expected_syn
from tapstack.tcp.half_open import take_syn_in
from tapstack.tcp.options import MSS, PADDED_WINDOW_SCALE, SACK_PERMITTED_TIMESTAMPS
from tapstack.tcp.segment import SYN, Options, Segment, Timestamps
from tapstack.tcp.wire import PROTOCOL_TCP

if TYPE_CHECKING:
    from collections.abc import Callable

    from tapstack.base.contracts import Buffer, Offload
    from tapstack.base.units import Instant
    from tapstack.interface import NetworkInterface
    from tapstack.ip.paths import Hop
    from tapstack.stack import Stack
    from tapstack.tcp.connections import SocketPair
    from tapstack.tcp.listener import Listener
    from tapstack.tcp.plain_segment import Lane

_ALL_HEADERS = Struct("!12sI HHIHII HHIIHH2xH HHIIII")
"""Ethernet, IPv4 without options, TCP, and the options of a usual SYN (as in `express.py`)."""
_LENGTH = _ALL_HEADERS.size
_TCP_LENGTH = _LENGTH - TCP_START


class SynLane:
    """The way in for the connections of all listeners of one stack."""

    def __init__(
        self, stack: Stack, lane_of: Callable[[NetworkInterface, bytes], Lane | None]
    ) -> None:
        self._stack = stack
        self._lane_of = lane_of
        self._context = stack.tcp.context
        self._raw_protocols = stack.ip.raw.by_protocol
        # The way of the latest SYN that `_is_way` has let in.
        self._back: tuple[NetworkInterface, Hop | None, int] | None = None
        self._ends = (0, 0, 0)  # of the latest SYN: our address and port, and the peer's address

    def receive(
        self, interface: NetworkInterface, octets: Buffer, offload: Offload | None, now: Instant
    ) -> bool:
        """Take a frame of a usual SYN's length, if it is for a listener of ours; False: decline."""
        stack = self._stack
        (
            addresses, front,
            total_length, number, way, check, source, destination,
            port, our_port, seq, ack, word, wnd, up,
            head, mss, kinds, stamp, echo, scale,
        ) = _ALL_HEADERS.unpack_from(octets)  # fmt: skip
        # As `tcp/options.py` compares them, whose call and `Options` hardly any SYN here needs.
        if (
            way & WAY_MASK != PROTOCOL_TCP
            or word != SYN_ALONE
            or head != MSS
            or kinds != SACK_PERMITTED_TIMESTAMPS
            or scale >> 8 != PADDED_WINDOW_SCALE
            or front & NO_DSCP != PLAIN_IPV4
            or total_length != _LENGTH - ETHERNET_LENGTH
            or ack
        ):
            return False
        lane = self._lane_of(interface, addresses)
        total = front + total_length + number + way + check + source + destination
        if lane is None or total % ONES != ETHERTYPE_IPV4 or PROTOCOL_TCP in self._raw_protocols:
            return False
        if offload is None and not is_segment_intact(source, destination, memoryview(octets)):
            return False
        # Connections that have these in common need the numbers but once.
        if (destination, our_port, source) == self._ends:
            destination, our_port, source = self._ends
        else:
            self._ends = destination, our_port, source
        ctx, pair = self._context, make_pair((destination, our_port, source, port))
        listener = ctx.connections.find_listener(destination, our_port)
        if (
            listener is None
            or pair in ctx.connections.tcbs
            or listener.options.min_ttl
            or listener.options.paced
            or listener.options.save_syn
        ):
            return False
        hop, offer = stack.ip.known_hop(source), (wnd, mss, scale & 0xFF)
        back = interface, hop, destination
        if back != self._back and not self._is_way(*back, source):
            return False
        count = interface.taken
        count.frames += 1
        count.octets += _LENGTH
        if hop is not None and take_expected_syn(
            ctx, listener, pair, lane, hop.metrics, hop.mtu, offer, seq, stamp, now
        ):
            return True
        options = Options(mss, scale & 0xFF, True, Timestamps(stamp, echo), ())
        ends = port, our_port, seq, 0, SYN, wnd, up
        seg = Segment(*ends, options, b"", front & 0xFF, _TCP_LENGTH)
        self._take_by_steps(listener, pair, lane, seg, offer, now)
        return True

    def _take_by_steps(
        self,
        listener: Listener,
        pair: SocketPair,
        lane: Lane,
        seg: Segment,
        offer: tuple[int, int, int],
        now: Instant,
    ) -> None:
        """Hand a SYN to the layer of TCP; what that makes of it is what is expected next."""
        ctx = self._context
        local = Endpoint(pair.local, pair.local_port)
        take_syn_in(ctx, listener, local, Endpoint(pair.remote, pair.remote_port), seg, now)
        tcb = ctx.connections.tcbs.get(pair)
        if tcb is not None:
            tcb.lane = lane
            keep_mould(ctx, listener, offer, tcb)

    def _is_way(
        self, interface: NetworkInterface, hop: Hop | None, destination: int, source: int
    ) -> bool:
        """Tell whether a SYN with these addresses may come in here.

        While the way back is the same, so is the answer: whatever changes our addresses has all
        ways looked up anew.
        """
        ip = self._stack.ip
        if not ip.is_local(destination) or ip.is_martian(source, destination, interface):
            return False
        if hop is not None:
            self._back = interface, hop, destination
        return True
