"""The neighbour cache: IPv4 addresses to Ethernet's, with Linux's states (RFC 1122 §2.3.2).

    NONE, FAILED --sent to--> INCOMPLETE --no answer--> FAILED
    any --answered--> REACHABLE --not confirmed for long--> STALE
    any --told by its own request, or of another address--> STALE
    STALE --sent to--> DELAY --not confirmed--> PROBE --no answer--> FAILED
    DELAY, PROBE --confirmed--> REACHABLE
    STALE, FAILED --not sent to for long--> removed

A transport confirms a neighbour, when it learns that what was sent through it has arrived (RFC 4861
§7.3.1). As in Linux that is only noted: it counts when the time of a state is up.

Each neighbour has one timer, which ends its state. The table is capped, and in order of use: who
floods us with senders pushes out no neighbour that we send to, and each of its own in turn.

Not done here: packets (`protocol.py`), who is believed (there too).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from errno import ENOBUFS

from tapstack.arp.config import ArpConfig
from tapstack.arp.neighbour import Neighbour, NeighbourState, Waiting
from tapstack.arp.wire import PROTOCOL_IPV4
from tapstack.base.address import Ipv4Address, MacAddress, format_ipv4
from tapstack.base.contracts import Buffer, Entropy, FrameSender, Offload
from tapstack.base.errors import Drop, os_error
from tapstack.base.timers import Timer, TimerQueue
from tapstack.base.trace import Tracer
from tapstack.base.units import Duration, Instant

INCOMPLETE = NeighbourState.INCOMPLETE
REACHABLE = NeighbourState.REACHABLE
STALE = NeighbourState.STALE
DELAY = NeighbourState.DELAY
PROBE = NeighbourState.PROBE
FAILED = NeighbourState.FAILED
PERMANENT = NeighbourState.PERMANENT

Solicit = Callable[[Ipv4Address, MacAddress | None, Instant], None]
"""Ask who has an address: all, or the one station at the Ethernet address."""
GiveUp = Callable[[Sequence[Buffer], Drop, Instant], None]
"""Hear that a datagram will not be sent, and why."""


class NeighbourCache:
    """The neighbours on one link, each sent to as soon as its address is known."""

    def __init__(
        self,
        frames: FrameSender,
        *,
        solicit: Solicit,
        give_up: GiveUp,
        timers: TimerQueue,
        entropy: Entropy,
        tracer: Tracer,
        config: ArpConfig,
    ) -> None:
        self.config = config
        self._frames = frames
        self._solicit = solicit
        self._give_up = give_up
        self._timers = timers
        self._entropy = entropy
        self._tracer = tracer
        self._table: OrderedDict[Ipv4Address, Neighbour] = OrderedDict()  # least used first
        self.latest: Neighbour | None = None
        """Whom `ready` gave last, as long as it would change nothing to ask for it again."""

    # --- the table --------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[Neighbour]:
        """Go through the neighbours as they are now, in the order of their addresses."""
        return iter(sorted(self._table.values(), key=lambda neighbour: neighbour.address))

    def find(self, address: Ipv4Address) -> Neighbour | None:
        """Find a neighbour, without using it."""
        return self._table.get(address)

    def add_permanent(self, address: Ipv4Address, mac: MacAddress, now: Instant) -> None:
        """Set a neighbour by hand: no packet and no time changes it.

        Raises: OSError with ENOBUFS when the table is full of neighbours that cannot go.
        """
        neighbour = self._find_or_add(address, now)
        if neighbour is None:
            raise os_error(ENOBUFS)
        neighbour.mac = mac
        self._become(neighbour, PERMANENT)
        self._send_waiting(neighbour, now)

    def remove(self, address: Ipv4Address, now: Instant) -> bool:
        """Forget a neighbour, however it came in, or tell that there is none."""
        neighbour = self._table.get(address)
        if neighbour is None:
            return False
        self._forget(neighbour)
        self._give_up_waiting(neighbour, now)
        return True

    def _find_or_add(self, address: Ipv4Address, now: Instant) -> Neighbour | None:
        """Find a neighbour or add it, the most recently used; None when the table is full."""
        neighbour = self._table.get(address)
        if neighbour is not None:
            return neighbour
        timer = self._free_timer(now)
        if timer is None:
            return None
        neighbour = self._table[address] = Neighbour(address, timer)
        timer.owner = neighbour
        self.latest = None
        return neighbour

    def _free_timer(self, now: Instant) -> Timer | None:
        """Make a timer, or take that of a neighbour that makes room.

        A timer's entry stays in the queue until it comes up, so that a new one for each of a
        flood of neighbours would fill the memory.
        """
        if len(self._table) < self.config.gc_thresh3:
            return self._timers.timer(None, self._on_neighbour_timeout)
        for neighbour in self._table.values():
            if self._may_go(neighbour, now):
                self._forget(neighbour)
                return neighbour.timer
        return None

    def _may_go(self, neighbour: Neighbour, now: Instant) -> bool:
        """Tell whether a neighbour can make room.

        Who was asked for in the last second stays: were it forgotten, it could be asked for again
        (RFC 1122 §2.3.2.1).
        """
        if neighbour.state in (PERMANENT, INCOMPLETE):
            return False
        last = neighbour.last_request
        return last is None or now - last >= self.config.retrans_time

    def _forget(self, neighbour: Neighbour) -> None:
        neighbour.timer.cancel()
        del self._table[neighbour.address]
        self.latest = None

    # --- sending ----------------------------------------------------------------------------------

    def send_datagram(
        self,
        address: Ipv4Address,
        parts: Sequence[Buffer],
        offload: Offload | None,
        now: Instant,
        *,
        confirmed: bool = False,
    ) -> None:
        """Send a datagram to a neighbour, as soon as its address is known.

        `confirmed`: one that was sent there before has arrived.

        RFC 1122 §2.3.2.2: "The link layer SHOULD save (rather than discard) at least one (the
        latest) packet of each set of packets destined to the same unresolved IP address".
        """
        neighbour = self._find_or_add(address, now)
        if neighbour is None:
            self._give_up(parts, Drop.ARP_TABLE_FULL, now)
            return
        self._table.move_to_end(address)
        self.latest = None
        if neighbour.mac is None:
            self._wait(neighbour, Waiting(parts, offload), now)
            return
        if confirmed:
            neighbour.confirmed = now
        if neighbour.state is STALE:
            self._become(neighbour, DELAY, now + self.config.delay_first_probe_time)
        self._frames.send_frame(neighbour.mac, PROTOCOL_IPV4, parts, offload, now)

    def ready(self, address: Ipv4Address) -> Neighbour | None:
        """Find a neighbour for a datagram that can leave to it at once; None: `send_datagram`."""
        neighbour = self._table.get(address)
        if neighbour is None or neighbour.mac is None or neighbour.state is STALE:
            return None
        self._table.move_to_end(address)
        self.latest = neighbour
        return neighbour

    def _wait(self, neighbour: Neighbour, datagram: Waiting, now: Instant) -> None:
        """Queue a datagram, the oldest giving way, and ask for the address unless it is asked."""
        neighbour.put_waiting(datagram)
        if neighbour.state is not INCOMPLETE:
            self._start_asking(neighbour, INCOMPLETE, now)
        while (
            neighbour.waiting_octets > self.config.unres_qlen_bytes and len(neighbour.waiting) > 1
        ):
            oldest = neighbour.take_oldest_waiting()
            self._give_up(oldest.parts, Drop.ARP_QUEUE_FULL, now)

    def _send_waiting(self, neighbour: Neighbour, now: Instant) -> None:
        for datagram in neighbour.take_waiting():
            self.send_datagram(neighbour.address, datagram.parts, datagram.offload, now)

    def _give_up_waiting(self, neighbour: Neighbour, now: Instant) -> None:
        for datagram in neighbour.take_waiting():
            self._give_up(datagram.parts, Drop.ARP_UNRESOLVED, now)

    # --- learning ---------------------------------------------------------------------------------

    def update(
        self,
        address: Ipv4Address,
        mac: MacAddress,
        now: Instant,
        *,
        answered: bool,
        override: bool,
    ) -> bool:
        """Take what a packet tells of a neighbour that is known, or tell that it is not.

        `answered`: it told it to us alone, so that it can hear us. `override`: believe another
        address at once, and not only when the last is `locktime` old.
        """
        neighbour = self._table.get(address)
        if neighbour is None:
            return False
        if neighbour.state is PERMANENT:
            return True
        if mac != neighbour.mac:
            locked = now - neighbour.learnt < self.config.locktime
            if neighbour.mac is not None and locked and not override:
                return True
        elif not answered:
            return True  # nothing new, and no proof that it can hear us
        self._learn(neighbour, mac, now, answered=answered)
        return True

    def hear(self, address: Ipv4Address, mac: MacAddress, now: Instant) -> None:
        """Take what a packet tells of a neighbour that asks for us: most likely we answer it soon.

        One that was not known is the next to make room, until we send to it.
        """
        if self.update(address, mac, now, answered=False, override=True):
            return
        neighbour = self._find_or_add(address, now)
        if neighbour is not None:
            self._table.move_to_end(address, last=False)
            self._learn(neighbour, mac, now, answered=False)

    def _learn(
        self, neighbour: Neighbour, mac: MacAddress, now: Instant, *, answered: bool
    ) -> None:
        neighbour.mac = mac
        neighbour.learnt = now
        if answered:
            self._become_reachable(neighbour, now)
        else:
            neighbour.confirmed = None
            self._become(neighbour, STALE, now + self.config.gc_stale_time)
        self._send_waiting(neighbour, now)

    # --- states -----------------------------------------------------------------------------------

    def _become(
        self, neighbour: Neighbour, state: NeighbourState, until: Instant | None = None
    ) -> None:
        """Enter a state, and stay in it until a time, or for ever."""
        if "arp" in self._tracer.on and state is not neighbour.state:
            change = f"{neighbour.state.name} -> {state.name}"
            self._tracer.emit("arp", f"neighbour {format_ipv4(neighbour.address)} {change}")
        neighbour.state = state
        self.latest = None
        if until is None:
            neighbour.timer.cancel()
        else:
            neighbour.timer.arm(until)

    def _become_reachable(self, neighbour: Neighbour, confirmed: Instant) -> None:
        neighbour.confirmed = confirmed
        neighbour.reachable_time = self._draw_reachable_time()
        self._become(neighbour, REACHABLE, neighbour.reachable_until)

    def _draw_reachable_time(self) -> Duration:
        """Choose between half and one and a half of the base, in µs (RFC 4861 §6.3.2)."""
        base = self.config.base_reachable_time
        return base // 2 + (self._entropy.random_bits(32) * base >> 32)

    def _on_neighbour_timeout(self, neighbour: Neighbour, now: Instant) -> None:
        """End a state whose time is up."""
        state = neighbour.state
        if state is REACHABLE and now < neighbour.reachable_until:
            neighbour.timer.arm(neighbour.reachable_until)
        elif state is REACHABLE:
            self._become(neighbour, STALE, now + self.config.gc_stale_time)
        elif state in (DELAY, PROBE) and self._is_confirmed_after_all(neighbour, now):
            return
        elif state is DELAY:
            self._start_asking(neighbour, PROBE, now)
        elif state is INCOMPLETE:
            self._ask_again(neighbour, self.config.mcast_solicit, now)
        elif state is PROBE:
            self._ask_again(neighbour, self.config.ucast_solicit, now)
        else:  # STALE or FAILED
            self._forget(neighbour)

    def _is_confirmed_after_all(self, neighbour: Neighbour, now: Instant) -> bool:
        """See whether a doubtful neighbour was confirmed lately; then it is reachable."""
        confirmed = neighbour.confirmed
        if confirmed is None or now - confirmed > self.config.delay_first_probe_time:
            return False
        self._become_reachable(neighbour, confirmed)
        return True

    def _start_asking(self, neighbour: Neighbour, state: NeighbourState, now: Instant) -> None:
        neighbour.probes = 0
        self._ask(neighbour, state, now)

    def _ask_again(self, neighbour: Neighbour, limit: int, now: Instant) -> None:
        if neighbour.probes < limit:
            self._ask(neighbour, neighbour.state, now)
            return
        neighbour.mac = None
        self._become(neighbour, FAILED, now + self.config.gc_stale_time)
        self._give_up_waiting(neighbour, now)

    def _ask(self, neighbour: Neighbour, state: NeighbourState, now: Instant) -> None:
        """Send one request: to all for an address that is not known, else to where it was."""
        neighbour.probes += 1
        neighbour.last_request = now
        self._become(neighbour, state, now + self.config.retrans_time)
        self._solicit(neighbour.address, neighbour.mac, now)
