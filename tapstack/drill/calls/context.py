"""What the system calls of one run of a script share.

Not done here: the calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tapstack.base.address import Endpoint, parse_ipv4
from tapstack.base.units import Instant
from tapstack.drill.calls.descriptors import Descriptors
from tapstack.drill.settings import Settings


@dataclass(slots=True)
class Context:
    """One run of a script, as its system calls see it."""

    settings: Settings
    lacking: frozenset[str]
    """Words that make a call unsupported; a host without any has all options of Linux."""
    descriptors: Descriptors = field(default_factory=Descriptors)
    epoch: Instant = 0
    """What the host's real-time clock shows at the script's time 0, µs: what timestamps that a
    call gives are counted from. Written by the player, before the first call."""

    @property
    def local(self) -> Endpoint:
        """What `...` means to bind."""
        return Endpoint(parse_ipv4(self.settings.local_ip), self.settings.bind_port)

    @property
    def remote(self) -> Endpoint:
        """What `...` means to connect, and to send to."""
        return Endpoint(parse_ipv4(self.settings.remote_ip), self.settings.connect_port)
