"""The cookies of TCP Fast Open that we give out as a server, and their keys (RFC 7413 §4.1.2).

Not done here: taking text for a cookie (`fast_open_server.py`), the cookies that we were given
(`fast_open_peers.py`).
"""

from __future__ import annotations

import struct
from struct import Struct
from typing import TYPE_CHECKING

from tapstack.base.siphash import KEY_LENGTH, siphash
from tapstack.tcp.segment import FastOpen

if TYPE_CHECKING:
    from tapstack.base.address import Ipv4Address
    from tapstack.base.contracts import Entropy
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.user_options import UserOptions

_addresses = Struct("!II")
_words = Struct("<4I")


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Read one key or two, as tcp_fastopen_key writes them: 1a2b3c4d-…-…-…, after a comma.

    Raises: ValueError with one clear sentence.
    """
    try:
        keys = tuple(
            _words.pack(*(int(word, 16) for word in key.split("-"))) for key in text.split(",")
        )
    except (ValueError, struct.error):
        raise ValueError(f"'{text}' is not a key such as 1-2-3-4 in hexadecimal words") from None
    if len(keys) > 2:
        raise ValueError(f"'{text}' has more than two keys")
    return keys


def cut_keys(octets: bytes) -> tuple[bytes, ...]:
    """Cut one key or two out of what TCP_FASTOPEN_KEY sets."""
    return tuple(octets[at : at + KEY_LENGTH] for at in range(0, len(octets), KEY_LENGTH))


class FastOpenKeys:
    """The keys of one engine: the configured ones, or one of our own."""

    def __init__(self, entropy: Entropy) -> None:
        self._own = entropy.random_bits(8 * KEY_LENGTH).to_bytes(KEY_LENGTH, "big")

    def current(self, config: TcpConfig, options: UserOptions) -> tuple[bytes, ...]:
        """Give the keys of a listener: new cookies are made with the first, and any is good."""
        if options.fastopen_key:
            return cut_keys(options.fastopen_key)
        return parse_keys(config.tcp_fastopen_key) if config.tcp_fastopen_key else (self._own,)


def cookie_for(key: bytes, client: Ipv4Address, server: Ipv4Address) -> bytes:
    """Make a client's cookie: a keyed hash of both addresses, as Linux has it, so that servers
    which share a key take each other's.
    """
    return siphash(key, _addresses.pack(client, server))


def match(
    keys: tuple[bytes, ...], offered: FastOpen, client: Ipv4Address, server: Ipv4Address
) -> int | None:
    """Tell which key has made a cookie: 0 is the first; None: none of them."""
    for number, key in enumerate(keys):
        if offered.cookie == cookie_for(key, client, server):
            return number
    return None
