"""The TCP engine: what the layers below and the user's side see of it (RFC 9293 §3.9).

Not done here: the protocol itself. Each section has its own file, and this one says which is asked.
"""

from __future__ import annotations

from collections.abc import Iterable

from tapstack.base.address import Endpoint, is_multicast
from tapstack.base.contracts import Buffer, Datagram, DatagramSender, Entropy, EventSink, IcmpError
from tapstack.base.counters import Counters
from tapstack.base.errors import Drop, MalformedPacket
from tapstack.base.timers import TimerQueue
from tapstack.base.trace import Tracer
from tapstack.base.units import Instant
from tapstack.tcp import fast_open_client, reading, transmit_timestamps, user_calls
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.connections import Connections, PortBinding
from tapstack.tcp.context import Context
from tapstack.tcp.ephemeral_ports import EphemeralPorts
from tapstack.tcp.exchange import read_exchange
from tapstack.tcp.fast_open_keys import FastOpenKeys
from tapstack.tcp.fast_open_peers import FastOpenPeers
from tapstack.tcp.fin_wait_2 import orphan_arrives
from tapstack.tcp.handshake import closed_state, listen_state, syn_sent_state
from tapstack.tcp.icmp_errors import icmp_error_arrives
from tapstack.tcp.info import TcpInfo, info_of
from tapstack.tcp.isn import KeyedHash
from tapstack.tcp.listener import Listener
from tapstack.tcp.lone_fin import close_at_once
from tapstack.tcp.output import send_what_may_be_sent
from tapstack.tcp.segment import ACK, ECN_MASK, RST, Segment
from tapstack.tcp.segment_arrives import segment_arrives
from tapstack.tcp.sent_segment import packets_of
from tapstack.tcp.short_text import send_short_text
from tapstack.tcp.state import Shut, State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.time_to_live import came_too_far
from tapstack.tcp.time_wait import time_wait_state
from tapstack.tcp.transmission import (
    build_segment_header,
    offload_for,
    sequence_of_ack,
    transmit,
)
from tapstack.tcp.transmit_timestamps import Wish, note_ttl
from tapstack.tcp.urgent import UrgentOctet, is_at_mark
from tapstack.tcp.user_options import UserOptions
from tapstack.tcp.user_settings import option_changed
from tapstack.tcp.wire import PROTOCOL_TCP, parse, verify_checksum


class Tcp:
    """One host's TCP."""

    def __init__(
        self,
        *,
        ip: DatagramSender,
        timers: TimerQueue,
        entropy: Entropy,
        counters: Counters,
        events: EventSink,
        tracer: Tracer,
        config: TcpConfig | None = None,
    ) -> None:
        self.config = config or TcpConfig()
        self.context = self._ctx = Context(
            ip=ip,
            timers=timers,
            entropy=entropy,
            counters=counters,
            events=events,
            tracer=tracer,
            config=self.config,
            connections=Connections(EphemeralPorts(self.config, entropy)),
            keyed_hash=KeyedHash(entropy),
            fast_open_keys=FastOpenKeys(entropy),
        )

    # --- from below ---

    def receive(self, datagram: Datagram, now: Instant) -> None:
        """Take a segment (§3.10.7). Raises: MalformedPacket."""
        ctx = self._ctx
        ctx.counters["TcpInSegs"] += 1
        destination = datagram.destination
        if not datagram.to_us or ctx.ip.is_broadcast(destination) or is_multicast(destination):
            # RFC 9293 MUST-57: "silently discard a segment addressed to a broadcast or multicast".
            raise MalformedPacket(Drop.TCP_BROADCAST)
        seg = parse(datagram.payload, datagram.tos)
        if datagram.offload is None:
            verify_checksum(datagram)
        if "tcp" in ctx.tracer.on:
            source = Endpoint(datagram.source, seg.source_port)
            target = Endpoint(datagram.destination, seg.destination_port)
            ctx.tracer.emit("tcp", f"{source} > {target}: {seg}")
        self._dispatch(datagram, seg, now)

    def _dispatch(self, datagram: Datagram, seg: Segment, now: Instant) -> None:
        """Hand a segment to the section of its connection's state."""
        ctx = self._ctx
        local, port = datagram.destination, seg.destination_port
        tcb = ctx.connections.find(local, port, datagram.source, seg.source_port)
        if tcb is None:
            tcb = self._dispatch_to_listener(datagram, seg, now)
            if tcb is None:
                return
        elif came_too_far(ctx, tcb.options, datagram):
            return
        if tcb.text_followers:
            note_ttl(tcb, datagram.ttl)
        if tcb.state is State.TIME_WAIT:
            time_wait_state(ctx, tcb, datagram, seg, now)
        else:
            self.take(tcb, seg, datagram.segment_size, now)

    def take(self, tcb: Tcb, seg: Segment, segment_size: int, now: Instant) -> None:
        """Hand a segment to the section of its connection's state, which is not TIME-WAIT.

        `segment_size` is the text in each segment on the wire, 0 where it is one.
        """
        ctx, length = self._ctx, len(seg.text)
        tcb.undisturbed = False
        if tcb.syn_ack is not None and not tcb.opens_early:
            tcb.statistics.on_half_open()
        tcb.statistics.on_received(packets_of(length, segment_size or length or 1), length > 0)
        if tcb.state is State.SYN_SENT:
            syn_sent_state(ctx, tcb, seg, now)
        elif tcb.state is State.FIN_WAIT_2 and tcb.orphaned:
            orphan_arrives(ctx, tcb, seg, now)
        else:
            segment_arrives(ctx, tcb, seg, segment_size, now)

    def _dispatch_to_listener(self, datagram: Datagram, seg: Segment, now: Instant) -> Tcb | None:
        """Take a segment that belongs to no connection, unless a SYN cookie names one."""
        ctx = self._ctx
        listener = ctx.connections.find_listener(datagram.destination, seg.destination_port)
        if listener is not None:
            if came_too_far(ctx, listener.options, datagram):
                return None
            return listen_state(ctx, listener, datagram, seg, now)
        closed_state(ctx, datagram, seg)
        return None

    def on_icmp_error(self, error: IcmpError, now: Instant) -> None:
        """Hear of an error that a segment of ours met (§3.9.2.2)."""
        icmp_error_arrives(self._ctx, error, now)

    # --- output ---

    def flush(self, now: Instant) -> None:
        """Send what the doors left to be sent: replies, then each dirty connection's output."""
        ctx = self._ctx
        while ctx.is_due:
            if ctx.replies or ctx.resets:
                self._send_replies(now)
            dirty = ctx.dirty
            while dirty:
                # If a signal handler raises amid this one's turn, the others' are still to come.
                tcb = dirty[0]
                tcb.dirty = False
                dirty.popleft()
                send_what_may_be_sent(ctx, tcb, now)
            ctx.is_due = bool(ctx.replies or ctx.resets)

    def _send_replies(self, now: Instant) -> None:
        ctx = self._ctx
        replies, ctx.replies = ctx.replies, []
        for source, destination, segment, why, ttl in replies:
            self._send_reply(source, destination, segment, why, ttl, now)
        resets, ctx.resets = ctx.resets, []
        for tcb, why in resets:
            ctx.counters["TcpOutRsts"] += 1
            transmit(ctx, tcb, sequence_of_ack(tcb), RST | ACK, 0, now, why)

    def _send_reply(
        self, source: int, destination: int, segment: Segment, why: str, ttl: int, now: Instant
    ) -> None:
        ctx = self._ctx
        ctx.counters["TcpOutSegs"] += 1
        if segment.flags & RST:
            ctx.counters["TcpOutRsts"] += 1
        if "tcp" in ctx.tracer.on:
            here = Endpoint(source, segment.source_port)
            there = Endpoint(destination, segment.destination_port)
            ctx.tracer.emit("tcp", f"{here} > {there}: {segment} ({why})")
        header = build_segment_header(segment, source, destination, 0)
        try:
            ctx.ip.send_datagram(
                PROTOCOL_TCP,
                source,
                destination,
                [header],
                now,
                ttl=ttl,
                tos=segment.tos & ~ECN_MASK,
                dont_fragment=True,
                offload=offload_for(0),
            )
        except OSError as error:
            if error.errno is None:  # as in `transmission.py`
                raise
            ctx.counters.drop(Drop.IP_NO_ROUTE)

    # --- the user's calls (§3.10.1 to 6) ---

    def bind(
        self, local: Endpoint, *, reuse_address: bool = False, reuse_port: bool = False
    ) -> PortBinding:
        """Take hold of a local port; port 0 asks for any that is free.

        Raises: OSError with EADDRINUSE, or EADDRNOTAVAIL for an address that is not ours.
        """
        return user_calls.bind(self._ctx, local, reuse_address, reuse_port)

    def release(self, binding: PortBinding) -> None:
        """Give back the hold of a socket that never connected nor listened."""
        self._ctx.connections.release(binding)

    def open_passive(self, binding: PortBinding, backlog: int, options: UserOptions) -> Listener:
        """Listen on a bound port. Raises: OSError with EADDRINUSE."""
        return user_calls.open_passive(self._ctx, binding, backlog, options)

    def open_active(
        self,
        remote: Endpoint,
        options: UserOptions,
        now: Instant,
        binding: PortBinding | None = None,
        *,
        with_text: bool = False,
    ) -> Tcb:
        """Begin a connection; `with_text` has its SYN wait for the first `send` (RFC 7413).

        Raises: OSError with ENETUNREACH, EADDRNOTAVAIL.
        """
        return user_calls.open_active(self._ctx, remote, options, now, binding, with_text=with_text)

    def accept(self, listener: Listener) -> Tcb | None:
        """Take the oldest connection that waits, or None."""
        return user_calls.accept(listener)

    def send(
        self,
        tcb: Tcb,
        data: Buffer,
        now: Instant,
        *,
        out_of_band: bool = False,
        more: bool = False,
        ends_record: bool = False,
    ) -> int:
        """Queue text; tell how many octets found room, 0 for none. Raises: OSError.

        Of a connection whose SYN waits for it, that is what the SYN can carry, and 0 if none.

        With `out_of_band`, the last octet that found room is urgent (RFC 9293 §3.8.5); with `more`,
        a segment that is not full waits for the next call, and with `ends_record`, none of its text
        leaves with the last of this.
        """
        plain = not (out_of_band or more or ends_record)
        if plain and send_short_text(self._ctx, tcb, data, now):
            return len(data)
        if tcb.fast_open is not None and fast_open_client.is_deferred(tcb):
            return fast_open_client.send_first(self._ctx, tcb, data, now)
        return user_calls.send(
            self._ctx, tcb, data, now, out_of_band=out_of_band, more=more, ends_record=ends_record
        )

    def note_queued(self, tcb: Tcb, wish: Wish) -> None:
        """Have its user told of what the last `send` queued."""
        transmit_timestamps.note_queued(tcb, wish)

    def receive_text(
        self, tcb: Tcb, size: int, now: Instant, *, peek: bool = False
    ) -> bytes | None:
        """Take text; None: nothing there yet; b"": the stream has ended. Raises: OSError."""
        if not peek and 0 < tcb.receive_queue.octets <= size:
            text = read_exchange(self._ctx, tcb, now)
            if text is not None:
                return text
        return reading.receive(self._ctx, tcb, size, now, peek)

    def receive_urgent(self, tcb: Tcb, *, peek: bool = False) -> bytes:
        """Take the urgent octet. Raises: OSError with EINVAL (there is none), EAGAIN (not yet)."""
        return reading.receive_urgent(tcb, peek)

    def begin_shut(self, endpoint: Tcb | Listener, shut: Shut) -> None:
        """Begin with what its user has shut before."""
        user_calls.begin_shut(endpoint, shut)

    def shutdown(self, tcb: Tcb, *, read: bool, write: bool) -> None:
        """Close one direction or both. Raises: OSError with ENOTCONN."""
        user_calls.shutdown(self._ctx, tcb, read=read, write=write)

    def close(self, endpoint: Tcb | Listener, now: Instant) -> None:
        """Close for good: what is queued is still sent."""
        if isinstance(endpoint, Listener):
            user_calls.close_listener(self._ctx, endpoint)
        elif not close_at_once(self._ctx, endpoint, now):
            user_calls.close(self._ctx, endpoint, now)

    def stop_listening(self, listener: Listener) -> None:
        """Listen no more; the port is still held."""
        user_calls.stop_listening(self._ctx, listener)

    def abort(self, tcb: Tcb, error: int = 0) -> None:
        """Reset a connection and forget it; `error` is the errno that its user is told."""
        user_calls.abort(self._ctx, tcb, error)

    def take_error(self, tcb: Tcb) -> int:
        """Give and clear the errno that waits for the user; 0: none."""
        number, tcb.error = tcb.error, 0
        return number

    def take_soft_error(self, tcb: Tcb) -> int:
        """Give and clear the errno of what did not end the connection; 0: there was nothing."""
        number, tcb.soft_error = tcb.soft_error, 0
        return number

    def option_changed(self, tcb: Tcb, name: str, now: Instant) -> None:
        """Heed an attribute of its `UserOptions` that the user has just set on a connection."""
        option_changed(self._ctx, tcb, name, now)

    # --- STATUS ---

    def info(self, endpoint: Tcb | Listener | None, now: Instant) -> TcpInfo:
        """Tell all about a connection or a listener in numbers; None: about a fresh socket."""
        return info_of(endpoint, self.config, now)

    def is_readable(self, tcb: Tcb, *, least: int | None = None) -> bool:
        """Tell whether `receive_text` would return `least` octets, or as many as will come.

        Without `least`, tell whether there is as much as SO_RCVLOWAT says is worth it.
        """
        if least is None:
            return reading.is_worth_polling(tcb)
        return reading.is_readable(tcb, least)

    def is_writable(self, tcb: Tcb) -> bool:
        """Tell whether `send` would take something, or raise, now."""
        return user_calls.is_writable(self._ctx, tcb)

    def has_ended(self, tcb: Tcb) -> bool:
        """Tell whether no more text will come behind what is queued."""
        return reading.has_ended(tcb)

    def has_urgent(self, tcb: Tcb) -> bool:
        """Tell whether `receive_urgent` would give an octet now."""
        return tcb.urgent_octet is UrgentOctet.HERE

    def is_at_mark(self, tcb: Tcb) -> bool:
        """Tell whether the next octet of the stream is the urgent one (sockatmark)."""
        return is_at_mark(tcb)

    def unread(self, tcb: Tcb) -> int:
        """Count the octets that may be read before the mark or the end (SIOCINQ)."""
        return reading.unread(tcb)

    def unread_with_fin(self, tcb: Tcb) -> int:
        """Count what the user has not read: octets, and the peer's FIN for as long as it lives."""
        return reading.unread_with_fin(tcb)

    def unacknowledged(self, tcb: Tcb) -> int:
        """Count the octets that are queued or in flight, and our FIN (SIOCOUTQ)."""
        return user_calls.unacknowledged(tcb)

    def unsent(self, tcb: Tcb) -> int:
        """Count the octets that were never sent, and our FIN (SIOCOUTQNSD)."""
        return user_calls.unsent(tcb)

    @property
    def connections(self) -> Iterable[Tcb]:
        """Every connection, half-open and waiting ones included."""
        return self._ctx.connections.tcbs.values()

    @property
    def listeners(self) -> Iterable[Listener]:
        """Every listener."""
        return self._ctx.connections.all_listeners()

    @property
    def fast_open_peers(self) -> FastOpenPeers:
        """What is remembered of servers, for Fast Open."""
        return self._ctx.fast_open_peers

    @property
    def bound_ports(self) -> int:
        """Count the local ports that are held."""
        return self._ctx.connections.bound_ports
