"""TCP Fast Open at the server (RFC 7413 §4.2): text in a SYN is taken if its cookie is ours.

Such a connection goes to the accept queue while it is still half open. As its client has proved no
more than that it was there once, a listener bounds how many of them there may be.

Not done here: the SYN-ACK (`half_open.py`), and cookies (`fast_open_keys.py`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tapstack.base.units import SECOND, Duration, Instant
from tapstack.tcp.fast_open_keys import cookie_for, match
from tapstack.tcp.mss import update_effective_mss
from tapstack.tcp.receive_memory import append_text, memory_of_segment
from tapstack.tcp.rtt import FALLBACK_RTO
from tapstack.tcp.segment import FastOpen, Segment

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.listener import Listener
    from tapstack.tcp.tcb import Tcb

SERVER_ENABLED = 0x2  # the bits of tcp_fastopen (Documentation/networking/ip-sysctl)
NO_COOKIE_NEEDED = 0x200
EVERY_LISTENER = 0x400

_RESET_COUNTS: Duration = 60 * SECOND
"""How long a connection that was reset still counts as pending, lest spoofed SYNs cost nothing."""


@dataclass(slots=True)
class PendingOpens:
    """The connections of one listener whose text was taken before the handshake was done."""

    count: int = 0
    """With those that were reset lately."""
    resets: deque[Instant] = field(default_factory=deque)
    """When each of the latter will count no more, soonest first."""

    def has_room(self, limit: int, now: Instant) -> bool:
        """Tell whether there may be one more."""
        if self.count >= limit and self.resets and self.resets[0] <= now:
            self.resets.popleft()
            self.count -= 1
        return self.count < limit

    def note_reset(self, now: Instant) -> None:
        """Have a connection count for a while after its end."""
        self.count += 1
        self.resets.append(now + _RESET_COUNTS)


def take_text(ctx: Context, listener: Listener, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Take a SYN's text if its cookie allows that; True: the connection is open for its user.

    Chooses the cookie that the SYN-ACK is to carry, too.
    """
    request, offered = tcb.syn_ack, seg.options.fast_open
    assert request is not None
    if offered is not None and not offered.cookie:
        ctx.counters["TcpExtTCPFastOpenCookieReqd"] += 1
    if not _is_served(ctx, listener, seg, now):
        return False
    mode, client, server = ctx.config.tcp_fastopen, tcb.remote.address, tcb.local.address
    keys = ctx.fast_open_keys.current(ctx.config, listener.options)
    number = None
    without = listener.options.fastopen_no_cookie or tcb.route.fastopen_no_cookie
    if not (mode & NO_COOKIE_NEEDED or without):
        if offered is None:
            return False
        number = match(keys, offered, client, server)
        if number != 0:
            # Asked for, unknown, or made with the key that is on its way out.
            request.cookie = FastOpen(cookie_for(keys[0], client, server), offered.experimental)
        if number is None:
            ctx.counters["TcpExtTCPFastOpenPassiveFail"] += bool(offered.cookie)
            return False
    ctx.counters["TcpExtTCPFastOpenPassive"] += 1
    ctx.counters["TcpExtTCPFastOpenPassiveAltKey"] += bool(number)
    request.pending = listener.fast_opens
    listener.fast_opens.count += 1
    tcb.fast_open_child = True
    tcb.rtt.rto = FALLBACK_RTO  # as Linux, where nothing is measured yet
    _size_segments(tcb, seg)
    _receive(tcb, seg)
    return True


def _is_served(ctx: Context, listener: Listener, seg: Segment, now: Instant) -> bool:
    """Tell whether Fast Open is on, asked for, and not used too much already (RFC 7413 §5.1)."""
    limit = listener.options.fastopen
    if not ctx.config.tcp_fastopen & SERVER_ENABLED or not limit:
        return False
    if not seg.text and seg.options.fast_open is None:
        return False
    if not listener.fast_opens.has_room(limit, now):
        ctx.counters["TcpExtTCPFastOpenListenOverflow"] += 1
        return False
    return True


def _size_segments(tcb: Tcb, seg: Segment) -> None:
    """Size our early segments as Linux does: for the window of the SYN as if that were scaled."""
    offered, tcb.max_snd_wnd = tcb.max_snd_wnd, seg.wnd << tcb.snd_wind_shift
    update_effective_mss(tcb)
    tcb.max_snd_wnd = offered


def _receive(tcb: Tcb, seg: Segment) -> None:
    """Take the text of a SYN."""
    if seg.text:
        tcb.syn_text_acked = True
        append_text(tcb, seg.text, memory_of_segment(seg))
        tcb.rcv_wup = tcb.rcv_nxt
        tcb.statistics.bytes_received += len(seg.text)


def forget(tcb: Tcb) -> None:
    """Count a connection no more: its handshake is done, or it has ended."""
    request = tcb.syn_ack
    if request is not None and request.pending is not None:
        request.pending.count -= 1
        request.pending = None


def on_reset(tcb: Tcb, now: Instant) -> None:
    """Hear that the peer has reset a connection; as Linux, one that was accepted counts on."""
    request = tcb.syn_ack
    if request is not None and request.pending is not None and tcb.listener is None:
        request.pending.note_reset(now)


def tune(ctx: Context, listener: Listener) -> None:
    """Let a new listener serve Fast Open without being told, if the engine is set so."""
    both = SERVER_ENABLED | EVERY_LISTENER
    if ctx.config.tcp_fastopen & both == both and not listener.options.fastopen:
        listener.options.fastopen = listener.backlog
