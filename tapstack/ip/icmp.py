"""ICMP: answers to echoes, errors about datagrams, and errors heard (RFC 792, RFC 1122 §3.2.2).

Redirects and source quenches are counted and ignored: a forged one could steer us, and RFC 1122
§3.2.2.3 and RFC 6633 lose nothing by it.

Not done here: sending echo requests, which is a raw socket's work.
"""

from collections.abc import Callable
from contextlib import suppress

from tapstack.base.address import IPV4_ANY, Ipv4Address, format_ipv4, is_multicast, is_reserved
from tapstack.base.contracts import Buffer, Datagram, DatagramSender, IcmpError
from tapstack.base.counters import Counters
from tapstack.base.errors import Drop, MalformedPacket
from tapstack.base.icmp_errors import (
    DESTINATION_UNREACHABLE,
    FRAGMENTATION_NEEDED,
    MAX_UNREACHABLE_CODE,
    PARAMETER_PROBLEM,
    TIME_EXCEEDED,
)
from tapstack.base.trace import Tracer
from tapstack.base.units import MILLISECOND, Instant
from tapstack.ip import icmp_wire, wire
from tapstack.ip.config import IpConfig
from tapstack.ip.icmp_limit import IcmpLimit
from tapstack.ip.icmp_wire import Message

MAX_ERROR_LENGTH = 576
"""Octets of an error with its IP header (RFC 1812 §4.3.2.3: "as many octets as possible")."""
MIN_QUOTE = 8
"""Octets behind the quoted header that an error has at least (RFC 792)."""
TOS_INTERNETWORK_CONTROL = 0xC0  # RFC 1812 §4.3.2.5: precedence of ICMP errors
TOS_SERVICE_MASK = 0x1E  # RFC 1349 §3: what is not precedence
NON_STANDARD_TIME = 1 << 31  # RFC 792: set when a timestamp is not ms since midnight UT
DAY_MS = 86_400_000

IN_COUNTERS = {
    icmp_wire.ECHO_REPLY: "IcmpInEchoReps",
    DESTINATION_UNREACHABLE: "IcmpInDestUnreachs",
    icmp_wire.SOURCE_QUENCH: "IcmpInSrcQuenchs",
    icmp_wire.REDIRECT: "IcmpInRedirects",
    icmp_wire.ECHO_REQUEST: "IcmpInEchos",
    TIME_EXCEEDED: "IcmpInTimeExcds",
    PARAMETER_PROBLEM: "IcmpInParmProbs",
    icmp_wire.TIMESTAMP_REQUEST: "IcmpInTimestamps",
    icmp_wire.TIMESTAMP_REPLY: "IcmpInTimestampReps",
}
OUT_COUNTERS = {
    icmp_wire.ECHO_REPLY: "IcmpOutEchoReps",
    DESTINATION_UNREACHABLE: "IcmpOutDestUnreachs",
    icmp_wire.REDIRECT: "IcmpOutRedirects",
    icmp_wire.ECHO_REQUEST: "IcmpOutEchos",
    TIME_EXCEEDED: "IcmpOutTimeExcds",
    PARAMETER_PROBLEM: "IcmpOutParmProbs",
    icmp_wire.TIMESTAMP_REPLY: "IcmpOutTimestampReps",
}

_DISCOVERS_LEAST, _DISCOVERS_NOTHING = 1, 2
"""Values of ip_no_pmtu_disc with which what ICMP says of an MTU is not taken as it is."""


class Icmp:
    """Takes ICMP messages, and sends errors for the rest of the stack."""

    def __init__(
        self,
        *,
        ip: DatagramSender,
        counters: Counters,
        tracer: Tracer,
        config: IpConfig,
        on_error: Callable[[IcmpError, Instant], None],
    ) -> None:
        """`on_error` hears of each error that quotes a datagram of ours."""
        self._ip = ip
        self._counters = counters
        self._tracer = tracer
        self._config = config
        self._on_error = on_error
        self._limit = IcmpLimit(counters=counters, config=config)
        self._handlers: dict[int, Callable[[Message, Datagram, Instant], None]] = {
            icmp_wire.ECHO_REQUEST: self._answer_echo,
            icmp_wire.TIMESTAMP_REQUEST: self._answer_timestamp,
            DESTINATION_UNREACHABLE: self._hear_error,
            TIME_EXCEEDED: self._hear_error,
            PARAMETER_PROBLEM: self._hear_error,
        }

    # --- in ---------------------------------------------------------------------------------------

    def receive(self, datagram: Datagram, now: Instant) -> None:
        """Take a message. Raises: MalformedPacket.

        Replies have no handler: raw sockets had their copy before this.
        """
        self._counters["IcmpInMsgs"] += 1
        message = icmp_wire.parse(datagram.payload, verify=datagram.offload is None)
        if message.type in IN_COUNTERS:
            self._counters[IN_COUNTERS[message.type]] += 1
        if "icmp" in self._tracer.on:
            self._trace("<", datagram.source, datagram.payload)
        if message.type > icmp_wire.MAX_TYPE:
            self._counters.drop(Drop.ICMP_UNKNOWN_TYPE)
        elif message.type in self._handlers and self._may_be_answered(datagram):
            self._handlers[message.type](message, datagram, now)

    def _may_be_answered(self, datagram: Datagram) -> bool:
        """RFC 1122 §3.2.2.6: an echo to a group "MAY be silently discarded"; as Linux, all is."""
        if not self._is_group(datagram.destination):
            return True
        if not self._config.icmp_echo_ignore_broadcasts:
            return True
        self._counters.drop(Drop.ICMP_BROADCAST_ECHO)
        return False

    def _answer_echo(self, message: Message, datagram: Datagram, now: Instant) -> None:
        """RFC 1122 §3.2.2.6: the data "MUST be entirely included" in the reply."""
        if not self._config.icmp_echo_ignore_all:
            reply = message._replace(type=icmp_wire.ECHO_REPLY, code=0)
            self._answer(reply, datagram, now)

    def _answer_timestamp(self, message: Message, datagram: Datagram, now: Instant) -> None:
        if len(message.body) < icmp_wire.TIMESTAMPS.size:
            raise MalformedPacket(Drop.ICMP_TRUNCATED)
        originate, _, _ = icmp_wire.TIMESTAMPS.unpack_from(message.body)
        time = now // MILLISECOND % DAY_MS | NON_STANDARD_TIME
        body = icmp_wire.TIMESTAMPS.pack(originate, time, time)
        reply = Message(icmp_wire.TIMESTAMP_REPLY, 0, message.rest, body)
        self._answer(reply, datagram, now)

    def _answer(self, reply: Message, datagram: Datagram, now: Instant) -> None:
        """Send a reply from where the request was sent to (RFC 1122 §3.2.2.6)."""
        source = IPV4_ANY if self._is_group(datagram.destination) else datagram.destination
        self._send(reply, source, datagram.source, datagram.tos, now)

    def _hear_error(self, message: Message, datagram: Datagram, now: Instant) -> None:
        """Pass on an error that is about a datagram of ours (RFC 1122 §3.2.2)."""
        quoted = self._parse_quote(message.body)
        # An error about a group is forged, or one of many: Linux ignores it too.
        if message.type == DESTINATION_UNREACHABLE and (
            message.code > MAX_UNREACHABLE_CODE or self._is_group(quoted.destination)
        ):
            self._counters.drop(Drop.ICMP_BAD_QUOTE)
            return
        mtu = 0
        if (message.type, message.code) == (DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED):
            if self._config.ip_no_pmtu_disc == _DISCOVERS_NOTHING:
                return
            mtu = message.rest & 0xFFFF if self._config.ip_no_pmtu_disc != _DISCOVERS_LEAST else 0
        error = IcmpError(
            type=message.type,
            code=message.code,
            mtu=mtu,
            reporter=datagram.source,
            source=quoted.source,
            destination=quoted.destination,
            protocol=quoted.protocol,
            quote=message.body[quoted.length :],
        )
        self._on_error(error, now)

    def on_icmp_error(self, error: IcmpError, now: Instant) -> None:
        """Hear of an error about an ICMP message: raw sockets, which send them, heard it too."""

    def _parse_quote(self, body: Buffer) -> wire.Header:
        """Read the quoted header. Raises: MalformedPacket when no transport can tell it its own."""
        try:
            quoted = wire.parse_quoted(body)
        except MalformedPacket:
            raise MalformedPacket(Drop.ICMP_BAD_QUOTE) from None
        if len(body) < quoted.length + MIN_QUOTE or quoted.fragment_offset:
            raise MalformedPacket(Drop.ICMP_BAD_QUOTE)
        if not self._ip.is_local(quoted.source):
            raise MalformedPacket(Drop.ICMP_BAD_QUOTE)
        return quoted

    # --- out --------------------------------------------------------------------------------------

    def send_unreachable(self, datagram: Datagram, code: int, now: Instant) -> None:
        """Answer with 'destination unreachable', unless RFC 1122 §3.2.2 forbids it."""
        self._send_error(DESTINATION_UNREACHABLE, code, 0, datagram, now)

    def send_too_big(self, datagram: Datagram, mtu: int, now: Instant) -> None:
        """Answer with 'fragmentation needed' (RFC 1191 §4): `mtu` octets go whole."""
        rest = int.from_bytes(icmp_wire.TOO_BIG.pack(0, min(mtu, wire.MAX_LENGTH)), "big")
        self._send_error(DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED, rest, datagram, now)

    def send_time_exceeded(self, datagram: Datagram, code: int, now: Instant) -> None:
        """Answer with 'time exceeded': of the TTL, or of the reassembly of `datagram`'s rest."""
        self._send_error(TIME_EXCEEDED, code, 0, datagram, now)

    def send_parameter_problem(self, datagram: Datagram, pointer: int, now: Instant) -> None:
        """Answer with 'parameter problem': `pointer` is the octet of the header that is wrong."""
        rest = int.from_bytes(icmp_wire.POINTER.pack(pointer, bytes(3)), "big")
        self._send_error(PARAMETER_PROBLEM, 0, rest, datagram, now)

    def send_redirect(self, datagram: Datagram, gateway: Ipv4Address, now: Instant) -> None:
        """Tell the source that `gateway` is the better first hop to this destination."""
        if self._limit.allow_redirect(datagram.source, now):
            code = icmp_wire.REDIRECT_HOST
            self._send_error(icmp_wire.REDIRECT, code, gateway, datagram, now)

    def _send_error(
        self, type_: int, code: int, rest: int, datagram: Datagram, now: Instant
    ) -> None:
        if not self._deserves_error(datagram):
            return
        destination = datagram.source
        to_ourselves = self._ip.is_local(destination)
        if not to_ourselves and not self._limit.allow(type_, code, destination, now):
            return
        source = datagram.destination if self._ip.is_local(datagram.destination) else IPV4_ANY
        with suppress(OSError):  # no way back to the source
            mtu = min(self._ip.path_to(destination).mtu, MAX_ERROR_LENGTH)
            room = mtu - wire.HEADER_LENGTH - icmp_wire.HEADER_LENGTH
            quote = (bytes(datagram.header) + datagram.payload[:room])[:room]
            tos = datagram.tos & TOS_SERVICE_MASK | TOS_INTERNETWORK_CONTROL
            self._send(Message(type_, code, rest, quote), source, destination, tos, now)

    def _deserves_error(self, datagram: Datagram) -> bool:
        """RFC 1122 §3.2.2: errors are never sent about errors, groups, later fragments, nobody."""
        header = wire.parse_quoted(datagram.header)
        if not datagram.to_us or self._is_group(datagram.destination) or header.fragment_offset:
            return False
        source = datagram.source
        if source == IPV4_ANY or self._is_group(source) or is_reserved(source):
            return False
        if datagram.protocol != wire.PROTOCOL_ICMP:
            return True
        # What cannot be told to be no error counts as one.
        type_ = datagram.payload[0] if len(datagram.payload) else icmp_wire.MAX_TYPE + 1
        return type_ not in icmp_wire.ERRORS and type_ <= icmp_wire.MAX_TYPE

    def _send(
        self,
        message: Message,
        source: Ipv4Address,
        destination: Ipv4Address,
        tos: int,
        now: Instant,
    ) -> None:
        octets = icmp_wire.build(message)
        with suppress(OSError):  # no way there: nobody is left to hear of it
            self._ip.send_datagram(
                wire.PROTOCOL_ICMP,
                source,
                destination,
                [octets],
                now,
                ttl=self._config.ip_default_ttl,
                tos=tos,
            )
            self.on_sent(destination, octets)

    def on_sent(self, destination: Ipv4Address, octets: Buffer) -> None:
        """Count and show a message that left, whoever made it: a raw socket's may be cut short."""
        type_ = octets[0]
        self._counters["IcmpOutMsgs"] += 1
        if type_ in OUT_COUNTERS:
            self._counters[OUT_COUNTERS[type_]] += 1
        if "icmp" in self._tracer.on:
            self._trace(">", destination, octets)

    def _is_group(self, address: Ipv4Address) -> bool:
        return self._ip.is_broadcast(address) or is_multicast(address)

    def _trace(self, direction: str, peer: Ipv4Address, octets: Buffer) -> None:
        code = octets[1] if len(octets) > 1 else 0
        length = max(len(octets) - icmp_wire.HEADER_LENGTH, 0)
        words = f"type {octets[0]} code {code}, length {length}"
        self._tracer.emit("icmp", f"{direction} {format_ipv4(peer)}: {words}")
