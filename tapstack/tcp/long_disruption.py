"""Long connectivity disruptions (RFC 6069): a router without a route tells of no congestion.

A timeout doubles the RTO, as if the network were congested. An ICMP error that says that the
retransmission found no way on takes one doubling back, so that the connection goes on soon after
the way is there again.

Not done here: whether to believe the error (`icmp_errors.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.base.icmp_errors import is_for_want_of_a_route
from tapstack.tcp.retransmission_timer import Purpose, arm_for, time_to_rto

if TYPE_CHECKING:
    from tapstack.base.contracts import IcmpError
    from tapstack.base.units import Instant
    from tapstack.tcp.tcb import Tcb


def on_icmp_error(tcb: Tcb, error: IcmpError, seq: int, now: Instant) -> None:
    """Take back a doubling of the RTO; retransmit at once if that one would have expired (§3)."""
    if not is_for_want_of_a_route(error) or seq != tcb.snd_una:
        return
    if tcb.sent and tcb.retransmits and tcb.backoff:
        tcb.backoff -= 1
        tcb.rto_backoff = tcb.backoff
        arm_for(tcb, Purpose.RETRANSMISSION, now + max(time_to_rto(tcb, now), 0))
