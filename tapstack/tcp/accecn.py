"""More accurate ECN feedback (RFC 9768): how many segments were marked, not whether any was.

The SYN's three bits AE, CWR and ECE ask for it; the SYN-ACK's say how the SYN's codepoint came in,
and so does the final ACK with the SYN-ACK's. From then on they are one number in each segment, ACE:
how many marked ones its sender has received, modulo 8. The other end counts the difference.

Not done here: whose wish it is, and the older feedback (`ecn.py`); the option that counts octets
(`accecn_option.py`); the reduction (`episode.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp import accecn_option
from tapstack.tcp.accecn_state import ACE_NOT_RECEIVED, ACE_NOT_SENT, AccurateEcn
from tapstack.tcp.recovery_state import PROBING
from tapstack.tcp.segment import ACE, ACE_SHIFT, CE, ECT_0, ECT_1, NOT_ECT
from tapstack.tcp.seq import gt, le, sub

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapstack.tcp.ack_news import AckNews
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.segment import Segment
    from tapstack.tcp.sent_segment import SentSegment
    from tapstack.tcp.tcb import Tcb

_ACE_MASK = 7
_FIRST_COUNT = 5
"""What the counter of marked segments begins with (§3.2.2): 0 would be what a mangler leaves."""
_MOST_UNTOLD = 6
"""Marked segments since the last ACK that have one sent at once, before ACE wraps (§3.2.2.5.1)."""
_MOST_PENDING = 15
_LONG_ACK = 2 * (_ACE_MASK + 1)
"""Segments that an ACK is for when the octets that were marked tell enough (as Linux)."""
_COUNTER_MASK = 0xFFFFFFFF
_NOTHING_ASKED, _OLDER_OFFER = 0, 3  # (AE, CWR, ECE) of a SYN without, and with RFC 3168's offer
_REFLECTED = {NOT_ECT: 2, ECT_1: 3, ECT_0: 4, CE: 6}
"""How ACE tells the codepoint of a SYN or a SYN-ACK (§3.1.1 table 2, §3.2.2.1 table 3)."""
_CODEPOINTS = {ace: codepoint for codepoint, ace in _REFLECTED.items()}


def ace_of(flags: int) -> int:
    """Read AE, CWR and ECE as one number (§3.2.2)."""
    return flags >> ACE_SHIFT & _ACE_MASK


# --- the handshake (§3.1) -----------------------------------------------------------------------


def is_asked_for(flags: int) -> bool:
    """Tell whether a SYN asks for this feedback.

    §3.1.2: any combination but 000 and 011 MUST be taken as if it were 111, for what comes after.
    """
    return ace_of(flags) not in (_NOTHING_ASKED, _OLDER_OFFER)


def reflect(codepoint: int) -> int:
    """Give the flags that tell how a SYN or a SYN-ACK came in (§3.1.1 table 2)."""
    return _REFLECTED[codepoint] << ACE_SHIFT


def take_syn(tcb: Tcb, seg: Segment, config: TcpConfig) -> None:
    """Agree with a SYN that asks."""
    tcb.accecn = AccurateEcn(config, syn_codepoint=seg.ecn, latest_codepoint=seg.ecn)


def take_syn_again(tcb: Tcb, seg: Segment) -> None:
    """Take the same SYN once more: of several the latest counts (§3.1.5)."""
    state = tcb.accecn
    if state is None:
        return
    state.syn_codepoint = seg.ecn
    if not ace_of(seg.flags):
        state.failures |= ACE_NOT_RECEIVED


def take_syn_ack(tcb: Tcb, seg: Segment, config: TcpConfig) -> None:
    """Agree with a SYN-ACK, which tells how our SYN came in."""
    state = tcb.accecn = tcb.accecn or AccurateEcn(config)
    state.syn_codepoint = seg.ecn
    if accecn_option.note_first(state, seg):
        state.options_due = 2
    if seg.ecn == CE and _is_plausible(state, ace_of(seg.flags)):
        tcb.statistics.received_ce += 1
        state.untold += 1


def take_final_ack(tcb: Tcb, seg: Segment) -> None:
    """Look at what the final ACK says of our SYN-ACK (§3.2.2.1 table 4)."""
    state, ace = tcb.accecn, ace_of(seg.flags)
    if state is None:
        return
    accecn_option.note_first(state, seg)
    state.options_due = 1
    if not ace and not seg.length and not seg.options.sack:
        # "the Server MUST NOT set ECT on outgoing packets and MUST NOT respond to AccECN feedback":
        # something on the way clears ACE.
        state.failures |= ACE_NOT_RECEIVED
        state.heeded = False
    elif ace in _CODEPOINTS and not seg.length and _is_plausible(state, ace):
        tcb.statistics.delivered_ce += _CODEPOINTS[ace] == CE


def _is_plausible(state: AccurateEcn, ace: int) -> bool:
    """Tell whether our SYN can have come in as the peer says (§3.2.2.3): it was not capable."""
    if not state.config.tcp_ecn_fallback or _CODEPOINTS.get(ace) in (NOT_ECT, None):
        return True
    state.failures |= ACE_NOT_RECEIVED
    return False


def tell_again(tcb: Tcb, seg: Segment) -> None:
    """Have the ACK that challenges a SYN tell what the final ACK has told: that may be lost.

    As in Linux, not where the SYN lies beyond the window, or is old by its timestamp.
    """
    state = tcb.accecn
    if state is not None:
        state.reflects = tcb.acks.due  # or it was not to be answered so soon
        if accecn_option.note_first(state, seg):
            state.options_due = max(state.options_due, 1)


# --- the receiver (§3.2.2) ----------------------------------------------------------------------


def mark(tcb: Tcb, state: AccurateEcn, length: int) -> tuple[int, int]:
    """Give the TCP flags and the IP codepoint of a segment that is no SYN.

    Linux has every segment capable, ACKs and retransmissions too: their marks count as others' do.
    """
    codepoint = ECT_0 if is_capable(state) else NOT_ECT
    state.hurries = False
    if state.reflects and not length:
        state.reflects = False
        return reflect(state.syn_codepoint), codepoint
    state.untold = 0
    return tcb.statistics.received_ce + _FIRST_COUNT << ACE_SHIFT & ACE, codepoint


def is_capable(state: AccurateEcn) -> bool:
    """Tell whether our segments may be marked: not where ACE was zeroed, or had to be (§3.1.5)."""
    return not state.failures & (ACE_NOT_RECEIVED | ACE_NOT_SENT)


def count_codepoint(tcb: Tcb, seg: Segment, packets: int) -> None:
    """Take a segment's codepoint, of so many on the wire: one that has changed is told at once.

    Deviation: §3.2.2.5.1 asks for that where a mark follows none. Like Linux, after every change.
    """
    state = tcb.accecn
    assert state is not None
    has_changed = seg.ecn != state.latest_codepoint
    if seg.ecn == CE:
        state.untold = min(state.untold + packets, _MOST_PENDING)
    if has_changed:
        state.latest_codepoint = seg.ecn
        state.hurries = True
    accecn_option.count_octets(tcb, state, seg, changed=has_changed or seg.ecn == CE)


# --- the sender (§3.2.2.5) ----------------------------------------------------------------------


def count_marks(
    tcb: Tcb, seg: Segment, news: AckNews, sacked: Sequence[SentSegment], *, predicted: bool
) -> int:
    """Count the segments of ours that an ACK tells of as marked, and none before it has told of.

    `predicted` tells that nothing but the ACK's number is new in its header.
    """
    state = tcb.accecn
    assert state is not None
    if not state.heeded or not (news.restart_timer or news.sacked or _is_later(tcb, seg)):
        return 0  # or it may have been overtaken by others
    marked_before = state.delivered_octets[CE]
    octets = _octets_arrived(tcb, news, sacked)
    certain = accecn_option.read(tcb, state, seg, octets)
    if predicted and news.delivered <= _ACE_MASK:
        return 0
    if state.untold >= _MOST_UNTOLD:
        state.hurries = True
    told = ace_of(seg.flags) - _FIRST_COUNT - tcb.statistics.delivered_ce & _ACE_MASK
    if news.delivered <= _ACE_MASK:
        return told
    safest = news.delivered - (news.delivered - told & _ACE_MASK)
    if not certain:
        return safest
    marked = state.delivered_octets[CE] - marked_before & _COUNTER_MASK
    return _weigh(tcb, news.delivered, octets, marked, told, safest)


def _octets_arrived(tcb: Tcb, news: AckNews, sacked: Sequence[SentSegment]) -> int:
    """Count the octets that an ACK is for, as Linux does: what it SACKs only if that is all."""
    if not news.una_advanced:
        return sum(segment.text_length for segment in sacked)
    rest = tcb.sent.segments
    return sub(rest[0].seq if rest else tcb.snd_una, news.prior_una)


def _weigh(tcb: Tcb, packets: int, octets: int, marked: int, least: int, safest: int) -> int:
    """Tell how often ACE has wrapped, by the octets that were marked (§3.2.2.5.2, §A.2.2).

    `least` if it has not, `safest` if it has as often as what arrived lets it.
    """
    if not marked:
        return least
    calm = tcb.sack_permitted or tcb.recovery.phase in PROBING
    if packets >= _LONG_ACK and calm:
        if octets <= marked:
            return safest
        likely = -(-marked * packets // octets)
        return min(safest, least + (likely & ~_ACE_MASK))
    if marked > least * tcb.effective_mss:
        return safest
    return least if marked < safest * tcb.effective_mss >> 1 else safest


def _is_later(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a segment that acknowledges nothing new was sent after others, by its stamp."""
    stamps = seg.options.timestamps
    if not tcb.timestamps or stamps is None:
        return False
    return le(seg.seq, tcb.rcv_wup) and gt(stamps.value, tcb.ts_recent)


def expected_flags(tcb: Tcb) -> int:
    """Give the flags of an ACK that tells of no new mark."""
    return tcb.statistics.delivered_ce + _FIRST_COUNT << ACE_SHIFT & ACE
