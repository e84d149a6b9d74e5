"""The express lane's way in for connections: SYNs as Linux sends them, for a listener of ours.

As with segments (`express.py`), the layers are the truth: whatever is not so usual, or is for
nobody, is left to them before anything has changed, and a property test holds both together.

Not done here: what becomes of a SYN (`tcp/half_open.py`), and what answers it
(`tcp/usual_syn_ack.py`).
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from tapstack.base.address import Endpoint
from tapstack.eth.wire import HEADER_LENGTH as ETHERNET_LENGTH
from tapstack.express import (
    NO_DSCP,
    PLAIN_IPV4,
    PROTOCOL_AT,
    ExpressLane,
    count_taken,
    is_from_host_to,
    is_segment_intact,
)
from tapstack.ip.wire import FRAGMENT_MASK, HEADER_LENGTH as IP_LENGTH
from tapstack.tcp.expected_syn import take_expected_syn
from tapstack.tcp.half_open import take_syn_in
from tapstack.tcp.options import MSS, PADDED_WINDOW_SCALE, SACK_PERMITTED_TIMESTAMPS
from tapstack.tcp.segment import SYN, Options, Segment, Timestamps
from tapstack.tcp.wire import PROTOCOL_TCP

if TYPE_CHECKING:
    from tapstack.base.contracts import Frame
    from tapstack.base.units import Instant
    from tapstack.interface import NetworkInterface
    from tapstack.stack import Stack

_ALL_HEADERS = Struct("!12sI HHHHHII HHIIHH2xH HHIIII")
"""Ethernet, IPv4 without options, TCP, and the options of a usual SYN (as in `express.py`)."""
_LENGTH = _ALL_HEADERS.size
_TCP_START = ETHERNET_LENGTH + IP_LENGTH
_TCP_LENGTH = _LENGTH - _TCP_START
_SYN_ALONE = _TCP_LENGTH // 4 << 12 | SYN
_ONES = 0xFFFF


class SynLane:
    """The way in for the connections of all listeners of one stack."""

    def __init__(self, stack: Stack, express: ExpressLane) -> None:
        self._stack = stack
        self._express = express
        self._context = stack.tcp.context
        self._raw_protocols = stack.ip.raw.by_protocol

    def receive(self, interface: NetworkInterface, frame: Frame, now: Instant) -> bool:
        """Take a frame if it is a usual SYN for a listener of ours; False: decline."""
        octets, stack = frame.parts[0], self._stack
        if len(octets) != _LENGTH or octets[PROTOCOL_AT] != PROTOCOL_TCP or stack.tracer.on:
            return False
        (
            addresses, front,
            total_length, number, fragment, ttl_and_protocol, check, source, destination,
            port, our_port, seq, ack, word, wnd, up,
            head, mss, kinds, stamp, echo, scale,
        ) = _ALL_HEADERS.unpack_from(octets)  # fmt: skip
        # As `tcp/options.py` compares them, whose call and `Options` hardly any SYN here needs.
        if (
            word != _SYN_ALONE
            or head != MSS
            or kinds != SACK_PERMITTED_TIMESTAMPS
            or scale >> 8 != PADDED_WINDOW_SCALE
            or front & NO_DSCP != PLAIN_IPV4
            or fragment & FRAGMENT_MASK
            or total_length != _LENGTH - ETHERNET_LENGTH
            or not is_from_host_to(interface.mac, addresses)
        ):
            return False
        total = (front & 0xFFFF) + total_length + number + fragment + ttl_and_protocol + check
        if (total + source + destination) % _ONES or PROTOCOL_TCP in self._raw_protocols:
            return False
        if frame.offload is None and not is_segment_intact(source, destination, memoryview(octets)):
            return False
        ctx, key = self._context, (destination, our_port, source, port)
        listener = ctx.connections.find_listener(destination, our_port)
        if (
            listener is None
            or key in ctx.connections.tcbs
            or listener.options.min_ttl
            or listener.options.save_syn
            or not stack.ip.is_local(destination)
            or stack.ip.is_martian(source, destination, interface)
        ):
            return False
        count_taken(stack, interface, _LENGTH)
        stack.counters["TcpInSegs"] += 1
        ends = listener.end_at(destination), Endpoint(source, port)
        tcb = take_expected_syn(ctx, listener, *ends, seq, wnd, mss, scale & 0xFF, stamp, now)
        if tcb is None:
            options = Options(mss, scale & 0xFF, True, Timestamps(stamp, echo), ())
            seg = Segment(
                port, our_port, seq, ack, SYN, wnd, up, options, b"", front & 0xFF, _TCP_LENGTH
            )
            take_syn_in(ctx, listener, *ends, seg, now)
            tcb = ctx.connections.tcbs.get(key)
        if tcb is not None:
            tcb.lane = self._express.lane_of(interface, addresses)
        return True
