"""The effective send MSS (RFC 9293 §3.7.1): Eff.snd.MSS = min(SendMSS+20, MMS_S) − headers.

Not done here: learning the path's MTU (`icmp_errors.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.options import TIMESTAMPS_LENGTH

if TYPE_CHECKING:
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

FIXED_HEADERS = 40
"""Octets of an IP and a TCP header without options."""


def on_peer_mss(ctx: Context, tcb: Tcb, mss: int | None) -> None:
    """Take the MSS that the peer's SYN named; RFC 9293 MUST-15: 536 where it named none.

    TCP_MAXSEG counts here, too; set later, it changes nothing.
    """
    named = ctx.config.tcp_mss_default if mss is None else mss
    tcb.peer_mss = max(min(named, tcb.options.maxseg or named), ctx.config.tcp_min_snd_mss)
    update_effective_mss(tcb)


def update_effective_mss(tcb: Tcb) -> None:
    """Recompute the octets of text in a full segment: RFC 9293 MUST-16, options deducted."""
    mss = min(tcb.peer_mss, tcb.path_mtu - FIXED_HEADERS)
    if tcb.timestamps:
        mss -= TIMESTAMPS_LENGTH
    tcb.effective_mss = max(mss, 8)
