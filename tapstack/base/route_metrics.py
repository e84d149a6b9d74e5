"""What a route says to TCP and IP of the way that it leads: Linux's metrics (ip-route(8)).

Zero, empty or false: the route says nothing of it.

Not done here: heeding them.
"""

from typing import NamedTuple

from tapstack.base.units import Duration


class RouteMetrics(NamedTuple):
    """The metrics of one route, in the order that `ip route` shows them."""

    mtu: int = 0
    """Octets of the largest datagram."""
    window: int = 0
    """Most octets of window that are ever offered."""
    rtt: Duration = 0
    """Without effect, as the next ones that say so: Linux, too, heeds it only with peers that it
    has learnt metrics of."""
    rttvar: Duration = 0
    """Without effect."""
    ssthresh: int = 0
    """Without effect."""
    cwnd: int = 0
    """Without effect."""
    advmss: int = 0
    """The MSS that SYNs name, octets."""
    reordering: int = 0
    """Without effect."""
    hoplimit: int = 0
    """The TTL of datagrams whose sender has not asked for one."""
    initcwnd: int = 0
    """Segments of the initial congestion window."""
    ecn: bool = False
    """Speak ECN, whatever `tcp_ecn` says."""
    rto_min: Duration = 0
    """Least variance term of the RTO, µs."""
    initrwnd: int = 0
    """Segments of the first window that is offered."""
    quickack: bool = False
    """ACKs are never delayed."""
    congctl: str = ""
    """The congestion control, whatever the user or `tcp_congestion_control` say."""
    fastopen_no_cookie: bool = False
    """Fast Open needs no cookie."""
    locked: frozenset[str] = frozenset()
    """Names of those that nothing is to change."""


NO_METRICS = RouteMetrics()
"""Those of a route that says nothing."""
