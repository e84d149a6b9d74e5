"""What may be set on a TCP engine, under the names of Linux's sysctls (net.ipv4.*).

Not done here: what an application sets on one socket (`user_options.py`).
"""

from dataclasses import dataclass

from tapstack.base.units import MILLISECOND, MINUTE, SECOND, Duration
from tapstack.tcp.congestion import ALGORITHMS


class _Watched:
    """Settings that count their changes, for those who keep what they have worked out of them."""

    __slots__ = ("changes",)

    changes: int

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        object.__setattr__(self, "changes", getattr(self, "changes", 0) + 1)


@dataclass(slots=True)
class TcpConfig(_Watched):
    """The settings of one TCP engine; the defaults are Linux's, where it has the setting."""

    tcp_syn_retries: int = 6
    """Retransmissions of a SYN, not counting the linear ones, before ETIMEDOUT."""
    tcp_syn_linear_timeouts: int = 4
    """How many retransmissions of a SYN come one second apart before the backing off begins."""
    tcp_synack_retries: int = 5
    """Retransmissions of a SYN-ACK before the half-open connection is forgotten (63 s)."""
    tcp_retries1: int = 3
    """Backed-off timeouts of text before a black hole is suspected: as 200 ms would double, 3 s."""
    tcp_retries2: int = 15
    """Backed-off timeouts of text before ETIMEDOUT: as 200 ms would double, 924.6 s."""
    tcp_orphan_retries: int = 0
    """The same, for a connection that its user has closed; 0: 8."""
    tcp_thin_linear_timeouts: int = 0
    """Do not back off where little is in flight, as TCP_THIN_LINEAR_TIMEOUTS asks for."""
    tcp_fin_timeout: Duration = 60 * SECOND
    """How long a closed connection waits in FIN-WAIT-2 for the peer's FIN."""
    time_wait: Duration = 60 * SECOND
    """2·MSL (RFC 9293 §3.4.2 says 4 min; Linux's TCP_TIMEWAIT_LEN is a constant 60 s)."""
    tcp_max_tw_buckets: int = 65536
    """How many connections may stand in TIME-WAIT; one more is closed at once."""
    tcp_max_orphans: int = 65536
    """Connections that may live on without their user; one more is reset."""
    tcp_rto_min: Duration = 200 * MILLISECOND
    """Least variance term of the RTO (Linux's TCP_RTO_MIN; RFC 6298 §2.4 says 1 s for the RTO)."""
    tcp_min_rtt_wlen: int = 300
    """Seconds that the least round trip is believed."""
    tcp_rto_max: Duration = 2 * MINUTE
    """Most that a RTO backs off to (RFC 6298 §2.5 asks for 60 s at least)."""
    tcp_delack_max: Duration = 200 * MILLISECOND
    """Most time that an ACK is delayed."""
    tcp_invalid_ratelimit: Duration = 500 * MILLISECOND
    """Least time between two answers to invalid segments on one connection (RFC 5961 §7)."""
    tcp_keepalive_time: int = 7200
    """Seconds of silence before the first keep-alive probe (RFC 9293 MUST-28)."""
    tcp_keepalive_intvl: int = 75
    """Seconds between keep-alive probes."""
    tcp_keepalive_probes: int = 9
    """Unanswered keep-alive probes before ETIMEDOUT."""
    tcp_max_syn_backlog: int = 512
    """Half-open connections that one listener keeps at most without cookies (RFC 4987 §3.1).

    Linux keeps the last quarter for peers that it knows; and its backlog bounds them, too.
    """
    tcp_syncookies: int = 1
    """SYN cookies (RFC 4987 §3.6): 0 never, 1 when the SYN queue overflows, 2 always."""
    somaxconn: int = 4096
    """Most that a listener's backlog can be."""
    optmem_max: int = 131_072
    """Most octets of what a socket remembers beside text, as Linux counts them."""
    tcp_abort_on_overflow: bool = False
    """Whether a full accept queue answers with RST rather than silence."""
    tcp_recovery: int = 1
    """RACK (RFC 8985): bit 0x2 keeps its reordering window, 0x4 has it ignore three SACKs."""
    tcp_early_retrans: int = 3
    """Tail loss probes (RFC 8985 §7): 3 or 4 sends them, 0 does not."""
    tcp_frto: int = 2
    """F-RTO (RFC 5682): whether a timeout may prove spurious; 0: never."""
    tcp_reordering: int = 3
    """Segments that must arrive beyond one for it to be lost, while no reordering was seen."""
    tcp_max_reordering: int = 300
    """Most that the path is believed to reorder by, segments."""
    tcp_retrans_collapse: bool = True
    """Whether small segments that are sent again are joined up to a full one."""
    tcp_timestamps: int = 1
    """Whether SYNs offer timestamps (RFC 7323): 0 no, 1 yes, 2 without a random offset."""
    tcp_sack: bool = True
    """Whether SYNs permit selective acknowledgments (RFC 2018)."""
    tcp_dsack: bool = True
    """Whether these tell of text that came twice, too (RFC 2883)."""
    tcp_comp_sack_delay_ns: int = 1_000_000
    """Nanoseconds that ACKs of text beyond gaps wait for each other at most; 0: not at all."""
    tcp_comp_sack_nr: int = 44
    """How many such ACKs one may stand for; 0: none waits."""
    tcp_window_scaling: bool = True
    """Whether SYNs offer window scaling (RFC 7323)."""
    tcp_shrink_window: bool = False
    """Whether a window that is scaled may shrink where memory runs short (RFC 9293 SHLD-14)."""
    tcp_rmem: tuple[int, int, int] = (4096, 131072, 6291456)
    """Octets of the receive buffer: least, at first, and most that it grows to by itself."""
    tcp_app_win: int = 31
    """The share of the receive buffer that is never offered, as a shift; 0: all of it is."""
    tcp_moderate_rcvbuf: bool = True
    """Whether the receive buffer grows by itself."""
    tcp_wmem: tuple[int, int, int] = (4096, 16384, 4194304)
    """Octets of the send buffer: least, at first, and most that it grows to by itself."""
    tcp_notsent_lowat: int = 0xFFFFFFFF
    """Octets that may wait unsent before a user is held back, unless TCP_NOTSENT_LOWAT says."""
    tcp_mss_default: int = 536
    """The MSS towards a peer whose SYN named none (RFC 9293 MUST-15)."""
    tcp_mtu_probing: int = 0
    """Whether text probes for the path's MTU (RFC 4821): 0 never, 1 behind a black hole, 2 always.
    """
    tcp_base_mss: int = 1024
    """Octets of text that probing begins with."""
    tcp_mtu_probe_floor: int = 48
    """Least octets of text that a black hole brings a connection down to."""
    tcp_probe_interval: int = 600
    """Seconds until a wider path is probed for again."""
    tcp_probe_threshold: int = 8
    """Octets between what passes and what does not that are not worth a probe."""
    tcp_min_snd_mss: int = 48
    """Least MSS that a peer is believed."""
    tcp_congestion_control: str = "cubic"
    """The congestion control of new connections: a name in `congestion.ALGORITHMS`."""
    cubic_fast_convergence: bool = True
    """Whether CUBIC leaves room to new flows (RFC 9438 §4.7); a parameter of Linux's tcp_cubic."""
    cubic_tcp_friendliness: bool = True
    """Whether CUBIC is never slower than Reno (RFC 9438 §4.3); a parameter of tcp_cubic."""
    cubic_hystart: bool = True
    """Whether CUBIC leaves slow start before a loss says so; `hystart` of tcp_cubic."""
    tcp_pacing_ss_ratio: int = 200
    """Percent of a congestion window a round trip that make the rate of a slow start, ..."""
    tcp_pacing_ca_ratio: int = 120
    """... and of congestion avoidance. The rate decides how large units are."""
    tcp_min_tso_segs: int = 2
    """Least segments of a unit, where the windows have room for them."""
    tcp_tso_rtt_log: int = 9
    """Units double with each 2⁹ µs that the least round trip is shorter."""
    tcp_tso_win_divisor: int = 3
    """The part of a window that is sent at once, rather than wait until more is open; 0: all."""
    tcp_slow_start_after_idle: bool = True
    """Whether a congestion window that was not used for an RTO is brought down."""
    tcp_ecn: int = 2
    """Whether ECN (RFC 3168) is spoken: 0 never, 1 also offered, 2 where the peer offers it.

    3 to 5 have who asks for it get accurate feedback (RFC 9768), too; 3 asks for it, 4 offers ECN.
    """
    tcp_ecn_option: int = 2
    """Whether segments carry the AccECN option: 0 none does, 1 some do, 2 all."""
    tcp_ecn_option_beacon: int = 3
    """How many do so at least in a round trip, where it is not all; 0: none need."""
    tcp_ecn_fallback: bool = True
    """Whether a SYN that was lost is sent again without the offer (RFC 3168 §6.1.1.1)."""
    tcp_reflect_tos: bool = False
    """Whether a connection that is accepted sends with the type of service of its SYN."""
    tcp_fastopen: int = 1
    """TCP Fast Open (RFC 7413), a sum: 1 as a client, 2 as a server, 4 a client sends text without
    a cookie, 0x200 a server takes that, 0x400 every listener serves it unasked."""
    tcp_fastopen_key: str = ""
    """The key of a server's cookies, and after a comma one that is still good; empty: our own."""
    tcp_fastopen_blackhole_timeout_sec: int = 0
    """Seconds that a client rests from Fast Open after its segments have vanished; 0: never."""
    tcp_initial_cwnd: int = 10
    """Segments of the initial window (RFC 6928)."""
    ip_local_port_range: tuple[int, int] = (32768, 60999)
    """Ephemeral ports, both ends included (RFC 6056 §3.2)."""
    ip_local_reserved_ports: frozenset[int] = frozenset()
    """Of those: which are only for who asks for them."""
    tcp_tw_reuse: int = 2
    """Whether our connections may succeed one in TIME-WAIT: 0 no, 1 yes, 2 on 127.0.0.0/8."""
    tcp_tw_reuse_delay: Duration = 1 * SECOND
    """How long that has to have stood there."""
    tcp_stdurg: bool = False
    """Whether an urgent pointer that comes points at the urgent octet, not behind it (RFC 6093)."""
    tcp_rfc1337: bool = False
    """Whether TIME-WAIT ignores RSTs (RFC 1337 §3, fix F1). Linux's default lets them end it."""
    max_segment_unit: int = 65535
    """Octets of the largest IP datagram that is handed down to be cut into segments."""

    @property
    def tcp_available_congestion_control(self) -> tuple[str, ...]:
        """What `tcp_congestion_control` and TCP_CONGESTION may name."""
        return tuple(ALGORITHMS)

    tcp_allowed_congestion_control = tcp_available_congestion_control
    # Linux keeps some for the administrator; who runs a stack of his own is one.
