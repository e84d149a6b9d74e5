"""What is not asked of most calls of `send`.

That is to connect first, and to tell when the data are needed no more: MSG_FASTOPEN (RFC 7413), and
on a socket with SO_ZEROCOPY, MSG_ZEROCOPY; without that option the flag means nothing. Each such
call has a number, from 0 on; one that fails has none. And it is to send the rest of what one call
has begun to send, whose user waited for room.

Not done here: what becomes of a stream's text (`tapstack/tcp/held_text.py`), and reading what is
told (`received.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from errno import EINPROGRESS, EINVAL, EISCONN, EOPNOTSUPP
from typing import TYPE_CHECKING

from tapstack.base.contracts import Buffer
from tapstack.base.errors import os_error
from tapstack.base.units import Instant
from tapstack.socket.flags import GOES_ON, MSG_FASTOPEN, MSG_MORE, MSG_ZEROCOPY, TAKES_ALL
from tapstack.socket.scattered import Item
from tapstack.tcp.fast_open_client import CLIENT_ENABLED, is_deferred
from tapstack.tcp.held_text import hold_syn_text, holding
from tapstack.tcp.user_calls import takes_no_more

if TYPE_CHECKING:
    from tapstack.base.address import Endpoint
    from tapstack.socket.stream import StreamEndpoint

SPECIAL = MSG_FASTOPEN | MSG_ZEROCOPY | GOES_ON


def send_specially(
    endpoint: StreamEndpoint,
    data: Buffer,
    flags: int,
    to: Endpoint | None,
    control: Sequence[Item],
    now: Instant,
) -> int:
    """Send with SPECIAL flags. Raises: OSError as `StreamEndpoint.send` does."""
    if flags & MSG_FASTOPEN:
        _open(endpoint, to, now)
    is_held = flags & MSG_ZEROCOPY and endpoint.kept.zerocopy and len(data)
    send = _send_held if is_held else _send
    return send(endpoint, data, flags & ~(MSG_FASTOPEN | MSG_ZEROCOPY), control, now)


def send_each(
    endpoint: StreamEndpoint,
    parts: Sequence[Buffer],
    flags: int,
    to: Endpoint | None,
    control: Sequence[Item],
    *,
    now: Instant,
) -> int:
    """Queue what finds room of some buffers, each by itself, as one text. Raises: as `send`."""
    sent = 0
    for index, part in enumerate(parts, 1):
        more, rest = MSG_MORE * (index < len(parts)), GOES_ON * (sent > 0)
        try:
            taken = endpoint.send(memoryview(part), flags | more | rest, to, control, now=now)
        except OSError:
            if not sent:
                raise
            break
        sent += taken
        if taken < len(part):
            break
    return sent


def _open(endpoint: StreamEndpoint, to: Endpoint | None, now: Instant) -> None:
    """Begin a connection whose SYN waits for text, unless one waits already.

    Raises: OSError with EOPNOTSUPP, EISCONN, EALREADY, EINVAL, or as `connect`.
    """
    if not endpoint.config.tcp_fastopen & CLIENT_ENABLED:
        raise os_error(EOPNOTSUPP)
    if endpoint.tcb and is_deferred(endpoint.tcb):
        return
    if endpoint.tcb and endpoint.is_news:  # as Linux: that it has opened is told by taking text
        endpoint.finish_connect(now=now)
        return
    if endpoint.listening or endpoint.tcb:
        raise os_error(EISCONN)
    if to is None:
        raise os_error(EINVAL)
    endpoint.open_with_text(to, now)


def _send(
    endpoint: StreamEndpoint, data: Buffer, flags: int, control: Sequence[Item], now: Instant
) -> int:
    """Queue what finds room; behind what the same call has queued, it is one text.

    0: the connection has ended since. As in Linux, what was queued counts, and why it has ended the
    next call is told.
    """
    tcb = endpoint.tcb if flags & GOES_ON else None
    if tcb is None:
        return endpoint.send(data, flags & ~GOES_ON, None, control, now=now)
    if takes_no_more(tcb):
        return 0
    tcb.call_goes_on = True
    try:
        return endpoint.send(data, flags & ~GOES_ON, None, control, now=now)
    finally:
        tcb.call_goes_on = False


def _send_held(
    endpoint: StreamEndpoint, data: Buffer, flags: int, control: Sequence[Item], now: Instant
) -> int:
    """Queue what finds room. Raises: OSError with ENOBUFS where too much waits to be told.

    Of a call that connects, that is what its SYN carries: as in Linux, the rest is not held.
    """
    tcb, goes_on = endpoint.tcb, bool(flags & GOES_ON)
    try:
        if tcb is None or is_deferred(tcb):
            return _send(endpoint, data, flags, control, now)
        number = endpoint.held_sends - goes_on
        with holding(tcb, number, endpoint.config.optmem_max, goes_on=goes_on) as pieces:
            taken = _send(endpoint, data, flags, control, now)
            pieces.goes_on = bool(flags & TAKES_ALL) and taken < len(data)
    except BlockingIOError as begun:
        if begun.errno == EINPROGRESS and begun.characters_written and endpoint.tcb:
            hold_syn_text(endpoint.tcb, endpoint.held_sends, begun.characters_written)
            endpoint.held_sends += 1
        raise
    endpoint.held_sends += not goes_on
    return taken
