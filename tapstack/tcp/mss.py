"""The effective send MSS (RFC 9293 §3.7.1): Eff.snd.MSS = min(SendMSS+20, MMS_S) − headers.

Not done here: learning the path's MTU (`path_mtu.py`, `mtu_probing.py`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from tapstack.tcp.options import TIMESTAMPS_LENGTH

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

FIXED_HEADERS = 40
"""Octets of an IP and a TCP header without options."""
_SMALL_WINDOW = 536
"""A window up to this size may be filled by one segment (Linux's TCP_MSS_DEFAULT)."""
_LEAST_DATAGRAM_PAYLOAD = 48
"""What every path takes: RFC 791's 68 octets less an IP header; text and TCP header share it."""
_LARGEST = 0xFFFF
"""What the option has room for."""
LEAST_TEXT = 8
"""Octets of text in any segment, whatever headers cost."""


def on_peer_mss(ctx: Context, tcb: Tcb, mss: int | None) -> None:
    """Take the MSS that the peer's SYN named; RFC 9293 MUST-15: 536 where it named none.

    TCP_MAXSEG counts here, too; set later, it changes nothing. As in Linux, a listener's limits
    what a SYN names, and not the default.
    """
    default = ctx.config.tcp_mss_default if tcb.fast_open is None else tcb.advertised_mss
    named = mss or default  # as Linux, 0 is none
    most = tcb.options.maxseg if mss or not tcb.passive else 0
    tcb.peer_mss = within(most, named, ctx.config.tcp_min_snd_mss)
    update_effective_mss(tcb)


# What most connections work out alike they share, to the very number: it is of no connection's own
# memory then, and in the caches already where many connections are used in turn.


@lru_cache(maxsize=256)
def within(most: int, mss: int, least: int) -> int:
    """Hold an MSS between two others; 0: there is no greatest."""
    return max(min(mss, most or mss), least)


@lru_cache(maxsize=256)
def offered_mss(mtu: int, by_route: int, most: int) -> int:
    """Give the MSS that our SYNs name; 0: the route, or the user, says nothing of it."""
    return min(by_route or mtu - FIXED_HEADERS, most or _LARGEST)


def guess_effective_mss(ctx: Context, tcb: Tcb) -> None:
    """Suppose, until the peer's SYN tells, an MSS that it need not name, and all that we offer.

    Fast Open knows the MSS of before, or supposes our own.
    """
    options = TIMESTAMPS_LENGTH * bool(ctx.config.tcp_timestamps)
    named = tcb.options.maxseg or ctx.config.tcp_mss_default
    if tcb.fast_open is not None:
        named = tcb.peer_mss
    tcb.effective_mss = min(named, tcb.path_mtu - FIXED_HEADERS) - options


def text_in(tcb: Tcb, mtu: int) -> int:
    """Give the octets of text in a full segment on a path of an MTU: RFC 9293 MUST-16."""
    return _text_in(mtu, tcb.peer_mss, tcb.timestamps)


def _text_in(mtu: int, peer_mss: int, timestamps: bool) -> int:
    return max(min(peer_mss, mtu - FIXED_HEADERS) - TIMESTAMPS_LENGTH * timestamps, LEAST_TEXT)


def update_effective_mss(tcb: Tcb) -> None:
    """Recompute the octets of text in a full segment, options deducted.

    Like in Linux, two of them fit the largest window that the peer ever offered: one alone would
    have the peer's delayed ACKs stop us each time (RFC 9293 §3.8.6.2.1, Fs = 1/2).
    """
    mss = full_segment(tcb.path_mtu, tcb.peer_mss, tcb.timestamps, tcb.max_snd_wnd)
    if tcb.mtu_probing is not None:
        mss = min(mss, text_in(tcb, tcb.mtu_probing.search_low))
    tcb.effective_mss = mss


@lru_cache(maxsize=256)
def full_segment(mtu: int, peer_mss: int, timestamps: bool, window: int) -> int:
    """Give the text in a segment that the path takes, for a peer whose largest window that was."""
    mss = _text_in(mtu, peer_mss, timestamps)
    if not window:
        return mss
    most = window // 2 if window > _SMALL_WINDOW else window
    header = FIXED_HEADERS // 2 + TIMESTAMPS_LENGTH * timestamps
    return min(mss, max(most, _LEAST_DATAGRAM_PAYLOAD + 20 - header))
