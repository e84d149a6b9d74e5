"""Sending again what is deemed lost, and the last segment to probe (RFC 6675 §5, RFC 8985 §7.3).

Not done here: deciding what is lost (`recovery.py`, `loss_phase.py`).
"""

from __future__ import annotations

from tapstack.base.units import Instant
from tapstack.tcp import delivery_rate, pacing, path_mtu
from tapstack.tcp.context import Context
from tapstack.tcp.duplicate_acks import leave_room_for_losses
from tapstack.tcp.mss import FIXED_HEADERS
from tapstack.tcp.records import octets_in_record
from tapstack.tcp.recovery_state import Phase, recovery_of
from tapstack.tcp.retransmission_timer import Purpose, arm_retransmission, is_armed_for
from tapstack.tcp.segment import ACK, SYN
from tapstack.tcp.sent_segment import SentSegment
from tapstack.tcp.seq import add, gt, sub
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.transmission import current_mss, transmit
from tapstack.tcp.unit_size import unit_segments
from tapstack.tcp.urgent import is_sending


def retransmit_lost(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Send again what is deemed lost, oldest first, as the congestion window allows."""
    sent = tcb.sent
    sent.begin_burst()
    path_mtu.refresh(ctx, tcb)
    index = sent.first_lost()
    while index is not None:
        if tcb.options.paced and pacing.is_held(ctx, tcb, now):
            return
        segment = sent.segments[index]
        room = tcb.window.cwnd - sent.in_flight
        if room <= 0 or not _fits_window(tcb, segment):
            return
        _cut_anew(tcb, segment, now)
        # Deviation: Linux sends units in urgent mode, too; but the pointer counts from the start of
        # each segment, and that of the second would name another octet.
        unit = 1 if is_sending(tcb) else unit_segments(ctx, tcb, segment.segment_size)
        _cut_to_fit(tcb, index, min(room, unit))
        _fill_segment(ctx, tcb, index, now)
        _retransmit(ctx, tcb, segment, now)
        if index == 0 and not is_armed_for(tcb, Purpose.REORDERING):
            arm_retransmission(tcb, now)
        index = sent.first_lost(index)


def _cut_anew(tcb: Tcb, segment: SentSegment, now: Instant) -> None:
    """See into how many segments an entry is cut now: a full one may be of another size since."""
    size = current_mss(tcb, now)
    if segment.segment_size != size:
        tcb.sent.resize(segment, size)
        if not tcb.sack_permitted:
            leave_room_for_losses(tcb)


def _fits_window(tcb: Tcb, segment: SentSegment) -> bool:
    """Tell whether the peer's window still has room: it may have shrunk since (SHLD-16).

    What is oldest is sent whatever the window: its answer tells how things stand.
    """
    right = add(tcb.snd_una, tcb.snd_wnd)
    return segment.seq == tcb.snd_una or gt(right, segment.seq)


def _cut_to_fit(tcb: Tcb, index: int, packets: int) -> None:
    """Split an entry behind so many segments, or where a window that has shrunk ends.

    Of a closed one, one segment probes.
    """
    segment = tcb.sent.segments[index]
    size = segment.segment_size
    room = sub(add(tcb.snd_una, tcb.snd_wnd), segment.seq) or size
    length = packets * size
    if length > room:
        length = room // size * size or room
    if length < segment.text_length:
        tcb.sent.split(index, add(segment.seq, length))


def _fill_segment(ctx: Context, tcb: Tcb, index: int, now: Instant) -> None:
    """Send small segments that follow each other again as one (RFC 9293 §3.8.1: repacketization).

    As in Linux, those behind it need not be lost, and are joined up to a full segment.
    """
    segment = tcb.sent.segments[index]
    room = min(current_mss(tcb, now), sub(add(tcb.snd_una, tcb.snd_wnd), segment.seq))
    room = octets_in_record(tcb, segment.seq, room)
    if ctx.config.tcp_retrans_collapse and segment.text_length < room:
        joined = tcb.sent.join_followers(index, room)
        for follower in tcb.text_followers:
            follower.on_joined(segment.seq, segment.end)
        if not tcb.sack_permitted:
            tcb.sent.sacked_out = max(0, tcb.sent.sacked_out - joined)


def _retransmit(ctx: Context, tcb: Tcb, segment: SentSegment, now: Instant) -> None:
    """Send a lost segment again."""
    after_timeout = tcb.recovery.phase is Phase.LOSS or tcb.retransmits > 0
    kind = "SlowStartRetrans" if after_timeout else "FastRetrans"
    if not (tcb.retransmits and segment is tcb.sent.segments[0]):
        ctx.counters[f"TcpExtTCP{kind}"] += segment.packets  # what the RTO itself sends is neither
    tcb.sent.mark_retransmitted(segment, now)
    recovery = recovery_of(tcb)
    recovery.undo.on_retransmitted(segment.packets, tcb.timestamp_now(now))
    recovery.on_sent(segment.packets)
    _transmit_again(
        ctx, tcb, segment, "retransmission timeout" if after_timeout else "fast retransmit", now
    )


def retransmit_last(ctx: Context, tcb: Tcb, now: Instant) -> bool:
    """Send the last segment again, as a tail loss probe: it is not deemed lost.

    Gives whether it was sent: not where the peer has shut its window on it meanwhile.
    """
    sent, index = tcb.sent, len(tcb.sent.segments) - 1
    last = sent.segments[-1]
    packets = last.packets
    _cut_anew(tcb, last, now)
    if 1 < packets <= last.packets:
        sent.split_packets(index, packets - 1)
        index += 1
    last = sent.segments[index]
    if not _fits_window(tcb, last):
        return False
    _cut_to_fit(tcb, index, 1)  # as Linux: of what was one segment, and is no longer, the first
    sent.mark_sent_again(last, now)
    _transmit_again(ctx, tcb, last, "tail loss probe", now)
    return True


def _transmit_again(ctx: Context, tcb: Tcb, segment: SentSegment, why: str, now: Instant) -> None:
    ctx.counters["TcpRetransSegs"] += segment.packets
    # RFC 4022: tcpOutSegs excludes "those containing only retransmitted octets".
    ctx.counters["TcpOutSegs"] -= segment.packets
    tcb.statistics.total_retrans += segment.packets
    tcb.statistics.bytes_retrans += segment.text_length
    delivery_rate.on_sent(tcb, segment, now, nothing_in_flight=False)
    if tcb.mtu_probing is not None:
        tcb.mtu_probing.probe_size = 0  # what a probe would tell now is not certain
    if segment.flags & SYN:
        ctx.counters["TcpExtTCPSynRetrans"] += 1
        transmit_syn(ctx, tcb, now, why)
    else:
        if segment.text_length:
            tcb.acks.on_text_sent(now)
        transmit(ctx, tcb, segment.seq, segment.flags | ACK, segment.text_length, now, why)


def transmit_syn(ctx: Context, tcb: Tcb, now: Instant, why: str) -> None:
    """Send our SYN; once the peer's is here it acknowledges that.

    It names a smaller MSS where the path was found narrower meanwhile (as Linux).
    """
    tcb.advertised_mss = min(tcb.advertised_mss, tcb.path_mtu - FIXED_HEADERS)
    flags = SYN if tcb.state is State.SYN_SENT else SYN | ACK
    transmit(ctx, tcb, tcb.iss, flags, 0, now, why)
