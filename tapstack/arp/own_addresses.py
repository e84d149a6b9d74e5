"""Our own addresses on a link: announcing and defending them (RFC 5227 §2.3, §2.4).

Not done here: probing before an address is taken (RFC 5227 §2.1). Who sets an address by hand
waits for nothing, as on Linux; another host's claim to it is met when it is heard.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tapstack.arp.config import ArpConfig
from tapstack.base.address import IPV4_ANY, IPV4_LIMITED_BROADCAST, Ipv4Address, Network
from tapstack.base.timers import Timer, TimerQueue
from tapstack.base.units import SECOND, Instant

ANNOUNCE_NUM = 2  # RFC 5227 §1.1
ANNOUNCE_INTERVAL = 2 * SECOND  # RFC 5227 §1.1
DEFEND_INTERVAL = 10 * SECOND  # RFC 5227 §1.1

Announce = Callable[[Ipv4Address, Instant], None]
"""Tell the link that an address is ours."""


@dataclass(slots=True, eq=False)
class OwnAddress:
    """An address of ours, and how the link has been told of it."""

    network: Network
    timer: Timer
    """Due when the next announcement is."""
    announcements: int = 0
    """How many were sent when it became ours."""
    last_defence: Instant | None = None
    """When it was last defended against somebody else's claim."""


class OwnAddresses:
    """The addresses of one interface. They are kept, whoever else claims them."""

    def __init__(self, *, timers: TimerQueue, announce: Announce, config: ArpConfig) -> None:
        self._timers = timers
        self._announce = announce
        self._config = config
        self._own: dict[Ipv4Address, OwnAddress] = {}
        self._broadcasts = {IPV4_LIMITED_BROADCAST}

    def __contains__(self, address: object) -> bool:
        return address in self._own

    def __iter__(self) -> Iterator[Network]:
        return (own.network for own in self._own.values())

    def is_broadcast(self, address: Ipv4Address) -> bool:
        """Tell whether an address means every host here: limited or directed (RFC 919 §7)."""
        return address in self._broadcasts

    def add(self, network: Network, now: Instant) -> None:
        """Take an address, and announce it twice, unless we keep quiet about ours."""
        own = OwnAddress(network, self._timers.timer(None, self._on_announcement_due))
        own.timer.owner = own
        self._own[network.address] = own
        # RFC 3021 §2.1: a point-to-point network of two addresses has no broadcast.
        if network.prefix_length < 31:
            self._broadcasts.add(network.broadcast)
        if self._config.arp_notify:
            self._on_announcement_due(own, now)

    def _on_announcement_due(self, own: OwnAddress, now: Instant) -> None:
        own.announcements += 1
        if own.announcements < ANNOUNCE_NUM:
            own.timer.arm(now + ANNOUNCE_INTERVAL)
        self._announce(own.network.address, now)

    def defend(self, address: Ipv4Address, now: Instant) -> None:
        """Announce an address that somebody else claims, but not twice in ten seconds.

        RFC 5227 §2.4 (c): a host that keeps its address at any cost "MUST NOT send another
        defensive ARP" within DEFEND_INTERVAL, lest two such hosts do nothing else.
        """
        own = self._own[address]
        if own.last_defence is not None and now - own.last_defence < DEFEND_INTERVAL:
            return
        own.last_defence = now
        self._announce(address, now)

    def choose_source(self, target: Ipv4Address) -> Ipv4Address:
        """Choose the address to ask from: the first on the target's network, else the first.

        Without any it is 0, which makes a request a probe.
        """
        networks = list(self)
        on_link = [network for network in networks if target in network]
        return next((network.address for network in on_link + networks), IPV4_ANY)
