"""Who takes only what has not crossed many routers (IP_MINTTL; RFC 5082).

Not done here: the option.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tapstack.base.contracts import Datagram
    from tapstack.tcp.context import Context
    from tapstack.tcp.user_options import UserOptions


def came_too_far(ctx: Context, options: UserOptions, datagram: Datagram) -> bool:
    """Tell whether a datagram crossed more routers than its user takes text from (RFC 5082)."""
    if datagram.ttl >= options.min_ttl:
        return False
    ctx.counters["TcpExtTCPMinTTLDrop"] += 1
    return True
