"""Ten million octets over the worst link arrive as they were sent, and the invariants hold.

`make worst-link` sends a gigabyte.
"""

from __future__ import annotations

import pytest

from bench.worst_link import transfer

pytestmark = pytest.mark.slow


def test_every_octet_arrives_over_the_worst_link() -> None:
    report = transfer(10_000_000)
    assert report.received == report.sent
    assert report.checks > 10_000
    # So bad was it that all the ways to find and repair a loss were needed.
    for name in ("TcpExtTCPTimeouts", "TcpExtTCPSackRecovery", "TcpExtTCPLossProbes"):
        assert report.counters[name] > 0
    repeated = report.counters["TcpRetransSegs"] / report.counters["TcpOutSegs"]
    assert 0.09 < repeated < 0.2
