"""What `ss -i` tells of a connection, in the words and the order of iproute2's.

Not done here: where the numbers come from (`tcp/info.py`).
"""

from collections.abc import Iterator

from tapstack.base.units import MILLISECOND, SECOND, Duration
from tapstack.tcp.congestion.window import INFINITE_SSTHRESH
from tapstack.tcp.info import (
    OPT_ECN,
    OPT_ECN_SEEN,
    OPT_SACK,
    OPT_TIMESTAMPS,
    OPT_WSCALE,
    UNKNOWN_RTT,
    TcpInfo,
)

_USUAL_REORDERING = 3
_FLAGS = (
    (OPT_TIMESTAMPS, "ts"),
    (OPT_SACK, "sack"),
    (OPT_ECN, "ecn"),
    (OPT_ECN_SEEN, "ecnseen"),
)


def insides(info: TcpInfo, algorithm: str) -> str:
    """Describe a connection; what is nought is left out."""
    words = [name for bit, name in _FLAGS if info.options & bit]
    words.append(algorithm)
    words += [
        *_timing(info),
        *_sizes(info),
        *_counts(info),
        *_speeds(info),
        *_sender(info),
        *_receiver(info),
    ]
    return " ".join(words)


def _timing(info: TcpInfo) -> Iterator[str]:
    if info.options & OPT_WSCALE:
        yield f"wscale:{info.snd_wscale},{info.rcv_wscale}"
    yield f"rto:{_milliseconds(info.rto)}"
    if info.backoff:
        yield f"backoff:{info.backoff}"
    if info.rtt:
        yield f"rtt:{_milliseconds(info.rtt)}/{_milliseconds(info.rttvar)}"
    if info.ato:
        yield f"ato:{_milliseconds(info.ato)}"


def _sizes(info: TcpInfo) -> Iterator[str]:
    yield f"mss:{info.snd_mss}"
    yield f"pmtu:{info.pmtu}"
    yield f"rcvmss:{info.rcv_mss}"
    yield f"advmss:{info.advmss}"
    yield f"cwnd:{info.snd_cwnd}"
    if info.snd_ssthresh < INFINITE_SSTHRESH:
        yield f"ssthresh:{info.snd_ssthresh}"


def _counts(info: TcpInfo) -> Iterator[str]:
    yield from _named(
        info,
        "bytes_sent bytes_retrans bytes_acked bytes_received "
        "segs_out segs_in data_segs_out data_segs_in",
    )


def _speeds(info: TcpInfo) -> Iterator[str]:
    if info.rtt:
        yield f"send {info.snd_cwnd * info.snd_mss * 8 * SECOND // info.rtt}bps"
    ages = (
        ("lastsnd", info.last_data_sent),
        ("lastrcv", info.last_data_recv),
        ("lastack", info.last_ack_recv),
    )
    yield from (f"{name}:{age}" for name, age in ages if age)
    if info.delivery_rate:
        yield f"delivery_rate {info.delivery_rate * 8}bps"
    yield from _named(info, "delivered delivered_ce")
    if info.app_limited:
        yield "app_limited"


def _sender(info: TcpInfo) -> Iterator[str]:
    if info.busy_time:
        yield f"busy:{info.busy_time // MILLISECOND}ms"
    for name in ("rwnd_limited", "sndbuf_limited"):
        if time := getattr(info, name):
            yield f"{name}:{time // MILLISECOND}ms({100 * time / info.busy_time:.1f}%)"
    yield from _named(info, "unacked")
    if info.retrans or info.total_retrans:
        yield f"retrans:{info.retrans}/{info.total_retrans}"
    yield from _named(info, "lost sacked dsack_dups")
    if info.reordering != _USUAL_REORDERING:
        yield f"reordering:{info.reordering}"


def _receiver(info: TcpInfo) -> Iterator[str]:
    if info.rcv_rtt:
        yield f"rcv_rtt:{_milliseconds(info.rcv_rtt)}"
    yield from _named(info, "rcv_space rcv_ssthresh")
    if info.notsent_bytes:
        yield f"notsent:{info.notsent_bytes}"
    if info.min_rtt not in (0, UNKNOWN_RTT):
        yield f"minrtt:{_milliseconds(info.min_rtt)}"
    yield from _named(info, "rcv_ooopack snd_wnd rcv_wnd")


def _named(info: TcpInfo, names: str) -> Iterator[str]:
    for name in names.split():
        if value := getattr(info, name):
            yield f"{name}:{value}"


def _milliseconds(time: Duration) -> str:
    """Render µs as ms without needless zeros."""
    return f"{time / MILLISECOND:g}"
