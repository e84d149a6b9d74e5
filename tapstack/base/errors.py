"""Why a packet was dropped: every reason has a name, the SNMP counters it adds to, and a meaning.

Malformed input raises `MalformedPacket` where it is found, and is caught once, at the door. A
packet that is well formed but not wanted is dropped in place with `Counters.drop`. Both end in
the same table, which `stat` shows.

Errors of the caller and of the peer are real `OSError`s: `os_error` makes them.
"""

from enum import Enum
from os import strerror


class Drop(Enum):
    """A reason to drop a packet: (the SNMP counters it adds to, what was wrong).

    As in Linux a wrong checksum is counted twice: among all errors, and among its like.
    """

    def __init__(self, counters: str, meaning: str) -> None:
        self.counters = tuple(counters.split())
        self.meaning = meaning

    # Ethernet
    ETH_TRUNCATED = ("IfInErrors", "Ethernet: frame shorter than its header")
    ETH_OTHER_HOST = ("", "Ethernet: frame for another station")
    ETH_VLAN = ("IfInUnknownProtos", "Ethernet: VLAN tag, which is not supported")
    ETH_UNKNOWN_TYPE = ("IfInUnknownProtos", "Ethernet: type that nobody here speaks")
    ETH_OWN_SOURCE = ("", "Ethernet: our own address as the source")
    ETH_BAD_SOURCE = ("IfInErrors", "Ethernet: source is a group address")
    # ARP
    ARP_TRUNCATED = ("", "ARP: packet shorter than its fields")
    ARP_BAD_FORMAT = ("", "ARP: hardware or protocol type or length is not Ethernet and IPv4")
    ARP_BAD_OPERATION = ("", "ARP: neither a request nor a reply")
    ARP_BAD_SENDER = ("", "ARP: the sender's address cannot be a host's")
    ARP_NOT_FOR_US = ("", "ARP: about somebody else's address")
    ARP_DUPLICATE_ADDRESS = ("", "ARP: another station claims our address")
    ARP_UNSOLICITED = ("", "ARP: a reply that was not asked for")
    ARP_QUEUE_FULL = ("IpOutDiscards", "ARP: too many datagrams wait for the neighbour")
    ARP_TABLE_FULL = ("IpOutDiscards", "ARP: too many neighbours at once")
    ARP_UNRESOLVED = ("IpOutNoRoutes", "ARP: the neighbour did not answer")
    # IPv4
    IP_TRUNCATED = ("IpInHdrErrors", "IPv4: shorter than its header says")
    IP_BAD_VERSION = ("IpInHdrErrors", "IPv4: version is not 4")
    IP_BAD_HEADER_LENGTH = ("IpInHdrErrors", "IPv4: header length below 20")
    IP_BAD_TOTAL_LENGTH = ("IpInHdrErrors", "IPv4: total length below the header's or past the end")
    IP_BAD_CHECKSUM = ("IpInHdrErrors", "IPv4: wrong header checksum")
    IP_BAD_OPTION = ("IpInHdrErrors", "IPv4: malformed option")
    IP_SOURCE_ROUTE = ("IpInHdrErrors", "IPv4: source route, which is refused")
    IP_MARTIAN_SOURCE = ("IpInAddrErrors", "IPv4: the source cannot be a host's address")
    IP_NOT_FOR_US = ("IpInAddrErrors", "IPv4: for another host, and forwarding is off")
    IP_UNKNOWN_PROTOCOL = ("IpInUnknownProtos", "IPv4: protocol that nobody here speaks")
    IP_TTL_EXCEEDED = ("IpInHdrErrors", "IPv4: time to live used up")
    IP_NO_ROUTE = ("IpOutNoRoutes", "IPv4: no route to the destination")
    IP_TOO_BIG = ("IpFragFails", "IPv4: too long for the path, and may not be fragmented")
    IP_BAD_FRAGMENT = ("IpReasmFails", "IPv4: malformed fragment")
    IP_FRAGMENT_OVERLAP = ("IpReasmFails", "IPv4: fragments overlap in part")
    IP_FRAGMENT_ECN = ("IpReasmFails", "IPv4: fragments disagree on ECN")
    IP_FRAGMENT_TIMEOUT = ("IpReasmFails", "IPv4: fragments missing after the time allowed")
    IP_FRAGMENT_MEMORY = ("IpReasmFails", "IPv4: reassembly memory used up")
    # ICMP
    ICMP_TRUNCATED = ("IcmpInErrors", "ICMP: shorter than its fields")
    ICMP_BAD_CHECKSUM = ("IcmpInErrors IcmpInCsumErrors", "ICMP: wrong checksum")
    ICMP_BAD_QUOTE = ("IcmpInErrors", "ICMP: quotes too little or no datagram of ours")
    ICMP_UNKNOWN_TYPE = ("IcmpInErrors", "ICMP: type that is not answered")
    ICMP_BROADCAST_ECHO = ("", "ICMP: echo request to a broadcast address")
    # UDP
    UDP_TRUNCATED = ("UdpInErrors", "UDP: shorter than its header")
    UDP_BAD_LENGTH = ("UdpInErrors", "UDP: length below 8 or past the end")
    UDP_BAD_CHECKSUM = ("UdpInErrors UdpInCsumErrors", "UDP: wrong checksum")
    UDP_NO_PORT = ("UdpNoPorts", "UDP: nobody listens on the port")
    UDP_BUFFER_FULL = ("UdpInErrors UdpRcvbufErrors", "UDP: receive buffer full")
    RAW_BUFFER_FULL = ("", "raw: receive buffer full")
    # TCP
    TCP_TRUNCATED = ("TcpInErrs", "TCP: shorter than its header says")
    TCP_BAD_DATA_OFFSET = ("TcpInErrs", "TCP: data offset below 5")
    TCP_BAD_CHECKSUM = ("TcpInErrs TcpInCsumErrors", "TCP: wrong checksum")
    TCP_SIGNED = ("TcpExtTCPMD5Unexpected", "TCP: signed (RFC 2385), and no key was agreed upon")
    TCP_BROADCAST = ("TcpInErrs", "TCP: to or from a broadcast or multicast address")
    TCP_NO_CONNECTION = ("", "TCP: no connection and no listener")
    TCP_OUT_OF_WINDOW = ("", "TCP: not acceptable: outside the receive window")
    TCP_OLD_ACK = ("", "TCP: acknowledges what was acknowledged long ago")
    TCP_ACK_UNSENT = ("", "TCP: acknowledges what was never sent")
    TCP_NO_ACK = ("", "TCP: no ACK bit on a synchronised connection")
    TCP_RESET_INVALID = ("", "TCP: reset with a sequence number that is not the expected one")
    TCP_PAWS = ("TcpExtPAWSEstab", "TCP: timestamp older than the last")
    TCP_PAWS_TIME_WAIT = ("TcpExtPAWSTimewait", "TCP: timestamp older than the last before the end")
    TCP_PAWS_SYN_SENT = ("TcpExtPAWSActive", "TCP: echo of what our SYN did not carry")
    TCP_PAWS_OLD_ACK = ("TcpExtPAWSOldAck", "TCP: ACK that text has overtaken")
    TCP_ECHO = ("TcpExtTSEcrRejected", "TCP: echo of what our SYN-ACK did not carry")
    TCP_LISTEN_OVERFLOW = ("TcpExtListenOverflows", "TCP: accept queue full")
    TCP_REQUEST_QUEUE_FULL = ("TcpExtTCPReqQFullDrop", "TCP: SYN queue full")
    TCP_SYN_BACKLOG = ("", "TCP: SYN queue nearly full, and the rest is for known peers")
    TCP_CLOSED = ("", "TCP: text for a connection that no one reads any more")


class MalformedPacket(Exception):  # noqa: N818 - it names the packet, not a failure of ours
    """A packet from the wire breaks its format: counted at the door, and never seen by a user."""

    def __init__(self, reason: Drop) -> None:
        super().__init__(reason.meaning)
        self.reason = reason


def explain(error: ValueError | OSError) -> str:
    """Give an error as a sentence: what it is about, and what is wrong."""
    if not isinstance(error, OSError):
        return str(error)
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename or repr('')}: {reason}"


def os_error(number: int) -> OSError:
    """Make the real error of an errno: the right subclass, with the C library's words."""
    return OSError(number, strerror(number))
