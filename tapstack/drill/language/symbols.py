"""The names that scripts use for numbers, with Linux's values (include/uapi of Linux 6.18).

They are written out, not taken from the standard library: a script means Linux's numbers wherever
it is played, and the library lacks the younger names.

Not done here: what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from errno import errorcode


def _counted(prefix: str, first: int, names: str) -> dict[str, int]:
    """Number names one by one; `-` leaves a number out."""
    numbered = enumerate(names.split(), first)
    return {prefix + name: number for number, name in numbered if name != "-"}


def _bits(prefix: str, first: int, names: str) -> dict[str, int]:
    """Give each name a bit of its own, beginning with bit `first`; `-` leaves a bit out."""
    return {name: 1 << bit for name, bit in _counted(prefix, first, names).items()}


_FAMILIES = {
    "AF_UNSPEC": 0,
    "AF_UNIX": 1,
    "AF_INET": 2,
    "AF_INET6": 10,
    "AF_NETLINK": 16,
    "AF_PACKET": 17,
    "PF_UNSPEC": 0,
    "PF_INET": 2,
    "PF_INET6": 10,
    "PF_PACKET": 17,
}
_KINDS = {
    **_counted("SOCK_", 1, "STREAM DGRAM RAW RDM SEQPACKET DCCP - - - PACKET"),
    "SOCK_NONBLOCK": 0o4000,
    "SOCK_CLOEXEC": 0o2000000,
}
_PROTOCOLS = {
    "IPPROTO_IP": 0,
    "IPPROTO_ICMP": 1,
    "IPPROTO_IGMP": 2,
    "IPPROTO_TCP": 6,
    "IPPROTO_UDP": 17,
    "IPPROTO_IPV6": 41,
    "IPPROTO_GRE": 47,
    "IPPROTO_ICMPV6": 58,
    "IPPROTO_SCTP": 132,
    "IPPROTO_UDPLITE": 136,
    "IPPROTO_RAW": 255,
    "IPPROTO_MPTCP": 262,
}
_LEVELS = {
    "SOL_IP": 0,
    "SOL_SOCKET": 1,
    "SOL_TCP": 6,
    "SOL_UDP": 17,
    "SOL_IPV6": 41,
    "SOL_ICMPV6": 58,
    "SOL_SCTP": 132,
    "SOL_UDPLITE": 136,
    "SOL_RAW": 255,
    "SOL_MPTCP": 284,
}
_SOCKET_OPTIONS = {  # asm-generic/socket.h
    **_counted(
        "SO_",
        1,
        "DEBUG REUSEADDR TYPE ERROR DONTROUTE BROADCAST SNDBUF RCVBUF KEEPALIVE OOBINLINE NO_CHECK "
        "PRIORITY LINGER BSDCOMPAT REUSEPORT PASSCRED PEERCRED RCVLOWAT SNDLOWAT RCVTIMEO SNDTIMEO "
        "- - - BINDTODEVICE ATTACH_FILTER DETACH_FILTER PEERNAME TIMESTAMP ACCEPTCONN PEERSEC "
        "SNDBUFFORCE RCVBUFFORCE PASSSEC TIMESTAMPNS MARK TIMESTAMPING PROTOCOL DOMAIN RXQ_OVFL "
        "WIFI_STATUS PEEK_OFF NOFCS LOCK_FILTER SELECT_ERR_QUEUE BUSY_POLL MAX_PACING_RATE "
        "BPF_EXTENSIONS INCOMING_CPU ATTACH_BPF ATTACH_REUSEPORT_CBPF ATTACH_REUSEPORT_EBPF "
        "CNX_ADVICE - MEMINFO INCOMING_NAPI_ID COOKIE - PEERGROUPS ZEROCOPY TXTIME BINDTOIFINDEX "
        "TIMESTAMP_NEW TIMESTAMPNS_NEW TIMESTAMPING_NEW RCVTIMEO_NEW SNDTIMEO_NEW "
        "DETACH_REUSEPORT_BPF PREFER_BUSY_POLL BUSY_POLL_BUDGET NETNS_COOKIE BUF_LOCK RESERVE_MEM "
        "TXREHASH RCVMARK PASSPIDFD PEERPIDFD DEVMEM_LINEAR DEVMEM_DMABUF DEVMEM_DONTNEED - "
        "RCVPRIORITY PASSRIGHTS INQ",
    ),
    "SO_TIMESTAMP_OLD": 29,
    "SO_TIMESTAMPNS_OLD": 35,
    "SO_TIMESTAMPING_OLD": 37,
    "SO_GET_FILTER": 26,
    "SO_DETACH_BPF": 27,
}
_TCP_OPTIONS = {  # linux/tcp.h
    **_counted(
        "TCP_",
        1,
        "NODELAY MAXSEG CORK KEEPIDLE KEEPINTVL KEEPCNT SYNCNT LINGER2 DEFER_ACCEPT WINDOW_CLAMP "
        "INFO QUICKACK CONGESTION MD5SIG COOKIE_TRANSACTIONS THIN_LINEAR_TIMEOUTS THIN_DUPACK "
        "USER_TIMEOUT REPAIR REPAIR_QUEUE QUEUE_SEQ REPAIR_OPTIONS FASTOPEN TIMESTAMP "
        "NOTSENT_LOWAT CC_INFO SAVE_SYN SAVED_SYN REPAIR_WINDOW FASTOPEN_CONNECT ULP MD5SIG_EXT "
        "FASTOPEN_KEY FASTOPEN_NO_COOKIE ZEROCOPY_RECEIVE INQ TX_DELAY AO_ADD_KEY AO_DEL_KEY "
        "AO_INFO AO_GET_KEYS AO_REPAIR IS_MPTCP RTO_MAX_MS RTO_MIN_US DELACK_MAX_US",
    ),
    "TCP_CM_INQ": 36,
    "TCP_REPAIR_ON": 1,
    "TCP_REPAIR_OFF": 0,
    "TCP_REPAIR_OFF_NO_WP": -1,
    **_counted("TCP_", 0, "NO_QUEUE RECV_QUEUE SEND_QUEUE"),
    "TCP_RECEIVE_ZEROCOPY_FLAG_TLB_CLEAN_HINT": 1,
}
_TCP_STATES = {
    **_counted(
        "TCP_",
        1,
        "ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK "
        "LISTEN CLOSING NEW_SYN_RECV",
    ),
    **_counted("TCP_CA_", 0, "Open Disorder CWR Recovery Loss"),
    **_bits("TCPI_OPT_", 0, "TIMESTAMPS SACK WSCALE ECN ECN_SEEN SYN_DATA USEC_TS TFO_CHILD"),
    **_counted("TFO_", 0, "STATUS_UNSPEC COOKIE_UNAVAILABLE DATA_NOT_ACKED SYN_RETRANSMITTED"),
}
_TCP_STATISTICS = _counted(  # linux/tcp.h: what SCM_TIMESTAMPING_OPT_STATS carries
    "TCP_NLA_",
    0,
    "PAD BUSY RWND_LIMITED SNDBUF_LIMITED DATA_SEGS_OUT TOTAL_RETRANS PACING_RATE DELIVERY_RATE "
    "SND_CWND REORDERING MIN_RTT RECUR_RETRANS DELIVERY_RATE_APP_LMT SNDQ_SIZE CA_STATE "
    "SND_SSTHRESH DELIVERED DELIVERED_CE BYTES_SENT BYTES_RETRANS DSACK_DUPS REORD_SEEN SRTT "
    "TIMEOUT_REHASH BYTES_NOTSENT EDT TTL REHASH",
)
_IP_OPTIONS = {  # linux/in.h, linux/in6.h
    **_counted(
        "IP_",
        1,
        "TOS TTL HDRINCL OPTIONS ROUTER_ALERT RECVOPTS RETOPTS PKTINFO PKTOPTIONS MTU_DISCOVER "
        "RECVERR RECVTTL RECVTOS MTU FREEBIND IPSEC_POLICY XFRM_POLICY PASSSEC TRANSPARENT "
        "ORIGDSTADDR MINTTL NODEFRAG CHECKSUM BIND_ADDRESS_NO_PORT RECVFRAGSIZE RECVERR_RFC4884",
    ),
    "IP_RECVRETOPTS": 7,
    "IP_RECVORIGDSTADDR": 20,
    **_counted(
        "IP_",
        32,
        "MULTICAST_IF MULTICAST_TTL MULTICAST_LOOP ADD_MEMBERSHIP DROP_MEMBERSHIP UNBLOCK_SOURCE "
        "BLOCK_SOURCE ADD_SOURCE_MEMBERSHIP DROP_SOURCE_MEMBERSHIP MSFILTER - - - - - - - "
        "MULTICAST_ALL UNICAST_IF LOCAL_PORT_RANGE PROTOCOL",
    ),
    **_counted("IP_PMTUDISC_", 0, "DONT WANT DO PROBE INTERFACE OMIT"),
    "IPV6_UNICAST_HOPS": 16,
    "IPV6_MTU_DISCOVER": 23,
    "IPV6_MTU": 24,
    "IPV6_RECVERR": 25,
    "IPV6_V6ONLY": 26,
    "IPV6_RECVHOPLIMIT": 51,
    "IPV6_HOPLIMIT": 52,
    "IPV6_RECVTCLASS": 66,
    "IPV6_TCLASS": 67,
    "IPV6_AUTOFLOWLABEL": 70,
    "UDP_CORK": 1,
    "UDP_SEGMENT": 103,
    "UDP_GRO": 104,
    "INADDR_ANY": 0,
    "INADDR_BROADCAST": 0xFFFFFFFF,
    "INADDR_LOOPBACK": 0x7F000001,
}
_MESSAGES = {  # linux/socket.h
    **_bits(
        "MSG_",
        0,
        "OOB PEEK DONTROUTE CTRUNC PROBE TRUNC DONTWAIT EOR WAITALL FIN SYN CONFIRM RST ERRQUEUE "
        "NOSIGNAL MORE WAITFORONE - BATCH - - - - - - SOCK_DEVMEM ZEROCOPY SPLICE_PAGES - FASTOPEN "
        "CMSG_CLOEXEC",
    ),
    "MSG_TRYHARD": 4,
    "MSG_EOF": 0x200,
    **_counted("SHUT_", 0, "RD WR RDWR"),
    "SOMAXCONN": 4096,
}
_ANCILLARY = {  # linux/errqueue.h, linux/net_tstamp.h
    **_counted("SO_EE_ORIGIN_", 0, "NONE LOCAL ICMP ICMP6 TXSTATUS ZEROCOPY TXTIME"),
    "SO_EE_ORIGIN_TIMESTAMPING": 4,
    "SO_EE_CODE_ZEROCOPY_COPIED": 1,
    **_counted("SCM_", 1, "RIGHTS CREDENTIALS SECURITY PIDFD"),
    "SCM_TIMESTAMP": 29,
    "SCM_TIMESTAMPNS": 35,
    "SCM_TIMESTAMPING": 37,
    "SCM_WIFI_STATUS": 41,
    "SCM_TIMESTAMPING_OPT_STATS": 54,
    "SCM_TIMESTAMPING_PKTINFO": 58,
    "SCM_TXTIME": 61,
    "SCM_DEVMEM_LINEAR": 78,
    "SCM_DEVMEM_DMABUF": 79,
    "SCM_TS_OPT_ID": 81,
    "SCM_INQ": 84,
    **_counted("SCM_TSTAMP_", 0, "SND SCHED ACK COMPLETION"),
    **_bits(
        "SOF_TIMESTAMPING_",
        0,
        "TX_HARDWARE TX_SOFTWARE RX_HARDWARE RX_SOFTWARE SOFTWARE SYS_HARDWARE RAW_HARDWARE OPT_ID "
        "TX_SCHED TX_ACK OPT_CMSG OPT_TSONLY OPT_STATS OPT_PKTINFO OPT_TX_SWHW BIND_PHC OPT_ID_TCP "
        "OPT_RX_FILTER TX_COMPLETION",
    ),
}
_FILES = {  # asm-generic/fcntl.h, linux/splice.h, asm-generic/ioctls.h, linux/sockios.h
    **_counted("F_", 0, "DUPFD GETFD SETFD GETFL SETFL GETLK SETLK SETLKW SETOWN GETOWN"),
    "F_DUPFD_CLOEXEC": 1030,
    "F_SETPIPE_SZ": 1031,
    "F_GETPIPE_SZ": 1032,
    "FD_CLOEXEC": 1,
    "O_RDONLY": 0,
    "O_WRONLY": 1,
    "O_RDWR": 2,
    "O_CREAT": 0o100,
    "O_EXCL": 0o200,
    "O_NOCTTY": 0o400,
    "O_TRUNC": 0o1000,
    "O_APPEND": 0o2000,
    "O_NONBLOCK": 0o4000,
    "O_NDELAY": 0o4000,
    "O_DSYNC": 0o10000,
    "O_ASYNC": 0o20000,
    "O_DIRECT": 0o40000,
    "O_LARGEFILE": 0o100000,
    "O_DIRECTORY": 0o200000,
    "O_NOFOLLOW": 0o400000,
    "O_NOATIME": 0o1000000,
    "O_CLOEXEC": 0o2000000,
    "O_SYNC": 0o4010000,
    **_bits("SPLICE_F_", 0, "MOVE NONBLOCK MORE GIFT"),
    "FIONREAD": 0x541B,
    "FIONBIO": 0x5421,
    "FIOASYNC": 0x5452,
    "TIOCINQ": 0x541B,
    "TIOCOUTQ": 0x5411,
    "SIOCINQ": 0x541B,
    "SIOCOUTQ": 0x5411,
    "SIOCOUTQNSD": 0x894B,
    "SIOCATMARK": 0x8905,
    "SIOCGSTAMP": 0x8906,
    "SIOCGSTAMPNS": 0x8907,
    "NULL": 0,
    **_counted("CAP_", 10, "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW"),
}
_POLL = {  # asm-generic/poll.h, linux/eventpoll.h
    **_bits("POLL", 0, "IN PRI OUT ERR HUP NVAL RDNORM RDBAND WRNORM WRBAND MSG - - RDHUP"),
    **_bits("EPOLL", 0, "IN PRI OUT ERR HUP NVAL RDNORM RDBAND WRNORM WRBAND MSG - - RDHUP"),
    **_bits("EPOLL", 28, "EXCLUSIVE WAKEUP ONESHOT ET"),
    **_counted("EPOLL_CTL_", 1, "ADD DEL MOD"),
    "EPOLL_CLOEXEC": 0o2000000,
}

ERRNO_NUMBERS = {name: number for number, name in errorcode.items()} | {
    "EWOULDBLOCK": 11,
    "EDEADLK": 35,
    "EDEADLOCK": 35,
    "EOPNOTSUPP": 95,
    "ENOTSUP": 95,
    "ENOTSUPP": 524,  # the kernel's own, which yet reaches users
}
"""The errors' macros."""

NUMBERS: dict[str, int] = {
    **_FAMILIES,
    **_KINDS,
    **_PROTOCOLS,
    **_LEVELS,
    **_SOCKET_OPTIONS,
    **_TCP_OPTIONS,
    **_TCP_STATES,
    **_TCP_STATISTICS,
    **_IP_OPTIONS,
    **_MESSAGES,
    **_ANCILLARY,
    **_FILES,
    **_POLL,
    **ERRNO_NUMBERS,
}
"""Every name that may stand for a number."""

CODE_NAMES: dict[str, int] = {
    name: number for name, number in _TCP_STATES.items() if name.startswith(("TCP_", "TCPI_"))
}
"""What Python code in a script knows beside the fields of TCP_INFO."""


def hint(name: str, names: Iterable[str], form: str = "'{}'", cutoff: float = 0.75) -> str:
    """Say which known name is likely meant by one that is not: `; is 'mss' meant?`, or ''.

    `cutoff` is how alike they are to be, from 0 to 1: the same.
    """
    folded = {known.upper(): known for known in names}
    near = get_close_matches(name.upper(), folded, 1, cutoff)
    return f"; is {form.format(folded[near[0]])} meant?" if near else ""


_USUAL_ERRORS = {95: "EOPNOTSUPP", 524: "ENOTSUPP"}
"""What the errors are called that the library calls otherwise, or not at all."""


def errno_name(number: int) -> str:
    """Render an error as its macro; the number where there is none."""
    return _USUAL_ERRORS.get(number) or errorcode.get(number, str(number))


def bits_text(value: int, prefix: str) -> str:
    """Render bits as scripts write them, `POLLIN|POLLOUT`; what has no name as hexadecimal."""
    if value == 0:
        return "0"
    names = list(_names_of_bits(value, prefix))
    named = sum(NUMBERS[name] for name in names)
    return "|".join(names + ([hex(value - named)] if value != named else []))


def _names_of_bits(value: int, prefix: str) -> Iterator[str]:
    seen = 0
    for name, bit in NUMBERS.items():
        if name.startswith(prefix) and bit > 0 and bit & (bit - 1) == 0 and bit & value & ~seen:
            seen |= bit
            yield name
