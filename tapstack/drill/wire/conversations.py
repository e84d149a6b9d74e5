"""Which conversation a packet belongs to, and when one begins.

A script's packets seldom say their ports: they belong to the latest conversation of their protocol.
A new one begins with the first packet that comes in for a socket which listens, with the SYN of a
socket that connects, and with the first datagram of a socket of UDP.

Not done here: what a conversation learns (`conversation.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tapstack.base.address import IPV4_ANY, Endpoint
from tapstack.drill.contract import Addresses
from tapstack.drill.language.syntax import Direction, IcmpMessage, Packet, Ports, TcpSegment
from tapstack.drill.settings import Settings
from tapstack.drill.wire.conversation import Conversation
from tapstack.drill.wire.numbering import Payload
from tapstack.drill.wire.reading import Reading
from tapstack.ip.wire import PROTOCOL_ICMP
from tapstack.tcp.wire import PROTOCOL_TCP
from tapstack.udp.wire import PROTOCOL_UDP

FIRST_REMOTE_PORT = 53055
"""Of the first connection that the script opens; those behind it count up."""

_QUOTED_PROTOCOLS = {"tcp": PROTOCOL_TCP, "udp": PROTOCOL_UDP}


@dataclass(slots=True)
class _Socket:
    """A socket of the script, while no conversation has begun on it."""

    protocol: int
    local: Endpoint | None = None
    remote: Endpoint | None = None
    listens: bool = False


class Conversations:
    """The conversations of one run of a script, the latest last."""

    def __init__(self, addresses: Addresses, settings: Settings) -> None:
        self._addresses = addresses
        self._settings = settings
        self._all: list[Conversation] = []
        self._latest_socket: _Socket | None = None
        self._idle: dict[int, _Socket] = {}
        """The latest socket of each protocol, until a conversation begins on it."""
        self._next_port = FIRST_REMOTE_PORT

    def __iter__(self) -> Iterator[Conversation]:
        return iter(self._all)

    # --- what the script's system calls did, as far as it matters here ---

    def on_socket(self, protocol: int) -> None:
        """Hear that a socket was opened: what begins from now on is about it."""
        self._latest_socket = self._idle[protocol] = _Socket(protocol)

    def on_bind(self, local: Endpoint) -> None:
        """Hear what the latest socket was bound to, as the host has it."""
        if self._latest_socket:
            self._latest_socket.local = local

    def on_connect(self, remote: Endpoint) -> None:
        """Hear that the latest socket connects: told before the call, for it may block."""
        if self._latest_socket:
            self._latest_socket.remote = remote

    def on_listen(self) -> None:
        """Hear that the latest socket listens."""
        if self._latest_socket:
            self._latest_socket.listens = True

    # --- what the script's packets belong to ---

    def of_injected(self, packet: Packet) -> Conversation:
        """Give the conversation of a packet that is injected now, or begin it."""
        protocol = _protocol_of(packet, self._latest(None))
        ports = _local_first(packet)
        known = self._by_ports(protocol, ports) if ports else self._latest(protocol)
        if known is not None and not (ports is None and self._begins_inbound(protocol, packet)):
            return known
        return self.begin(self._inbound(protocol, ports))

    def of_expected(self, packet: Packet) -> Conversation | None:
        """Give the conversation that a packet is expected in, if it has begun."""
        protocol = _protocol_of(packet, self._latest(None))
        ports = _local_first(packet)
        return self._by_ports(protocol, ports) if ports else self._latest(protocol)

    def of_sent(self, reading: Reading, expected: Packet | None) -> Conversation | None:
        """Give the conversation of a datagram that the host sent; a new one is not begun yet.

        None: it is none of the script's business.
        """
        if reading.protocol == PROTOCOL_ICMP:
            return self._of_message(reading, expected)
        ends = reading.protocol, reading.source, reading.destination
        if not self._begins_outbound(reading):
            for known in reversed(self._all):
                if (known.protocol, known.local, known.remote) == ends:
                    return known
        if not self._may_begin(reading):
            return None
        ports = _local_first(expected) if expected else None
        return Conversation(*ends, ports, self._settings.tcp_ts_ecr_scaled)

    def begin(self, conversation: Conversation) -> Conversation:
        """Make a conversation the latest one, unless it is known."""
        if not any(conversation is known for known in self._all):
            self._all.append(conversation)
            self._idle.pop(conversation.protocol, None)
        return conversation

    # --- beginning ---

    def _begins_inbound(self, protocol: int, packet: Packet) -> bool:
        """Tell whether what comes in now is the first that the latest socket hears."""
        socket = self._idle.get(protocol)
        if socket is None or isinstance(packet.payload, IcmpMessage):
            return False
        if isinstance(packet.payload, TcpSegment) and socket.remote is None:
            return socket.listens or _is_first_syn(packet.payload)
        return protocol == PROTOCOL_UDP

    def _begins_outbound(self, reading: Reading) -> bool:
        """Tell whether this is the SYN of the latest socket, even between ends that are known."""
        socket = self._idle.get(PROTOCOL_TCP)
        if socket is None or not _is_first_syn(reading.payload):
            return False
        return socket.remote == reading.destination

    def _may_begin(self, reading: Reading) -> bool:
        """Tell whether a datagram between unknown ends can be the script's."""
        if reading.protocol == PROTOCOL_TCP:
            return _is_first_syn(reading.payload)
        return reading.protocol == PROTOCOL_UDP

    def _inbound(self, protocol: int, ports: Ports | None) -> Conversation:
        """Make the conversation that a packet from outside begins."""
        socket = self._idle.get(protocol, _Socket(protocol))
        local = self._local(socket)
        remote = socket.remote or Endpoint(self._addresses.remote, self._draw_port(protocol))
        if ports:
            local, remote = (
                local._replace(port=ports.source),
                remote._replace(port=ports.destination),
            )
        if protocol == PROTOCOL_ICMP:
            local, remote = local._replace(port=0), remote._replace(port=0)
        return Conversation(protocol, local, remote, ports, self._settings.tcp_ts_ecr_scaled)

    def _local(self, socket: _Socket) -> Endpoint:
        local = socket.local or Endpoint(IPV4_ANY, self._settings.bind_port)
        return local if local.address != IPV4_ANY else local._replace(address=self._addresses.local)

    def _draw_port(self, protocol: int) -> int:
        port = self._next_port
        self._next_port += protocol != PROTOCOL_ICMP
        return port

    # --- finding ---

    def _latest(self, protocol: int | None) -> Conversation | None:
        found = (each for each in reversed(self._all) if protocol in (None, each.protocol))
        return next(found, None)

    def _by_ports(self, protocol: int, ports: Ports) -> Conversation | None:
        """Find by ports as the script writes them, or as they are."""
        for each in reversed(self._all):
            live = Ports(each.local.port, each.remote.port)
            if each.protocol == protocol and ports == (each.script_ports or live):
                return each
        return None

    def _of_message(self, reading: Reading, expected: Packet | None) -> Conversation | None:
        """Take an ICMP message where the script has any."""
        if expected is None or not isinstance(expected.payload, IcmpMessage):
            return None
        known = self.of_expected(expected)
        if known and known.remote.address == reading.destination.address:
            return known
        return Conversation(PROTOCOL_ICMP, reading.source, reading.destination)


def _is_first_syn(payload: Payload | None) -> bool:
    """Tell a SYN that opens from one that answers."""
    return isinstance(payload, TcpSegment) and "S" in payload.flags and "." not in payload.flags


def _protocol_of(packet: Packet, latest: Conversation | None) -> int:
    """Tell whose conversation a packet belongs to: an ICMP error to the one that it is about."""
    if isinstance(packet.payload, IcmpMessage):
        quoted = packet.payload.quoted
        if quoted and quoted.kind in _QUOTED_PROTOCOLS:
            return _QUOTED_PROTOCOLS[quoted.kind]
        return latest.protocol if latest else PROTOCOL_ICMP
    return PROTOCOL_TCP if isinstance(packet.payload, TcpSegment) else PROTOCOL_UDP


def _local_first(packet: Packet) -> Ports | None:
    """Give the ports that a packet says, the host's own first."""
    if isinstance(packet.payload, IcmpMessage) or packet.payload.ports is None:
        return None
    ports = packet.payload.ports
    if packet.direction is Direction.OUT:
        return ports
    return Ports(ports.destination, ports.source)
