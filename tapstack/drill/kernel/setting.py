"""What a kernel is to be like before a script: said by the host, done by the keeper.

Not done here: either.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from tapstack.base.address import Network
from tapstack.drill.contract import Addresses

DEVICE = "tun0"
"""What the tool calls its device, and scripts too."""


class Setting(NamedTuple):
    """Where a script is played."""

    addresses: Addresses
    remote: Network
    """What lies behind the gateway, the remote host with it."""
    mtu: int
    """Octets of the largest datagram that the device takes."""
    directory: str
    """Where commands and files are looked for."""
    environment: dict[str, str]
    """Of the commands."""

    def write(self) -> str:
        """Write it as one word of a command line."""
        return json.dumps(self)


def read_setting(word: str) -> Setting:
    """Read what `Setting.write` wrote."""
    addresses, remote, *rest = json.loads(word)
    return Setting(Addresses(*addresses), Network(*remote), *rest)
