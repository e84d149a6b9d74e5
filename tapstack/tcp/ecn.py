"""Explicit congestion notification (RFC 3168 §6.1): a router marks a datagram instead of losing it.

Both SYNs must agree. Then the sender marks new text as capable (ECT), a router with a queue changes
that (CE), the receiver echoes it with ECE in each ACK, and the sender reduces its window, once a
round trip, and says so with CWR, which ends the echo. Where both ends can, that feedback is more
accurate (RFC 9768).

Not done here: the reduction (`episode.py`); what accurate feedback is (`accecn.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp import accecn
from tapstack.tcp.accecn_state import ACE_NOT_SENT, AccurateEcn
from tapstack.tcp.segment import ACK, AE, CE, CWR, ECE, ECT_0, NOT_ECT, SYN
from tapstack.tcp.sent_segment import SentSegment, packets_of
from tapstack.tcp.state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapstack.tcp.ack_news import AckNews
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.segment import Segment
    from tapstack.tcp.tcb import Tcb

NEVER, OFFERED, TAKEN_UP, ACCURATE_OFFERED, ACCURATE_OLDER_OFFERED, ACCURATE_TAKEN_UP = range(6)
"""The values of `tcp_ecn`. From ACCURATE_OFFERED on who asks for accurate feedback gets it."""
_OFFER = ECE | CWR  # RFC 3168 §6.1.1: an ECN-setup SYN has both, its SYN-ACK has ECE alone
_NO_ECN, _OLDER_CONSENT, _RESERVED, _BROKEN = 0, 1, 5, 7  # (AE, CWR, ECE) of a SYN-ACK
_CHANCES = 2
"""How often a SYN or SYN-ACK with accurate ECN's bits is sent before one without."""
_QUICK_ACKS = 2
"""ACKs to be sent at once after a mark: the sender's window may be very low (as Linux)."""


# --- the handshake (§6.1.1) ---------------------------------------------------------------------


def begin(config: TcpConfig, tcb: Tcb) -> None:
    """Decide whether our SYNs are to offer ECN, and to ask for accurate feedback."""
    offers = (OFFERED, ACCURATE_OFFERED, ACCURATE_OLDER_OFFERED)
    tcb.ecn = config.tcp_ecn in offers or tcb.route.ecn
    if config.tcp_ecn == ACCURATE_OFFERED:
        tcb.accecn = AccurateEcn(config)


def negotiate(config: TcpConfig, tcb: Tcb, seg: Segment) -> None:
    """Take the peer's SYN or SYN-ACK: agree only if both sides want to."""
    if tcb.state is not State.SYN_SENT:
        _take_offer(config, tcb, seg)
    elif tcb.ecn:
        (_take_syn_ack if seg.flags & ACK else _take_crossing_offer)(config, tcb, seg)


def _take_offer(config: TcpConfig, tcb: Tcb, seg: Segment) -> None:
    """Take a SYN as a server: it is to be what accurate feedback, or RFC 3168 §6.1.1, asks for."""
    accurate = config.tcp_ecn >= ACCURATE_OFFERED and accecn.is_asked_for(seg.flags)
    if accurate:
        accecn.take_syn(tcb, seg, config)
    # §6.1.1: a SYN is never ECT; one that is comes from something else, or was tampered with. One
    # that asks for accurate feedback may be (RFC 9768 §3.1.1).
    is_on = bool(config.tcp_ecn) or tcb.route.ecn
    plausible = seg.ecn == NOT_ECT or bool(seg.flags & AE)
    tcb.ecn = accurate or (is_on and plausible and seg.flags & _OFFER == _OFFER)


def _take_crossing_offer(config: TcpConfig, tcb: Tcb, seg: Segment) -> None:
    """Take a SYN that has crossed our offer."""
    if tcb.accecn is not None and accecn.is_asked_for(seg.flags):
        accecn.take_syn(tcb, seg, config)
        return
    tcb.accecn = None
    tcb.ecn = seg.flags & _OFFER == _OFFER


def _take_syn_ack(config: TcpConfig, tcb: Tcb, seg: Segment) -> None:
    """Take what the server makes of our offer (RFC 9768 §3.1.2 table 2)."""
    ace = accecn.ace_of(seg.flags)
    if ace in (_NO_ECN, _BROKEN):
        tcb.ecn, tcb.accecn = False, None
    elif ace == _OLDER_CONSENT or (ace == _RESERVED and tcb.accecn is None):
        tcb.accecn = None
    else:
        # Deviation: RFC 3168 §6.1.1 has no ECN, if that is all we have offered. As Linux, we take
        # such an answer for what only an accurate server gives.
        accecn.take_syn_ack(tcb, seg, config)


def take_final_ack(tcb: Tcb, seg: Segment) -> None:
    """Take the ACK that ends a handshake which a listener's connection was in."""
    if tcb.accecn is not None:
        accecn.take_final_ack(tcb, seg)
        count_marks(tcb, seg)


def flags_of_syn(config: TcpConfig, tcb: Tcb, flags: int) -> int:
    """Give the bits that our SYN or SYN-ACK carries: an offer, or consent to one.

    §6.1.1.1: a SYN that was lost is sent again without, as some middlebox may not like it. One that
    asks for accurate feedback is given another chance (RFC 9768 §3.1.4.1), and so is its SYN-ACK.
    """
    if not tcb.ecn:
        return 0
    if flags & ACK:
        return ECE if tcb.accecn is None else _flags_of_accurate_syn_ack(tcb, tcb.accecn)
    chances = 1 if tcb.accecn is None else _CHANCES
    again = tcb.sent.segments[0].transmissions > chances
    return 0 if again and config.tcp_ecn_fallback else _OFFER | (AE if tcb.accecn else 0)


def _flags_of_accurate_syn_ack(tcb: Tcb, state: AccurateEcn) -> int:
    """RFC 9768 §3.2.3.2.2: the last resort is a SYN-ACK without ECN, though the feedback stays."""
    if tcb.syn_ack is not None and tcb.syn_ack.transmissions > _CHANCES:
        state.failures |= ACE_NOT_SENT
        return 0
    return accecn.reflect(state.syn_codepoint)


# --- the sender (§6.1.2) ------------------------------------------------------------------------


def mark(tcb: Tcb, length: int, *, is_new: bool) -> tuple[int, int]:
    """Give the TCP flags and the IP codepoint of a segment that is no SYN, with so much text.

    Only text that is sent for the first time is ECT, and only such carries CWR: §6.1.4 to 6.1.6
    forbid it to ACKs, retransmissions and window probes.
    """
    if not tcb.ecn:
        return 0, NOT_ECT
    if tcb.only_answers:
        return 0, _codepoint_of_remnant(tcb)
    if tcb.accecn is not None:
        return accecn.mark(tcb, tcb.accecn, length)
    flags = ECE if tcb.ecn_echo else 0
    if not is_new or not length:
        return flags, NOT_ECT
    if tcb.cwr_due:
        tcb.cwr_due = False
        flags |= CWR
    return flags, ECT_0


def _codepoint_of_remnant(tcb: Tcb) -> int:
    """Give that of an ACK that only answers: Linux has forgotten about marks then.

    But for one thing: where accurate feedback was in use, the ACK of a FIN is as capable as others.
    """
    state, is_news = tcb.accecn, tcb.last_ack_sent != tcb.rcv_nxt
    return ECT_0 if state is not None and is_news and accecn.is_capable(state) else NOT_ECT


def take_echo(
    tcb: Tcb, seg: Segment, news: AckNews, sacked: Sequence[SentSegment], *, predicted: bool
) -> None:
    """See whether an ACK says that segments of ours were marked, and how many.

    Before RFC 9768 an echo tells no number: all that it is for count.
    """
    if tcb.accecn is not None:
        news.marked = accecn.count_marks(tcb, seg, news, sacked, predicted=predicted)
        news.ece = news.marked > 0
    elif seg.flags & (ECE | SYN) == ECE:
        news.ece, news.marked = True, news.delivered
    tcb.statistics.delivered_ce += news.marked


def expected_flags(tcb: Tcb) -> int:
    """Give the flags of an ACK that says nothing new of marks."""
    return 0 if tcb.accecn is None else accecn.expected_flags(tcb)


# --- the receiver (§6.1.3) ----------------------------------------------------------------------


def count_marks(tcb: Tcb, seg: Segment, segment_size: int = 0) -> None:
    """Count what came by its codepoint, whatever was agreed: the counters of RFC 9768 §3.2.1.

    `segment_size` is the text in each segment on the wire, where the device coalesced many.
    """
    packets = packets_of(len(seg.text), segment_size) if segment_size else 1
    if seg.ecn != NOT_ECT:
        # With RFC 3168's feedback Linux knows that of text it has taken (`on_text`).
        tcb.ecn_seen |= not tcb.ecn or tcb.accecn is not None
        tcb.statistics.received_ce += packets * (seg.ecn == CE)
        octets = list(tcb.statistics.received_octets)
        octets[seg.ecn] += len(seg.text)
        tcb.statistics.received_octets = tuple(octets)
    if tcb.accecn is not None:
        accecn.count_codepoint(tcb, seg, packets)


def hurries(tcb: Tcb) -> bool:
    """Tell whether an ACK that is owed must not wait, as the path's marks have changed."""
    return tcb.accecn is not None and tcb.accecn.hurries


def take_cwr(tcb: Tcb, seg: Segment) -> None:
    """See whether the peer says that it has reduced its window: our echo ends with that.

    As in Linux, any segment whose ACK is believed may say so, and not new text alone: RFC 3168
    §6.1.2 has CWR on new text, but who has none to send would be slowed down for good.
    """
    if tcb.accecn is None and seg.flags & CWR:
        tcb.ecn_echo = False
        tcb.acks.due |= seg.length > 0  # the sender's window may be one segment


def on_text(tcb: Tcb, seg: Segment) -> None:
    """Look at the mark of text that was received for the first time."""
    if not tcb.ecn:
        return
    echoes = tcb.accecn is None
    if echoes and seg.ecn != NOT_ECT:
        tcb.ecn_seen = True
    if echoes and seg.ecn == CE and not tcb.ecn_echo:
        tcb.ecn_echo = True
        tcb.acks.enter_quick_mode(tcb.rcv_wnd, _QUICK_ACKS)
    elif seg.ecn == NOT_ECT and tcb.ecn_seen:
        # Most likely a retransmission: help the peer, as Linux does.
        tcb.acks.enter_quick_mode(tcb.rcv_wnd, _QUICK_ACKS)
