"""SEGMENT ARRIVES on a connection from SYN-RECEIVED on (RFC 9293 §3.10.7.4): the eight steps.

Each step is one function; it returns False when the segment needs no further processing.

Not done here: CLOSED, LISTEN and SYN-SENT (`handshake.py`), TIME-WAIT (`time_wait.py`), timestamps
(`paws.py`), the inside of step five (`acknowledgment.py`), and sending: what these steps change is
sent by the flush.
"""

from __future__ import annotations

from errno import ECONNRESET, EPIPE

from tapstack.base.contracts import ENDED, READABLE, WRITABLE
from tapstack.base.errors import Drop
from tapstack.base.units import Instant
from tapstack.tcp import ecn, fast_open_path
from tapstack.tcp.accecn import tell_again
from tapstack.tcp.acknowledging import acknowledge
from tapstack.tcp.acknowledgment import (
    echo_of,
    is_predicted,
    is_text_alone,
    process_acknowledgment,
)
from tapstack.tcp.context import Context
from tapstack.tcp.fin_wait_2 import wait_for_fin
from tapstack.tcp.half_open import complete_passive_open, establish
from tapstack.tcp.invalid import (
    answer_invalid,
    challenge_syn,
    note_unacceptable,
    report_duplicate,
)
from tapstack.tcp.lifetime import destroy, enter_time_wait
from tapstack.tcp.memory_pressure import is_paid_for
from tapstack.tcp.output import repair, send_what_may_be_sent
from tapstack.tcp.paws import check_timestamps, update_ts_recent
from tapstack.tcp.reassembly import span_beyond_gap
from tapstack.tcp.receive_space import measure_by_echo
from tapstack.tcp.receive_window import right_edge
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.replies import reset_in_reply_to
from tapstack.tcp.sack_list import note_range
from tapstack.tcp.segment import ACK, FIN, RST, SYN, URG, SackBlock, Segment
from tapstack.tcp.seq import add, gt, le, lt, sub
from tapstack.tcp.state import HAS_RECEIVED_FIN, State, become
from tapstack.tcp.syn_received import check_request
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.text_arrives import TAKES_TEXT, process_text
from tapstack.tcp.urgent import check_urgent


def segment_arrives(ctx: Context, tcb: Tcb, seg: Segment, segment_size: int, now: Instant) -> None:
    """Process a segment for a connection in SYN-RECEIVED or later, but not TIME-WAIT.

    `segment_size` is the text in each segment on the wire, where the device coalesced many.
    """
    if tcb.syn_ack is not None and not check_request(ctx, tcb, tcb.syn_ack, seg, now):
        return
    if not seg.flags & (ACK | RST | SYN):
        # Fifth, "if the ACK bit is off, drop the segment": like Linux, whatever else it is.
        ctx.counters.drop(Drop.TCP_NO_ACK)
        return
    # As Linux: a round trip is told by what meets a connection that is established, and stands.
    echo = echo_of(tcb, seg) if tcb.state is State.ESTABLISHED else None
    going_on = (
        check_timestamps(ctx, tcb, seg, now)
        and check_sequence_number(ctx, tcb, seg, now)
        and check_reset(ctx, tcb, seg, now)
        # "Third, check security": compartments are not supported, as in any common stack.
        and check_syn(ctx, tcb, seg, now)
    )
    if going_on and tcb.state is State.ESTABLISHED:
        # As Linux, whatever it acknowledges; and in no other state.
        ecn.count_marks(tcb, seg, segment_size)
    text_first = seg.length and tcb.recovery.phase is not Phase.OPEN and _text_comes_first(tcb, seg)
    owes_only = not going_on or is_text_alone(tcb, seg)
    if going_on and check_ack(ctx, tcb, seg, now):
        tcb.last_received_at = now
        if echo is not None:
            measure_by_echo(tcb, seg.length, echo, now)
        if seg.length and (tcb.sent.lost_out or tcb.recovery.new_text_first) and not text_first:
            repair(ctx, tcb, now)  # as in Linux: before there is more to acknowledge
        expected = tcb.rcv_nxt
        check_urgent(ctx, tcb, seg)  # as Linux, also behind a FIN
        process_text(ctx, tcb, seg, segment_size, now)
        check_fin(ctx, tcb, seg, now)
        tcb.statistics.bytes_received += sub(tcb.rcv_nxt, expected)
    else:
        owes_only = True
    (ctx.mark_owing if owes_only else ctx.mark_dirty)(tcb)


def _text_comes_first(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a segment is such that Linux takes its text before what it acknowledges."""
    return bool(is_predicted(tcb, seg) and tcb.rcv_wnd and is_paid_for(tcb, seg))


def check_sequence_number(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """First, check the sequence number (RFC 9293 table 6)."""
    if is_acceptable(tcb, seg):
        return True
    if _resets_behind_fin(tcb, seg):
        return True
    ctx.counters.drop(Drop.TCP_OUT_OF_WINDOW)
    if seg.flags & URG and seg.seq == tcb.rcv_nxt and tcb.state in TAKES_TEXT:
        # MUST-66: the URG field is processed "even when the receive window is zero".
        check_urgent(ctx, tcb, seg)
    if seg.flags & SYN and not seg.flags & RST:
        _count_stray_syn(ctx, tcb)
        challenge_syn(ctx, tcb, seg, now)
    elif not seg.flags & RST:
        ctx.counters["TcpExtBeyondWindow"] += not lt(seg.end, tcb.rcv_wup)
        # "If an incoming segment is not acceptable, an acknowledgment should be sent in reply".
        note_unacceptable(ctx, tcb, seg)
        answer_invalid(ctx, tcb, seg, now, "out of window")
    return False


def is_acceptable(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a segment lies in the receive window, or close enough.

    Deviation: as Linux, we take one that came before, but since our last ACK, for what it may say
    of ours; an empty one at the window's right edge, which is the ACK of a peer that has filled the
    window; and one that reaches beyond it only while nothing waits for the user.
    """
    right = right_edge(tcb)
    if lt(seg.end, tcb.rcv_wup) or gt(seg.seq, right):
        return False
    return le(seg.end, right) or not (len(tcb.receive_queue) or _fin_waits(tcb))


def _fin_waits(tcb: Tcb) -> bool:
    """Tell whether the peer's FIN stands in Linux's receive queue: till the user has gone."""
    return tcb.state in HAS_RECEIVED_FIN and not tcb.orphaned


def check_reset(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Second, check the RST bit, with the protection of RFC 5961 §3.2."""
    if not seg.flags & RST:
        return True
    if seg.seq == tcb.rcv_nxt or _resets_behind_fin(tcb, seg) or _resets_behind_gap(tcb, seg):
        _reset_by_peer(ctx, tcb)
    else:
        if tcb.state is State.ESTABLISHED:
            fast_open_path.on_stray_reset(ctx, tcb, now)
        # "the TCP endpoint MUST send an acknowledgment (challenge ACK)".
        ctx.counters.drop(Drop.TCP_RESET_INVALID)
        answer_invalid(ctx, tcb, seg, now, "challenge")
    return False


def _resets_behind_fin(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a peer resets that does not count its own FIN (as Linux: some do not)."""
    expected = add(tcb.rcv_nxt, -1)
    return tcb.state in HAS_RECEIVED_FIN and bool(seg.flags & RST) and seg.seq == expected


def _resets_behind_gap(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a reset follows the last text that came, though some before it is missing.

    Deviation: RFC 5961 §3.2 takes RCV.NXT alone. Like Linux: who knows our SACKs can know this.
    """
    span = span_beyond_gap(tcb) if tcb.sack_permitted else 0
    return span > 0 and seg.seq == add(tcb.rcv_nxt, span)


def _reset_by_peer(ctx: Context, tcb: Tcb) -> None:
    """End the connection, with the error that its state calls for."""
    if tcb.state is State.SYN_RECEIVED:
        ctx.counters["TcpAttemptFails"] += 1
    destroy(ctx, tcb, EPIPE if tcb.state is State.CLOSE_WAIT else ECONNRESET)


def check_syn(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Fourth, check the SYN bit: RFC 5961 §4.2 answers with a challenge ACK."""
    if not seg.flags & SYN:
        return True
    if tcb.state is State.SYN_RECEIVED and _crosses_our_syn_ack(tcb, seg):
        tcb.acks.enter_quick_mode(tcb.rcv_wnd)
        tcb.acks.due = True
        if ctx.config.tcp_dsack:
            tcb.duplicate_text = SackBlock(seg.seq, seg.end)
        return True
    _count_stray_syn(ctx, tcb)
    challenge_syn(ctx, tcb, seg, now)
    tell_again(tcb, seg)
    return False


def _count_stray_syn(ctx: Context, tcb: Tcb) -> None:
    """Count a SYN that nobody expects; as in Linux, it is an error in ESTABLISHED alone."""
    ctx.counters["TcpInErrs"] += tcb.state is State.ESTABLISHED


def _crosses_our_syn_ack(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a SYN-ACK is the peer's share of a simultaneous open (RFC 9293 figure 8)."""
    again = bool(seg.flags & ACK) and seg.length == 1 and seg.end == tcb.rcv_nxt
    return again and seg.ack == tcb.snd_nxt


def _acknowledges_our_syn(tcb: Tcb, seg: Segment) -> bool:
    return gt(seg.ack, tcb.iss) and le(seg.ack, tcb.snd_nxt)


def _reset_peer(ctx: Context, tcb: Tcb, seg: Segment, why: str) -> None:
    reset_in_reply_to(ctx, tcb.remote.address, tcb.local.address, seg, why)


def check_ack(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Fifth, check the ACK field."""
    if not seg.flags & ACK:
        ctx.counters.drop(Drop.TCP_NO_ACK)
        return False
    believed = not lt(seg.ack, tcb.snd_una)
    if not believed and _is_believed_unasked(tcb, seg):
        update_ts_recent(tcb, seg, now)
    was_shut_early = tcb.state is State.SYN_RECEIVED and tcb.fin_queued
    if not seg.options.sack and end_if_all_arrived(ctx, tcb, seg.ack):
        return False
    if tcb.state is State.SYN_RECEIVED or tcb.syn_ack is not None:
        taken = _check_ack_of_syn(ctx, tcb, seg, now)
    else:
        taken = process_acknowledgment(ctx, tcb, seg, now)
    if not taken:
        return False
    if believed:
        # Only who knows what we sent is believed: who guesses would have the rest rejected.
        update_ts_recent(tcb, seg, now)
    if was_shut_early:
        send_what_may_be_sent(ctx, tcb, now)  # as Linux: the FIN, before the text is looked at
    return _check_ack_of_fin(ctx, tcb, seg, now)


def _is_believed_unasked(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a segment is so much what is expected that even an old ACK number is believed.

    As Linux, which looks at that only behind the timestamp then, be it too old or not.
    """
    if tcb.rcv_nxt != tcb.rcv_wup or not is_predicted(tcb, seg):
        return False
    return not seg.text or is_paid_for(tcb, seg)


def end_if_all_arrived(ctx: Context, tcb: Tcb, ack: int) -> bool:
    """End a connection in LAST-ACK whose user has gone, if SEG.ACK acknowledges all of it.

    Where our FIN was sent once, and nothing else is in flight, what such an acknowledgment tells of
    the path is for nobody any more.
    """
    if not (tcb.state is State.LAST_ACK and tcb.orphaned and ack == tcb.snd_nxt):
        return False
    sent = tcb.sent.segments
    if len(sent) != 1 or sent[0].transmissions != 1 or not sent[0].flags & FIN:
        return False
    if tcb.recovery.phase is not Phase.OPEN or tcb.ecn or tcb.mtu_probing:
        return False
    ctx.counters["TcpExtTCPDelivered"] += sent[0].packets
    destroy(ctx, tcb)
    return True


def _check_ack_of_syn(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """In SYN-RECEIVED: "If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state"."""
    if not _acknowledges_our_syn(tcb, seg):
        ctx.counters.drop(Drop.TCP_ACK_UNSENT)
        _reset_peer(ctx, tcb, seg, "bad ACK in SYN-RECEIVED")
        return False
    if tcb.syn_ack is None:
        establish(ctx, tcb, seg, now)
        return True
    return complete_passive_open(ctx, tcb, seg, now)


def _check_ack_of_fin(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Move on from the states that wait for our FIN to be acknowledged."""
    if not tcb.fin_sent or tcb.sent or tcb.snd_una != tcb.snd_nxt or tcb.send_buffer.octets:
        return True
    if tcb.state in (State.FIN_WAIT_1, State.CLOSING):
        ctx.report(tcb, ENDED | WRITABLE)  # for who lingers: all has arrived
    if tcb.state is State.FIN_WAIT_1:
        become(ctx, tcb, State.FIN_WAIT_2)
        if tcb.orphaned:
            return wait_for_fin(ctx, tcb, seg, now) and (
                bool(seg.flags & FIN) or gt(seg.end, tcb.rcv_nxt)
            )
    elif tcb.state is State.CLOSING:
        enter_time_wait(ctx, tcb, now)
        return False
    elif tcb.state is State.LAST_ACK:
        destroy(ctx, tcb)
        return False
    return True


# --- eighth, check the FIN bit ----------------------------------------------------------------


def check_fin(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Take the peer's FIN once all the text before it is here."""
    if tcb.state is State.CLOSED or tcb.state in HAS_RECEIVED_FIN:
        return
    fin = add(seg.seq, len(seg.text))
    waited = tcb.fin_beyond is not None and not seg.flags & FIN
    right = right_edge(tcb)
    if seg.flags & FIN and seg.seq == right != tcb.rcv_nxt:
        # As Linux: where the window ends, a FIN is taken only if nothing before it is missing.
        tcb.acks.enter_quick_mode(tcb.rcv_wnd)
        tcb.acks.due = tcb.acks.owed = True
    elif seg.flags & FIN and not lt(fin, tcb.rcv_nxt) and le(fin, right):
        if fin == tcb.fin_beyond and not seg.text:
            report_duplicate(ctx, tcb, SackBlock(fin, seg.end))
        tcb.fin_beyond = fin
        if fin != tcb.rcv_nxt:
            # RFC 5681 §4.2: at once, as for text beyond a gap.
            tcb.acks.due = tcb.acks.owed = True
            note_range(tcb, fin, seg.end)
            if not seg.text:
                tcb.statistics.rcv_ooopack += 1
                ctx.counters["TcpExtTCPOFOQueue"] += 1
    if tcb.fin_beyond != tcb.rcv_nxt:
        return
    tcb.fin_beyond = None
    tcb.acks.due |= waited
    take_fin(ctx, tcb, now)


def take_fin(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Take a FIN at RCV.NXT."""
    tcb.rcv_nxt = add(tcb.rcv_nxt, 1)
    tcb.acks.owed = tcb.acks.fresh = True
    _enter_state_after_fin(ctx, tcb, now)
    tcb.reassembly = None  # what lies beyond a FIN is none of the stream
    tcb.sacks = tcb.duplicate_text = None
    ctx.report(tcb, ENDED | READABLE)


def _enter_state_after_fin(ctx: Context, tcb: Tcb, now: Instant) -> None:
    if tcb.state is State.ESTABLISHED:
        become(ctx, tcb, State.CLOSE_WAIT)
        # Our own FIN or text is likely to follow soon, and can carry the ACK.
        tcb.acks.interactive = True
        return
    tcb.acks.due = True
    acknowledge(ctx, tcb, now)  # as Linux: alone, and it still tells of what came beyond the FIN
    if tcb.state is State.FIN_WAIT_1:
        # Our FIN is not yet acknowledged, or step five had moved us on.
        become(ctx, tcb, State.CLOSING)
    else:
        enter_time_wait(ctx, tcb, now)
