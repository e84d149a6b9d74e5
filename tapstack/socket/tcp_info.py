"""TCP_INFO: `struct tcp_info` of Linux 6.18's <linux/tcp.h>, in the machine's byte order.

Not done here: the values (`tcp/info.py`).
"""

from __future__ import annotations

from construct import Construct, Int8un, Int16un, Int32un, Int64un, Struct

from tapstack.base.codec import HeaderCodec
from tapstack.base.units import Instant
from tapstack.tcp.info import TcpInfo, info_of_dissolved, info_of_past_listener
from tapstack.tcp.listener import Listener
from tapstack.tcp.protocol import Tcp
from tapstack.tcp.tcb import Tcb


def _fields(shape: Construct, names: str) -> list[Construct]:
    return [name / shape for name in names.split()]


TCP_INFO_STRUCT = Struct(
    *_fields(Int8un, "state ca_state retransmits probes backoff options"),
    "wscales" / Int8un,  # snd_wscale in the low four bits, rcv_wscale in the high ones
    "delivery" / Int8un,  # app_limited in the lowest bit, fastopen_client_fail in the next two
    *_fields(Int32un, "rto ato snd_mss rcv_mss unacked sacked lost retrans fackets"),
    *_fields(Int32un, "last_data_sent last_ack_sent last_data_recv last_ack_recv"),
    *_fields(Int32un, "pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss reordering"),
    *_fields(Int32un, "rcv_rtt rcv_space total_retrans"),
    *_fields(Int64un, "pacing_rate max_pacing_rate bytes_acked bytes_received"),
    *_fields(Int32un, "segs_out segs_in notsent_bytes min_rtt data_segs_in data_segs_out"),
    *_fields(Int64un, "delivery_rate busy_time rwnd_limited sndbuf_limited"),
    *_fields(Int32un, "delivered delivered_ce"),
    *_fields(Int64un, "bytes_sent bytes_retrans"),
    *_fields(Int32un, "dsack_dups reord_seen rcv_ooopack snd_wnd rcv_wnd rehash"),
    *_fields(Int16un, "total_rto total_rto_recoveries"),
    *_fields(Int32un, "total_rto_time received_ce"),
    *_fields(Int32un, "delivered_e1_bytes delivered_e0_bytes delivered_ce_bytes"),
    *_fields(Int32un, "received_e1_bytes received_e0_bytes received_ce_bytes"),
    *_fields(Int16un, "accecn_fail_mode accecn_opt_seen"),
)
CODEC = HeaderCodec(TCP_INFO_STRUCT, byte_order="=")

_LIMITS = {subcon.name: (1 << 8 * subcon.sizeof()) - 1 for subcon in TCP_INFO_STRUCT.subcons}
"""The largest value of each field."""


def pack_tcp_info(info: TcpInfo) -> bytes:
    """Lay out the structure; a count that has outgrown its field wraps, as the kernel's does."""
    values = info._asdict()
    values["wscales"] = info.snd_wscale | info.rcv_wscale << 4
    values["delivery"] = info.app_limited | info.fastopen_client_fail << 1
    return CODEC.pack(*(values[name] & mask for name, mask in _LIMITS.items()))


def read_info(
    tcp: Tcp, endpoint: Tcb | Listener | None, past: Tcb | None, listened: int, now: Instant
) -> bytes:
    """Give the structure of a connection or a listener, or of what is `past`, or has `listened`."""
    if endpoint is None and past is not None:
        return pack_tcp_info(info_of_dissolved(past, tcp.config))
    if endpoint is None and listened:
        return pack_tcp_info(info_of_past_listener(listened, tcp.config))
    return pack_tcp_info(tcp.info(endpoint, now))


def read_tcp_info(octets: bytes) -> dict[str, int]:
    """Read as much of the structure as there is, by Linux's names without `tcpi_`."""
    values = CODEC.unpack_from(octets.ljust(CODEC.size, b"\0"))
    info: dict[str, int] = {}
    end = 0
    for field, value in zip(TCP_INFO_STRUCT.subcons, values, strict=True):
        end += field.sizeof()
        if end <= len(octets):
            info[field.name] = value
    scales, delivery = info.pop("wscales", 0), info.pop("delivery", 0)
    return info | {
        "snd_wscale": scales & 15,
        "rcv_wscale": scales >> 4,
        "delivery_rate_app_limited": delivery & 1,
        "fastopen_client_fail": delivery >> 1 & 3,
    }
