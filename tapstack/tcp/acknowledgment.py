"""Step five: what an acknowledgment does to what we sent (RFC 9293 §3.10.7.4, RFC 5961 §5.2).

The retransmission queue is relieved, the round trip measured, the send window updated; recovery and
congestion control hear what arrived.

Not done here: the state transitions that our FIN's acknowledgment causes (`segment_arrives.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tapstack.base.errors import Drop
from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.tcp import (
    delivery_rate,
    ecn,
    mtu_probing,
    records,
    recovery,
    urgent,
)
from tapstack.tcp.ack_news import AckNews
from tapstack.tcp.context import Context
from tapstack.tcp.duplicate_acks import on_cumulative_ack_without_sack
from tapstack.tcp.invalid import answer_invalid
from tapstack.tcp.memory_pressure import is_paid_for
from tapstack.tcp.mss import update_effective_mss
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.sack import look_for_filled_hole, note_arrivals, take_sack
from tapstack.tcp.segment import ACK, PSH, Segment
from tapstack.tcp.sent_segment import Acknowledged, SentSegment
from tapstack.tcp.seq import gt, lt, sub
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.text_followers import hear_acknowledged
from tapstack.tcp.timeouts import on_probe_answered
from tapstack.tcp.unit_size import update_pacing_rate
from tapstack.tcp.window_validation import decay_after_idle

_MOST_ELAPSED = 2**31 // 1000
"""ms: an echo that is older is believed to be none of ours (as Linux)."""


def process_acknowledgment(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Take SEG.ACK and SEG.WND; False when the segment is to be dropped."""
    if gt(seg.ack, tcb.snd_nxt):
        # "If the ACK acks something not yet sent, then send an ACK, drop the segment".
        ctx.counters.drop(Drop.TCP_ACK_UNSENT)
        answer_invalid(ctx, tcb, seg, now, "challenge")
        return False
    if lt(seg.ack, tcb.snd_una):
        return _take_old_ack(ctx, tcb, seg, now)
    tcb.probes_out = 0
    news = AckNews(tcb.snd_una, now, una_advanced=seg.ack != tcb.snd_una, echo=echo_of(tcb, seg))
    news.plain = not (seg.length or news.una_advanced or updates_window(tcb, seg))
    predicted = is_predicted(tcb, seg)
    looks_at_unsent = not is_text_alone(tcb, seg)
    news.text_alone = not looks_at_unsent
    if looks_at_unsent:
        tcb.more_coming = False
    tcb.acks.fresh |= tcb.acks.owed and not predicted
    outstanding, wnd = bool(tcb.sent), tcb.snd_wnd
    update_send_window(tcb, seg)
    if tcb.snd_wnd != wnd and not outstanding and tcb.unsent():
        decay_after_idle(ctx, tcb, now)
    sacked = take_sack(ctx, tcb, seg, news)
    _advance(ctx, tcb, seg, news, sacked, now)
    if tcb.ecn:
        ecn.take_cwr(tcb, seg)
        ecn.take_echo(tcb, seg, news, sacked, predicted=predicted)
    if outstanding and (news.una_advanced or sacked or news.plain):  # a duplicate tells it, too
        tcb.next_hop_confirmed = True
    news.duplicate_ack = news.plain and not news.dsack
    if outstanding:
        recovery.on_acknowledgment(ctx, tcb, news, now)
        update_pacing_rate(ctx.config, tcb)
        delivery_rate.take_sample(tcb, news.delivered, news.departure, news.latest_sent_at, now)
    else:
        recovery.on_late_news(ctx, tcb, news, now)
    if tcb.recovery.phase is not Phase.LOSS:
        tcb.statistics.on_timeout_recovered(now)
    if looks_at_unsent and tcb.persist_timer.deadline is not None:
        on_probe_answered(ctx, tcb, now)
    return True


def is_text_alone(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a segment is nothing but the text that is predicted, and costs no new page.

    As in Linux, an ACK may be sent for it then, but what else waits to be sent is not looked at.
    """
    if not seg.text or seg.ack != tcb.snd_una:
        return False
    return is_predicted(tcb, seg) and is_paid_for(tcb, seg)


def is_predicted(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a segment is what Linux predicts: next in order, and nothing new in its header.

    What an ACK that waits, or text that is held back, has to do with it is not asked then. Nothing
    is predicted once either end has closed.
    """
    if tcb.state is not State.ESTABLISHED or is_window_unscaled(tcb):
        return False
    flags = ACK | ecn.expected_flags(tcb) if tcb.ecn else ACK
    expected = seg.flags & ~PSH == flags and seg.seq == tcb.rcv_nxt and not tcb.reassembly
    return expected and seg.wnd << tcb.snd_wind_shift == tcb.snd_wnd and not seg.options.sack


def is_window_unscaled(tcb: Tcb) -> bool:
    """Tell whether a SYN-ACK's window, which is not scaled, is all that is known of the peer's.

    Linux predicts nothing from it where the next one will be scaled.
    """
    return tcb.snd_wl1 == tcb.irs and tcb.snd_wind_shift != 0


def echo_of(tcb: Tcb, seg: Segment) -> int | None:
    """Give SEG.TSecr, if timestamps are in use and it carries one."""
    stamps = seg.options.timestamps
    return stamps.echo if tcb.timestamps and stamps is not None else None


def _take_old_ack(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Ignore an ACK below SND.UNA, but not its text; RFC 5961 §5.2 challenges what is too old.

    That is what no ACK of this connection can have been: none is for less than our ISS (as Linux).
    """
    if sub(tcb.snd_una, seg.ack) > min(tcb.max_snd_wnd, tcb.statistics.bytes_acked):
        ctx.counters.drop(Drop.TCP_OLD_ACK)
        answer_invalid(ctx, tcb, seg, now, "challenge")
        return False
    news = AckNews(tcb.snd_una, now, echo=echo_of(tcb, seg))
    if seg.options.sack and tcb.sack_permitted:
        take_sack(ctx, tcb, seg, news)
        recovery.on_old_acknowledgment(ctx, tcb, news, now)
    return True


def update_send_window(tcb: Tcb, seg: Segment) -> None:
    """Take SEG.WND, unless it is older than what we know (§3.10.7.4)."""
    if updates_window(tcb, seg):
        set_send_window(tcb, seg.seq, seg.ack, seg.wnd << tcb.snd_wind_shift)


def set_send_window(tcb: Tcb, seq: int, ack: int, wnd: int) -> None:
    """Set SND.WND, octets, and which segment it came with."""
    tcb.snd_wnd, tcb.snd_wl1, tcb.snd_wl2 = wnd, seq, ack
    if wnd > tcb.max_snd_wnd:
        tcb.max_snd_wnd = wnd
        update_effective_mss(tcb)


def updates_window(tcb: Tcb, seg: Segment) -> bool:
    """Tell whether a segment's window is to be taken; one that advances SND.UNA always is.

    Such a one is no duplicate ACK (RFC 5681 §2): as in Linux, even if it says what was known.
    """
    # Deviation: of two segments with the same numbers the RFC takes the later one's window. Like
    # Linux, we do only where that is larger, or 0: what was reordered is no shrunk window.
    wnd = seg.wnd << tcb.snd_wind_shift
    newer = lt(tcb.snd_wl1, seg.seq) or (tcb.snd_wl1 == seg.seq and (wnd > tcb.snd_wnd or wnd == 0))
    return newer or gt(seg.ack, tcb.snd_una)


def _advance(
    ctx: Context,
    tcb: Tcb,
    seg: Segment,
    news: AckNews,
    sacked: list[SentSegment],
    now: Instant,
) -> None:
    """Set SND.UNA to SEG.ACK, and let go of what that acknowledges; measure the round trip."""
    head = tcb.sent.segments[0] if tcb.sent else None
    acked = Acknowledged((), False, frees=False)
    if news.una_advanced:
        acked = _let_go(ctx, tcb, seg, news)
        note_arrivals(tcb, acked.segments, news, news.echo)
        news.restart_timer = acked.frees
        if tcb.sack_permitted:
            look_for_filled_hole(ctx, tcb, acked.segments, news)
        else:
            news.delivered = on_cumulative_ack_without_sack(ctx, tcb, news.acked)
            # RFC 5682 §2.1: what lies behind a retransmission may have come long before it.
            news.originals = news.originals and not acked.retransmitted
    rtt = measure_round_trip(tcb, news.echo, acked, sacked, now)
    if rtt is not None:
        tcb.congestion.on_round_trip(rtt, tcb.snd_una, tcb.snd_nxt, now)
    original = next((segment for segment in sacked if segment.transmissions == 1), None)
    if original is not None and head is not None and original.sent_at < head.sent_at:
        # What was sent before the oldest segment was sent again has only now arrived: the RTO of
        # that one begins anew (RFC 6298 §5.3), or it would expire too soon.
        news.restart_timer = True


def _let_go(ctx: Context, tcb: Tcb, seg: Segment, news: AckNews) -> Acknowledged:
    text = sub(seg.ack, tcb.snd_una)
    acked = tcb.sent.acknowledge(seg.ack)
    news.acked = acked.packets
    # Our FIN occupies one number behind the last octet of the buffer.
    tcb.send_buffer.release(min(text, tcb.send_buffer.octets))
    tcb.statistics.bytes_acked += text
    tcb.snd_una = seg.ack
    urgent.on_acknowledged(tcb)
    records.on_acknowledged(tcb)
    mtu_probing.on_acknowledged(ctx, tcb)
    tcb.retransmits = 0
    tcb.soft_error = 0
    if tcb.text_followers:
        hear_acknowledged(ctx, tcb, news.now, news.delivered, acked.segments)
    return acked


def measure_round_trip(
    tcb: Tcb,
    echo: int | None,
    acked: Acknowledged,
    sacked: Sequence[SentSegment],
    now: Instant,
) -> Duration | None:
    """Take a sample of the round trip: never of what was sent twice (Karn), save by timestamp.

    Gives the round trip of the last segment that the ACK is for, µs; None if it tells none.
    """
    beyond = [segment for segment in sacked if segment.transmissions == 1]
    once = () if acked.retransmitted else acked.segments
    oldest, latest = once or beyond, beyond or once
    if oldest:
        _take_sample(tcb, now - oldest[0].sent_at)
        return tcb.rtt.observe(now - latest[-1].sent_at, now)
    if acked.frees and echo:
        # RFC 7323 §4.1: the echo tells which transmission is acknowledged.
        elapsed = sub(tcb.timestamp_now(now), echo)
        if elapsed < _MOST_ELAPSED:
            rtt = max(elapsed, 1) * MILLISECOND
            _take_sample(tcb, rtt)
            return tcb.rtt.observe(rtt, now)
    return None


def _take_sample(tcb: Tcb, rtt: Duration) -> None:
    """Let a round trip set the RTO. Only a sample takes the backing off back (RFC 6298 §5)."""
    tcb.rtt.sample(rtt, tcb.snd_una, tcb.snd_nxt)
    tcb.backoff = tcb.rto_backoff = 0
