"""One table of counters with the names that SNMP and Linux give them (RFC 1213, 4022, 4113, 4293).

An unknown name is a KeyError at once, so that a misspelt counter cannot hide.

Not done here: how they are shown (`shell/`).
"""

from tapstack.base.errors import Drop

NAMES: list[str] = (
    # RFC 2863: the interfaces together
    "IfInPkts IfInOctets IfInErrors IfInUnknownProtos IfOutPkts IfOutOctets "
    # RFC 4293
    "IpInReceives IpInHdrErrors IpInAddrErrors IpForwDatagrams IpInUnknownProtos IpInDiscards "
    "IpInDelivers IpOutRequests IpOutDiscards IpOutNoRoutes IpReasmTimeout IpReasmReqds "
    "IpReasmOKs IpReasmFails IpFragOKs IpFragFails IpFragCreates "
    # RFC 1213
    "IcmpInMsgs IcmpInErrors IcmpInCsumErrors IcmpInDestUnreachs IcmpInTimeExcds "
    "IcmpInParmProbs IcmpInSrcQuenchs IcmpInRedirects IcmpInEchos IcmpInEchoReps "
    "IcmpInTimestamps IcmpInTimestampReps "
    "IcmpOutMsgs IcmpOutErrors IcmpOutRateLimitGlobal IcmpOutRateLimitHost "
    "IcmpOutDestUnreachs IcmpOutTimeExcds "
    "IcmpOutParmProbs IcmpOutRedirects IcmpOutEchos IcmpOutEchoReps IcmpOutTimestampReps "
    # RFC 4022
    "TcpActiveOpens TcpPassiveOpens TcpAttemptFails TcpEstabResets TcpCurrEstab TcpInSegs "
    "TcpOutSegs TcpRetransSegs TcpInErrs TcpOutRsts TcpInCsumErrors "
    # RFC 4113
    "UdpInDatagrams UdpNoPorts UdpInErrors UdpOutDatagrams UdpRcvbufErrors UdpSndbufErrors "
    "UdpInCsumErrors "
    # Linux's own
    "TcpExtListenOverflows TcpExtListenDrops TcpExtTCPReqQFullDrop TcpExtTCPTimeouts "
    "TcpExtDelayedACKs TcpExtTCPFastRetrans TcpExtTCPSlowStartRetrans TcpExtTCPOFOQueue "
    "TcpExtTCPChallengeACK TcpExtTCPSYNChallenge TcpExtPAWSEstab TcpExtPAWSOldAck "
    "TcpExtTCPAbortOnData TcpExtTCPAbortOnClose TcpExtTCPAbortOnTimeout "
    "TcpExtTCPAbortOnMemory TcpExtTCPKeepAlive "
    "TcpExtTCPWinProbe TcpExtTW TcpExtTCPTimeWaitOverflow TcpExtTCPSackRecovery "
    "TcpExtTCPRenoRecovery "
    "TcpExtTCPACKSkippedChallenge TcpExtTCPACKSkippedSynRecv TcpExtTCPACKSkippedPAWS "
    "TcpExtTCPACKSkippedSeq TcpExtTCPACKSkippedFinWait2 TcpExtTCPACKSkippedTimeWait "
    "TcpExtTCPFastOpenActive TcpExtTCPFastOpenActiveFail TcpExtTCPFastOpenPassive "
    "TcpExtTCPFastOpenPassiveFail TcpExtTCPFastOpenListenOverflow TcpExtTCPFastOpenCookieReqd "
    "TcpExtTCPFastOpenBlackhole TcpExtTCPFastOpenPassiveAltKey "
    "TcpExtTWRecycled TcpExtTWKilled TcpExtPAWSTimewait TcpExtPAWSActive TcpExtTSEcrRejected "
    "TcpExtTCPMD5Unexpected TcpExtTCPAbortOnLinger "
    "TcpExtSyncookiesSent TcpExtSyncookiesRecv TcpExtSyncookiesFailed "
    "TcpExtTCPReqQFullDoCookies TcpExtTCPMinTTLDrop TcpExtTCPDeferAcceptDrop TcpExtEmbryonicRsts "
    "TcpExtOutOfWindowIcmps TcpExtTCPSynRetrans "
    "TcpExtTCPDelivered TcpExtTCPDeliveredCE "
    "IpExtInNoECTPkts IpExtInECT1Pkts IpExtInECT0Pkts IpExtInCEPkts "
    "TcpExtTCPOrigDataSent TcpExtTCPLossProbes TcpExtTCPLossProbeRecovery TcpExtTCPDSACKRecv "
    "TcpExtTCPDSACKOfoRecv TcpExtTCPDSACKRecvSegs TcpExtTCPDSACKIgnoredDubious "
    "TcpExtTCPSACKReorder TcpExtTCPRenoReorder "
    "TcpExtTCPSACKReneging TcpExtTCPLostRetransmit TcpExtTCPFullUndo TcpExtTCPPartialUndo "
    "TcpExtTCPDSACKUndo TcpExtTCPLossUndo TcpExtTCPSpuriousRTOs TcpExtTcpTimeoutRehash "
    "TcpExtTCPMTUPProbe TcpExtTCPMTUPSuccess TcpExtTCPMTUPFail "
    "TcpExtTCPHystartTrainDetect TcpExtTCPHystartTrainCwnd "
    "TcpExtTCPHystartDelayDetect TcpExtTCPHystartDelayCwnd "
    "TcpExtPruneCalled TcpExtRcvPruned TcpExtOfoPruned TcpExtTCPRcvCollapsed TcpExtTCPRcvQDrop "
    "TcpExtTCPOFODrop TcpExtTCPOFOMerge TcpExtTCPZeroWindowDrop TcpExtBeyondWindow "
    "TcpExtDelayedACKLost TcpExtTCPDSACKOldSent TcpExtTCPDSACKOfoSent TcpExtTCPAckCompressed "
    "TcpExtTCPFromZeroWindowAdv TcpExtTCPToZeroWindowAdv TcpExtTCPWantZeroWindowAdv "
).split()


class Counters(dict[str, int]):
    """Every counter by its name, plus how often each `Drop` reason was met."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(NAMES, 0))
        self.drops: dict[Drop, int] = {}

    def drop(self, reason: Drop) -> None:
        """Count a dropped packet: under its reason, and under the SNMP counters of that reason."""
        self.drops[reason] = self.drops.get(reason, 0) + 1
        for name in reason.counters:
            self[name] += 1
