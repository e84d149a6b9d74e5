"""STATUS (RFC 9293 §3.10.6), as Linux tells it: the values of `struct tcp_info`.

Not done here: the structure's layout (`socket/tcp_info.py`).
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, NamedTuple

from tapstack.base.units import MILLISECOND, Duration, Instant
from tapstack.tcp.ack_policy import MIN_RCV_MSS
from tapstack.tcp.delivery_rate import octets_per_second
from tapstack.tcp.fast_open_client import is_deferred
from tapstack.tcp.listener import Listener
from tapstack.tcp.options import TIMESTAMPS_LENGTH
from tapstack.tcp.recovery_state import Phase
from tapstack.tcp.rtt import INITIAL_RTO
from tapstack.tcp.segment import CE, ECT_0, ECT_1
from tapstack.tcp.state import State
from tapstack.tcp.statistics import Limit
from tapstack.tcp.tcb import Tcb
from tapstack.tcp.user_options import UNPACED

if TYPE_CHECKING:
    from tapstack.tcp.config import TcpConfig

OPT_TIMESTAMPS, OPT_SACK, OPT_WSCALE, OPT_ECN, OPT_ECN_SEEN, OPT_SYN_DATA = 1, 2, 4, 8, 16, 32
OPT_TFO_CHILD = 128
"""The bits of `options`: Linux's TCPI_OPT_*."""
UNKNOWN_RTT = 2**32 - 1
"""`min_rtt` before the first sample."""

STATE_NUMBERS = {
    State.ESTABLISHED: 1,
    State.SYN_SENT: 2,
    State.SYN_RECEIVED: 3,
    State.FIN_WAIT_1: 4,
    State.FIN_WAIT_2: 5,
    # Linux's socket is closed by then: what stands in TIME-WAIT is no socket of a program's.
    State.TIME_WAIT: 7,
    State.CLOSED: 7,
    State.CLOSE_WAIT: 8,
    State.LAST_ACK: 9,
    State.LISTEN: 10,
    State.CLOSING: 11,
}
"""Linux's numbers of the states (tcp_states.h)."""


class TcpInfo(NamedTuple):
    """One connection's state in numbers: Linux's names without `tcpi_`, times in µs unless said."""

    state: int
    ca_state: int = 0
    """Of loss recovery: 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss."""
    retransmits: int = 0
    """Timeouts in a row."""
    probes: int = 0
    """Window or keep-alive probes that are not answered."""
    backoff: int = 0
    options: int = 0
    """The sum of OPT_*: what was negotiated."""
    snd_wscale: int = 0
    rcv_wscale: int = 0
    app_limited: int = 0
    """Whether the user, rather than the network, limited `delivery_rate`."""
    fastopen_client_fail: int = 0
    rto: int = 0
    ato: int = 0
    snd_mss: int = 0
    rcv_mss: int = 0
    unacked: int = 0
    """Segments in flight; of a listener: connections that wait to be accepted."""
    sacked: int = 0
    """Segments; of a listener: the backlog."""
    lost: int = 0
    retrans: int = 0
    fackets: int = 0
    last_data_sent: int = 0
    """ms ago, as the next three."""
    last_ack_sent: int = 0
    last_data_recv: int = 0
    last_ack_recv: int = 0
    pmtu: int = 0
    rcv_ssthresh: int = 0
    rtt: int = 0
    rttvar: int = 0
    snd_ssthresh: int = 0
    """Segments."""
    snd_cwnd: int = 0
    """Segments."""
    advmss: int = 0
    reordering: int = 0
    """Segments."""
    rcv_rtt: int = 0
    rcv_space: int = 0
    total_retrans: int = 0
    pacing_rate: int = UNPACED
    """Octets a second; while nobody limits it, it only decides how large units are."""
    max_pacing_rate: int = UNPACED
    bytes_acked: int = 0
    bytes_received: int = 0
    segs_out: int = 0
    segs_in: int = 0
    notsent_bytes: int = 0
    min_rtt: int = 0
    data_segs_in: int = 0
    data_segs_out: int = 0
    delivery_rate: int = 0
    """Octets a second."""
    busy_time: int = 0
    rwnd_limited: int = 0
    sndbuf_limited: int = 0
    delivered: int = 0
    delivered_ce: int = 0
    bytes_sent: int = 0
    bytes_retrans: int = 0
    dsack_dups: int = 0
    reord_seen: int = 0
    rcv_ooopack: int = 0
    snd_wnd: int = 0
    rcv_wnd: int = 0
    rehash: int = 0
    total_rto: int = 0
    total_rto_recoveries: int = 0
    total_rto_time: int = 0
    """ms."""
    received_ce: int = 0
    """Segments."""
    delivered_e1_bytes: int = 0
    """Octets of text that arrived, by codepoint, as accurate ECN feedback tells."""
    delivered_e0_bytes: int = 0
    delivered_ce_bytes: int = 0
    received_e1_bytes: int = 0
    received_e0_bytes: int = 0
    received_ce_bytes: int = 0
    accecn_fail_mode: int = 0
    """What of that feedback does not get through, and ..."""
    accecn_opt_seen: int = 0
    """... what was seen of its option: the values of `accecn_state.py`."""


def info_of(endpoint: Tcb | Listener | None, config: TcpConfig, now: Instant) -> TcpInfo:
    """Tell of a connection or a listener; None: of a fresh socket."""
    if endpoint is None:
        return info_of_closed(config)
    if isinstance(endpoint, Listener):
        return info_of_listener(endpoint, config)
    if is_deferred(endpoint):
        return info_of_deferred(config)
    return info_of_connection(endpoint, now)


def info_of_closed(config: TcpConfig) -> TcpInfo:
    """Tell of a socket that has neither connected nor listened."""
    return TcpInfo(
        state=STATE_NUMBERS[State.CLOSED],
        app_limited=1,
        rto=INITIAL_RTO,
        snd_mss=config.tcp_mss_default,
        rttvar=INITIAL_RTO // 4,
        snd_ssthresh=2**31 - 1,
        snd_cwnd=config.tcp_initial_cwnd,
        reordering=config.tcp_reordering,
        min_rtt=UNKNOWN_RTT,
    )


def info_of_deferred(config: TcpConfig) -> TcpInfo:
    """Tell of a connection whose SYN waits for text: as in Linux, it has made up nothing else.

    Deviation: what Linux then counts as not sent is its initial sequence number.
    """
    return info_of_closed(config)._replace(state=STATE_NUMBERS[State.SYN_SENT])


def info_of_dissolved(tcb: Tcb, config: TcpConfig) -> TcpInfo:
    """Tell of a socket whose connection was dissolved: as in Linux, some of that is left."""
    if is_deferred(tcb):
        return info_of_closed(config)._replace(
            rcv_mss=MIN_RCV_MSS, notsent_bytes=skipped_by_dissolving(tcb)
        )
    return info_of_closed(config)._replace(
        retransmits=tcb.retransmits,
        snd_mss=tcb.effective_mss,
        rcv_mss=MIN_RCV_MSS,
        pmtu=tcb.path_mtu,
        rcv_ssthresh=tcb.receive_space.threshold,
        advmss=_negotiated(tcb)["advmss"],
        rcv_space=tcb.receive_space.taken_before,
        notsent_bytes=skipped_by_dissolving(tcb),
        min_rtt=_round_trips(tcb)["min_rtt"],
        snd_wnd=tcb.snd_wnd,
        rcv_wnd=tcb.rcv_wnd,
    )


def info_of_past_listener(times: int, config: TcpConfig) -> TcpInfo:
    """Tell of a socket that has listened so many times: as in Linux, each was dissolved, too."""
    return info_of_closed(config)._replace(
        rcv_mss=MIN_RCV_MSS, notsent_bytes=skipped_by_listening(times)
    )


def skipped_by_listening(times: int) -> int:
    """Give the octets that then count as never sent: as `skipped_by_dissolving`, of no window."""
    return 2 * times


def skipped_by_dissolving(tcb: Tcb) -> int:
    """Give the octets that then count as never sent.

    Linux skips all numbers that an old segment might have: what was unsent, and a window and two.
    """
    unsent = tcb.left_unsent + tcb.fin_waits
    return unsent + tcb.max_snd_wnd + 2


def info_of_listener(listener: Listener, config: TcpConfig) -> TcpInfo:
    """Tell of a listener: its queue, and its backlog."""
    return TcpInfo(
        state=STATE_NUMBERS[State.LISTEN],
        unacked=len(listener.accept_queue),
        sacked=listener.backlog,
        snd_cwnd=config.tcp_initial_cwnd,
        reordering=config.tcp_reordering,
    )


def info_of_connection(tcb: Tcb, now: Instant) -> TcpInfo:
    """Tell of a connection."""
    return TcpInfo(
        state=STATE_NUMBERS[tcb.state],
        **_sending(tcb) | _opening(tcb),
        **_receiving(tcb),
        **_negotiated(tcb),
        **_round_trips(tcb),
        **_rate(tcb),
        **_marks(tcb),
        **_ages(tcb, now),
        **_counted(tcb, now),
        **_spent(tcb, now),
    )


def _sending(tcb: Tcb) -> dict[str, int]:
    sent, window = tcb.sent, tcb.window
    return {
        "ca_state": tcb.recovery.phase.value,
        "retransmits": tcb.retransmits,
        "probes": tcb.probes_out,
        "backoff": tcb.backoff,
        "unacked": sent.packets_out,
        "sacked": sent.sacked_out,
        "lost": sent.lost_out,
        "retrans": sent.retrans_out,
        "reordering": tcb.recovery.reordering,
        "snd_ssthresh": window.ssthresh,
        "snd_cwnd": window.cwnd,
        "snd_wnd": tcb.snd_wnd,
        # As Linux has it, a FIN counts, once it may be sent; and what was let go of still does.
        "notsent_bytes": max(0, tcb.unsent())
        + tcb.left_unsent
        + (tcb.fin_waits and _is_opened(tcb)),
    }


def _opening(tcb: Tcb) -> dict[str, int]:
    """Tell of a SYN that is not answered what Linux does: its timeout is a loss like any other.

    It counts until the answer comes, and so decides nothing; a reset is none.
    """
    if _is_opened(tcb) or not tcb.retransmits or tcb.syn_ack:
        return {}
    return {
        "ca_state": Phase.LOSS.value,
        "snd_cwnd": 1,
        "snd_ssthresh": copy(tcb.congestion).ssthresh_after_loss(0),
        "lost": tcb.sent.packets_out or tcb.sent.lost_out,
    }


def _is_opened(tcb: Tcb) -> bool:
    """Tell whether the handshake was ever done: our SYN is the first that is delivered."""
    return tcb.statistics.delivered > 0


def _receiving(tcb: Tcb) -> dict[str, int]:
    return {
        "ato": min(tcb.acks.ato, tcb.options.delack_max or tcb.acks.ato),
        "rcv_mss": tcb.acks.rcv_mss,
        "rcv_ssthresh": tcb.receive_space.threshold,
        "rcv_space": tcb.receive_space.taken_before,
        "rcv_rtt": tcb.receive_space.srtt,
        "rcv_wnd": tcb.rcv_wnd,
    }


def _negotiated(tcb: Tcb) -> dict[str, int]:
    options = tcb.timestamps * OPT_TIMESTAMPS + tcb.sack_permitted * OPT_SACK
    return {
        "options": options
        + tcb.window_scaling * OPT_WSCALE
        + tcb.ecn * OPT_ECN
        + tcb.ecn_seen * OPT_ECN_SEEN
        + tcb.syn_text_acked * OPT_SYN_DATA
        + tcb.fast_open_child * OPT_TFO_CHILD,
        "fastopen_client_fail": 0 if tcb.fast_open is None else tcb.fast_open.failure,
        "snd_wscale": tcb.snd_wind_shift,
        "rcv_wscale": tcb.rcv_wind_shift if tcb.window_scaling else 0,
        "snd_mss": tcb.effective_mss,
        # As in Linux, timestamps take their part only when the handshake is done.
        "advmss": tcb.advertised_mss - (tcb.timestamps and _is_opened(tcb)) * TIMESTAMPS_LENGTH,
        "pmtu": tcb.path_mtu,
    }


def _round_trips(tcb: Tcb) -> dict[str, int]:
    rtt = tcb.rtt
    return {
        "rto": tcb.rto(),
        "rtt": rtt.srtt,
        "rttvar": rtt.rttvar if rtt.srtt else rtt.rto // 4,
        "min_rtt": UNKNOWN_RTT if rtt.min_rtt is None else rtt.min_rtt,
    }


def _marks(tcb: Tcb) -> dict[str, int]:
    octets = tcb.statistics.received_octets
    return {
        "received_ce": tcb.statistics.received_ce,
        "received_e1_bytes": octets[ECT_1],
        "received_e0_bytes": octets[ECT_0],
        "received_ce_bytes": octets[CE],
        **_told_of_marks(tcb),
    }


def _told_of_marks(tcb: Tcb) -> dict[str, int]:
    accurate = tcb.accecn
    if accurate is None:
        return {}
    octets = accurate.delivered_octets
    return {
        "delivered_e1_bytes": octets[ECT_1],
        "delivered_e0_bytes": octets[ECT_0],
        "delivered_ce_bytes": octets[CE],
        "accecn_fail_mode": accurate.failures,
        "accecn_opt_seen": accurate.option_seen,
    }


def _rate(tcb: Tcb) -> dict[str, int]:
    return {
        "delivery_rate": octets_per_second(tcb),
        "app_limited": int(tcb.rate_app_limited),
        "pacing_rate": tcb.pacing_rate,
        "max_pacing_rate": tcb.options.max_pacing_rate,
    }


def _ages(tcb: Tcb, now: Instant) -> dict[str, int]:
    start = tcb.statistics.established_at

    def since(moment: Instant) -> Duration:
        return (now - max(moment, start)) // MILLISECOND

    return {
        "last_data_sent": since(tcb.last_sent_at),
        "last_data_recv": since(tcb.acks.last_text_at),
        "last_ack_recv": since(tcb.last_received_at),
    }


_COUNTS = (
    "segs_in segs_out data_segs_in data_segs_out bytes_received bytes_sent bytes_acked "
    "bytes_retrans total_retrans delivered delivered_ce dsack_dups reord_seen rcv_ooopack "
    "total_rto total_rto_recoveries rehash"
).split()


def _counted(tcb: Tcb, now: Instant) -> dict[str, int]:
    counts = {name: getattr(tcb.statistics, name) for name in _COUNTS}
    return counts | {"total_rto_time": tcb.statistics.time_in_timeouts(now) // MILLISECOND}


def _spent(tcb: Tcb, now: Instant) -> dict[str, int]:
    time_in = tcb.statistics.time_in
    by_window = time_in(Limit.RECEIVE_WINDOW, now)
    by_buffer = time_in(Limit.SEND_BUFFER, now)
    return {
        "busy_time": time_in(Limit.BUSY, now) + by_window + by_buffer,
        "rwnd_limited": by_window,
        "sndbuf_limited": by_buffer,
    }
