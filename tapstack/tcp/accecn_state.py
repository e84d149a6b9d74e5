"""What a connection with accurate ECN feedback (RFC 9768) has counted, told and given up.

Not done here: anything. `accecn.py` reads and changes it, and `accecn_option.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tapstack.tcp.segment import NOT_ECT

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.config import TcpConfig

ACE_NOT_SENT, ACE_NOT_RECEIVED, OPTION_NOT_SENT, OPTION_NOT_RECEIVED = 1, 2, 4, 8
"""What does not get through, as TCP_INFO tells it (accecn_fail_mode)."""
NOT_SEEN, EMPTY, COUNTERS, ZEROED = range(4)
"""What was seen of the peer's option, as TCP_INFO tells it (accecn_opt_seen)."""


@dataclass(slots=True)
class AccurateEcn:
    """One connection's accurate feedback; in SYN-SENT: that it was asked for."""

    config: TcpConfig
    failures: int = 0
    """The bits of what does not get through."""

    heeded: bool = True
    """The peer's feedback counts; or else it is not to be trusted at all."""

    # --- what came, and what is to be told ---
    syn_codepoint: int = NOT_ECT
    """How the peer's latest SYN or SYN-ACK came in."""
    latest_codepoint: int = NOT_ECT
    """And how the latest segment did."""
    untold: int = 0
    """Marked segments that no segment of ours has told yet."""
    hurries: bool = False
    """The next ACK that is owed is not to wait."""
    reflects: bool = False
    """The next ACK tells how a SYN came in, instead of the count."""

    # --- the option: written by `accecn_option.py` ---
    option_seen: int = NOT_SEEN
    options_due: int = 0
    """Segments that are to carry ours in any case."""
    fields_due: int = 0
    """Counters that the next one must have, as they have changed."""
    option_sent_at: Instant = 0
    """When a segment last carried one."""
    burst_mss: int = 0
    """Octets of text in the segments of the burst that is being sent; 0: none is. As in Linux they
    are of one size, though fewer and fewer may have to carry the option."""
    delivered_octets: list[int] = field(default_factory=lambda: [0] * 4)
    """Octets of ours that arrived, by their codepoint there, as far as the peer has told."""
    estimate: int = NOT_ECT
    """The one codepoint that the last option has told of; NOT_ECT: there was none, or several."""
