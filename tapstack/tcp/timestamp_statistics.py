"""How a connection stands as its user is told a time (SOF_TIMESTAMPING_OPT_STATS), as in Linux.

Most of the values are those of TCP_INFO.

Not done here: the layout (`statistics_wire.py`), and when they are told (`transmit_timestamps.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapstack.tcp import statistics_wire
from tapstack.tcp.info import info_of_connection
from tapstack.tcp.seq import sub

if TYPE_CHECKING:
    from tapstack.base.units import Instant
    from tapstack.tcp.tcb import Tcb


def of_departure(tcb: Tcb, seq: int, now: Instant) -> bytes:
    """Tell of text at `seq` that leaves: as in Linux, it was not yet sent if it never was."""
    last = tcb.sent.segments[-1]
    is_new = last.seq == seq and last.transmissions == 1
    values = _values(tcb, now, now)
    values["notsent_bytes"] += last.text_length * is_new
    return statistics_wire.build(values)


def of_arrival(tcb: Tcb, arrived: int, departed: Instant, ttl: int, now: Instant) -> bytes:
    """Tell of text that was acknowledged by a datagram with a TTL, as the `arrived`th segment."""
    return statistics_wire.build(_values(tcb, departed, now) | {"delivered": arrived, "ttl": ttl})


def _values(tcb: Tcb, departed: Instant, now: Instant) -> dict[str, int]:
    values = info_of_connection(tcb, now)._asdict()
    values["queued"] = sub(tcb.snd_nxt, tcb.snd_una) + values["notsent_bytes"]
    values["departure"] = departed * 1000  # ns
    values["moved"] = 0  # for congestion, to another way through the network
    return values
