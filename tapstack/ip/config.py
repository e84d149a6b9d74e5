"""What can be tuned in IP and ICMP: sysctl names, units and defaults as Linux has them.

Every value is read when it is used, so that a change takes effect at once.
"""

from dataclasses import dataclass

LEAST_MTU = 68
"""Octets: what every link must carry in one piece (RFC 791 §3.2)."""


@dataclass(slots=True)
class IpConfig:
    """The settings of one stack's IP (Linux: Documentation/networking/ip-sysctl.rst)."""

    ip_forward: bool = False
    """Pass on datagrams that are for others (RFC 1122 §3.3.1.1: off unless asked for)."""
    ip_default_ttl: int = 64
    """TTL of what we send of ourselves (RFC 1700)."""
    send_redirects: bool = True
    """While forwarding: tell a host of the better first hop (RFC 1812 §5.2.7.2)."""
    ipfrag_time: int = 30
    """Seconds that an incomplete datagram is kept.

    Deviation: RFC 1122 §3.3.2 recommends "that the value lie between 60 seconds and 120 seconds".
    Like Linux, less: who means well resends sooner, and who does not holds memory for less time.
    """
    ipfrag_high_thresh: int = 4 << 20
    """Octets that all incomplete datagrams may hold together, bookkeeping included."""
    min_pmtu: int = 552
    """Octets below which no ICMP message lowers a path's MTU.

    Deviation: RFC 1191 §3 goes down to 68. Like Linux, a forged message is to cost little; but
    Linux then leaves DF out, and we do not: a path that is narrower still takes only what fits it.
    """
    ip_no_pmtu_disc: int = 0
    """Whether new sockets leave the path's MTU alone: 1 to 3 do. ICMP then tells with 1 that it is
    the least, with 2 nothing, with 3 what it says."""
    mtu_expires: int = 600
    """Seconds until a lowered path MTU is forgotten (RFC 1191 §6.3: at least 5 minutes)."""
    icmp_echo_ignore_all: bool = False
    """Do not answer pings."""
    icmp_echo_ignore_broadcasts: bool = True
    """Do not answer pings to a broadcast or multicast address (RFC 1122 §3.2.2.6)."""
    icmp_ratelimit: int = 1000
    """Milliseconds between ICMP errors to one destination, after a burst of six; 0: no limit."""
    icmp_ratemask: int = 0x1818
    """Types that are limited, a bit each: 3, 4, 11 and 12."""
    icmp_msgs_per_sec: int = 1000
    """Limited ICMP messages a second to all destinations together."""
    icmp_msgs_burst: int = 50
    """How many of them may be sent at once."""
