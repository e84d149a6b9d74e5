"""The counters in the words of `netstat -s`: section, counter, sentence.

A counter of TcpExt goes under its own name, as in `nstat`.

Not done here: which of them are shown (`commands/stat.py`).
"""

IP = {
    "IpInReceives": "{} total packets received",
    "IpInHdrErrors": "{} with invalid headers",
    "IpInAddrErrors": "{} with invalid addresses",
    "IpForwDatagrams": "{} forwarded",
    "IpInUnknownProtos": "{} with unknown protocol",
    "IpInDiscards": "{} incoming packets discarded",
    "IpInDelivers": "{} incoming packets delivered",
    "IpOutRequests": "{} requests sent out",
    "IpOutDiscards": "{} outgoing packets dropped",
    "IpOutNoRoutes": "{} dropped because of missing route",
    "IpReasmTimeout": "{} fragments dropped after timeout",
    "IpReasmReqds": "{} reassemblies required",
    "IpReasmOKs": "{} packets reassembled ok",
    "IpReasmFails": "{} packet reassemblies failed",
    "IpFragOKs": "{} fragments received ok",
    "IpFragFails": "{} fragments failed",
    "IpFragCreates": "{} fragments created",
}
ICMP = {
    "IcmpInMsgs": "{} ICMP messages received",
    "IcmpInErrors": "{} input ICMP message failed",
    "IcmpInCsumErrors": "InCsumErrors: {}",
    "IcmpOutMsgs": "{} ICMP messages sent",
    "IcmpOutErrors": "{} ICMP messages failed",
}
ICMP_KINDS = {
    "DestUnreachs": "destination unreachable: {}",
    "TimeExcds": "timeout in transit: {}",
    "ParmProbs": "wrong parameters: {}",
    "SrcQuenchs": "source quenches: {}",
    "Redirects": "redirects: {}",
    "Echos": "echo requests: {}",
    "EchoReps": "echo replies: {}",
    "Timestamps": "timestamp request: {}",
    "TimestampReps": "timestamp reply: {}",
}
"""Behind IcmpIn and IcmpOut."""
TCP = {
    "TcpActiveOpens": "{} active connection openings",
    "TcpPassiveOpens": "{} passive connection openings",
    "TcpAttemptFails": "{} failed connection attempts",
    "TcpEstabResets": "{} connection resets received",
    "TcpCurrEstab": "{} connections established",
    "TcpInSegs": "{} segments received",
    "TcpOutSegs": "{} segments sent out",
    "TcpRetransSegs": "{} segments retransmitted",
    "TcpInErrs": "{} bad segments received",
    "TcpOutRsts": "{} resets sent",
    "TcpInCsumErrors": "InCsumErrors: {}",
}
UDP = {
    "UdpInDatagrams": "{} packets received",
    "UdpNoPorts": "{} packets to unknown port received",
    "UdpInErrors": "{} packet receive errors",
    "UdpOutDatagrams": "{} packets sent",
    "UdpRcvbufErrors": "{} receive buffer errors",
    "UdpSndbufErrors": "{} send buffer errors",
    "UdpInCsumErrors": "InCsumErrors: {}",
}
ALWAYS = frozenset(
    "IpInReceives IpForwDatagrams IpInDiscards IpInDelivers IpOutRequests "
    "IcmpInMsgs IcmpInErrors IcmpOutMsgs IcmpOutErrors "
    "TcpActiveOpens TcpPassiveOpens TcpAttemptFails TcpEstabResets TcpCurrEstab TcpInSegs "
    "TcpOutSegs TcpRetransSegs TcpInErrs TcpOutRsts "
    "UdpInDatagrams UdpNoPorts UdpInErrors UdpOutDatagrams UdpRcvbufErrors UdpSndbufErrors".split()
)
"""What is shown though it be zero, as `netstat -s` does."""
