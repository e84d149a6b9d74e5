"""The expected SYN: a short way from LISTEN to SYN-RECEIVED (RFC 9293 §3.10.7.2).

Most SYNs offer what Linux offers, and what is agreed on then is the same each time. What the steps
of `half_open.py` and `synchronize.py` come to for those is done here in one pass. The steps are the
truth: a property test holds both together, field by field.

Whatever is not so plain is declined before anything has changed.

Not done here: the headers (`tapstack/express_syns.py`), and what answers it (`usual_syn_ack.py`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from tapstack.tcp.listener import has_plain_room
from tapstack.tcp.mss import full_segment, within
from tapstack.tcp.options import TIMESTAMPS_LENGTH
from tapstack.tcp.receive_space import MAX_SHIFT, first_window
from tapstack.tcp.state import State, become
from tapstack.tcp.syn_ack import SynAck
from tapstack.tcp.synchronize import first_guess
from tapstack.tcp.tcb_factory import make_tcb

if TYPE_CHECKING:
    from tapstack.base.address import Endpoint
    from tapstack.base.units import Instant
    from tapstack.tcp.context import Context
    from tapstack.tcp.listener import Listener
    from tapstack.tcp.tcb import Tcb

_MASK = 0xFFFFFFFF


def take_expected_syn(
    ctx: Context,
    listener: Listener,
    local: Endpoint,
    remote: Endpoint,
    seq: int,
    wnd: int,
    mss: int,
    shift: int,
    stamp: int,
    now: Instant,
) -> Tcb | None:
    """Take a SYN with MSS, SACK-permitted, timestamps and window scale; None: decline."""
    config = ctx.config
    if (
        not has_plain_room(ctx, listener)
        or not (config.tcp_timestamps and config.tcp_window_scaling and config.tcp_sack)
        or config.tcp_reflect_tos
    ):
        return None
    binding = ctx.connections.share(listener.binding)
    try:
        tcb = make_tcb(ctx, local, remote, listener.options.share(), binding, now)
    except OSError:
        ctx.connections.release(binding)
        return None
    tcb.listener = listener
    tcb.snd_una = tcb.snd_nxt = tcb.snd_up = tcb.small_sent_end = (tcb.iss + 1) & _MASK
    tcb.statistics.segs_in = 1
    become(ctx, tcb, State.SYN_RECEIVED)
    tcb.irs = tcb.snd_wl1 = seq
    tcb.rcv_nxt = tcb.rcv_wup = tcb.last_ack_sent = tcb.copied_seq = (seq + 1) & _MASK
    tcb.snd_wnd = tcb.max_snd_wnd = wnd
    _agree(ctx, tcb, mss, shift, stamp, now)
    tcb.syn_ack = SynAck(tcb.rcv_wnd)
    tcb.syn_due = True
    ctx.mark_dirty(tcb)
    listener.take_in(tcb)
    return tcb


def _agree(ctx: Context, tcb: Tcb, mss: int, shift: int, stamp: int, now: Instant) -> None:
    """Agree on all that was offered, but ECN, which was not."""
    tcb.window_scaling = tcb.sack_permitted = tcb.timestamps = True
    tcb.snd_wind_shift = min(shift, MAX_SHIFT)
    tcb.ts_recent, tcb.ts_recent_at = stamp, now
    tcb.acks.always_quick = tcb.route.quickack
    config, space = ctx.config, tcb.receive_space
    sizes = tcb.path_mtu, tcb.advertised_mss, mss or config.tcp_mss_default
    limits = tcb.options.maxseg, config.tcp_min_snd_mss, config.tcp_rmem[2]
    windows = tcb.snd_wnd, space.full, space.clamp, tcb.route.initrwnd
    tcb.peer_mss, tcb.effective_mss, guess, tcb.rcv_wnd, tcb.rcv_wind_shift, space.clamp = (
        _sizes_agreed(*sizes, *limits, *windows)
    )
    space.threshold = tcb.rcv_wnd
    tcb.acks.start(guess)


@lru_cache(maxsize=64)
def _sizes_agreed(
    path_mtu: int,
    advertised_mss: int,
    named_mss: int,
    most_mss: int,
    least_mss: int,
    most_memory: int,
    snd_wnd: int,
    full: int,
    clamp: int,
    initrwnd: int,
) -> tuple[int, int, int, int, int, int]:
    """Work out the sizes of segments and windows, which the connections of a listener share.

    Gives SendMSS, Eff.snd.MSS, the guess at the peer's segments, our window, its shift and clamp.
    """
    peer_mss = within(most_mss, named_mss, least_mss)
    effective_mss = full_segment(path_mtu, peer_mss, timestamps=True, window=snd_wnd)
    text = advertised_mss - TIMESTAMPS_LENGTH
    first = initrwnd * text
    rcv_wnd, shift, clamp = first_window(
        max(full, first), clamp, first, most_memory, text, scaling=True
    )
    guess = first_guess(advertised_mss, effective_mss, rcv_wnd)
    return peer_mss, effective_mss, guess, rcv_wnd, shift, clamp
