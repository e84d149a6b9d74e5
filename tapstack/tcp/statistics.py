"""What one connection has done so far, counted: the numbers of `tcp_info` (RFC 4898's names in ()).

Not done here: telling them (`info.py`), and the engine's own totals (`base/counters.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from tapstack.base.units import Duration, Instant
from tapstack.tcp.seq import sub

if TYPE_CHECKING:
    from tapstack.tcp.tcb import Tcb


class Limit(Enum):
    """What the sender's time goes to."""

    IDLE = 0
    """The user has nothing on its way."""
    BUSY = 1
    """Text is queued or in flight; the network sets the pace."""
    RECEIVE_WINDOW = 2
    """Text waits for the peer's window."""
    SEND_BUFFER = 3
    """The user would send more, but the send buffer has no room, and all of it is in flight."""


@dataclass(slots=True)
class Traffic:
    """What is counted with each segment; it lies together in memory, as `Tcb`'s `Exchange` does."""

    segs_in: int = 0
    """Segments that came (tcpEStatsPerfSegsIn)."""
    segs_out: int = 0
    """Segments that left (tcpEStatsPerfSegsOut)."""
    data_segs_in: int = 0
    """Of those that came: with text."""
    data_segs_out: int = 0
    """Of those that left: with text, sent again or not."""
    bytes_received: int = 0
    """Octets of sequence space that RCV.NXT has passed (tcpEStatsAppHCThruOctetsReceived)."""
    bytes_sent: int = 0
    """Octets of text that left, sent again or not (tcpEStatsPerfHCDataOctetsOut)."""
    bytes_acked: int = 0
    """Octets of sequence space that SND.UNA has passed (tcpEStatsAppHCThruOctetsAcked)."""
    delivered: int = 0
    """Segments that are known to have arrived."""
    limit: Limit = Limit.IDLE
    """What the sender's time goes to now."""
    limit_since: Instant = 0
    snd_lim_time_cwin: Duration = 0
    """µs in BUSY (tcpEStatsPerfSndLimTimeCwnd), without the present time in it.

    A number for each limit rather than a list: that costs a connection more than they do.
    """


class Mishaps:
    """What is counted where not all goes well.

    As with `Tcb`'s `Exceptions`, that is the class's own until a connection comes to it.
    """

    bytes_retrans: int = 0
    """Octets of text that were sent again (tcpEStatsPerfOctetsRetrans)."""
    total_retrans: int = 0
    """Segments that were sent again, SYNs included."""
    delivered_ce: int = 0
    """Of the segments that have arrived: so reported by an ACK that echoed a congestion mark."""
    received_ce: int = 0
    """Segments that came with a congestion mark."""
    received_octets: tuple[int, ...] = (0,) * 4
    """Octets of text that came, by the codepoint of `ecn.py`; those without are not counted."""
    dsack_dups: int = 0
    """Segments of ours that arrived twice, as the peer's D-SACKs say."""
    reord_seen: int = 0
    """How often reordering was seen."""
    rcv_ooopack: int = 0
    """Segments that came beyond a gap."""
    total_rto: int = 0
    """Retransmission timeouts."""
    total_rto_recoveries: int = 0
    """Runs of such timeouts without an acknowledgment between."""
    total_rto_time: Duration = 0
    """µs between the first timeout of each run and the end of its recovery."""
    rto_at: Instant | None = None
    """When the run of timeouts began that is not recovered from yet."""
    rehash: int = 0
    """Timeouts after which another way through the network is tried: where its routers choose by
    a hash of IPv6's flow label. It is counted for IPv4, too."""
    snd_lim_time_rwin: Duration = 0
    """µs in RECEIVE_WINDOW (tcpEStatsPerfSndLimTimeRwin), as those in BUSY."""
    snd_lim_time_snd: Duration = 0
    """µs in SEND_BUFFER (tcpEStatsPerfSndLimTimeSnd)."""


@dataclass(slots=True)
class Statistics(Traffic, Mishaps):
    """The counts of one connection."""

    established_at: Instant = 0
    """When the handshake was done."""

    def on_half_open(self) -> None:
        """Count one SYN, and forget what else came before the connection stood (as Linux)."""
        self.segs_in, self.data_segs_in = 1, 0

    def on_received(self, packets: int, has_text: bool) -> None:
        """Count what came: a unit of so many segments."""
        self.segs_in += packets
        if has_text:
            self.data_segs_in += packets

    def on_transmitted(self, packets: int, length: int) -> None:
        """Count what left: a unit of so many segments, with `length` octets of text."""
        self.segs_out += packets
        if length:
            self.data_segs_out += packets
            self.bytes_sent += length

    def note_limit(self, limit: Limit, now: Instant) -> None:
        """Say what limits the sender from now on."""
        before = self.limit
        if limit is before:
            return
        spent = now - self.limit_since
        if before is Limit.BUSY:
            self.snd_lim_time_cwin += spent
        elif before is Limit.RECEIVE_WINDOW:
            self.snd_lim_time_rwin += spent
        elif before is Limit.SEND_BUFFER:
            self.snd_lim_time_snd += spent
        self.limit, self.limit_since = limit, now

    def time_in(self, limit: Limit, now: Instant) -> Duration:
        """Give the time in a limit up to now, µs."""
        spent = {
            Limit.BUSY: self.snd_lim_time_cwin,
            Limit.RECEIVE_WINDOW: self.snd_lim_time_rwin,
            Limit.SEND_BUFFER: self.snd_lim_time_snd,
        }[limit]
        return spent + (now - self.limit_since if limit is self.limit else 0)

    def on_timeout(self, now: Instant, *, first: bool) -> None:
        """Count a retransmission timeout: the first since SND.UNA advanced, or one more."""
        if first:
            self.rto_at = now
            self.total_rto_recoveries += 1
        self.total_rto += 1

    def time_in_timeouts(self, now: Instant) -> Duration:
        """Give the time that timeouts have cost, with that of a run which goes on, µs."""
        return self.total_rto_time + (0 if self.rto_at is None else now - self.rto_at)

    def on_timeout_recovered(self, now: Instant) -> None:
        """Note that what was lost with a timeout has been made good."""
        if self.rto_at is not None:
            self.total_rto_time += now - self.rto_at
            self.rto_at = None


def watch_limit(tcb: Tcb, now: Instant) -> None:
    """Note what holds a sender back, after all was sent that may be."""
    tcb.statistics.note_limit(_limit_of(tcb), now)


def _limit_of(tcb: Tcb) -> Limit:
    if not tcb.send_buffer.octets and not (tcb.fin_sent and tcb.sent):
        return Limit.IDLE
    unsent = tcb.unsent()
    if unsent == 0:
        return Limit.SEND_BUFFER if tcb.send_blocked else Limit.BUSY
    room = tcb.snd_wnd - sub(tcb.snd_nxt, tcb.snd_una)
    if room < min(unsent, tcb.effective_mss) and tcb.sent.in_flight < tcb.window.cwnd:
        return Limit.RECEIVE_WINDOW
    return Limit.BUSY
