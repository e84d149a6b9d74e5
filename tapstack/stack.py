"""One host: the engines put together, and the three doors by which everything enters.

A cause, be it a frame, a deadline or a user's call, runs to completion: what it changes is pushed
up by plain calls, and then `flush` pulls the output. The driver that owns clock, devices and
threads calls one door at a time.

Not done here: protocol (the engines), reading devices and waking who waits (the drivers).
"""

from __future__ import annotations

from tapstack.arp.config import ArpConfig
from tapstack.base.address import Network
from tapstack.base.contracts import Entropy, Frame, NetDevice, SocketEvent
from tapstack.base.counters import Counters
from tapstack.base.errors import MalformedPacket
from tapstack.base.timers import TimerQueue
from tapstack.base.trace import Tracer
from tapstack.base.units import Duration, Instant
from tapstack.eth.wire import ETHERTYPE_IPV4
from tapstack.express import ExpressLane
from tapstack.express_datagrams import DatagramLane
from tapstack.interface import NetworkInterface
from tapstack.ip.config import IpConfig
from tapstack.ip.protocol import Ip
from tapstack.tcp.config import TcpConfig
from tapstack.tcp.protocol import Tcp
from tapstack.tcp.wire import PROTOCOL_TCP
from tapstack.udp.protocol import Udp
from tapstack.udp.wire import PROTOCOL_UDP


class Stack:
    """The engines of one host, its interfaces, and what they share."""

    def __init__(
        self,
        entropy: Entropy,
        *,
        tcp_config: TcpConfig | None = None,
        ip_config: IpConfig | None = None,
    ) -> None:
        self._counters = Counters()
        self.tracer = Tracer()
        self.timers = TimerQueue()
        self.interfaces: dict[str, NetworkInterface] = {}
        """By name."""
        self.epoch: Duration = 0
        """What to add to an instant to get µs since 1970, for users who are told the time."""
        self._entropy = entropy
        self.looping: list[NetworkInterface] = []
        """Loopbacks that have sent what was not read back yet."""
        self.events: list[SocketEvent] = []
        """What happened to sockets since `take_events`."""
        self.ip = Ip(
            timers=self.timers,
            entropy=entropy,
            counters=self._counters,
            tracer=self.tracer,
            events=self,
            config=ip_config,
        )
        self.udp = Udp(
            ip=self.ip,
            icmp=self.ip.icmp,
            entropy=entropy,
            counters=self._counters,
            events=self,
            tracer=self.tracer,
        )
        self.tcp = Tcp(
            ip=self.ip,
            timers=self.timers,
            entropy=entropy,
            counters=self._counters,
            events=self,
            tracer=self.tracer,
            config=tcp_config,
        )
        self._tcp_context = self.tcp.context
        self._express = ExpressLane(self)
        self._datagram_lane = DatagramLane(self)
        self.ip.register(PROTOCOL_UDP, self.udp)
        self.ip.register(PROTOCOL_TCP, self.tcp)

    # --- putting together ---

    def attach(
        self,
        device: NetDevice,
        network: Network,
        now: Instant,
        *,
        arp_config: ArpConfig | None = None,
    ) -> NetworkInterface:
        """Add an interface on a device, with an address and the route that comes with it."""
        interface = NetworkInterface(
            device,
            timers=self.timers,
            entropy=self._entropy,
            counters=self._counters,
            tracer=self.tracer,
            arp_config=arp_config,
        )
        interface.bind_network(ETHERTYPE_IPV4, self.ip)
        interface.on_unreachable = self.ip.on_link_unreachable
        self.interfaces[interface.name] = interface
        if interface.is_loopback():
            interface.on_looped = self._note_looped
        self.ip.add_interface(interface)
        self.ip.add_address(interface, network)
        interface.add_address(network, now)
        self.flush(now)
        return interface

    # --- the doors ---

    def receive(self, interface: NetworkInterface, frame: Frame, now: Instant) -> None:
        """First door: a frame arrives. What is malformed is counted, and goes no further."""
        if self._express.receive(interface, (frame,), 0, now):
            if self._tcp_context.is_due:
                self.flush(now)
            return
        if not self._datagram_lane.receive(interface, (frame,), now):
            self._deliver(interface, frame, now)
        self.flush(now)

    def receive_all(self, interface: NetworkInterface, frames: list[Frame], now: Instant) -> None:
        """First door, for frames that came one right behind the other."""
        express, tcp, at, count = self._express.receive, self._tcp_context, 0, len(frames)
        while at < count:
            taken = express(interface, frames, at, now)
            if not taken:
                taken = self._datagram_lane.receive(interface, frames[at:], now)
                if not taken:
                    self._deliver(interface, frames[at], now)
                    taken = 1
            if tcp.is_due or self.looping:
                self.flush(now)
            at += taken

    def expire(self, now: Instant) -> None:
        """Second door: time has come to `now`; every deadline up to then is met."""
        self.timers.expire(now)
        self.flush(now)

    def flush(self, now: Instant) -> None:
        """End of every door, and of the third, a user's call: pull what may be sent.

        What goes to ourselves is delivered within the same call, until nothing more comes of it.
        """
        if self._tcp_context.is_due:
            self.tcp.flush(now)
        if self.looping:
            self._loop_back(now)

    def _note_looped(self, loopback: NetworkInterface) -> None:
        if loopback not in self.looping:
            self.looping.append(loopback)

    def _loop_back(self, now: Instant) -> None:
        for loopback in [*self.looping]:
            while (frame := loopback.device.read(now)) is not None:
                self._deliver(loopback, frame, now)
                self.tcp.flush(now)
            passed = loopback.statistics
            if passed.tx_packets == passed.rx_packets:  # else some is late there, or was lost
                self.looping.remove(loopback)

    def _deliver(self, interface: NetworkInterface, frame: Frame, now: Instant) -> None:
        try:
            interface.receive(frame, now)
        except MalformedPacket as malformed:
            self._counters.drop(malformed.reason)

    # --- what the driver asks ---

    @property
    def counters(self) -> Counters:
        """Every counter, with what the express lane has taken counted in."""
        for interface in self.interfaces.values():
            interface.count_passed()
        return self._counters

    def next_deadline(self) -> Instant | None:
        """Tell when `expire` is to be called next, or None."""
        return self.timers.next_deadline()

    def report(self, endpoint: object, events: int) -> None:
        """Note an event: for the engines."""
        self.events.append((endpoint, events))

    def take_events(self) -> list[SocketEvent]:
        """Take what happened to sockets since the last call, in order."""
        events, self.events = self.events, []
        return events
