"""Explicit congestion notification (RFC 3168 §6.1): a router marks a datagram instead of losing it.

Both SYNs must agree. Then the sender marks new text as capable (ECT), a router with a queue changes
that (CE), the receiver echoes it with ECE in each ACK, and the sender reduces its window, once a
round trip, and says so with CWR, which ends the echo.

Not done here: the reduction (`episode.py`); accurate ECN (RFC 9768).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp.segment import ACK, CWR, ECE, SYN
from tapstack.tcp.state import State

if TYPE_CHECKING:
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.segment import Segment
    from tapstack.tcp.tcb import Tcb

NOT_ECT, ECT_1, ECT_0, CE = range(4)
"""The codepoints of the ECN field (RFC 3168 §5): not capable, capable (two of them), marked."""

_OFFER = ECE | CWR  # RFC 3168 §6.1.1: an ECN-setup SYN has both, its SYN-ACK has ECE alone
_QUICK_ACKS = 2
"""ACKs to be sent at once after a mark: the sender's window may be very low (as Linux)."""


# --- the handshake (§6.1.1) ---------------------------------------------------------------------


def begins(config: TcpConfig, tcb: Tcb) -> bool:
    """Tell whether our SYNs are to offer ECN."""
    return config.tcp_ecn == 1 or tcb.route.ecn


def negotiate(config: TcpConfig, tcb: Tcb, seg: Segment) -> None:
    """Take the peer's SYN or SYN-ACK: agree only if both sides want to."""
    setup = seg.flags & _OFFER
    if seg.flags & ACK:
        tcb.ecn = tcb.ecn and setup == ECE
    elif tcb.state is State.SYN_SENT:
        tcb.ecn = tcb.ecn and setup == _OFFER
    else:
        # §6.1.1: a SYN is never ECT; one that is comes from something else, or was tampered with.
        is_on = bool(config.tcp_ecn) or tcb.route.ecn
        tcb.ecn = is_on and setup == _OFFER and seg.ecn == NOT_ECT


def flags_of_syn(config: TcpConfig, tcb: Tcb, flags: int) -> int:
    """Give the bits that our SYN or SYN-ACK carries: an offer, or consent to one.

    §6.1.1.1: a SYN that was lost is sent again without, as some middlebox may not like it.
    """
    if not tcb.ecn:
        return 0
    if flags & ACK:
        return ECE
    again = tcb.sent.segments[0].transmissions > 1
    return 0 if again and config.tcp_ecn_fallback else _OFFER


# --- the sender (§6.1.2) ------------------------------------------------------------------------


def mark(tcb: Tcb, *, new_text: bool) -> tuple[int, int]:
    """Give the TCP flags and the IP codepoint of a segment that is no SYN.

    Only text that is sent for the first time is ECT, and only such carries CWR: §6.1.4 to 6.1.6
    forbid it to ACKs, retransmissions and window probes.
    """
    if not tcb.ecn:
        return 0, NOT_ECT
    flags = ECE if tcb.ecn_echo else 0
    if not new_text:
        return flags, NOT_ECT
    if tcb.cwr_due:
        tcb.cwr_due = False
        flags |= CWR
    return flags, ECT_0


def is_echo(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a segment says that one of ours was marked."""
    return tcb.ecn and seg.flags & (ECE | SYN) == ECE


# --- the receiver (§6.1.3) ----------------------------------------------------------------------


def count_marks(tcb: Tcb, seg: Segment) -> None:
    """Count what came by its codepoint, whatever was agreed: the counters of RFC 9768 §3.2.1."""
    if seg.ecn != NOT_ECT:
        tcb.ecn_seen |= not tcb.ecn or bool(seg.text)
        tcb.statistics.received_ce += seg.ecn == CE
        octets = list(tcb.statistics.received_octets)
        octets[seg.ecn] += len(seg.text)
        tcb.statistics.received_octets = tuple(octets)


def on_text(tcb: Tcb, seg: Segment) -> None:
    """Look at the mark of text that was received for the first time, and at CWR."""
    if not tcb.ecn:
        return
    if seg.flags & CWR:
        tcb.ecn_echo = False
        tcb.acks.due = True  # the sender's window may be one segment
    if seg.ecn == CE and not tcb.ecn_echo:
        tcb.ecn_echo = True
        tcb.acks.enter_quick_mode(tcb.rcv_wnd, _QUICK_ACKS)
    elif seg.ecn == NOT_ECT and tcb.ecn_seen:
        # Most likely a retransmission: help the peer, as Linux does.
        tcb.acks.enter_quick_mode(tcb.rcv_wnd, _QUICK_ACKS)
