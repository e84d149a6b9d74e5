"""SYN cookies (RFC 4987 §3.6): a SYN-ACK that remembers the half-open connection for us.

Our ISS says it all: a keyed hash of the endpoints, the peer's ISN, the minute, and which of four
MSS values the peer named. The final ACK brings it back. Options beside the MSS are kept in the
timestamp, if the peer sends one: else there are none.

Not done here: deciding that it is time for cookies (`listener.py`).
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from tapstack.base.units import MILLISECOND, MINUTE, Duration, Instant
from tapstack.tcp.accecn import ace_of
from tapstack.tcp.segment import ACE, ACK, AE, CWR, ECE, ECN_MASK, SYN, Options, Segment, Timestamps
from tapstack.tcp.seq import add, sub

if TYPE_CHECKING:
    from tapstack.base.address import Endpoint
    from tapstack.tcp.config import TcpConfig
    from tapstack.tcp.context import Context
    from tapstack.tcp.isn import KeyedHash
    from tapstack.tcp.listener import Listener

MSS_VALUES = (536, 1300, 1440, 1460)
"""What a peer's MSS is rounded down to: the values that are met most (as Linux)."""
_MAX_AGE = 2
"""Minutes, the one that runs counted, in which a cookie is good."""
LIFETIME: Duration = _MAX_AGE * MINUTE
"""How long after a cookie was sent an ACK may be one that brings it back."""
_COUNT_SHIFT = 24
_LOW = (1 << _COUNT_SHIFT) - 1

_OPTION_BITS = 0x3F
"""The part of the timestamp, ms, that holds options: it is at most 64 ms old for that."""
_SCALE_BITS, _SACK_BIT, _ECN_BIT = 0x0F, 0x10, 0x20
_NO_SCALE = _SCALE_BITS


# --- the ISS ------------------------------------------------------------------------------------


def make_cookie(
    keyed_hash: KeyedHash, local: Endpoint, remote: Endpoint, irs: int, mss: int, now: Instant
) -> int:
    """Choose the ISS that stands for a SYN whose number was `irs`."""
    minute = now // MINUTE
    index = max(bisect_right(MSS_VALUES, mss) - 1, 0)
    low = keyed_hash.syn_cookie_of_minute(local, remote, irs, minute) + index & _LOW
    fixed = keyed_hash.syn_cookie(local, remote)
    return add(irs, fixed + (minute << _COUNT_SHIFT) + low)


def check_cookie(
    keyed_hash: KeyedHash, local: Endpoint, remote: Endpoint, irs: int, iss: int, now: Instant
) -> int | None:
    """Give the peer's MSS if an ISS is a cookie of ours that is not too old."""
    minute = now // MINUTE
    told = sub(sub(iss, irs), keyed_hash.syn_cookie(local, remote))
    age = minute - (told >> _COUNT_SHIFT) & 0xFF
    if age >= _MAX_AGE:
        return None
    # The hash knows the SYN's number, too: else who is a few octets off, as his first text has
    # overtaken the ACK before it, would pass with another MSS, and begin amid his stream.
    index = told - keyed_hash.syn_cookie_of_minute(local, remote, irs, minute - age) & _LOW
    return MSS_VALUES[index] if index < len(MSS_VALUES) else None


# --- the options, in the timestamp --------------------------------------------------------------


def stamp_for(offset: int, options: Options, ecn: bool, now: Instant) -> int:
    """Choose the TSval that stands for what a SYN offered; it is never later than the clock."""
    scale = _NO_SCALE if options.window_scale is None else min(options.window_scale, 14)
    bits = scale | _SACK_BIT * options.sack_permitted | _ECN_BIT * ecn
    clock = now // MILLISECOND
    stamp = clock & ~_OPTION_BITS | bits
    return add(offset, stamp if stamp <= clock else stamp - (_OPTION_BITS + 1))


def _options_of(stamp: int, value: int, config: TcpConfig) -> tuple[Options, bool] | None:
    """Read what a stamp of ours stands for, and whether ECN was agreed on.

    None if we would never have agreed to it.
    """
    sack = bool(stamp & _SACK_BIT)
    scale = stamp & _SCALE_BITS
    if not config.tcp_timestamps or (sack and not config.tcp_sack):
        return None
    if scale != _NO_SCALE and not config.tcp_window_scaling:
        return None
    offered = Options(
        window_scale=None if scale == _NO_SCALE else scale,
        sack_permitted=sack,
        timestamps=Timestamps(value, 0),
    )
    return offered, bool(stamp & _ECN_BIT)


# --- SYN and ACK --------------------------------------------------------------------------------


def remembered_part(seg: Segment) -> Segment:
    """Give a SYN with only those options that a cookie can remember."""
    if seg.options.timestamps is not None:
        return seg
    return seg._replace(flags=seg.flags & ~ACE, options=Options(mss=seg.options.mss))


def recall_syn(
    ctx: Context,
    listener: Listener,
    local: Endpoint,
    remote: Endpoint,
    seg: Segment,
    now: Instant,
) -> Segment | None:
    """Give the SYN that an ACK's cookie stands for, as far as it was remembered.

    None if it is no cookie, or none was sent lately, so that nobody can guess one meanwhile.
    """
    sent_at = listener.cookie_sent_at
    if not ctx.config.tcp_syncookies or seg.flags & SYN or not seg.flags & ACK:
        return None
    if sent_at is None or now - sent_at > LIFETIME:
        return None
    irs, iss = add(seg.seq, -1), add(seg.ack, -1)
    mss = check_cookie(ctx.keyed_hash, local, remote, irs, iss, now)
    if mss is None:
        ctx.counters["TcpExtSyncookiesFailed"] += 1
        return None
    ctx.counters["TcpExtSyncookiesRecv"] += 1
    offered: tuple[Options, bool] | None = Options(), False
    stamps = seg.options.timestamps
    if stamps is not None and stamps.echo:
        _, offset = ctx.first_numbers((*local, *remote), now)
        offered = _options_of(sub(stamps.echo, offset), stamps.value, ctx.config)
    if offered is None:
        return None
    options, ecn = offered
    # RFC 9768 §5.1: of a SYN that has asked for accurate feedback the ACK tells by its ACE.
    flags = SYN | (ECE | CWR if ecn else 0) | (AE if ecn and ace_of(seg.flags) > 1 else 0)
    options, tos = options._replace(mss=mss), seg.tos & ~ECN_MASK  # the ACK's own tos, as Linux
    return seg._replace(seq=irs, flags=flags, options=options, text=b"", tos=tos)
