"""What a kernel is to be like before a script: said by the host, done by the keeper.

Not done here: either.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from tapstack.drill.contract import Addresses


class Setting(NamedTuple):
    """Where a script is played."""

    addresses: Addresses
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
    addresses, *rest = json.loads(word)
    return Setting(Addresses(*addresses), *rest)
