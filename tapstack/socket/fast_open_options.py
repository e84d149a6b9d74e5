"""The options of TCP Fast Open (RFC 7413, tcp(7)): what may be set, and when.

Not done here: what they do (`tcp/fast_open_client.py`, `tcp/fast_open_server.py`).
"""

from __future__ import annotations

from errno import EINVAL, EOPNOTSUPP
from typing import TYPE_CHECKING

from tapstack.base.errors import os_error
from tapstack.base.siphash import KEY_LENGTH
from tapstack.tcp.fast_open_client import CLIENT_ENABLED

if TYPE_CHECKING:
    from tapstack.socket.options import Value
    from tapstack.socket.stream import StreamEndpoint
    from tapstack.tcp.user_options import UserOptions


def queue_length(target: StreamEndpoint) -> int:
    """Give TCP_FASTOPEN: a connection has no queue, and none from its listener."""
    return target.options.fastopen if target.tcb is None else 0


def check_queue_length(target: StreamEndpoint, wanted: int) -> int:
    """Check TCP_FASTOPEN: it is for who listens, or may still."""
    if wanted < 0 or target.tcb is not None:
        raise os_error(EINVAL)
    return min(wanted, target.config.somaxconn)


def check_connect(target: StreamEndpoint, wanted: int) -> bool:
    """Check TCP_FASTOPEN_CONNECT: it is for who has not connected yet."""
    if wanted not in (0, 1):
        raise os_error(EINVAL)
    if not target.config.tcp_fastopen & CLIENT_ENABLED:
        raise os_error(EOPNOTSUPP)
    if target.tcb is not None or target.listening:
        raise os_error(EINVAL)
    return bool(wanted)


def check_no_cookie(target: StreamEndpoint, wanted: int) -> bool:
    """Check TCP_FASTOPEN_NO_COOKIE: it is for who has not connected yet."""
    if wanted not in (0, 1) or target.tcb is not None:
        raise os_error(EINVAL)
    return bool(wanted)


def get_key(target: UserOptions) -> bytes:
    """Give TCP_FASTOPEN_KEY: one key, or two."""
    return target.fastopen_key


def set_key(target: UserOptions, value: Value) -> None:
    """Take one key, or two (TCP_FASTOPEN_KEY)."""
    if isinstance(value, int) or len(value) not in (KEY_LENGTH, 2 * KEY_LENGTH):
        raise os_error(EINVAL)
    target.fastopen_key = value
