"""The options of a TCP socket (tcp(7), socket(7)): where each is kept, and how it is read.

Most are attributes of `UserOptions`, which the connection looks at. What a connection tunes by
itself, or may change, is read from the connection once there is one.

Not done here: what setting one does to a connection at once (`tcp/user_settings.py`).
"""

from __future__ import annotations

import socket as constants
from collections.abc import Callable
from errno import EINVAL, ENOENT, ENOTCONN
from functools import partial
from typing import TYPE_CHECKING

from tapstack.base.errors import os_error
from tapstack.base.units import MILLISECOND, SECOND
from tapstack.socket import fast_open_options, options
from tapstack.socket.ip_options import IP, IP_MTU, IP_OPTIONS, number, type_of_service
from tapstack.socket.kept_options import (
    KEPT_BY_STREAMS,
    NO_RATE,
    SO_MAX_PACING_RATE,
    SO_PEEK_OFF,
    get_rate,
    set_rate,
)
from tapstack.socket.options import Option, Table, Value
from tapstack.socket.stream_text import TCP_INQ
from tapstack.socket.timestamping import (
    OPT_ID,
    OPT_ID_TCP,
    SO_TIMESTAMPING,
    SO_TIMESTAMPING_NEW,
    get_flags,
    get_flags_if_new,
    read_flags,
)
from tapstack.tcp import transmit_timestamps
from tapstack.tcp.congestion import ALGORITHMS
from tapstack.tcp.fast_open_client import is_deferred
from tapstack.tcp.receive_space import LEAST_CLAMP, size_at_first
from tapstack.tcp.segment import ECN_MASK
from tapstack.tcp.state import State
from tapstack.tcp.syn_ack import seconds_of, timeouts_in
from tapstack.tcp.user_options import UserOptions

if TYPE_CHECKING:
    from tapstack.socket.stream import StreamEndpoint
    from tapstack.tcp.tcb import Tcb

_SO, _TCP = constants.SOL_SOCKET, constants.IPPROTO_TCP
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
"""Of <asm-generic/socket.h>: like SO_SNDBUF and SO_RCVBUF, without a limit."""
IP_MINTTL, TCP_TIMESTAMP, TCP_SAVE_SYN, TCP_SAVED_SYN = 21, 24, 27, 28
TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_KEY, TCP_FASTOPEN_NO_COOKIE = 30, 33, 34
TCP_THIN_LINEAR_TIMEOUTS, TCP_THIN_DUPACK, TCP_CC_INFO = 16, 17, 26
TCP_RTO_MAX_MS, TCP_RTO_MIN_US, TCP_DELACK_MAX_US = 44, 45, 46
"""Of <linux/tcp.h>: Python 3.10 has no names for them."""
_MAX_SECONDS = 32767
"""tcp(7): MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL."""
_LEAST_MSS, _MAX_MSS = 88, 32767
"""tcp(7): TCP_MIN_MSS, MAX_TCP_WINDOW."""
_MOST_LINGER2 = 120
"""Seconds (Linux's TCP_FIN_TIMEOUT_MAX)."""
_SYN_RETRIES = 6  # tcp(7): tcp_syn_retries
_UNSIGNED = 0xFFFFFFFF
_LEAST_TIME = options.TICK + 1
"""µs: what comes to two ticks."""
_MAX_TTL = 255


def _live(read: Callable[[Tcb], Value], otherwise: Callable[[StreamEndpoint], Value]) -> Option:
    """Make an option that is read from the connection, if there is one."""
    return Option(
        lambda target: otherwise(target) if target.tcb is None else read(target.tcb), None
    )


def _set(option: Option, attribute: str, change: Callable[[StreamEndpoint, int], int]) -> Option:
    """Let an option be set to what `change` makes of the user's number, or raises."""

    def set_it(target: StreamEndpoint, value: Value) -> None:
        setattr(target.options, attribute, change(target, options.number(value)))

    return Option(option.get, set_it, attribute)


# --- buffers ------------------------------------------------------------------------------------


def _receive_buffer(target: StreamEndpoint) -> int:
    return size_at_first(target.config, target.options)


def _send_buffer(target: StreamEndpoint) -> int:
    fixed = target.options.send_buffer
    return target.config.tcp_wmem[1] if fixed is None else fixed


def _clamp(target: StreamEndpoint, wanted: int) -> int:
    """Check TCP_WINDOW_CLAMP: 0 takes it back, which is too late on a connection."""
    if wanted:
        return max(wanted, LEAST_CLAMP)
    if target.tcb is not None or target.listening:
        raise os_error(EINVAL)
    return 0


def _low_water(target: StreamEndpoint, wanted: int) -> int:
    """Check SO_RCVLOWAT: more than half of the largest buffer could never be waited for."""
    fixed = target.options.receive_buffer
    most = (target.config.tcp_rmem[2] if fixed is None else fixed) // 2
    return min(most if wanted < 0 else wanted, most) or 1


def _set_peek_offset(target: UserOptions, value: Value) -> None:
    target.peek_off = options.number(value)


def _set_min_ttl(target: UserOptions, value: Value) -> None:
    if not isinstance(value, int) and not value:
        raise os_error(EINVAL)
    wanted = number(value)
    if not 0 <= wanted <= _MAX_TTL:
        raise os_error(EINVAL)
    target.min_ttl = wanted


def _set_max_pacing_rate(target: UserOptions, value: Value) -> None:
    set_rate(target, value)
    target.paced |= target.max_pacing_rate != NO_RATE


def take_saved_syn(tcb: Tcb | None, size: int) -> bytes:
    """Give the headers of the peer's SYN, once (TCP_SAVED_SYN); who has no room has EINVAL."""
    saved = b"" if tcb is None else tcb.saved_syn
    if size < len(saved):
        raise os_error(EINVAL)
    if tcb is not None and saved:
        tcb.saved_syn = b""
    return saved


def _get_unsent_low_water(target: UserOptions) -> Value:
    return int.from_bytes(target.notsent_lowat.to_bytes(4, "little"), "little", signed=True)


def _set_unsent_low_water(target: UserOptions, value: Value) -> None:
    target.notsent_lowat = options.number(value) & _UNSIGNED


# --- other --------------------------------------------------------------------------------------


def _segment_size(target: StreamEndpoint) -> int:
    tcb = target.tcb
    if tcb is not None and tcb.state is not State.CLOSED and not is_deferred(tcb):
        return tcb.effective_mss
    asked = target.options.maxseg
    if tcb is None or is_deferred(tcb):
        return asked or target.config.tcp_mss_default
    return asked or tcb.effective_mss


def _check_segment_size(_: StreamEndpoint, wanted: int) -> int:
    if wanted and not _LEAST_MSS <= wanted <= _MAX_MSS:
        raise os_error(EINVAL)
    return wanted


def _rounded_up(microseconds: int) -> int:
    """Round to what Linux's clock can tell (a jiffy of CONFIG_HZ=250)."""
    return -(-microseconds // options.TICK) * options.TICK


def _duration(
    attribute: str, unit: int, least: int, most: int, default: Callable[[StreamEndpoint], int]
) -> Option:
    """Make an option of a time within limits, which is kept in µs."""

    def change(_: StreamEndpoint, wanted: int) -> int:
        if not least <= wanted <= most:
            raise os_error(EINVAL)
        return _rounded_up(wanted * unit)

    def get(target: StreamEndpoint) -> int:
        return (getattr(target.options, attribute) or default(target)) // unit

    return _set(options.read_only(get), attribute, change)


def _yes_or_no(_: StreamEndpoint, wanted: int) -> bool:
    if wanted not in (0, 1):
        raise os_error(EINVAL)
    return bool(wanted)


def _pass_over(target: StreamEndpoint, value: Value) -> None:
    """Take 0 or 1; like Linux, do nothing about it."""
    _yes_or_no(target, options.number(value))


def _set_inq(target: StreamEndpoint, value: Value) -> None:
    target.kept.inq = _yes_or_no(target, options.number(value))


def _set_timestamping(target: StreamEndpoint, value: Value, *, is_new: bool = False) -> None:
    """Set SO_TIMESTAMPING; octets can only be counted on a connection."""
    stamps, wanted, tcb = target.kept.timestamping, read_flags(value), target.tcb
    if wanted & OPT_ID and not stamps.flags & OPT_ID:
        if tcb is None or tcb.state is State.CLOSED:
            raise os_error(EINVAL)
        transmit_timestamps.count_from(tcb, next_octet=bool(wanted & OPT_ID_TCP))
    elif stamps.flags & ~wanted & OPT_ID and tcb is not None:
        transmit_timestamps.count_no_more(tcb)
    stamps.flags, stamps.is_new = wanted, is_new


def _fin_patience(target: StreamEndpoint) -> int:
    return target.options.linger2 or target.config.tcp_fin_timeout // SECOND


def _deferral(target: StreamEndpoint) -> int:
    return seconds_of(target.options.defer_accept, target.config.tcp_rto_max)


def _set_congestion(target: UserOptions, value: Value) -> None:
    if isinstance(value, bytes) and not value:
        raise os_error(EINVAL)
    name = value.split(b"\0")[0].decode("ascii", "replace") if isinstance(value, bytes) else ""
    if name not in ALGORITHMS:
        raise os_error(ENOENT)
    target.congestion = name


def _get_congestion(target: UserOptions) -> bytes:
    return target.congestion.encode().ljust(16, b"\0")


def _path_mtu(target: StreamEndpoint) -> Value:
    if target.tcb is None or target.tcb.state is State.CLOSED:
        raise os_error(ENOTCONN)
    return target.tcb.path_mtu


SOCKET_OPTIONS: Table = {
    (_SO, constants.SO_REUSEADDR): options.flag("reuse_address"),
    (_SO, constants.SO_REUSEPORT): options.flag("reuse_port"),
    (_SO, constants.SO_ERROR): options.read_only(lambda target: target.take_error()),
    (_SO, constants.SO_ACCEPTCONN): options.read_only(lambda target: int(target.listening)),
    (_SO, constants.SO_TYPE): options.read_only(lambda _: int(constants.SOCK_STREAM)),
    (_SO, constants.SO_PROTOCOL): options.read_only(lambda _: _TCP),
    (_SO, constants.SO_DOMAIN): options.read_only(lambda _: int(constants.AF_INET)),
    (IP, IP_MTU): options.read_only(_path_mtu),
    (_SO, constants.SO_RCVBUF): _set(
        _live(lambda tcb: tcb.receive_space.buffer, _receive_buffer),
        "receive_buffer",
        lambda _, wanted: options.doubled(wanted, options.LEAST_RECEIVE_BUFFER),
    ),
    (_SO, constants.SO_SNDBUF): _set(
        _live(lambda tcb: tcb.send_space, _send_buffer),
        "send_buffer",
        lambda _, wanted: options.doubled(wanted, options.LEAST_SEND_BUFFER),
    ),
    (_SO, SO_RCVBUFFORCE): _set(
        Option(None, None),
        "receive_buffer",
        lambda _, wanted: options.doubled_at_will(wanted, options.LEAST_RECEIVE_BUFFER),
    ),
    (_SO, SO_SNDBUFFORCE): _set(
        Option(None, None),
        "send_buffer",
        lambda _, wanted: options.doubled_at_will(wanted, options.LEAST_SEND_BUFFER),
    ),
    (_SO, constants.SO_RCVLOWAT): _set(
        options.read_only(lambda target: target.options.rcvlowat), "rcvlowat", _low_water
    ),
    (_TCP, constants.TCP_WINDOW_CLAMP): _set(
        _live(lambda tcb: tcb.receive_space.clamp, lambda target: target.options.window_clamp),
        "window_clamp",
        _clamp,
    ),
    (_TCP, constants.TCP_MAXSEG): _set(
        options.read_only(_segment_size), "maxseg", _check_segment_size
    ),
    (_TCP, constants.TCP_FASTOPEN): _set(
        options.read_only(fast_open_options.queue_length),
        "fastopen",
        fast_open_options.check_queue_length,
    ),
    (_TCP, TCP_FASTOPEN_CONNECT): _set(
        options.read_only(lambda target: int(target.options.fastopen_connect)),
        "fastopen_connect",
        fast_open_options.check_connect,
    ),
    (_TCP, TCP_FASTOPEN_NO_COOKIE): _set(
        options.read_only(lambda target: int(target.options.fastopen_no_cookie)),
        "fastopen_no_cookie",
        fast_open_options.check_no_cookie,
    ),
    (_TCP, constants.TCP_LINGER2): _set(
        options.read_only(_fin_patience),
        "linger2",
        lambda _, seconds: max(min(seconds, _MOST_LINGER2), -1),
    ),
    (_TCP, constants.TCP_DEFER_ACCEPT): _set(
        options.read_only(_deferral),
        "defer_accept",
        lambda target, seconds: timeouts_in(seconds, target.config.tcp_rto_max),
    ),
    (_TCP, TCP_RTO_MAX_MS): _duration(
        "rto_max", MILLISECOND, 1000, 120_000, lambda target: target.config.tcp_rto_max
    ),
    (_TCP, TCP_RTO_MIN_US): _duration(
        "rto_min", 1, _LEAST_TIME, 200_000, lambda target: target.config.tcp_rto_min
    ),
    (_TCP, TCP_DELACK_MAX_US): _duration(
        "delack_max", 1, _LEAST_TIME, 200_000, lambda target: target.config.tcp_delack_max
    ),
    (_TCP, TCP_THIN_LINEAR_TIMEOUTS): _set(
        options.read_only(lambda target: int(target.options.thin_linear_timeouts)),
        "thin_linear_timeouts",
        _yes_or_no,
    ),
    (_TCP, TCP_THIN_DUPACK): Option(lambda _: 0, _pass_over),
    (_SO, SO_TIMESTAMPING): Option(
        lambda target: get_flags(target.kept.timestamping), _set_timestamping
    ),
    (_SO, SO_TIMESTAMPING_NEW): Option(
        lambda target: get_flags_if_new(target.kept.timestamping),
        partial(_set_timestamping, is_new=True),
    ),
    (_TCP, TCP_INQ): Option(lambda target: int(target.kept.inq), _set_inq),
    (_TCP, TCP_CC_INFO): options.read_only(lambda _: b""),
    (_TCP, constants.TCP_QUICKACK): _set(
        _live(
            lambda tcb: int(not tcb.acks.interactive),
            lambda target: int(target.options.quickack),
        ),
        "quickack",
        lambda _, wanted: bool(wanted),
    ),
}
"""Options that are about the socket object, or that only it can read."""

USER_OPTIONS: Table = {
    **IP_OPTIONS,
    # All but the ECN field is the user's; that is TCP's own (RFC 3168 §5).
    (IP, constants.IP_TOS): type_of_service(lambda tos: tos & ~ECN_MASK),
    (IP, IP_MINTTL): Option(lambda target: int(target.min_ttl), _set_min_ttl),
    (_SO, SO_PEEK_OFF): Option(lambda target: int(target.peek_off), _set_peek_offset),
    (_SO, SO_MAX_PACING_RATE): Option(get_rate, _set_max_pacing_rate, "max_pacing_rate"),
    (_TCP, TCP_SAVE_SYN): options.integer("save_syn", 0, 2),
    (_SO, constants.SO_KEEPALIVE): options.flag("keepalive"),
    (_SO, constants.SO_LINGER): options.LINGER,
    (_SO, constants.SO_OOBINLINE): options.flag("oobinline"),
    (_TCP, constants.TCP_NODELAY): options.flag("nodelay"),
    (_TCP, constants.TCP_CORK): options.flag("cork"),
    (_TCP, constants.TCP_KEEPIDLE): options.integer("keepidle", 1, _MAX_SECONDS, 7200),
    (_TCP, constants.TCP_KEEPINTVL): options.integer("keepintvl", 1, _MAX_SECONDS, 75),
    (_TCP, constants.TCP_KEEPCNT): options.integer("keepcnt", 1, 127, 9),
    (_TCP, constants.TCP_USER_TIMEOUT): options.integer("user_timeout", 0, 2**31 - 1),
    (_TCP, constants.TCP_SYNCNT): options.integer("syncnt", 1, 127, _SYN_RETRIES),
    (_TCP, constants.TCP_NOTSENT_LOWAT): Option(
        _get_unsent_low_water, _set_unsent_low_water, "notsent_lowat"
    ),
    (_TCP, TCP_FASTOPEN_KEY): Option(
        fast_open_options.get_key, fast_open_options.set_key, "fastopen_key"
    ),
    (_TCP, constants.TCP_CONGESTION): Option(_get_congestion, _set_congestion, "congestion"),
}
"""Options that are attributes of `UserOptions`."""


def table_for(target: StreamEndpoint, level: int, name: int) -> tuple[Table, object]:
    """Give the table that has an option, and the object that it is about."""
    if (level, name) in SOCKET_OPTIONS:
        return SOCKET_OPTIONS, target
    if (level, name) in KEPT_BY_STREAMS and (level, name) not in USER_OPTIONS:
        return KEPT_BY_STREAMS, target.kept
    return USER_OPTIONS, target.options
