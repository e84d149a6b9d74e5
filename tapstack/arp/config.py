"""What can be tuned in ARP, under the names of Linux's sysctls (net.ipv4.neigh.*, arp(7))."""

from dataclasses import dataclass

from tapstack.base.units import SECOND, Duration


@dataclass(slots=True)
class ArpConfig:
    """The settings of one link's ARP; the defaults are Linux's (net/ipv4/arp.c, arp_tbl).

    Every value is read when it is used, so that a change takes effect at once.
    """

    arp_notify: bool = True
    """Announce an address of ours when we take it (RFC 5227 §2.3).

    Deviation: Linux's default is not to.
    """
    base_reachable_time: Duration = 30 * SECOND
    """How long a confirmed neighbour counts as reachable, on average.

    Each time it is drawn anew from half to one and a half of this (RFC 4861 §6.3.2), so that hosts
    do not fall into step.
    """
    delay_first_probe_time: Duration = 5 * SECOND
    """How long a doubtful neighbour that is sent to may yet be confirmed from above."""
    retrans_time: Duration = SECOND
    """Between two requests for one address (RFC 1122 §2.3.2.1: at most one a second)."""
    mcast_solicit: int = 3
    """Unanswered broadcast requests before an address counts as unreachable."""
    ucast_solicit: int = 3
    """Unanswered unicast requests before a neighbour's address is forgotten (RFC 1122: two)."""
    gc_stale_time: Duration = 60 * SECOND
    """How long a neighbour that nobody sends to is remembered.

    Deviation: Linux keeps the first 128 (gc_thresh1) for ever. Here nothing stays that is not used.
    """
    gc_thresh3: int = 1024
    """Most neighbours that are remembered; one more takes the place of the least recently used."""
    unres_qlen_bytes: int = 212_992
    """Octets that may wait for one neighbour's address, `datagram_queue.OVERHEAD` for each datagram
    included. The latest datagram always may (RFC 1122 §2.3.2.2).
    """
    locktime: Duration = SECOND
    """How long the first answer keeps out others: several proxies may answer one request."""
