"""The segment that was expected: a short way through SEGMENT ARRIVES (RFC 9293 §3.10.7.4).

Most segments that come to a busy connection are the next in order and bring nothing but text, an
acknowledgment, or both (Van Jacobson's header prediction). What the steps of `segment_arrives.py`,
`text_arrives.py`, `acknowledgment.py` and `recovery.py` come to for those is done here in one pass.
The steps are the truth: a property test holds both together, field by field.

Whatever is not so plain is declined before anything has changed. Sequence numbers are compared in
place here, modulo 2³², as calls are what costs. A window comes as the field on the wire has it; a
`segment_size` is in octets, and 0 where the text is no unit of several segments. Of a run of frames
(`tapstack/express_runs.py`) there are several texts.

Not done here: the headers (`tapstack/express.py`), and sending (`output.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.contracts import READABLE
from tapstack.tcp import delivery_rate, mtu_probing, rack, tail_loss_probe
from tapstack.tcp.acknowledgment import is_window_unscaled, set_send_window
from tapstack.tcp.memory_pressure import room_in_page
from tapstack.tcp.options import TIMESTAMPS_LENGTH
from tapstack.tcp.receive_memory import PLAIN_HEADERS, memory_of
from tapstack.tcp.receive_space import measure_by_echo
from tapstack.tcp.seq import HALF, MASK
from tapstack.tcp.state import State
from tapstack.tcp.text_arrives import note_text
from tapstack.tcp.undisturbed import look_for_disturbance
from tapstack.tcp.unit_size import update_pacing_rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.receive_memory import Memory
    from tapstack.tcp.sent_segment import SentSegment
    from tapstack.tcp.tcb import Tcb

_TRANSFERRING = frozenset({State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2, State.CLOSE_WAIT})
_ESTABLISHED = State.ESTABLISHED  # a member of an Enum is looked up at length, each time


def take_expected(
    ctx: Context,
    tcb: Tcb,
    seq: int,
    ack: int,
    flags: int,
    wnd: int,
    stamp: int,
    echo: int,
    texts: Sequence[memoryview],
    length: int,
    segment_size: int,
    packets: int,
    now: Instant,
) -> bool:
    """Take a segment with ACK and perhaps PSH, timestamps and no other option; False: decline."""
    acked = (ack - tcb.snd_una) & MASK
    wnd <<= tcb.snd_wind_shift
    if (
        seq != tcb.rcv_nxt
        or not wnd
        or (stamp - tcb.ts_recent) & MASK >= HALF
        or acked > (tcb.snd_nxt - tcb.snd_una) & MASK
        or (wnd != tcb.snd_wnd and tcb.send_buffer.octets and not tcb.sent.segments)
        or (tcb.state is not _ESTABLISHED and _ends_something(tcb, ack, acked, length))
        or (not tcb.undisturbed and look_for_disturbance(tcb))
    ):
        return False
    if length:
        memory, in_use = memory_of(PLAIN_HEADERS + length), tcb.receive_queue.charge
        if len(texts) > 1:
            in_use += memory.charge
        used = ((seq - tcb.rcv_wup) & MASK) + length
        if used > tcb.rcv_wnd or in_use > tcb.receive_space.buffer or tcb.read_shut:
            return False  # a run has to fit in as a whole
    elif not acked:
        return False
    covered = tcb.sent.acknowledge_once_sent(ack) if acked else None
    if acked and not covered:
        return False
    tcb.statistics.segs_in += packets
    owes_only = bool(length) and not acked and _looks_at_nothing(tcb, wnd, memory)
    _take_window(tcb, seq, ack, acked, length, wnd)
    if covered:
        _take_acknowledgment(ctx, tcb, ack, acked, *covered, now)
    elif tcb.sent:
        _take_nothing_new(ctx, tcb, now)
    if seq == tcb.last_ack_sent:
        tcb.ts_recent = stamp
        tcb.ts_recent_at = now
    tcb.last_received_at = now
    if tcb.state is _ESTABLISHED:
        measure_by_echo(tcb, length, echo, now)
    if length:
        _queue(tcb, seq, texts, length, packets, memory)
        note_text(ctx, tcb, length, segment_size, TIMESTAMPS_LENGTH, flags, memory, now)
        ctx.report(tcb, READABLE)
    (ctx.mark_owing if owes_only else ctx.mark_dirty)(tcb)
    return True


def _looks_at_nothing(tcb: Tcb, wnd: int, memory: Memory) -> bool:
    """Tell whether text, or its user, waits unseen (`acknowledgment.is_text_alone`)."""
    if not (tcb.unsent() or tcb.send_blocked) or not _is_predicted(tcb, wnd):
        return False
    return memory.charge <= room_in_page(tcb)


def _is_predicted(tcb: Tcb, wnd: int) -> bool:
    """Tell whether a segment that was expected is what `acknowledgment.is_predicted` says, too."""
    return wnd == tcb.snd_wnd and tcb.state is _ESTABLISHED and not is_window_unscaled(tcb)


def _ends_something(tcb: Tcb, ack: int, acked: int, length: int) -> bool:
    """Tell whether a connection whose end has begun does not simply go on to exchange text."""
    return bool(
        tcb.state not in _TRANSFERRING
        or (acked and tcb.fin_sent and ack == tcb.snd_nxt)
        or (tcb.orphaned and tcb.state is State.FIN_WAIT_2)
        or (length and tcb.state is State.CLOSE_WAIT)
    )


def _queue(
    tcb: Tcb,
    seq: int,
    texts: Sequence[memoryview],
    length: int,
    packets: int,
    memory: Memory,
) -> None:
    """Queue text for the user that is next in order."""
    queue = tcb.receive_queue
    for text in texts:
        queue.append(text)
    tcb.rcv_nxt = end = (seq + length) & MASK
    queue.account(end, length, memory)
    tcb.statistics.bytes_received += length
    tcb.statistics.data_segs_in += packets


def _take_window(tcb: Tcb, seq: int, ack: int, acked: int, length: int, wnd: int) -> None:
    """Take the window; another one than before has what waits looked at again.

    So does any ACK that is not predicted with an ACK of ours that waits; text does so by itself.
    """
    if not length and tcb.acks.owed and not _is_predicted(tcb, wnd):
        tcb.acks.fresh = True
    if wnd != tcb.snd_wnd:
        tcb.more_coming = False
    elif acked:
        tcb.snd_wl1, tcb.snd_wl2 = seq, ack
        return
    newer = (seq - tcb.snd_wl1) & MASK
    if acked or 0 < newer < HALF or (not newer and wnd > tcb.snd_wnd):
        set_send_window(tcb, seq, ack, wnd)


def _take_nothing_new(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Take an ACK that acknowledges nothing of what is in flight."""
    update_pacing_rate(ctx.config, tcb)
    delivery_rate.take_sample(tcb, 0, None, -1, now)


def _take_acknowledgment(
    ctx: Context,
    tcb: Tcb,
    ack: int,
    acked: int,
    first: SentSegment,
    last: SentSegment,
    delivered: int,
    now: Instant,
) -> None:
    """Take an ACK that advances SND.UNA, of segments that were all sent once, and in order.

    They are `first` to `last`, `delivered` ones on the wire.
    """
    statistics = tcb.statistics
    tcb.more_coming = False
    tcb.send_buffer.release(acked)
    statistics.bytes_acked += acked
    statistics.delivered += delivered
    ctx.counters["TcpExtTCPDelivered"] += delivered
    tcb.snd_una = tcb.snd_up = ack
    if tcb.mtu_probing is not None:
        mtu_probing.on_acknowledged(ctx, tcb)
    tcb.next_hop_confirmed = True
    if tcb.sack_permitted:
        rack.keep_latest(tcb, last, now - last.sent_at)
    tcb.rtt.sample(now - first.sent_at, ack, tcb.snd_nxt)
    rtt = tcb.rtt.observe(now - last.sent_at, now)
    tcb.congestion.on_round_trip(rtt, ack, tcb.snd_nxt, now)
    if tcb.rack is not rack.NOTHING_HEARD:
        rack.update_reordering_window(ctx, tcb, last.departure)
    if tcb.sent.segments:
        tail_loss_probe.restart_timer(ctx, tcb, now)
    else:
        rack.on_all_arrived(tcb)
        tcb.retransmission_timer.cancel()
    window = tcb.window
    if window.may_grow():
        tcb.congestion.on_acked(delivered, now)
    window.full_at = now
    update_pacing_rate(ctx.config, tcb)
    delivery_rate.take_sample(tcb, delivered, last.departure, last.sent_at, now)
