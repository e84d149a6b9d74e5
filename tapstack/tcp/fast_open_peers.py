"""What a Fast Open client remembers of servers and of its paths (RFC 7413 §4.1.3).

Not done here: using it (`fast_open_client.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from tapstack.base.address import Ipv4Address
from tapstack.base.units import SECOND, Instant
from tapstack.tcp.segment import FastOpen

_MOST_PEERS = 1024
"""Servers that are remembered; then the one that was not met for longest is forgotten."""
_MOST_DOUBLINGS = 6
"""Times that the pause after a black hole doubles at most (as Linux)."""


@dataclass(slots=True)
class Peer:
    """A server."""

    mss: int = 0
    """What its SYN named; 0: not known."""
    cookie: FastOpen | None = None
    experimental_tried: int = 0
    """1: it ignored the option, so that the experimental one is tried next; 2: that one, too."""


class FastOpenPeers:
    """The memory of one engine."""

    def __init__(self) -> None:
        self._peers: OrderedDict[Ipv4Address, Peer] = OrderedDict()
        self._paused_at: Instant = 0
        self._pauses = 0

    def find(self, address: Ipv4Address) -> Peer:
        """Give what is known of a server: nothing, if it was never met."""
        return self._peers.get(address) or Peer()

    def learn(
        self, address: Ipv4Address, mss: int, cookie: FastOpen | None, experimental_tried: int
    ) -> None:
        """Remember what a SYN-ACK told; without a cookie, one from before is kept."""
        peer = self._peers.setdefault(address, Peer())
        self._peers.move_to_end(address)
        peer.mss = mss
        if cookie is not None and cookie.cookie:
            peer.cookie = cookie
        elif peer.cookie is None:
            peer.experimental_tried = max(peer.experimental_tried, experimental_tried)
        while len(self._peers) > _MOST_PEERS:
            self._peers.popitem(last=False)

    def forget(self, address: Ipv4Address) -> bool:
        """Forget one server; tell whether it was known."""
        return self._peers.pop(address, None) is not None

    def clear(self) -> None:
        """Forget every server."""
        self._peers.clear()

    def __iter__(self) -> Iterator[tuple[Ipv4Address, Peer]]:
        """Go through those that are known, the one that was met last at the end."""
        return iter(self._peers.items())

    # --- black holes ---

    def pause(self, now: Instant) -> None:
        """Use Fast Open no more for a while: its segments vanish."""
        self._paused_at = now
        self._pauses += 1

    def is_paused(self, timeout: int, now: Instant) -> bool:
        """Tell whether Fast Open rests, for `timeout` seconds, and twice as long each time."""
        if not self._pauses:
            return False
        return now < self._paused_at + (timeout * SECOND << min(self._pauses - 1, _MOST_DOUBLINGS))

    def on_success(self) -> None:
        """Hear that Fast Open works again."""
        self._pauses = 0

    @property
    def was_paused(self) -> bool:
        """Tell whether it is not yet known to work again."""
        return self._pauses > 0
