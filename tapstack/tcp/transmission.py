"""One segment of a connection, built and handed down (RFC 9293 §3.1, §3.7).

The text leaves as views of the send buffer, the checksum as the pseudo-header's sum: the device, or
the software at its edge, does the rest.

Not done here: deciding that it is to be sent (`output.py`).
"""

from __future__ import annotations

from functools import lru_cache

from tapstack.base.checksum import pseudo_header_sum
from tapstack.base.contracts import Buffer, Offload, SentCopy
from tapstack.base.units import Instant
from tapstack.tcp import accecn_option, ecn, pacing
from tapstack.tcp.context import Context
from tapstack.tcp.mss import LEAST_TEXT
from tapstack.tcp.options import build_options, counters_length, max_sack_blocks, sack_length
from tapstack.tcp.plain_segment import send_plain
from tapstack.tcp.receive_space import MAX_UNSCALED
from tapstack.tcp.receive_window import select_window, window_field
from tapstack.tcp.segment import (
    ACK,
    CWR,
    ECN_MASK,
    FIN,
    NOT_ECT,
    PSH,
    SYN,
    URG,
    EcnCounters,
    FastOpen,
    Options,
    SackBlock,
    Segment,
    Timestamps,
)
from tapstack.tcp.sent_segment import packets_of
from tapstack.tcp.seq import add, ge, sub
from tapstack.tcp.state import State
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.text_followers import hear_transmitted
from tapstack.tcp.urgent import pointer_for
from tapstack.tcp.wire import CHECKSUM_OFFSET, HEADER_LENGTH, PROTOCOL_TCP, build_header

_MOST_SACK_BLOCKS = 4
_LARGEST_HEADERS = 20 + 60
"""Octets of an IP header and of the longest TCP header."""


@lru_cache(maxsize=64)
def offload_for(segment_size: int) -> Offload:
    """Ask the device for the checksum, and to cut the text into segments of a size (0: one)."""
    return Offload(0, CHECKSUM_OFFSET, segment_size)


def max_unit(ctx: Context, tcb: Tcb) -> int:
    """Give the octets of text in the largest unit: whole segments, within one IP datagram."""
    most = ctx.config.max_segment_unit - _LARGEST_HEADERS
    return max(most // tcb.effective_mss, 1) * tcb.effective_mss


def current_mss(tcb: Tcb, now: Instant) -> int:
    """Give the octets of text in a full segment, beside the options that it carries now."""
    if not tcb.sacks and tcb.duplicate_text is None and tcb.accecn is None:
        return tcb.effective_mss
    if tcb.accecn is not None and tcb.accecn.burst_mss:
        return tcb.accecn.burst_mss
    return tcb.effective_mss - _length_beside(*_beside_timestamps(tcb, now))


def sequence_of_ack(tcb: Tcb) -> int:
    """Give SEG.SEQ of an ACK without text: SND.NXT, as far as the peer finds that in its window.

    One that shrank its window has less room than is in flight, and would throw the ACK away.
    """
    right = add(tcb.snd_una, tcb.snd_wnd)
    beyond = sub(tcb.snd_nxt, right)
    # As Linux, which takes the two sides' scales for the same.
    rounding = (1 << tcb.rcv_wind_shift) - 1 if tcb.window_scaling else 0
    return tcb.snd_nxt if ge(right, tcb.snd_nxt) or beyond <= rounding else right


def transmit(
    ctx: Context,
    tcb: Tcb,
    seq: int,
    flags: int,
    length: int,
    now: Instant,
    why: str,
    *,
    is_new: bool = False,
    uncut: bool = False,
) -> None:
    """Send `length` octets of the send buffer's text at `seq`, with whatever ACK is owed.

    `is_new` tells that the text was never sent before. `uncut` sends one segment, though it be
    larger than a full one: to probe for the path's MTU.
    """
    if tcb.options.paced:
        packets = 1 if uncut else packets_of(length, current_mss(tcb, now))
        pacing.on_transmitted(tcb, packets, length, now)
    lane = tcb.lane
    if lane is not None and not uncut and send_plain(ctx, tcb, lane, seq, flags, length, now):
        return
    syn = bool(flags & SYN)
    if syn:
        flags |= ecn.flags_of_syn(ctx.config, tcb, flags)
        codepoint = NOT_ECT
    else:
        marks, codepoint = ecn.mark(tcb, length, is_new=is_new)
        flags |= marks
    options = syn_options(ctx, tcb, flags, now) if syn else _options(tcb, now)
    window = _advertise(tcb, syn)
    ack = tcb.rcv_nxt if flags & ACK else 0
    up = 0 if syn else pointer_for(tcb, seq)
    flags |= URG if up else 0
    if tcb.accecn is not None and tcb.accecn.burst_mss:
        mss = tcb.accecn.burst_mss
    else:
        mss = tcb.effective_mss - _length_beside(options.sack, options.ecn)
    size = mss if length > mss and not uncut else 0
    # Like Linux, a unit of several is pushed, so that who joins what arrives together hands it on.
    flags |= PSH if size else 0
    segment = Segment(tcb.local.port, tcb.remote.port, seq, ack, flags, window, up, options, b"")
    text = tcb.send_buffer.views(sub(seq, tcb.snd_una), length) if length else []
    tcb.transmitted_at = now
    if length:
        tcb.last_sent_at = now
    packets = 1 if uncut else packets_of(length, mss)
    ctx.counters["TcpOutSegs"] += packets
    if not _is_over(tcb):
        tcb.statistics.on_transmitted(packets, length)
    if flags & ACK:
        _on_ack_sent(ctx, tcb)
    copy = SentCopy() if length and tcb.text_followers else None
    if size and flags & CWR and tcb.accecn is not None:
        _send_one_by_one(ctx, tcb, segment, length, size, now, why, codepoint, copy)
    else:
        send_segment(ctx, tcb, segment, text, length, size, now, why, codepoint, copy)
    if copy is not None:
        hear_transmitted(ctx, tcb, add(seq, syn), text, copy, now)


def _send_one_by_one(
    ctx: Context,
    tcb: Tcb,
    unit: Segment,
    length: int,
    size: int,
    now: Instant,
    why: str,
    codepoint: int,
    copy: SentCopy | None,
) -> None:
    """Hand a unit down in segments: who cuts one keeps CWR for the first, as RFC 3168 asks for.

    But as a part of ACE it belongs to all of them (RFC 9768 §3.2.2).
    """
    front = sub(unit.seq, tcb.snd_una)
    for start in range(0, length, size):
        octets = min(size, length - start)
        flags = unit.flags if start + octets == length else unit.flags & ~(PSH | FIN)
        segment = unit._replace(seq=add(unit.seq, start), flags=flags)
        text = tcb.send_buffer.views(front + start, octets)
        send_segment(ctx, tcb, segment, text, octets, 0, now, why, codepoint, copy)


def _is_over(tcb: Tcb) -> bool:
    """Tell whether an ACK only repeats that of the last FIN: Linux has forgotten the rest then."""
    return tcb.state is State.TIME_WAIT and tcb.last_ack_sent == tcb.rcv_nxt


def send_segment(
    ctx: Context,
    tcb: Tcb,
    segment: Segment,
    text: list[Buffer],
    length: int,
    size: int,
    now: Instant,
    why: str,
    codepoint: int = NOT_ECT,
    copy: SentCopy | None = None,
) -> None:
    """Hand a segment to the network layer. One that has no route is lost, as on the way.

    `size` is the text in each segment that it is to be cut into; 0: it is one.
    """
    source, destination = tcb.local.address, tcb.remote.address
    if "tcp" in ctx.tracer.on:
        ctx.tracer.emit("tcp", f"{tcb.local} > {tcb.remote}: {segment.describe(length)} ({why})")
    header = build_segment_header(segment, source, destination, length)
    confirmed, tcb.next_hop_confirmed = tcb.next_hop_confirmed, False
    try:
        ctx.ip.send_datagram(
            PROTOCOL_TCP,
            source,
            destination,
            [header, *text],
            now,
            ttl=tcb.options.ttl,
            tos=tcb.options.tos & ~ECN_MASK | codepoint,
            dont_fragment=tcb.options.follows_path_mtu,
            offload=offload_for(size),
            confirmed=confirmed,
            copy=copy,
        )
    except OSError as error:
        if error.errno is None:  # not the network layer's, but a signal handler's TimeoutError
            raise
        # RFC 9293 MUST-56 forbids to abort for a soft error; the retransmission tries again.
        tcb.soft_error = error.errno
        tcb.undisturbed = False


def build_segment_header(segment: Segment, source: int, destination: int, length: int) -> bytes:
    """Lay out a header in front of `length` octets of text, with the pseudo-header's sum."""
    options = build_options(segment.options)
    octets = HEADER_LENGTH + len(options) + length
    total = pseudo_header_sum(source, destination, PROTOCOL_TCP, octets)
    return build_header(segment, options, total)


# --- what every segment carries -----------------------------------------------------------------


def syn_options(ctx: Context, tcb: Tcb, flags: int, now: Instant) -> Options:
    """Choose a SYN's options: all that we know in a SYN, what the peer offered in a SYN-ACK.

    The SYN-ACK of a simultaneous open repeats what our SYN has offered, as Linux's.
    """
    config, answering = ctx.config, tcb.passive or tcb.syn_ack is not None
    scaling = tcb.window_scaling if answering else config.tcp_window_scaling
    timestamps = tcb.timestamps if answering else config.tcp_timestamps
    options = Options(
        mss=tcb.advertised_mss,
        window_scale=tcb.rcv_wind_shift if scaling else None,
        sack_permitted=tcb.sack_permitted if answering else config.tcp_sack,
        timestamps=_timestamps(tcb, flags, now) if timestamps else None,
        fast_open=_fast_open(tcb),
    )
    if tcb.accecn is not None and flags & ACK:
        return accecn_option.of_syn_ack(tcb, options)
    return options


def _fast_open(tcb: Tcb) -> FastOpen | None:
    """Give the Fast Open option of a SYN or SYN-ACK that is sent for the first time."""
    if tcb.syn_ack is not None:
        return tcb.syn_ack.cookie
    return tcb.fast_open.option if tcb.fast_open is not None else None


def _timestamps(tcb: Tcb, flags: int, now: Instant) -> Timestamps:
    """RFC 7323 §3.2: TSecr is valid only with the ACK bit, and otherwise 0."""
    return Timestamps(tcb.timestamp_now(now), tcb.ts_recent if flags & ACK else 0)


def _options(tcb: Tcb, now: Instant) -> Options:
    """Choose the options of a segment that is no SYN."""
    timestamps = _timestamps(tcb, ACK, now) if tcb.timestamps else None
    sack, counters = _beside_timestamps(tcb, now)
    if counters is not None:
        accecn_option.on_sent(tcb, now)
    return Options(None, None, False, timestamps, sack, None, counters)


def _beside_timestamps(tcb: Tcb, now: Instant) -> tuple[tuple[SackBlock, ...], EcnCounters | None]:
    """Choose the SACK blocks of a segment, and the AccECN option that finds room beside them."""
    blocks = _sack_blocks(tcb)
    if tcb.accecn is None:
        return blocks, None
    return accecn_option.choose(tcb, tcb.accecn, blocks, now)


def _length_beside(blocks: tuple[SackBlock, ...], counters: EcnCounters | None) -> int:
    """Count the octets of both."""
    length = sack_length(len(blocks))
    if counters is None:
        return length
    return length + counters_length(
        len(counters.counts), accecn_option.SPARED_BY_SACK if blocks else 0
    )


def _sack_blocks(tcb: Tcb) -> tuple[SackBlock, ...]:
    """List what lies beyond gaps, after what came twice (RFC 2018 §4, RFC 2883 §4).

    A duplicate of text beyond a gap is followed by the block that holds it, as that was met last.
    """
    duplicate, blocks = tcb.duplicate_text, tcb.sacks.first(_MOST_SACK_BLOCKS) if tcb.sacks else []
    if not tcb.sack_permitted or not (duplicate or blocks):
        return ()
    return tuple([*([duplicate] if duplicate else []), *blocks][: _most_sack_blocks(tcb)])


def _most_sack_blocks(tcb: Tcb) -> int:
    """Tell how many SACK blocks fit a segment, and on a path of tiny datagrams, some text too."""
    blocks = max_sack_blocks(tcb.timestamps)
    while sack_length(blocks) > tcb.effective_mss - LEAST_TEXT:
        blocks -= 1
    return blocks


def _advertise(tcb: Tcb, syn: bool) -> int:
    """Choose the window field, and remember what it offers."""
    if syn:
        # RFC 7323 §2.2: a SYN's window is never scaled. Like Linux, we take what it cannot say.
        window = tcb.syn_ack.window if tcb.syn_ack is not None else tcb.rcv_wnd
        return min(window, MAX_UNSCALED)
    tcb.rcv_wnd = 0 if tcb.no_memory else select_window(tcb)
    tcb.rcv_wup = tcb.rcv_nxt
    return window_field(tcb)


def _on_ack_sent(ctx: Context, tcb: Tcb) -> None:
    """Everything received is acknowledged now, and no ACK need wait any longer."""
    tcb.last_ack_sent = tcb.rcv_nxt
    if tcb.compressed_acks:
        ctx.counters["TcpExtTCPAckCompressed"] += tcb.compressed_acks
        tcb.compressed_acks = 0
    tcb.duplicate_text, tcb.no_memory = None, False
    tcb.compression_timer.cancel()
    tcb.acks.on_ack_sent()
    tcb.delayed_ack_timer.cancel()
