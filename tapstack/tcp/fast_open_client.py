"""TCP Fast Open at the client (RFC 7413 §4.2): text in the SYN, if we have a cookie of the server.

The SYN stands in the retransmission queue by itself, and the text behind it: what is sent again
after a timeout is the SYN alone, without cookie and text, lest a middlebox dislikes them.

Not done here: what is remembered (`fast_open_peers.py`), and paths that swallow it
(`fast_open_path.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from tapstack.base.contracts import READABLE, Buffer
from tapstack.tcp.mss import FIXED_HEADERS, guess_effective_mss
from tapstack.tcp.options import MAX_LENGTH
from tapstack.tcp.path_mtu import retransmit_without_blame
from tapstack.tcp.receive_memory import append_text, memory_of_segment
from tapstack.tcp.segment import FastOpen, Segment
from tapstack.tcp.text_followers import hear_acknowledged

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.tcb import Tcb

CLIENT_ENABLED = 0x1  # the bits of tcp_fastopen (Documentation/networking/ip-sysctl)
WITHOUT_COOKIE = 0x4


class Failure(IntEnum):
    """Why text did not go with the SYN: Linux's tcpi_fastopen_client_fail."""

    NONE = 0
    NO_COOKIE = 1
    NOT_ACKNOWLEDGED = 2
    SYN_LOST = 3


@dataclass(slots=True)
class FastOpenAttempt:
    """A client's use of Fast Open on one connection."""

    deferred: bool = True
    """The SYN waits for the user's first text."""
    option: FastOpen | None = None
    """What the SYN carries, the first time."""
    offered: bool = False
    """Our SYN carried the option."""
    experimental: bool = False
    """And it was the experimental one."""
    text: int = 0
    """Octets of text that the SYN carries, the first time."""
    may_carry: bool = False
    """The SYN may carry text, if there is any: as in Linux, none makes a segment, too."""
    failure: Failure = Failure.NONE
    is_trial: bool = False
    """It is the first use after a pause."""


# --- the SYN ------------------------------------------------------------------------------------


def begin(ctx: Context, tcb: Tcb, now: Instant, *, with_text: bool) -> bool:
    """Note what Fast Open is to do for a connection in SYN-SENT; True: its SYN waits for text.

    `with_text` tells that text comes at once (MSG_FASTOPEN).
    """
    if not with_text and not tcb.options.fastopen_connect:
        return False
    attempt = tcb.fast_open = FastOpenAttempt()
    tcb.more_to_end = True
    tcb.peer_mss = tcb.advertised_mss  # as Linux, where nothing is known
    if with_text or _may_carry_text(ctx, tcb, attempt, now):
        return True
    _ask_for_cookie(ctx, tcb, attempt, now)
    return False


def is_deferred(tcb: Tcb) -> bool:
    """Tell whether the SYN waits for the user's first text."""
    return tcb.fast_open is not None and tcb.fast_open.deferred


def send_first(ctx: Context, tcb: Tcb, data: Buffer, now: Instant) -> int:
    """Let the SYN leave, with as much text as it can carry; tell how many octets that is."""
    attempt = tcb.fast_open
    assert attempt is not None
    tcb.syn_due = True
    ctx.counters["TcpActiveOpens"] += 1
    ctx.mark_dirty(tcb)
    if not _may_carry_text(ctx, tcb, attempt, now):
        _ask_for_cookie(ctx, tcb, attempt, now)
        return 0
    attempt.deferred, attempt.may_carry = False, True
    peer = ctx.fast_open_peers.find(tcb.remote.address)
    if not _goes_without_cookie(ctx, tcb):
        attempt.option = peer.cookie
    tcb.peer_mss = min(peer.mss or tcb.advertised_mss, tcb.options.maxseg or tcb.advertised_mss)
    guess_effective_mss(ctx, tcb)
    # RFC 7413 §4.2.1: no more than the server's MSS; as Linux, with room for all options.
    room = min(tcb.path_mtu - FIXED_HEADERS, tcb.peer_mss) - MAX_LENGTH
    attempt.text = max(min(len(data), room), 0)
    tcb.send_buffer.append(data[: attempt.text])
    return attempt.text


def _may_carry_text(ctx: Context, tcb: Tcb, attempt: FastOpenAttempt, now: Instant) -> bool:
    peers = ctx.fast_open_peers
    if peers.is_paused(ctx.config.tcp_fastopen_blackhole_timeout_sec, now):
        return False
    attempt.is_trial = peers.was_paused
    cookie = peers.find(tcb.remote.address).cookie
    return cookie is not None or _goes_without_cookie(ctx, tcb)


def _goes_without_cookie(ctx: Context, tcb: Tcb) -> bool:
    wanted = tcb.options.fastopen_no_cookie or tcb.route.fastopen_no_cookie
    return wanted or bool(ctx.config.tcp_fastopen & WITHOUT_COOKIE)


def _ask_for_cookie(ctx: Context, tcb: Tcb, attempt: FastOpenAttempt, now: Instant) -> None:
    """Have an ordinary SYN ask for a cookie, unless Fast Open rests."""
    attempt.deferred = False
    peers = ctx.fast_open_peers
    if peers.is_paused(ctx.config.tcp_fastopen_blackhole_timeout_sec, now):
        return
    attempt.failure = Failure.NO_COOKIE
    peer = peers.find(tcb.remote.address)
    attempt.option = FastOpen(b"", experimental=peer.experimental_tried == 1)


def on_syn_sent(tcb: Tcb) -> None:
    """Note that the SYN has left: what is sent again carries no option."""
    attempt = tcb.fast_open
    if attempt is not None and attempt.option is not None:
        attempt.offered = True
        attempt.experimental = attempt.option.experimental
        attempt.option = None


# --- the SYN-ACK --------------------------------------------------------------------------------


def on_syn_ack(ctx: Context, tcb: Tcb, seg: Segment, now: Instant) -> bool:
    """Learn from a SYN-ACK: a cookie, and whether the text has arrived (RFC 7413 §4.2.2).

    Gives whether what came with it counts: text is taken, and a FIN may be.
    """
    attempt = tcb.fast_open
    if attempt is None:
        return False
    if attempt.may_carry and not attempt.text:
        tcb.statistics.delivered += 1  # the segment of no text
    if not (attempt.offered or attempt.text):
        return False
    _remember(ctx, tcb, attempt, seg)
    if tcb.sent:
        lost = tcb.statistics.total_retrans > 0
        attempt.failure = Failure.SYN_LOST if lost else Failure.NOT_ACKNOWLEDGED
        ctx.counters["TcpExtTCPFastOpenActiveFail"] += 1
        retransmit_without_blame(ctx, tcb, list(tcb.sent))
        return False
    if attempt.text:
        hear_acknowledged(ctx, tcb, now)
        tcb.syn_text_acked = True
        ctx.counters["TcpExtTCPFastOpenActive"] += 1
    if seg.text:
        _take_text(ctx, tcb, seg)
    return True


def _remember(ctx: Context, tcb: Tcb, attempt: FastOpenAttempt, seg: Segment) -> None:
    """Keep the cookie, and the MSS; try the other option next, where this one was ignored."""
    told = seg.options.fast_open if attempt.offered else None
    tried = 0
    if attempt.offered and told is None and not attempt.text and not tcb.statistics.total_retrans:
        tried = 2 if attempt.experimental else 1
    named = seg.options.mss
    mss = tcb.peer_mss if named is None else max(named, ctx.config.tcp_min_snd_mss)
    ctx.fast_open_peers.learn(tcb.remote.address, mss, told, tried)


def _take_text(ctx: Context, tcb: Tcb, seg: Segment) -> None:
    """Take text that came with the SYN-ACK: the server has answered our text already."""
    append_text(tcb, seg.text, memory_of_segment(seg))
    tcb.syn_text_acked = True  # as Linux has it, whoever sent it
    tcb.statistics.data_segs_in += 1  # counted twice there
    tcb.statistics.bytes_received += len(seg.text)
    ctx.report(tcb, READABLE)
