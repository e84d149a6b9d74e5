"""What an application sets on one TCP socket.

The socket object and its connection share one `UserOptions`. An accepted connection starts with its
listener's: most never change any, and ten thousand copies are megabytes. A user who changes any has
both go on with a copy (`changeable`): so what was worked out of some holds for who still has those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

FOLLOWS_PATH_MTU = frozenset({1, 2})
"""Values of IP_MTU_DISCOVER with which segments are fitted to the path."""
UNPACED = (1 << 64) - 1
"""A pacing rate that limits nothing."""
NO_DISCOVERY = 0
"""The value that leaves the path alone (IP_PMTUDISC_DONT)."""
_HEEDS_TOO_BIG = FOLLOWS_PATH_MTU | {3}
"""Those with which what was too large is sent again at once."""


@dataclass(slots=True)
class UserOptions:
    """The socket options of one connection or listener, named as in tcp(7) and socket(7)."""

    nodelay: bool = False
    """TCP_NODELAY: Nagle's algorithm is off (RFC 9293 MUST-17)."""
    cork: bool = False
    """TCP_CORK: partial segments wait."""
    keepalive: bool = False
    """SO_KEEPALIVE."""
    keepidle: int | None = None
    """TCP_KEEPIDLE, seconds; None: the engine's setting."""
    keepintvl: int | None = None
    """TCP_KEEPINTVL, seconds; None: the engine's setting."""
    keepcnt: int | None = None
    """TCP_KEEPCNT; None: the engine's setting."""
    user_timeout: int = 0
    """TCP_USER_TIMEOUT, milliseconds; 0: tcp_retries2 decides (RFC 5482)."""
    linger: int | None = None
    """SO_LINGER, seconds; 0 makes `close` reset the connection; None: off."""
    past_linger: int = 0
    """What they were when it was switched off: Linux still tells."""
    maxseg: int = 0
    """TCP_MAXSEG, octets; 0: the path decides."""
    receive_buffer: int | None = None
    """SO_RCVBUF, octets as the kernel keeps them (doubled); None: the engine tunes it."""
    window_clamp: int = 0
    """TCP_WINDOW_CLAMP, octets; 0: the buffer decides."""
    rcvlowat: int = 1
    """SO_RCVLOWAT, octets: less is not worth waking a reader for."""
    notsent_lowat: int = 0
    """TCP_NOTSENT_LOWAT, octets; 0: the engine's setting."""
    send_buffer: int | None = None
    """SO_SNDBUF, octets as the kernel keeps them (doubled); None: the engine tunes it."""
    congestion: str = ""
    """TCP_CONGESTION; empty: the engine's setting."""
    oobinline: bool = False
    """SO_OOBINLINE: urgent text stays in the stream."""
    quickack: bool = True
    """TCP_QUICKACK: false delays ACKs from now on."""
    syncnt: int = 0
    """TCP_SYNCNT: retransmissions of the SYN; 0: the engine's setting."""
    defer_accept: int = 0
    """TCP_DEFER_ACCEPT, as timeouts of the SYN-ACK: until then, an ACK without text is ignored."""
    linger2: int = 0
    """TCP_LINGER2, seconds in FIN-WAIT-2; 0: the engine's setting, -1: none."""
    fastopen: int = 0
    """TCP_FASTOPEN: connections of a listener whose text is taken early (RFC 7413); 0: none."""
    fastopen_connect: bool = False
    """TCP_FASTOPEN_CONNECT: `connect` waits for the text that its SYN can carry."""
    fastopen_no_cookie: bool = False
    """TCP_FASTOPEN_NO_COOKIE."""
    fastopen_key: bytes = b""
    """TCP_FASTOPEN_KEY: 16 octets, or 32 for two keys; empty: the engine's."""
    rto_min: int = 0
    """TCP_RTO_MIN_US, µs; 0: the engine's setting."""
    rto_max: int = 0
    """TCP_RTO_MAX_MS, µs; 0: the engine's setting."""
    delack_max: int = 0
    """TCP_DELACK_MAX_US, µs; 0: the engine's setting."""
    thin_linear_timeouts: bool = False
    """TCP_THIN_LINEAR_TIMEOUTS: who sends little times out without backing off, six times."""
    ttl: int = 0
    """IP_TTL; 0: the route's, or the host's."""
    tos: int = 0
    """IP_TOS."""
    discovery: int = 1
    """IP_MTU_DISCOVER: 0 never, 1 if the host does, 2 always; other numbers are for datagrams."""
    max_pacing_rate: int = UNPACED
    """SO_MAX_PACING_RATE, octets a second."""
    paced: bool = False
    """It was limited once: text leaves at the pacing rate since, whatever that is."""
    min_ttl: int = 0
    """IP_MINTTL: what comes with less is not taken (RFC 5082)."""
    peek_off: int = -1
    """SO_PEEK_OFF: how far behind the oldest octet the next peek begins; -1: always there."""
    save_syn: int = 0
    """TCP_SAVE_SYN: whether the IP and TCP headers of a peer's SYN are kept; 2, for which Linux
    keeps the link's as well, is here the same as 1."""
    recverr: bool = False
    """IP_RECVERR: ICMP errors are told at once, though they do not end a connection."""

    shared: bool = False
    """More than one socket has them: who changes any takes `own` first."""

    @property
    def follows_path_mtu(self) -> bool:
        """Tell whether segments are fitted to the path, and never fragmented."""
        return self.discovery in FOLLOWS_PATH_MTU

    @property
    def heeds_too_big(self) -> bool:
        """Tell whether an ICMP error that says so has text sent again at once, in smaller ones."""
        return self.discovery in _HEEDS_TOO_BIG

    def share(self) -> UserOptions:
        """Give them to a connection that begins with the same; nobody may change them then."""
        self.shared = True
        return self

    def own(self) -> UserOptions:
        """Give those of a connection that begins: themselves, or a copy of what is shared."""
        return self.changeable() if self.shared else self

    def changeable(self) -> UserOptions:
        """Give a copy, which may be changed."""
        return replace(self, shared=False)
