"""A listening socket: the SYN queue of half-open connections, and the accept queue (§3.10.1).

Not done here: the segments (`handshake.py`, `half_open.py`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from tapstack.base.address import Endpoint
from tapstack.base.errors import Drop
from tapstack.base.units import Instant
from tapstack.tcp.fast_open_server import PendingOpens
from tapstack.tcp.state import NOT_SHUT, Shut
from tapstack.tcp.user_options import UserOptions

if TYPE_CHECKING:
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.connections import PortBinding
    from tapstack.tcp.context import Context
    from tapstack.tcp.mould import Mould
    from tapstack.tcp.tcb import Tcb


@dataclass(slots=True, eq=False)
class Listener:
    """A passive open. There is no control block before a SYN comes."""

    binding: PortBinding
    backlog: int
    """Connections that may wait to be accepted; like Linux, one more fits."""
    options: UserOptions
    syn_queue: dict[Tcb, None] = field(default_factory=dict)
    """Half-open connections, in order of arrival."""
    young: int = 0
    """Of those: whose SYN-ACK was sent less than a second ago."""
    accept_queue: deque[Tcb] = field(default_factory=deque)
    """Connections that nobody has accepted yet, oldest first."""
    fast_opens: PendingOpens = field(default_factory=PendingOpens)
    cookie_sent_at: Instant | None = None
    """When a SYN cookie was last sent."""
    flood_told: bool = False
    """Whoever watches was told that the SYN queue overflows."""
    shut: Shut = NOT_SHUT
    """What its user had shut before it listened."""
    moulds: dict[tuple[int, int, int], Mould] = field(default_factory=dict)
    """What connections begin with whose SYNs named the same window, MSS and shift."""

    @property
    def local(self) -> Endpoint:
        """Where it listens; the address may be IPV4_ANY."""
        return self.binding.local

    def is_full(self) -> bool:
        """Tell whether the accept queue takes no more."""
        return len(self.accept_queue) > self.backlog

    def take_in(self, tcb: Tcb) -> None:
        """Put a half-open connection into the SYN queue."""
        self.syn_queue[tcb] = None
        self.young += 1

    def on_first_timeout(self, tcb: Tcb) -> None:
        """Note that the SYN-ACK of a connection was not answered within its first second."""
        self.young -= tcb in self.syn_queue

    def promote(self, tcb: Tcb) -> None:
        """Move a connection to the accept queue: its handshake is done."""
        self.forget(tcb)
        self.accept_queue.append(tcb)

    def forget(self, tcb: Tcb) -> None:
        """Take a half-open connection out of the SYN queue.

        One that waits to be accepted stays: `accept` hands it out, and reading tells its end.
        """
        if tcb in self.syn_queue:
            del self.syn_queue[tcb]
            self.young -= tcb.syn_ack is not None and tcb.syn_ack.timeouts == 0


IF_NEEDED, ALWAYS = 1, 2
"""The values of `tcp_syncookies` that answer SYNs with a cookie."""


class Verdict(Enum):
    """What is done with a SYN."""

    TAKE = 0
    COOKIE = 1
    DROP = 2


def limit_backlog(config: TcpConfig, backlog: int) -> int:
    """Give the backlog that a listener gets; a negative one counts as unsigned (as Linux)."""
    return min(backlog & 0xFFFFFFFF, config.somaxconn)


def judge(ctx: Context, listener: Listener) -> Verdict:
    """Tell what to do with a SYN, and count one that is dropped (RFC 4987 §3.1).

    Like Linux, the SYN queue takes one more than the backlog says, as the accept queue does, and
    nothing is taken in while that is full.
    """
    cookies = ctx.config.tcp_syncookies
    overflow = len(listener.syn_queue) > listener.backlog
    if overflow:
        _tell_of_flood(ctx, listener)
    with_cookie = cookies == ALWAYS or (overflow and cookies)
    ctx.counters["TcpExtTCPReqQFullDoCookies"] += bool(with_cookie)
    if overflow and not cookies:
        ctx.counters.drop(Drop.TCP_REQUEST_QUEUE_FULL)
    elif listener.is_full():
        ctx.counters.drop(Drop.TCP_LISTEN_OVERFLOW)
    elif not cookies and _is_last_quarter(ctx, listener):
        ctx.counters.drop(Drop.TCP_SYN_BACKLOG)
    else:
        return Verdict.COOKIE if with_cookie else Verdict.TAKE
    ctx.counters["TcpExtListenDrops"] += 1
    return Verdict.DROP


def _tell_of_flood(ctx: Context, listener: Listener) -> None:
    """Say once that more SYNs come than are answered."""
    if listener.flood_told or ctx.config.tcp_syncookies == ALWAYS:
        return
    listener.flood_told = True
    if "tcp" in ctx.tracer.on:
        what = "sending cookies" if ctx.config.tcp_syncookies else "dropping requests"
        ctx.tracer.emit("tcp", f"{listener.local}: possible SYN flooding, {what}")


def _is_last_quarter(ctx: Context, listener: Listener) -> bool:
    """Tell whether the SYN queue has come to the last quarter of tcp_max_syn_backlog.

    Like Linux without cookies, that is for peers which have connected before. We remember none.
    """
    most = ctx.config.tcp_max_syn_backlog
    return most - len(listener.syn_queue) < most >> 2
