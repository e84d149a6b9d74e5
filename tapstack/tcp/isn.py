"""Numbers that an attacker must not guess: ISN, timestamp offset, ephemeral port.

RFC 6528 §3: "ISN = M + F(localip, localport, remoteip, remoteport, secretkey)", with M a timer
that ticks every 4 µs. RFC 7323 §5.4 gives each connection a timestamp offset, and RFC 6056 §3.3.4
each destination an offset into the ephemeral ports, in the same way.
"""

from hashlib import blake2s
from struct import Struct

from tapstack.base.address import Endpoint
from tapstack.base.contracts import Entropy
from tapstack.base.units import Instant
from tapstack.tcp.ephemeral_ports import Destination

_ISN_TICK = 4  # µs (RFC 9293 §3.4.1)
_endpoints = Struct("!IHIH")
_two_numbers = Struct("!II")


class KeyedHash:
    """F: a hash of both endpoints under a secret that is drawn once."""

    def __init__(self, entropy: Entropy) -> None:
        self._key = entropy.random_bits(256).to_bytes(32, "big")
        self._begin = blake2s(digest_size=8, key=self._key, person=b"begin")
        # The key takes half of a hash: a copy of one that has taken it goes on from there.

    def _hash(self, purpose: bytes, local: Endpoint, remote: Endpoint, number: bytes = b"") -> int:
        message = _endpoints.pack(*local, *remote) + number
        digest = blake2s(message, digest_size=4, key=self._key, person=purpose).digest()
        return int.from_bytes(digest, "big")

    def first_numbers(self, pair: tuple[int, int, int, int], now: Instant) -> tuple[int, int]:
        """Choose the ISS of a new connection (RFC 6528 §3), and its timestamps' offset.

        That is what is added to the clock to make TSval, ms (RFC 7323 §5.4). Both are of one hash.
        """
        hashed = self._begin.copy()
        hashed.update(_endpoints.pack(*pair))
        number, offset = _two_numbers.unpack(hashed.digest())
        return (number + now // _ISN_TICK) & 0xFFFFFFFF, offset

    def syn_cookie(self, local: Endpoint, remote: Endpoint) -> int:
        """Give the part of a SYN cookie that is the same at all times."""
        return self._hash(b"cookie", local, remote)

    def syn_cookie_of_minute(self, local: Endpoint, remote: Endpoint, irs: int, minute: int) -> int:
        """Give the part of it that goes by when the SYN came, and what its number was."""
        return self._hash(b"ck%x" % (minute & 0xFFFFFF), local, remote, irs.to_bytes(4, "big"))

    def destination(self, local_address: int, remote: Endpoint) -> Destination:
        """Choose where the search for an ephemeral port begins (RFC 6056 §3.3.4)."""
        local = Endpoint(local_address, 0)
        return Destination(self._hash(b"port", local, remote), self._hash(b"table", local, remote))
