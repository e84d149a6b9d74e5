"""Segments that meet no connection, or one in SYN-SENT (RFC 9293 §3.10.7.1 to 3).

Not done here: what becomes of a listener's SYN (`half_open.py`), SYN-RECEIVED and beyond
(`segment_arrives.py`).
"""

from __future__ import annotations

from errno import ECONNREFUSED

from tapstack.base.address import Endpoint
from tapstack.base.contracts import CONNECTED, WRITABLE, Datagram
from tapstack.base.errors import Drop
from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.tcp import fast_open_client, mtu_probing
from tapstack.tcp.context import Context
from tapstack.tcp.half_open import reopen_from_cookie, take_syn_in
from tapstack.tcp.lifetime import destroy
from tapstack.tcp.listener import Listener
from tapstack.tcp.replies import reset_in_reply_to
from tapstack.tcp.segment import ACK, FIN, RST, SYN, Segment
from tapstack.tcp.segment_arrives import take_fin
from tapstack.tcp.seq import add, gt, le, lt
from tapstack.tcp.state import State, become
from tapstack.tcp.syn_cookies import recall_syn
from tapstack.tcp.synchronize import (
    agree_on_scale_and_sack,
    on_our_syn_acknowledged,
    take_syn,
)
from tapstack.tcp.tcb import Tcb

_SOON: Duration = 2 * MILLISECOND
"""Two ticks of a clock of 1000 Hz (Linux's TCP_TIMEOUT_MIN)."""


# --- §3.10.7.1 and 2: CLOSED and LISTEN -------------------------------------------------------


def closed_state(ctx: Context, datagram: Datagram, seg: Segment) -> None:
    """Answer a segment that belongs to nobody: "reset is sent in response" unless it is one."""
    ctx.counters.drop(Drop.TCP_NO_CONNECTION)
    reset_in_reply_to(ctx, datagram.source, datagram.destination, seg, "no connection")


def listen_state(
    ctx: Context, listener: Listener, datagram: Datagram, seg: Segment, now: Instant
) -> Tcb | None:
    """Take a SYN for a listener; everything else is refused or ignored (§3.10.7.2).

    Gives the connection that an ACK's SYN cookie has brought back: the ACK is for that.
    """
    local = Endpoint(datagram.destination, seg.destination_port)
    remote = Endpoint(datagram.source, seg.source_port)
    if seg.flags & RST:
        return None
    if seg.flags & ACK:
        return _ack_in_listen(ctx, listener, local, remote, seg, now)
    if seg.flags & (SYN | FIN) == SYN:
        take_syn_in(ctx, listener, local, remote, seg, now)
        if listener.options.save_syn:
            _save_syn(ctx, local, remote, datagram, seg)
    return None


def _save_syn(
    ctx: Context, local: Endpoint, remote: Endpoint, datagram: Datagram, seg: Segment
) -> None:
    """Keep the headers of a SYN with the connection that it began (TCP_SAVE_SYN)."""
    tcb = ctx.connections.find(local.address, local.port, remote.address, remote.port)
    if tcb is not None:
        tcb.saved_syn = bytes(datagram.header) + bytes(datagram.payload[: seg.header_length])


def _ack_in_listen(
    ctx: Context, listener: Listener, local: Endpoint, remote: Endpoint, seg: Segment, now: Instant
) -> Tcb | None:
    """See whether an ACK brings a SYN cookie back.

    "Any [other] acknowledgment is bad if it arrives on a connection still in the LISTEN state."
    """
    syn = recall_syn(ctx, listener, local, remote, seg, now)
    if syn is None:
        reset_in_reply_to(ctx, remote.address, local.address, seg, "ACK in LISTEN")
        return None
    return reopen_from_cookie(ctx, listener, local, remote, syn, add(seg.ack, -1), now)


# --- §3.10.7.3: SYN-SENT ----------------------------------------------------------------------


def syn_sent_state(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Take a segment while our SYN is unanswered."""
    if seg.flags & ACK and not _ack_is_acceptable(ctx, tcb, seg, now):
        return
    if seg.flags & RST:
        if seg.flags & ACK:
            ctx.counters["TcpAttemptFails"] += 1
            if seg.flags & SYN:
                agree_on_scale_and_sack(ctx, tcb, seg)  # as Linux: its user sees it in tcp_info
            destroy(ctx, tcb, ECONNREFUSED)
        return
    if not seg.flags & SYN:
        return
    _guess_mtu(ctx, tcb, now)
    take_syn(ctx, tcb, seg, now)
    if seg.flags & ACK:
        _complete_active_open(ctx, tcb, seg, now)
    else:
        # Simultaneous open: "enter SYN-RECEIVED, form a SYN,ACK segment".
        become(ctx, tcb, State.SYN_RECEIVED)
        tcb.syn_due = True
    ctx.mark_dirty(tcb)


def _guess_mtu(ctx: Context, tcb: Tcb, now: Instant) -> None:
    """Begin to probe for the path's MTU with what takes the options that our SYN has offered."""
    tcb.timestamps = bool(ctx.config.tcp_timestamps)
    mtu_probing.start(ctx, tcb, now)


def _ack_is_acceptable(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Check SEG.ACK: "If SND.UNA < SEG.ACK =< SND.NXT, then the ACK is acceptable"."""
    if gt(seg.ack, tcb.snd_una) and le(seg.ack, tcb.snd_nxt):
        if not ctx.config.tcp_timestamps or not _echoes_nonsense(tcb, seg, now):
            return True
        ctx.counters.drop(Drop.TCP_PAWS_SYN_SENT)
    else:
        ctx.counters.drop(Drop.TCP_ACK_UNSENT)
        _ask_again_soon(tcb, now)
    reset_in_reply_to(ctx, tcb.remote.address, tcb.local.address, seg, "bad ACK in SYN-SENT")
    return False


def _echoes_nonsense(tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Tell whether a SYN-ACK echoes a timestamp that none of our SYNs has carried (as Linux)."""
    stamps = seg.options.timestamps
    if stamps is None or not stamps.echo or not tcb.sent:
        return False
    first = tcb.first_timeout_at if tcb.retransmits else tcb.sent.segments[0].sent_at
    return lt(stamps.echo, tcb.timestamp_now(first)) or gt(stamps.echo, tcb.timestamp_now(now))


def _acknowledge(tcb: Tcb, now: Instant, longest: Duration) -> None:
    """Have the final ACK sent; as Linux, it waits for text if the user has said that it may.

    That is what TCP_DEFER_ACCEPT means at this end, and TCP_QUICKACK when it is off; a user who
    waits in a call with text; and a FIN that came along, as ours is likely to follow.
    """
    asked = tcb.options.defer_accept or not tcb.options.quickack or tcb.writer_waits
    if asked or tcb.acks.interactive:
        tcb.acks.owed, tcb.acks.fresh = True, False
        tcb.acks.enter_quick_mode(tcb.rcv_wnd)
        tcb.delayed_ack_timer.arm(now + longest)
    else:
        tcb.acks.due = True
        if tcb.accecn is not None:
            tcb.accecn.reflects = True


def _ask_again_soon(tcb: Tcb, now: Instant) -> None:
    """Send our SYN again at once, but only the first time: an old connection answered it.

    Not in the RFC. As Linux: our reset has just ended that connection, so that it may be heard now.
    """
    if tcb.retransmits == 0:
        tcb.retransmission_timer.arm(now + _SOON)


def _complete_active_open(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> None:
    """Take the SYN-ACK: SYN-SENT to ESTABLISHED."""
    become(ctx, tcb, State.ESTABLISHED)
    tcb.acks.last_text_at = now  # as Linux: who delays its ACK soon answers the SYN-ACK, too
    on_our_syn_acknowledged(ctx, tcb, seg, now)
    if fast_open_client.on_syn_ack(ctx, tcb, seg, now) and seg.flags & FIN:
        take_fin(ctx, tcb, now)
    _acknowledge(tcb, now, ctx.config.tcp_delack_max)
    ctx.report(tcb, CONNECTED | WRITABLE)
