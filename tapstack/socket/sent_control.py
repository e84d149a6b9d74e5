"""Control data that go with what is sent: wishes about this one message (cmsg(3), ip(7)).

Not done here: what becomes of them (the engines).
"""

from __future__ import annotations

import socket as constants
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from errno import EINVAL

from tapstack.base.datagram_socket import Manner
from tapstack.base.errors import os_error
from tapstack.socket.ip_options import IP, IP_PKTINFO
from tapstack.socket.scattered import Item
from tapstack.socket.timestamping import SCM_TS_OPT_ID, SO_TIMESTAMPING, TX_KINDS
from tapstack.socket.udp_options import SOL_UDP, UDP_SEGMENT

_SO = constants.SOL_SOCKET
_INT, _SHORT, _CHAR, _PKTINFO = 4, 2, 1, 12
_UNSIGNED = 0xFFFFFFFF
_PASSED_OVER = (
    constants.SCM_RIGHTS,
    constants.SCM_CREDENTIALS,
    constants.SO_MARK,
    constants.SO_PRIORITY,
)
"""What has no effect here; the first two are of UNIX sockets (unix(7)), but any takes them."""


@dataclass(slots=True)
class SentControl:
    """What the control data of one message say."""

    ttl: int | None = None
    tos: int | None = None
    source: int = 0
    """The address to send from; 0: any that fits."""
    segment_size: int | None = None
    """Octets of each datagram that it is cut into (UDP_SEGMENT); None: the socket's."""
    timestamps: int | None = None
    """Of which SOF_TIMESTAMPING_TX_… its user wants to be told; None: as of others."""
    number: int | None = None
    """By which number he is to be told of it (SCM_TS_OPT_ID); None: the next one."""

    @property
    def manner(self) -> Manner:
        """Give what the engines of datagrams want to know."""
        return Manner(self.ttl, self.tos, self.source, self.segment_size)


NOTHING_SAID = SentControl()


def read_control(items: Sequence[Item], *, of_datagram: bool) -> SentControl:
    """Read control data; a stream heeds only those of sockets. Raises: OSError with EINVAL."""
    if not items:
        return NOTHING_SAID
    said = SentControl()
    for level, kind, data in items:
        if (level, kind) == (_SO, SCM_TS_OPT_ID) and of_datagram:
            said.number = _int(data) & _UNSIGNED
        elif level == _SO:
            _read_of_socket(said, kind, data)
        elif level == IP and of_datagram:
            _read_of_ip(said, kind, data)
        elif level == SOL_UDP and of_datagram:
            _read_of_udp(said, kind, data)
    return said


def _read_of_socket(said: SentControl, kind: int, data: bytes) -> None:
    if kind == SO_TIMESTAMPING:
        wanted = _int(data)
        if wanted & ~TX_KINDS:
            raise os_error(EINVAL)
        said.timestamps = wanted
    elif kind not in _PASSED_OVER:
        raise os_error(EINVAL)


def _read_of_ip(said: SentControl, kind: int, data: bytes) -> None:
    if kind == constants.IP_TTL:
        said.ttl = _within(_int(data), 1, 255)
    elif kind == constants.IP_TOS:
        said.tos = _within(data[0] if len(data) == _CHAR else _int(data), 0, 255)
    elif kind == IP_PKTINFO and len(data) == _PKTINFO:
        said.source = int.from_bytes(data[_INT : 2 * _INT], "big")
    else:
        raise os_error(EINVAL)


def _read_of_udp(said: SentControl, kind: int, data: bytes) -> None:
    if kind != UDP_SEGMENT or len(data) != _SHORT:
        raise os_error(EINVAL)
    said.segment_size = int.from_bytes(data, sys.byteorder)


def _int(data: bytes) -> int:
    if len(data) != _INT:
        raise os_error(EINVAL)
    return int.from_bytes(data, sys.byteorder, signed=True)


def _within(number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        raise os_error(EINVAL)
    return number
