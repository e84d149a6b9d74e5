"""Congestion control (RFC 5681): a window in segments, and one small class an algorithm.

A new algorithm is a class of its own that derives from `CongestionControl`, and one line in
`ALGORITHMS`.

Not done here: finding losses, and how the window moves while they are repaired (`recovery.py`).
"""

from tapstack.tcp.congestion.contract import CongestionControl
from tapstack.tcp.congestion.cubic import Cubic
from tapstack.tcp.congestion.newreno import NewReno

ALGORITHMS: dict[str, type[CongestionControl]] = {
    algorithm.name: algorithm for algorithm in (Cubic, NewReno)
}
"""Every algorithm by its name: Linux's tcp_available_congestion_control."""

__all__ = ["ALGORITHMS", "CongestionControl"]
